//! Login shells and what their start files do.

use crate::site::{Site, sudoers, user};

const WORK: &str = "\
- name: who
  command: id -un
  register: who
- debug: {msg: 'I am {{ who.stdout }}'}
- name: folder
  file: {path: '{{ at }}/d', state: directory}
- name: file
  copy: {dest: '{{ at }}/d/f', content: 'grün'}
- name: touched
  file: {path: '{{ at }}/d/t', state: touch, access_time: preserve, modification_time: preserve}
- name: line
  lineinfile: {path: '{{ at }}/d/l', line: a, create: true}
- name: wrong
  command: ls /nowhere
  register: wrong
  failed_when: \"'No such file' not in wrong.stderr\"
  changed_when: false";

fn works(name: &str, shell: &str, prepare: &str, become_: bool) {
    let Some(site) = Site::new() else { return };
    let Some(host) = user(name, shell) else { return };
    sudoers(&host, name, &format!("{name} ALL=(ALL) NOPASSWD: ALL"));
    host.sh(prepare);
    let at = format!("/home/{name}/at");
    host.sh(&format!("rm -rf {at}; install -d -o {name} -m 755 {at}"));
    let well = crate::common::lab::LabHost::get(crate::site::WELL).unwrap();
    well.sh(&format!("rm -rf {at}; install -d -m 755 {at}"));
    let site = site.host("it", &host, name, &[]);
    site.play(&format!("become: {become_}\nvars: {{at: {at}}}\n"), WORK);
    let told = site.apply(&[]);
    told.ends(0).recaps("it", &["changed=5", "failed=0"]).within(20);
    told.says(&[&format!("I am {}", if become_ { "root" } else { name })]);
    let modes = host.sh(&format!("cd {at} && stat -c '%n %a' d d/f d/t d/l && cat d/f"));
    assert_eq!(modes, "d 755\nd/f 644\nd/t 644\nd/l 644\ngrün");
    site.apply(&[]).ends(0).recaps("it", &["changed=1", "failed=0"]);
}

/// Start files that print to both outputs, set everything that could matter, and fail.
fn noisy(name: &str) -> String {
    let garbage = "printf '\\\\n@WL garbage %s\\\\377\\\\n' hello; echo WL-1234; echo on stderr >&2; umask 077; export LC_ALL=de_DE.UTF-8 \
                   LANGUAGE=de TIME_STYLE=long-iso QUOTING_STYLE=shell POSIXLY_CORRECT=1 CDPATH=/tmp GREP_OPTIONS=-v IFS=x; cd /; \
                   alias ls='ls --color'; PATH=$HOME/bin:$PATH; false";
    format!(
        "for f in .profile .bashrc .bash_profile .zshenv .mkshrc; do printf '%s\\n' \"$(printf '{}')\" >/home/{name}/$f; chown {name} /home/{name}/$f; done",
        garbage.replace('\'', "'\\''")
    )
}

#[test]
fn bash_with_noisy_start_files() {
    works("lbash", "/bin/bash", &noisy("lbash"), false);
}

#[test]
fn bash_with_noisy_start_files_and_sudo() {
    works("lbashs", "/bin/bash", &noisy("lbashs"), true);
}

#[test]
fn dash_with_noisy_start_files() {
    works("ldash", "/bin/dash", &noisy("ldash"), false);
}

#[test]
fn the_plain_shell() {
    works("lsh", "/bin/sh", "true", true);
}

#[test]
fn a_umask_for_everybody() {
    works(
        "lumask",
        "/bin/bash",
        "echo 'umask 077' >>/home/lumask/.bashrc; sed -i '1i umask 077' /home/lumask/.bashrc",
        false,
    );
}

/// The machine of these users speaks German: pam_env gives it to every login, and sudo hands it on.
#[test]
fn another_language() {
    let Some(host) = user("lang", "/bin/bash") else { return };
    assert!(
        host.ssh("lang")
            .arg("ls /nowhere")
            .output()
            .is_ok_and(|o| String::from_utf8_lossy(&o.stderr).contains("Datei"))
    );
    works("lang", "/bin/bash", "true", true);
}

#[test]
fn no_shell_for_a_login() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("lnone", "/usr/sbin/nologin") else { return };
    let site = site.host("bad", &host, "lnone", &[]);
    let told = site.tasks("- name: who\n  command: id").apply(&[]);
    told.unreachable("bad", &["play.yml:4:7", "This account is currently not available", "shell"]).within(10);
}

#[test]
fn a_profile_that_ends_the_shell() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("lexit", "/bin/bash") else { return };
    host.sh("echo 'echo this login is closed; exit 3' >/home/lexit/.bashrc");
    let site = site.host("bad", &host, "lexit", &[]);
    let told = site.tasks("- name: who\n  command: id").apply(&[]);
    told.unreachable("bad", &["play.yml:4:7", "this login is closed", "status 3"]).within(10);
}

#[test]
fn a_home_that_is_missing_or_can_not_be_written() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("lhome", "/bin/bash") else { return };
    host.sh("mkdir -p /etc/ssh/keys; cp /home/deploy/.ssh/authorized_keys /etc/ssh/keys/lhome; chown -R root: /home/lhome; chmod 755 /home/lhome /home/lhome/.ssh; chmod 644 /home/lhome/.ssh/*; rm -rf /tmp/lhome");
    let site = site.host("it", &host, "lhome", &[]);
    site.tasks("- name: who\n  command: id -un\n- name: put\n  copy: {dest: /tmp/lhome, content: x}\n- name: at home\n  copy: {dest: ~/x, content: x}");
    let told = site.apply(&[]);
    told.failed("it", &["failed it at home", "play.yml:8:7", "ermission denied"]).recaps("it", &["ok=2"]);
    host.sh("usermod -d /nonexistent lhome; mkdir -p /etc/ssh/sshd_config.d; echo 'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u' >/etc/ssh/sshd_config.d/keys.conf; systemctl reload ssh");
    site.tasks("- name: who\n  command: id -un\n- name: put\n  copy: {dest: /tmp/lhome, content: x}\n- name: kept\n  command: echo kept\n  async: 30\n  poll: 1");
    site.apply(&[]).ends(0).recaps("it", &["changed=2"]);
}
