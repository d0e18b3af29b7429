//! Names and values that a shell, a framing or a template might take for something else.

use super::{plan_touches_nothing, project};

const ROOT: &str = "/srv/hostile";

const PLAYBOOK: &str = include_str!("hostile.yml");

#[test]
fn nothing_is_taken_for_something_else() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    project.file("site.yml", PLAYBOOK);
    let odd = ["a b", "$(id)", "it's", "ünï", "new\nline", "-x", "\"q\"", "back\\n"];
    for name in odd {
        project.file(&format!("files/odd/{name}"), name);
        project.file(&format!("files/odd/sub {name}/{name}"), name);
    }
    plan_touches_nothing(&project, ROOT);

    let first = project.apply("site.yml");
    assert_eq!(host.sh(&format!("find {ROOT} -name pwned; ls -d ~/pwned /pwned 2>/dev/null || true")), "");
    // Every file holds its own name.
    let check = "find d sent -type f -exec sh -c 'for f do n=${f##*/}; [ \"$(cat \"$f\"; echo .)\" = \"$n.\" ] || printf \"wrong: %s\\n\" \"$f\"; done' _ {} +";
    assert_eq!(
        host.sh(&format!("cd {ROOT}; {check}; find d -type f -perm 604 -user deploy -printf x | wc -c; diff -r d d2")),
        "19"
    );
    assert_eq!(host.sh(&format!("find {ROOT}/sent -type f -printf x | wc -c")), "16");
    assert_eq!(host.sh(&format!("wc -l < {ROOT}/lines")), "19");
    let there = first
        .results()
        .filter(|r| r["task"]["name"] == "there")
        .find(|r| r["item"] == "new\nline" && r["result"]["stdout"].is_string())
        .unwrap();
    assert_eq!(there["result"]["stdout"], format!("{ROOT}/d/new\nline"));
    project.settled("site.yml");
}
