//! Plans that are saved, and applied or refused.

use crate::site::{Ran, Site};
use std::os::unix::fs::PermissionsExt;

const PLAY: &str = "\
vars: {who: world}
tasks:
  - name: Folder
    file: {path: HERE/out, state: directory, mode: '0755'}
  - name: Greeting
    template: {src: greeting.j2, dest: HERE/out/greeting, mode: '0640'}
    notify: Tell
  - name: Parts
    copy: {content: '{{ item }}', dest: 'HERE/out/{{ item }}'}
    loop: [one, two]
  - name: Line
    lineinfile: {path: HERE/out/one, line: more}
  - name: Look
    command: cat HERE/out/greeting
    register: seen
    changed_when: false
  - name: Copied
    copy: {content: '{{ seen.stdout }}', dest: HERE/out/copied}
  - name: Many
    copy: {content: x, dest: 'HERE/out/{{ item }}'}
    loop: '{{ seen.stdout.split() }}'
  - name: More
    include_tasks: '{{ \"more\" if seen.stdout else \"none\" }}.yml'
handlers:
  - name: Tell
    shell: echo told >> HERE/out/told
";

fn site() -> Site {
    let more = "- name: Included\n  copy: {content: i, dest: HERE/out/included}\n";
    Site::new().play(PLAY).file("greeting.j2", "hello {{ who }} at {{ now() }}\n").file("more.yml", more)
}

/// Refused with these words, and nothing was run.
#[track_caller]
fn refused(ran: Ran, words: &[&str]) {
    let ran = ran.ends(1);
    assert!(ran.out.is_empty(), "{}", ran.out);
    for word in words.iter().chain(&["no host was touched"]) {
        assert!(ran.err.contains(word), "{word} is missing in\n{}", ran.err);
    }
}

