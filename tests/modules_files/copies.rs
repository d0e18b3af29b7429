//! `copy` and `template`.

use super::{plan_touches_nothing, project};
use std::fmt::Write as _;

const ROOT: &str = "/srv/copies";

const PLAYBOOK: &str = include_str!("copies.yml");

#[test]
fn copies_and_templates() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    project.file("site.yml", PLAYBOOK);
    project.file("files/motd", "Welcome\n");
    let binary: Vec<u8> = (0..=255_u8).cycle().take(5000).collect();
    project.file("files/binary", &binary);
    for number in 0..200 {
        project.file(&format!("files/many/{}/file {number}", number % 7), format!("{number}\n"));
    }
    let mut large = Vec::with_capacity(20 << 20);
    let mut state = 1_u64;
    while large.len() < 20 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        large.extend_from_slice(&state.to_be_bytes());
    }
    let large = project.file("files/large", large);
    project.file(
        "templates/page.j2",
        "# {{ ansible_managed | default('x') | length > 0 }}\nhost {{ inventory_hostname }} on {{ ansible_distribution }}\n{% for p in people %}\n  - {{ p }}: ünï\n{% endfor %}\n{# note #}\nend\n",
    );
    project.file("templates/marks.j2", "[[ people[0] ]] {{ kept }}\n    {% if true %}yes{% endif %}\n");
    host.sh(&format!("printf 'old\\n' > {ROOT}/old"));

    plan_touches_nothing(&project, ROOT);
    let first = project.apply("site.yml");
    assert_eq!(first.with_status("ok"), ["Gathering Facts", "there already"], "{}", first.told());

    let look = |command: &str| host.sh(&format!("cd {ROOT} && {command}"));
    assert_eq!(look("stat -c '%U %G %a' motd; cat motd deep/er/motd"), "deploy deploy 640\nWelcome\nWelcome");
    assert_eq!(look("stat -c '%a %s' content; cat content"), "640 37\none\n  two ünï\n\nlast without newline");
    assert_eq!(look("stat -c '%a %s' empty"), "644 0");
    assert_eq!(look("cat content.json"), r#"{"name": "app", "ports": [80, 443]}"#);
    assert_eq!(look("od -An -tx1 bytes"), " 00 01 02 7f 61 00 0a");
    let sum = |path: &std::path::Path| {
        let out = std::process::Command::new("sha256sum").arg(path).output().unwrap();
        String::from_utf8(out.stdout).unwrap()[..64].to_owned()
    };
    assert_eq!(look("sha256sum < binary | cut -c-64"), sum(&project.path().join("files/binary")));
    assert_eq!(look("sha256sum < large | cut -c-64"), sum(&large));
    assert_eq!(first.result("large")["size"], 20 << 20);
    let mut expected = String::new();
    for number in 0..200 {
        writeln!(expected, "{number}").unwrap();
    }
    for folder in ["many", "kept/many", "many2"] {
        let all = look(&format!("find {folder} -type f -exec cat {{}} + | sort -n"));
        assert_eq!(all, expected.trim_end(), "{folder}");
        assert_eq!(look(&format!("cat '{folder}/3/file 10'")), "10");
    }
    assert_eq!(look("find many -mindepth 1 -type d -printf '%m\\n' | sort -u"), "705");
    assert_eq!(look("find many -type f -printf '%m\\n' | sort -u"), "604");
    assert_eq!(look("stat -c %a content2; cmp content content2"), "600");
    assert_eq!(look("stat -c %a sudoers"), "440");
    let backup = first.result("kept")["backup_file"].as_str().unwrap().to_owned();
    assert_eq!(look(&format!("cat old '{backup}'")), "new\nold");
    assert_eq!(
        look("stat -c '%U %a' page; cat page"),
        "deploy 644\n# True\nhost files on Debian\n  - Ada: ünï\n  - Grace: ünï\nend"
    );
    assert_eq!(look("od -An -c marks | tr -s ' ' | tr -d '\\n'"), " A d a { { k e p t } } \\r \\n y e s \\r \\n");
    assert_eq!(look("find . -name '.*' ! -name ."), "", "temporary files are left");

    project.settled("site.yml");

    // What someone changed by hand is put right, and nothing else is touched.
    look("echo x >> 'many/3/file 10'; chmod 600 page; rm content; truncate -s 5 large");
    let again = project.apply("site.yml");
    assert_eq!(again.with_status("changed"), ["from content", "many", "large", "from a template"], "{}", again.told());
    assert_eq!(
        look("cat 'many/3/file 10'; stat -c %a page; sha256sum < large | cut -c-64"),
        format!("10\n644\n{}", sum(&large))
    );
}

#[test]
fn what_does_not_validate_stays_out() {
    let root = "/srv/invalid";
    let Some(project) = project(root) else { return };
    let host = project.host.clone();
    host.sh(&format!("echo good > {root}/conf"));
    project.file(
        "site.yml",
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: bad
      copy: {dest: /srv/invalid/conf, content: "this is no sudoers file\n", validate: visudo -cf %s}
      register: bad
      ignore_errors: true
    - name: told
      assert: {that: ["bad is failed", "bad.msg is search('validate')"]}
    - name: no source
      copy: {src: /srv/invalid/missing, dest: /srv/invalid/x, remote_src: true}
      ignore_errors: true
    - name: no folder
      copy: {content: x, dest: /srv/invalid/missing/x}
      ignore_errors: true
    - name: wrong sum
      copy: {src: /srv/invalid/conf, dest: /srv/invalid/x, remote_src: true, checksum: da39a3ee5e6b4b0d3255bfef95601890afd80709}
      ignore_errors: true
"#,
    );
    let run = project.apply("site.yml");
    assert_eq!(run.with_status("ignored"), ["bad", "no source", "no folder", "wrong sum"], "{}", run.told());
    assert_eq!(host.sh(&format!("cat {root}/conf; ls -A {root}")), "good\nconf");
}
