//! Becoming another user.

use crate::site::{Site, sudoers, user};

const WHO: &str =
    "- name: who\n  command: id -un\n  register: who\n- name: say\n  debug: {msg: 'I am {{ who.stdout }}'}";

/// A site with the host `it`, on which a new user has these sudoers rules.
fn site(name: &str, rules: &str) -> Option<Site> {
    let site = Site::new()?;
    let host = user(name, "/bin/bash")?;
    host.sh(&format!("echo '{name}:s3cret-{name}' | chpasswd"));
    if !rules.is_empty() {
        sudoers(&host, name, rules);
    }
    let site = site.host("it", &host, name, &[]);
    site.file("right", &format!("s3cret-{name}\n"));
    site.file("wrong", "wr0ng-password\n");
    site.play("become: true\n", WHO);
    Some(site)
}

#[test]
fn without_a_password() {
    let Some(site) = site("sdeploy", "sdeploy ALL=(ALL) NOPASSWD: ALL") else { return };
    site.apply(&[]).ends(0).says(&["I am root"]).within(10);
    // One that nobody asks for does no harm.
    site.apply(&["--become-password-file", "wrong"]).ends(0).says(&["I am root"]).within(10);
}

#[test]
fn with_a_password() {
    let Some(site) = site("sops", "sops ALL=(ALL:ALL) ALL") else { return };
    let right = site.apply(&["--become-password-file", "right", "-vvv", "--diff"]);
    right.ends(0).says(&["I am root"]).within(10);
    let trips = |args: &[&str]| -> u64 {
        let told = site.apply(&[&["--limit", "it", "--json"], args].concat());
        let recap = told.out.lines().find(|l| l.contains("\"event\":\"recap\"")).unwrap();
        serde_json::from_str::<serde_json::Value>(recap).unwrap()["traffic"]["round_trips"].as_u64().unwrap()
    };
    // A channel, the prompt, the password, the first answer, and the program.
    assert_eq!(trips(&["--become-password-file", "right"]), 5);
    let wrong = site.apply(&["--become-password-file", "wrong", "-vvv"]);
    wrong.failed("it", &["failed it who", "play.yml:5:7", "password", "refused", "-K"]).within(20);
    let none = site.apply(&[]);
    none.failed("it", &["play.yml:5:7", "asks for a password", "-K", "ansible_become_password"]).within(10);
    for told in [&right, &wrong, &none] {
        assert!(!told.out.contains("s3cret") && !told.out.contains("wr0ng"), "{}", told.out);
        assert!(!told.err.contains("s3cret") && !told.err.contains("wr0ng"), "{}", told.err);
    }
}

#[test]
fn asked_again_and_again() {
    // A password is good for one command only, and one try is all there is.
    let Some(site) = site("sonce", "Defaults:sonce timestamp_timeout=0, passwd_tries=1\nsonce ALL=(ALL:ALL) ALL")
    else {
        return;
    };
    let tasks = format!(
        "{WHO}\n- name: other\n  become_user: nobody\n  command: id -un\n  register: who\n- debug: {{msg: 'then {{{{ who.stdout }}}}'}}"
    );
    site.play("become: true\n", &tasks);
    site.apply(&["--become-password-file", "right"]).ends(0).says(&["I am root", "then nobody"]).within(10);
    let told = site.apply(&["--become-password-file", "wrong"]);
    told.failed("it", &["play.yml:5:7", "password", "refused"]).within(20);
}

#[test]
fn a_lecture_and_a_prompt_of_its_own() {
    let rules = "Defaults:slect lecture=always, lecture_file=/etc/motd\nDefaults:slect passprompt_override, passprompt=\"Kennwort: \"\nslect ALL=(ALL:ALL) ALL";
    let Some(site) = site("slect", rules) else { return };
    let told = site.apply(&["--become-password-file", "right"]);
    told.ends(0).says(&["I am root"]).within(10);
    let Some(host) = user("slect2", "/bin/bash") else { return };
    host.sh("echo slect2:s3cret-slect2 | chpasswd; echo 'We trust you have received the usual lecture' >/etc/lecture");
    sudoers(&host, "slect2", "Defaults:slect2 lecture=always, lecture_file=/etc/lecture\nslect2 ALL=(ALL:ALL) ALL");
    let Some(site) = Site::new() else { return };
    let site = site.host("it", &host, "slect2", &[("ansible_become_password", "s3cret-slect2")]);
    site.play("become: true\n", WHO).apply(&[]).ends(0).says(&["I am root"]).within(10);
}

#[test]
fn a_terminal_is_required() {
    let Some(site) = site("stty", "Defaults:stty requiretty\nstty ALL=(ALL) NOPASSWD: ALL") else { return };
    site.apply(&[]).failed("it", &["play.yml:5:7", "requiretty"]).within(10);
    site.apply(&["--become-password-file", "right"]).failed("it", &["requiretty"]).within(10);
}

