//! Other users: `become`, `become_user`, and a login that is not root.

use super::{plan_touches_nothing, project};

const ROOT: &str = "/srv/identity";

const PLAYBOOK: &str = include_str!("identity.yml");

#[test]
fn from_deploy_to_others() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    project.file("site.yml", PLAYBOOK);
    host.sh("rm -f ~deploy/mine ~ops/mine");
    plan_touches_nothing(&project, ROOT);
    assert_eq!(host.sh("ls ~ops"), "");

    let first = project.apply("site.yml");
    let changed = ["folder of ops", "file of ops", "line of ops", "home of deploy", "home of ops"];
    assert_eq!(first.with_status("changed"), changed, "{}", first.told());
    assert_eq!(
        host.sh(&format!("cd {ROOT}/ops && cat mine; stat -c '%U %G %a' . mine")),
        "secret\nmore\nops root 700\nops ops 600"
    );
    assert_eq!(
        host.sh("cat ~deploy/mine ~ops/mine; stat -c '%U %G %a' ~deploy/mine ~ops/mine"),
        "deploy\nops\ndeploy deploy 644\nops ops 644"
    );
    let second = project.apply("site.yml");
    // The line that is added makes the content differ from what the step before it says.
    assert_eq!(second.with_status("changed"), ["file of ops", "line of ops"], "{}", second.told());
}

#[test]
fn a_password_for_sudo() {
    let root = "/srv/password";
    let Some(project) = project(root) else { return };
    let playbook = "- hosts: all\n  become: true\n  gather_facts: false\n  vars: {ansible_user: ops, ansible_become_password: PASSWORD}\n  tasks:\n    - name: who\n      command: id -un\n      register: who\n    - assert: {that: who.stdout == 'root'}\n";
    project.file("right.yml", playbook.replace("PASSWORD", "lab-ops"));
    project.file("wrong.yml", playbook.replace("PASSWORD", "lab-wrong"));
    let right = project.apply("right.yml");
    assert!(!right.told().contains("lab-ops"), "{}", right.told());
    let wrong = project.run("apply", &["wrong.yml"]);
    assert_ne!(wrong.code, 0, "{}", wrong.told());
    let told: Vec<String> = wrong.events.iter().map(ToString::to_string).collect();
    let told = told.join("\n") + &wrong.stderr;
    assert!(told.contains("password") && !told.contains("lab-wrong"), "{told}");
}
