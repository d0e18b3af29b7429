//! Hosts that can't be reached, or are not who they should be.

use crate::common::lab::{LabHost, succeed, windlass_lab};
use crate::site::{Site, USERS};
use std::process::Command;

const TOUCH: &str = "- name: touch\n  command: 'true'\n- name: again\n  command: 'true'";

#[test]
fn nothing_listens() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let site = site.host("bad", &host, "root", &[("ansible_port", "2")]);
    let told = site.tasks(TOUCH).apply(&["--stats"]);
    told.unreachable("bad", &["unreachable bad touch", "play.yml:4:7", &format!("{}:2", host.address), "refused"]);
    told.recaps("well", &["ok=2"]);
}

#[test]
fn a_cable_is_cut_before_the_run() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get("hosts-cut").unwrap();
    succeed(&mut windlass_lab(&host.lab, &["net", &host.name, "cut"]));
    let site = site.host("bad", &host, "root", &[]);
    let told = site.tasks(TOUCH).apply(&["-T", "3"]);
    succeed(&mut windlass_lab(&host.lab, &["net", &host.name, "clear"]));
    told.unreachable("bad", &["play.yml:4:7", "3 s"]).within(8);
}

#[test]
fn a_key_is_not_accepted() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let key = site.path().join("other");
    succeed(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    let site = site.host("bad", &host, "root", &[("ansible_ssh_private_key_file", key.to_str().unwrap())]);
    let told = site.tasks(TOUCH).apply(&[]);
    told.unreachable("bad", &["play.yml:4:7", key.to_str().unwrap(), "root"]);
}

#[test]
fn a_key_file_is_not_there() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let site = site.host("bad", &host, "root", &[("ansible_ssh_private_key_file", "/nowhere/key")]);
    site.tasks(TOUCH).apply(&[]).unreachable("bad", &["play.yml:4:7", "/nowhere/key"]);
}

#[test]
fn a_host_key_is_unknown_or_has_changed() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let other = std::fs::read_to_string(&host.known_hosts).unwrap();
    let line = other.lines().find(|l| !l.contains(&host.address) && l.contains("ssh-ed25519")).unwrap();
    let wrong = line.split_once(' ').unwrap().1;
    let changed = site.file("changed", &format!("{} {wrong}\n", host.address));
    let none = site.file("none", "");
    let args = |file: &std::path::Path| format!("-F /dev/null -o UserKnownHostsFile={}", file.display());
    let site = site.host("unknown", &host, "root", &[("ansible_ssh_common_args", &args(&none))]).host(
        "changed",
        &host,
        "root",
        &[("ansible_ssh_common_args", &args(&changed))],
    );
    let told = site.tasks(TOUCH).apply(&[]);
    told.unreachable("unknown", &["play.yml:4:7", "SHA256:"]).recaps("changed", &["unreachable=1"]);
    told.says(&["changed", changed.to_str().unwrap()]);
    // Nothing was learnt of itself.
    assert_eq!(std::fs::read_to_string(&none).unwrap(), "");
    let told = site.apply(&["--limit", "unknown,well", "--host-key-checking", "accept-new"]);
    told.ends(0);
    assert!(std::fs::read_to_string(&none).unwrap().contains("ssh-ed25519"), "the key was not recorded");
    // What has changed is refused all the same.
    site.apply(&["--limit", "changed,well", "--host-key-checking", "accept-new"]).unreachable("changed", &["SHA256:"]);
}

#[test]
fn connection_variables_that_make_no_sense() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let site = site
        .host("undefined", &host, "root", &[("ansible_host", "{{ nowhere }}")])
        .host("port", &host, "root", &[("ansible_port", "ssh")])
        .host("nameless", &host, "root", &[("ansible_host", "no.such.host.invalid")]);
    let told = site.tasks(TOUCH).apply(&[]);
    told.ends(4).says(&["failed undefined touch", "`nowhere` is undefined", "play.yml:4:7", "hosts.yml:12"]);
    told.says(&["failed port touch", "ansible_port is", "no.such.host.invalid has no address"]);
    told.recaps("undefined", &["failed=1"]).recaps("port", &["failed=1"]).recaps("nameless", &["unreachable=1"]);
    told.recaps("well", &["ok=2"]);
    site.run(&["apply", "nowhere.yml"]).ends(65).says(&["nowhere.yml"]);
    let told = site.run(&["apply", "play.yml", "-i", "nowhere.ini"]);
    told.ends(64).says(&["nowhere.ini"]);
}

#[test]
fn a_host_that_only_delegates_is_out_too() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let site = site.host("bad", &host, "root", &[("ansible_port", "2")]).host("it", &host, "root", &[]);
    site.tasks(
        "- name: there\n  command: 'true'\n  delegate_to: bad\n  when: inventory_hostname == 'it'\n- name: all the same\n  command: 'true'\n  ignore_unreachable: true\n- name: after\n  command: 'true'",
    );
    let told = site.apply(&[]);
    told.unreachable("it", &["unreachable it there", "bad: TCP connect", "play.yml:4:7"]);
    told.recaps("bad", &["unreachable=1", "skipped=1"]).recaps("well", &["ok=2"]);
}

#[test]
fn a_host_behind_another() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let well = LabHost::get(crate::site::WELL).unwrap();
    // The jump host is reached with the configuration's key: options of the command line are for the last host.
    let config = format!(
        "Host gate\n  HostName {}\n  User deploy\nHost *\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n",
        well.address,
        host.key.display(),
        host.known_hosts.display()
    );
    site.file("ssh_config", &config);
    let site = site.host("behind", &host, "root", &[("ansible_ssh_common_args", "-F ssh_config -J gate")]).host(
        "lost",
        &host,
        "root",
        &[("ansible_ssh_common_args", "-F ssh_config -J nobody@gate")],
    );
    let task =
        "- name: from\n  shell: echo from $SSH_CONNECTION\n  register: out\n- name: say\n  debug: {var: out.stdout}";
    let told = site.tasks(task).apply(&["-F", "ssh_config"]);
    told.unreachable("lost", &["play.yml:4:7", "by way of", "nobody"]);
    told.recaps("behind", &["ok=2"]).says(&[&format!("from {} ", well.address)]);
}