#[test]
fn a_saved_plan_is_applied_once() {
    let site = site();
    let ran = site.run("plan site.yml -o plan.json").ends(0);
    assert!(ran.err.contains("windlass apply plan.json"), "{}", ran.err);
    assert_eq!(std::fs::metadata(site.path("plan.json")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!site.exists("out"));
    let ran = site.run("apply plan.json").ends(0);
    let told = ran.results();
    for line in ["changed      here  Folder", "changed      here  Included", "changed      here  handler Tell"] {
        assert!(told.contains(&line), "{line} is missing in {told:#?}");
    }
    // The time in the template is the plan's, though it is later now.
    assert!(site.read("out/greeting").ends_with(".000000\n"), "{}", site.read("out/greeting"));
    assert_eq!(site.read("out/told"), "told\n");
    assert_eq!(
        (site.read("out/copied"), site.exists("out/world")),
        (site.read("out/greeting").trim().to_owned(), true)
    );
    refused(site.run("apply plan.json"), &["here: `Folder`: planned was a change, now it is nothing to do"]);
    assert_eq!(site.read("out/told"), "told\n");
}

#[test]
fn both_engines_keep_to_a_plan() {
    let site = site();
    site.run("plan site.yml -o plan.json").ends(0);
    assert_eq!(site.run("apply plan.json --engine plain").ends(0).recap("here"), "ok=10 changed=8");
}

#[test]
fn a_host_that_has_changed_is_refused_with_the_reason() {
    let site = Site::new()
        .play("tasks:\n  - copy: {content: new, dest: HERE/a}\n  - copy: {content: new, dest: HERE/b}")
        .file("a", "old\n")
        .file("b", "new");
    let ran = site.run("plan site.yml -o plan.json").ends(0);
    assert_eq!(ran.results(), ["would change here  copy"]);
    let site = site.file("a", "other\n");
    refused(site.run("apply plan.json"), &["here: `copy`: HERE/a is not as it was when the plan was made"]);
    let site = site.file("a", "old\n").file("b", "changed");
    refused(site.run("apply plan.json"), &["planned was nothing to do, now it is a change (replace HERE/b"]);
    assert_eq!((site.read("a"), site.read("b")), ("old\n".to_owned(), "changed".to_owned()));
    let site = site.file("b", "new");
    assert_eq!(site.run("apply plan.json").ends(0).results(), ["changed      here  copy"]);
}

#[test]
fn inputs_that_have_changed_are_named() {
    for (name, text) in [
        ("site.yml", "- hosts: all\n"),
        ("greeting.j2", "bye\n"),
        ("hosts", "here ansible_connection=local who=you\n"),
        ("group_vars/all.yml", "unused: 2\n"),
    ] {
        let site = site().file("group_vars/all.yml", "unused: 1\n");
        site.run("plan site.yml -o plan.json").ends(0);
        let site = site.file(name, text);
        refused(site.run("apply plan.json"), &[&format!("`{name}` has changed")]);
        std::fs::remove_file(site.path(name)).unwrap();
        refused(site.run("apply plan.json"), &[&format!("`{name}` is not there any more")]);
        assert!(!site.exists("out"));
    }
    // An inventory that is a program: what it says counts.
    let program = |who: &str| {
        format!(
            "#!/bin/sh\necho '{{\"_meta\": {{\"hostvars\": {{\"here\": {{\"ansible_connection\": \"local\", \"who\": \"{who}\"}}}}}}, \"all\": {{\"hosts\": [\"here\"]}}}}'\n"
        )
    };
    let site = site().file("inventory.sh", &program("a"));
    let executable = || std::fs::set_permissions(site.path("inventory.sh"), std::fs::Permissions::from_mode(0o755));
    executable().unwrap();
    site.run("plan site.yml -i inventory.sh -o plan.json").ends(0);
    std::fs::write(site.path("inventory.sh"), program("b")).unwrap();
    refused(site.run("apply plan.json"), &["here: what the inventory says of it has changed"]);
}

#[test]
fn no_secret_is_in_the_file() {
    let mut vault = windlass::values::Vault::new(std::sync::Arc::default());
    vault.add("default", "open sesame");
    let secret = vault.encrypt("token: vaulted-treasure\n", None).unwrap();
    let site = Site::new().file("pass", "open sesame\n").file("group_vars/all.yml", &secret).play(
        "\
vars: {quiet: quiet-treasure}
tasks:
  - name: From the vault
    copy: {content: 'token={{ token }} and {{ plain }}', dest: HERE/token}
  - name: By a command
    command: 'echo {{ token }}'
  - name: In a name {{ token }}
    copy: {content: x, dest: 'HERE/{{ item }}'}
    loop: ['{{ token }}']
  - name: Quiet
    copy: {content: '{{ quiet }}', dest: 'HERE/{{ quiet }}'}
    no_log: true
  - name: Drawn
    copy: {content: \"{{ lookup('password', '/dev/null') }}\", dest: HERE/drawn}
",
    );
    let plan = |site: &Site| {
        let args =
            ["plan", "site.yml", "-o", "plan.json", "--vault-password-file", "pass", "-e", "plain=extra-treasure"];
        site.args(&args).ends(0)
    };
    plan(&site);
    let text = site.read("plan.json");
    for word in ["treasure", "open sesame"] {
        assert!(!text.contains(word), "{word} is in {text}");
    }
    assert!(text.contains("From the vault") && text.contains("\"pass\""), "{text}");
    // The value of `-e` is not kept; everything else is.
    let ran = site.run("apply plan.json").ends(64);
    assert!(ran.err.contains("1 `-e` on the command line"), "{}", ran.err);
    assert_eq!(site.run("apply plan.json -e plain=other").ends(64).out, "");
    let ran = site.run("apply plan.json -e plain=extra-treasure").ends(0);
    assert_eq!(ran.recap("here"), "ok=5 changed=5");
    assert_eq!(site.read("token"), "token=vaulted-treasure and extra-treasure");
    // What the host holds of it is noticed all the same.
    std::fs::remove_file(site.path("drawn")).unwrap();
    let site = site.file("quiet-treasure", "other");
    plan(&site);
    let site = site.file("quiet-treasure", "another");
    let ran = site.run("apply plan.json -e plain=extra-treasure");
    assert!(!ran.err.contains("treasure"), "{}", ran.err);
    refused(ran, &["`Quiet`: what it rests on is not as it was when the plan was made"]);
}

#[test]
fn what_was_assumed_and_does_not_hold_stops_the_host() {
    let site = Site::new().file("b", "right").play(
        "\
tasks:
  - name: Breaks
    shell: echo broken > HERE/b
  - name: Stands
    copy: {content: right, dest: HERE/b}
    ignore_errors: true
  - name: After
    copy: {content: x, dest: HERE/after}
",
    );
    let ran = site.run("plan site.yml -o plan.json").ends(0);
    assert!(!ran.out.contains("Stands"), "{}", ran.out);
    let ran = site.run("apply plan.json").ends(2);
    assert!(ran.results().contains(&"failed       here  Stands"), "{}", ran.out);
    assert!(ran.out.contains("not as planned: the plan says nothing to do unless"), "{}", ran.out);
    assert_eq!((site.read("b"), site.exists("after")), ("broken\n".to_owned(), false));
}

#[test]
fn detailed_exit_codes_with_a_file() {
    let site = Site::new().play("tasks: [{copy: {content: a, dest: HERE/a}}]");
    site.run("plan site.yml --detailed-exitcode -o plan.json").ends(2);
    site.run("apply plan.json").ends(0);
    site.run("plan site.yml --detailed-exitcode -o plan.json").ends(0);
    assert_eq!(site.run("apply plan.json").ends(0).recap("here"), "ok=1");
    let site = site.play("tasks: [{fail: {msg: no}}]");
    let ran = site.run("plan site.yml --detailed-exitcode -o plan.json").ends(1);
    assert!(ran.err.contains("no plan was saved to plan.json: a task would fail"), "{}", ran.err);
    assert!(!site.exists("plan.json"), "the plan of before is not left lying");
}

#[test]
fn a_host_that_was_not_reached_is_left_out() {
    let gone = "gone ansible_host=127.0.0.1 ansible_port=1 ansible_user=x\nhere ansible_connection=local\n";
    let site =
        Site::new().file("hosts", gone).play("tasks: [{copy: {content: a, dest: 'HERE/{{ inventory_hostname }}'}}]");
    let ran = site.run("plan site.yml -o plan.json").ends(4);
    assert!(ran.err.contains("the plan does nothing for: gone"), "{}", ran.err);
    let ran = site.run("apply plan.json").ends(0);
    assert!(ran.err.contains("could not be reached when the plan was made") && ran.err.contains("gone"), "{}", ran.err);
    assert!(site.exists("here") && !ran.out.contains("unreachable  gone"), "{}", ran.out);
}

#[test]
fn a_plan_settles_its_command_line() {
    let site =
        Site::new().play("tasks: [{copy: {content: a, dest: HERE/a}, tags: [t]}, {copy: {content: b, dest: HERE/b}}]");
    site.run("plan site.yml -i hosts --limit here -t t -o plan.json").ends(0);
    for other in ["-t u", "-l all", "-b", "--check", "--list-tasks"] {
        let ran = site.run(&format!("apply plan.json {other}")).ends(64);
        assert!(ran.out.is_empty() && !site.exists("a"), "{other}: {}", ran.out);
    }
    site.run("apply plan.json -t t").ends(0);
    assert!(site.exists("a") && !site.exists("b"));
    // The environment can't change what a plan means, either.
    let site = Site::new().play("tasks: [{copy: {content: a, dest: HERE/a}}]");
    site.run("plan site.yml -o plan.json").ends(0);
    let site = site.env("ANSIBLE_BECOME", "true");
    refused(site.run("apply plan.json"), &["`become` comes to something else here"]);
}

#[test]
fn what_is_no_plan_is_neither_applied_nor_overwritten() {
    let site = Site::new().play("tasks: []").file("plan.json", "{\"windlass_plan\": 9}");
    let ran = site.run("apply plan.json").ends(1);
    assert!(ran.err.contains("is a plan of format 9, and this windlass reads format 1"), "{}", ran.err);
    let site = site.file("plan.json", "{\"windlass_plan\": 1, \"kind\": \"play\"");
    assert!(site.run("apply plan.json").ends(1).err.contains("is no plan that can be used"));
    for out in ["site.yml", "."] {
        let ran = site.run(&format!("plan site.yml -o {out}")).ends(64);
        assert!(ran.err.contains("is there, and is no plan"), "{}", ran.err);
    }
    site.run("plan site.yml -o no/such/plan.json").ends(64);
    site.run("plan site.yml --list-tasks -o x.json").ends(64);
    site.run("plan site.yml -o plan.json").ends(0);
}
