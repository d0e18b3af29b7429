//! Names and values that a shell, a framing or a template might take for something else.

use super::{plan_touches_nothing, project};

const ROOT: &str = "/srv/hostile";

/// No value gets to run anything, wherever it stands.
#[test]
fn no_value_is_taken_for_a_command() {
    const ROOT: &str = "/srv/injection";
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    project.file("site.yml", include_str!("injection.yml"));
    project.file("injected.yml", include_str!("injected.yml"));
    project.file("files/said.sh", "#!/bin/sh\nprintf '%s\\n' \"$1\"\n");
    let run = project.run("apply", &["site.yml"]);
    let told = run.results().filter(|r| r["result"].is_object()).count();
    assert!(told >= 4 * 48, "only {told} results\n{}", run.told());
    assert_eq!(host.sh(&format!("ls {ROOT}/pwned")), "");
    // They arrived as what they are.
    let said: Vec<_> =
        run.results().filter(|r| r["task"]["name"] == "argument").map(|r| &r["result"]["stdout"]).collect();
    assert_eq!(said.len(), 4);
    assert!(said.iter().all(|s| s.as_str().is_some_and(|s| s.contains("touch /srv/injection/pwned/$$"))), "{said:?}");
    host.sh("crontab -u deploy -r; usermod -c '' deploy");
}

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
