//! `windlass lab embedded`: the host for those without root, from its start to its end.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program, with nothing of this machine's settings.
fn windlass() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_remove("WINDLASS_INVENTORY").env_remove("ANSIBLE_CONFIG").stdin(Stdio::null());
    command
}

/// A running host, ended when it is dropped.
struct Embedded(Child);

impl Embedded {
    fn start(folder: &Path, inventory: &Path) -> Embedded {
        let mut command = windlass();
        command.args(["lab", "embedded", "--name", "box", "--inventory"]).arg(inventory).arg(folder);
        let host = Embedded(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let start = Instant::now();
        while !inventory.exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "no inventory after 20 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        host
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}\n{err}", output.status)
}

#[test]
fn it_serves_playbooks_until_it_is_told_to_end() {
    let scratch = tempfile::Builder::new().prefix("it's a ").tempdir().unwrap();
    let (folder, inventory) = (scratch.path().join("host"), scratch.path().join("hosts.yml"));
    let mut host = Embedded::start(&folder, &inventory);

    let playbook = scratch.path().join("play.yml");
    std::fs::write(
        &playbook,
        "- hosts: box\n  tasks:\n    - ansible.builtin.copy:\n        content: hello\n        dest: \"{{ ansible_facts['env']['HOME'] }}/a file\"\n",
    )
    .unwrap();
    let apply = || windlass().current_dir(scratch.path()).args(["apply", "play.yml", "-i", "hosts.yml"]).output();
    let first = apply().unwrap();
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(std::fs::read_to_string(folder.join("home/a file")).unwrap(), "hello");
    let second = apply().unwrap();
    assert!(said(&second).contains("changed=0"), "{}", said(&second));

    let pid = host.0.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert!(host.0.wait().unwrap().success());
    let gone = apply().unwrap();
    assert_eq!(gone.status.code(), Some(4), "{}", said(&gone));
}

#[test]
fn it_refuses_become() {
    let scratch = tempfile::tempdir().unwrap();
    let inventory = scratch.path().join("hosts.yml");
    let _host = Embedded::start(&scratch.path().join("host"), &inventory);
    std::fs::write(
        scratch.path().join("play.yml"),
        "- hosts: all\n  gather_facts: false\n  become: true\n  tasks:\n    - ansible.builtin.command: touch made\n",
    )
    .unwrap();
    let output =
        windlass().current_dir(scratch.path()).args(["apply", "play.yml", "-i", "hosts.yml"]).output().unwrap();
    assert!(!output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("become"), "{}", said(&output));
    assert!(!scratch.path().join("host/home/made").exists());
}