#[test]
fn a_terminal_of_its_own() {
    // Since sudo 1.9.14 this is the default; without a terminal of the caller it must not come between the bytes.
    let Some(site) = site("spty", "Defaults:spty use_pty, log_output\nspty ALL=(ALL:ALL) ALL") else { return };
    let big = "x\\t\u{e4}".repeat(30_000);
    let tasks = format!("{WHO}\n- name: big\n  copy: {{dest: /root/spty, content: \"{big}\"}}");
    site.play("become: true\n", &tasks);
    site.apply(&["--become-password-file", "right"]).ends(0).says(&["I am root"]).within(20);
    let told = site.apply(&["--become-password-file", "right"]);
    told.ends(0).recaps("it", &["changed=1"]).within(20);
}

#[test]
fn not_in_sudoers() {
    let Some(site) = site("snone", "") else { return };
    site.apply(&["--become-password-file", "right"])
        .failed("it", &["play.yml:5:7", "may not become root", "sudoers"])
        .within(20);
    site.apply(&[]).failed("it", &["play.yml:5:7", "asks for a password"]).within(10);
}

#[test]
fn only_some_users() {
    let Some(site) = site("ssome", "ssome ALL=(nobody) NOPASSWD: ALL") else { return };
    site.apply(&[]).failed("it", &["play.yml:5:7", "root"]).within(10);
    site.play("become: true\nbecome_user: nobody\n", WHO);
    site.apply(&[]).ends(0).says(&["I am nobody"]);
}

#[test]
fn users_that_are_not_there() {
    let Some(site) = site("smiss", "smiss ALL=(ALL) NOPASSWD: ALL") else { return };
    site.play("become: true\n", "- name: first\n  command: 'true'\n- name: second\n  become_user: nemo\n  command: id -un\n- name: third\n  command: 'true'");
    let told = site.apply(&["--limit", "it"]);
    told.ends(2).says(&["failed it second", "play.yml:7:7", "no user nemo"]);
    told.recaps("it", &["ok=1", "failed=1"]);
    // Made by the play itself.
    site.play(
        "become: true\n",
        "- user: {name: smade, system: true}\n- name: who\n  become_user: smade\n  command: id -un\n  register: who\n- debug: {msg: 'I am {{ who.stdout }}'}",
    );
    site.apply(&[]).ends(0).says(&["I am smade"]);
    site.play("become: true\n", "- user: {name: smade, state: absent}").apply(&[]).ends(0);
}

#[test]
fn an_unprivileged_user_gets_files_and_templates() {
    let Some(site) = site("spriv", "spriv ALL=(ALL) NOPASSWD: ALL") else { return };
    let Some(host) = user("splain", "/usr/sbin/nologin") else { return };
    site.file("t.j2", "for {{ ansible_user }}\n");
    site.file("run.sh", "id -un; cat \"$1\"\n");
    site.play(
        "become: true\nbecome_user: splain\n",
        "- copy: {dest: ~/made, content: 'own', mode: '0600'}\n- template: {src: t.j2, dest: /home/splain/t}\n- name: run\n  script: run.sh /home/splain/made\n  register: out\n- debug: {msg: 'it said {{ out.stdout_lines | join(\",\") }}'}\n- command: cat /root/secret\n  register: refused\n  failed_when: \"'Permission denied' not in refused.stderr\"",
    );
    let told = site.apply(&["--limit", "it"]);
    told.ends(0).says(&["it said splain,own"]);
    assert_eq!(host.sh("stat -c '%U:%G %a' /home/splain/made /home/splain/t"), "splain:splain 600\nsplain:splain 644");
    // Of these two: other tests may be at work on the host.
    let left = "find /tmp /dev/shm /home/splain -maxdepth 1 -name '*windlass-*' '(' -user splain -o -user spriv ')'";
    assert_eq!(host.sh(left), "");
}

#[test]
fn by_su() {
    let Some(site) = Site::new() else { return };
    site.play("become: true\nbecome_method: su\nbecome_user: nobody\n", WHO).apply(&[]).ends(0).says(&["I am nobody"]);
    site.play("become: true\nbecome_method: su\nbecome_user: nemo\n", WHO);
    site.apply(&[]).ends(2).says(&["failed well who", "play.yml:7:7", "no user nemo"]).within(10);
    // Nobody but root gets far without a terminal: an error, and no wait for a password that nobody types.
    let Some(host) = user("ssu", "/bin/bash") else { return };
    let site = site.host("it", &host, "ssu", &[]);
    site.play("become: true\nbecome_method: su\n", WHO);
    site.apply(&[]).failed("it", &["play.yml:6:7", "root"]).within(15);
}

#[test]
fn no_sudo_at_all() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("snosudo", "/bin/sh") else { return };
    let site = site.host("it", &host, "snosudo", &[("ansible_become_exe", "/usr/bin/no-sudo")]);
    site.play("become: true\n", WHO).apply(&[]).failed("it", &["play.yml:5:7", "no-sudo"]).within(10);
}

#[test]
fn asking_without_a_terminal_is_an_error_and_no_hang() {
    let Some(site) = site("sask", "sask ALL=(ALL:ALL) ALL") else { return };
    let told = site.apply(&["-K"]);
    assert!(told.code != 0, "{told:#?}");
    told.within(10);
}
