//! `command`, `shell`, `raw` and `script`, and the environment that they run in.

use super::{digest, project};

const ROOT: &str = "/srv/commands";

const PLAYBOOK: &str = include_str!("commands.yml");

#[test]
fn commands_run_as_written() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    project.file("site.yml", PLAYBOOK);
    project.file(
        "files/it.sh",
        "#!/bin/sh\nprintf '%s\\n' \"$1\" \"$2\" \"$PWD\"\n[ \"$1\" = x ] && touch /srv/commands/by-script\ntrue\n",
    );
    project.file("files/it.py", "#!/usr/bin/env python3\nimport sys\nprint(int(sys.argv[1]) ** 2)\n");
    host.sh(&format!("touch {ROOT}/given"));
    project.file("once.yml", PLAYBOOK.split("    - name: input\n").next().unwrap());
    let before = digest(&host, ROOT);
    let plan = project.plan("once.yml");
    let foretold = ["words", "list", "once", "once by shell", "only where something is"];
    assert_eq!(plan.with_status("changed"), foretold, "{}", plan.told());
    assert_eq!(digest(&host, ROOT), before, "the plan touched the host");

    let first = project.apply("site.yml");
    assert_eq!(first.result("once by shell")["stdout"], "said");
    assert_eq!(first.result("once by shell")["stderr"], "err");
    assert_eq!(first.with_status("ignored"), ["fails", "not there", "no folder"], "{}", first.told());
    assert_eq!(host.sh(&format!("cd {ROOT}; ls; cat two")), "by-script\nonce\ntwo\nmade");
    let changed = ["words", "list", "once", "once by shell", "only where something is", "script once"];
    assert_eq!(first.with_status("changed"), changed);

    let second = project.apply("site.yml");
    assert_eq!(second.with_status("changed"), ["words", "list"], "{}", second.told());
}
