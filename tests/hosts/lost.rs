//! Connections that end in the middle of the work.

use crate::common::lab::{LabHost, succeed, windlass_lab};
use crate::site::{Site, Told, user};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until a command of the host prints something.
#[track_caller]
pub fn until(host: &LabHost, command: &str) {
    let begun = Instant::now();
    while host.sh(&format!("{command}; true")).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{command}");
        sleep(Duration::from_millis(50));
    }
}

pub fn end(child: Child, begun: Instant) -> Told {
    Told::of(child.wait_with_output().unwrap(), begun)
}

const WORK: &str = "\
- name: before
  copy: {dest: '{{ at }}-a', content: a}
- name: long
  command: sh -c 'echo run >>{{ at }}-runs; sleep {{ pause | default(wait) | default(0) }}; echo end >>{{ at }}-runs'
- name: after
  copy: {dest: '{{ at }}-b', content: b}";

#[test]
fn the_connection_is_killed_and_the_next_run_converges() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("kcut", "/bin/bash") else { return };
    host.sh("rm -f /tmp/kcut-*");
    let site = site.host("it", &host, "kcut", &[("wait", "6")]);
    site.play("vars: {at: /tmp/kcut}\n", WORK);
    let (child, begun) = site.begin(&[]);
    until(&host, "cat /tmp/kcut-runs 2>/dev/null");
    host.sh("pkill -u kcut sshd");
    let told = end(child, begun);
    told.unreachable("it", &["unreachable it long", "play.yml:7:7", "connection"]).recaps("it", &["ok=1"]).within(10);
    assert_eq!(host.sh("ls /tmp/kcut-*"), "/tmp/kcut-a\n/tmp/kcut-runs");
    let told = site.apply(&["-e", "pause=0"]);
    told.ends(0).recaps("it", &["ok=3"]);
    assert_eq!(host.sh("cat /tmp/kcut-b"), "b");
}

#[test]
fn a_durable_command_goes_on_and_the_next_run_joins_it() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("kdur", "/bin/bash") else { return };
    host.sh("rm -f /tmp/kdur-*");
    let site = site.host("it", &host, "kdur", &[]);
    let work = format!("{WORK}\n").replace("- name: after", "  async: 60\n  poll: 1\n- name: after");
    site.play("vars: {at: /tmp/kdur, wait: 5}\n", &work);
    let (child, begun) = site.begin(&["--limit", "it"]);
    until(&host, "cat /tmp/kdur-runs 2>/dev/null");
    host.sh("pkill -u kdur sshd");
    end(child, begun).ends(4).says(&["unreachable it long"]).within(5);
    let told = site.apply(&["--limit", "it"]);
    told.ends(0).says(&["notice", "earlier run"]).recaps("it", &["ok=3"]).within(10);
    assert_eq!(host.sh("cat /tmp/kdur-runs /tmp/kdur-b"), "run\nend\nb");
}

#[test]
fn the_connection_is_killed_while_a_file_is_sent() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("kfile", "/bin/bash") else { return };
    host.sh("rm -rf /tmp/kfile; install -d -o kfile /tmp/kfile; echo old >/tmp/kfile/f; chown kfile /tmp/kfile/f");
    std::fs::write(site.path().join("large"), vec![b'x'; 300 << 20]).unwrap();
    let site = site.host("it", &host, "kfile", &[]);
    site.tasks("- name: send\n  copy: {src: large, dest: /tmp/kfile/f}");
    let (child, begun) = site.begin(&["--limit", "it"]);
    until(&host, "find /tmp/kfile -name '.f.windlass*' -size +100k");
    host.sh("pkill -u kfile sshd");
    end(child, begun).ends(4).says(&["unreachable it send", "play.yml:4:7"]).within(15);
    until(&host, "pgrep -u kfile >/dev/null || echo gone");
    assert_eq!(
        host.sh("ls -A /tmp/kfile; cat /tmp/kfile/f; find /tmp /dev/shm -user kfile -name '.windlass-*'"),
        "f\nold"
    );
}

/// A shell that is killed can't tidy up: the next one does.
#[test]
fn a_shell_is_killed() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("kshell", "/bin/bash") else { return };
    let site = site.host("it", &host, "kshell", &[]);
    site.tasks("- name: kill\n  shell: test $(id -u) = 0 || kill -9 $(ps -o ppid= $PPID) $PPID\n- name: after\n  command: 'true'");
    site.apply(&[]).unreachable("it", &["unreachable it kill", "play.yml:4:7", "signal KILL"]).within(10);
    let left = "find /tmp /dev/shm -user kshell -name '.windlass-*'";
    assert!(!host.sh(left).is_empty());
    site.tasks("- name: after\n  command: 'true'").apply(&[]).ends(0);
    assert_eq!(host.sh(left), "");
}

#[test]
fn a_host_stops_answering() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get("hosts-freeze").unwrap();
    host.sh("rm -f /tmp/frz-*");
    let args = format!(
        "-F /dev/null -o UserKnownHostsFile={} -o ServerAliveInterval=1 -o ServerAliveCountMax=2",
        host.known_hosts.display()
    );
    let site = site.host("it", &host, "root", &[("ansible_ssh_common_args", &args), ("wait", "3")]);
    site.play("vars: {at: /tmp/frz}\n", WORK);
    for what in ["freeze", "cut"] {
        host.sh("rm -f /tmp/frz-*");
        let (child, begun) = site.begin(&[]);
        until(&host, "cat /tmp/frz-runs 2>/dev/null");
        succeed(&mut windlass_lab(&host.lab, &["net", &host.name, what]));
        let told = end(child, begun);
        succeed(&mut windlass_lab(&host.lab, &["net", &host.name, "clear"]));
        told.unreachable("it", &["unreachable it long", "play.yml:7:7", "stopped answering"]).within(9);
    }
    site.apply(&["-e", "pause=0"]).ends(0).recaps("it", &["ok=3"]);
}

#[test]
fn a_host_is_rebooted_under_it() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get("hosts-reboot").unwrap();
    host.sh("rm -f /var/tmp/boot-*");
    let site = site.host("it", &host, "root", &[]);
    site.play("vars: {at: /var/tmp/boot, wait: 20}\n", WORK);
    let (child, begun) = site.begin(&["--limit", "it"]);
    until(&host, "cat /var/tmp/boot-runs 2>/dev/null");
    let _ = host.ssh("root").arg("systemctl reboot").output();
    let told = end(child, begun);
    let up = Instant::now();
    succeed(&mut windlass_lab(&host.lab, &["up", &host.name]));
    while host.ssh("root").arg("true").output().is_ok_and(|o| !o.status.success()) {
        assert!(up.elapsed() < Duration::from_secs(30), "it does not come back");
        sleep(Duration::from_millis(200));
    }
    assert!(told.code == 4 || told.code == 2, "{}\n{}", told.out, told.err);
    told.says(&["it long", "play.yml:7:7"]).within(18);
    site.apply(&["--limit", "it", "-e", "pause=0"]).ends(0).recaps("it", &["ok=3"]);
}
