//! Many hosts at once, against a simulated fleet: dead hosts delay nobody, and limits of open files are no surprise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/fleet/mod.rs"]
mod fleet;

use fleet::{Fleet, Manner};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const PLAYBOOK: &str = r#"
- hosts: all
  gather_facts: false
  vars: { base: "/srv/{{ inventory_hostname }}" }
  tasks:
    - { name: folder, file: { path: "{{ base }}", state: directory, mode: "0750" } }
    - { name: content, copy: { content: "for {{ inventory_hostname }}\n", dest: "{{ base }}/a.conf" } }
    - { name: line, lineinfile: { path: "{{ base }}/b.conf", line: "x = 1", create: true, mode: "0644" } }
    - { name: link, file: { src: "{{ base }}/a.conf", dest: "{{ base }}/c.conf", state: link } }
    - { name: look, stat: { path: "{{ base }}/a.conf" }, register: looked }
    - { name: last, copy: { content: "{{ looked.stat.size }}\n", dest: "{{ base }}/d.conf" } }
"#;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// `windlass apply` under these limits of the shell.
fn apply(folder: &Path, limits: &str, inventory: &Path, options: &[&str]) -> Command {
    std::fs::write(folder.join("site.yml"), PLAYBOOK).unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{limits} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_windlass"), "apply", "-i"]);
    command.arg(inventory).args(options).arg("site.yml");
    command.current_dir(folder).env("HOME", folder).env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
    command
}

/// An inventory without time limits that a busy machine could run into.
fn patient(fleet: &Fleet, hosts: u32) -> std::path::PathBuf {
    let inventory = fleet.inventory(hosts);
    let text = std::fs::read_to_string(&inventory).unwrap();
    let options = " -o ConnectTimeout=900 -o ServerAliveInterval=900\n";
    std::fs::write(&inventory, text.trim_end().to_owned() + options).unwrap();
    inventory
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn dead_hosts_delay_nobody() {
    const HOSTS: u32 = 200;
    let manner = |host| match host {
        7 | 150 => Manner::Silent,
        50 | 199 => Manner::Frozen,
        _ => Manner::Well,
    };
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let fleet = runtime.block_on(Fleet::start(folder.path(), Duration::from_millis(2), manner));
    // Dead hosts are given up when the fleet lets go of them, and not by the clock.
    let inventory = patient(&fleet, HOSTS);
    let mut command = apply(folder.path(), "", &inventory, &["--json", "-f", "8"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let (mut done, mut out) = (HashSet::new(), HashMap::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] != "result" {
            continue;
        }
        let host = event["host"].as_str().unwrap().to_owned();
        let status = event["status"].as_str().unwrap();
        if status == "unreachable" {
            out.insert(host, done.len());
        } else {
            assert_eq!(
                (status == "changed", event["task"]["name"] == "look"),
                (event["task"]["name"] != "look", status == "ok")
            );
            if event["task"]["name"] == "last" {
                done.insert(host);
            }
        }
        if done.len() == 196 {
            fleet.release();
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_eq!(done.len(), 196);
    let mut dead: Vec<_> = out.into_iter().collect();
    dead.sort();
    let name = |host| (fleet::name(host), 196);
    assert_eq!(dead, [name(7), name(50), name(150), name(199)], "the others were through before");
}

#[test]
fn a_limit_of_open_files_that_is_too_low_is_told_before_any_host_is_touched() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let fleet = runtime.block_on(Fleet::start(folder.path(), Duration::ZERO, |_| Manner::Well));
    let inventory = patient(&fleet, 100);
    let output = apply(folder.path(), "ulimit -n 128;", &inventory, &[]).output().unwrap();
    let told = said(&output);
    assert_eq!(output.status.code(), Some(69), "{told}");
    for part in ["100 hosts", "164 open files", "128", "ulimit -n", "LimitNOFILE", "--shard"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(fleet.most(), 0, "nobody was connected to");
    // Part of the hosts is within the limit.
    let output = apply(folder.path(), "ulimit -n 128;", &inventory, &["--limit", "s0001,s0002"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn a_soft_limit_is_raised_where_it_may_be() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let fleet = runtime.block_on(Fleet::start(folder.path(), Duration::from_millis(20), |_| Manner::Well));
    let inventory = patient(&fleet, 100);
    let output = apply(folder.path(), "ulimit -S -n 64;", &inventory, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // Results of many hosts share lines.
    let told = said(&output);
    let lines = told.lines().filter(|line| line.starts_with("changed")).count();
    assert!(lines < 100, "{told}");
    assert!(told.contains(" on 100 hosts"), "{told}");
    for host in [1, 57, 100] {
        let files = fleet.files(host);
        let files = files.lock().unwrap();
        let base = format!("/srv/{}", fleet::name(host));
        assert_eq!(files.content(&format!("{base}/c.conf")), Some(format!("for {}\n", fleet::name(host)).as_bytes()));
        assert_eq!(files.content(&format!("{base}/d.conf")), Some(&b"10"[..]));
    }
}
