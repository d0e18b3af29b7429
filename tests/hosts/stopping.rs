//! People who stop a run, and time limits: what is left on the host is looked at by other means.

use crate::common::lab::{LabHost, succeed};
use crate::lost::{end, until};
use crate::site::{Site, sudoers, user};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

fn signal(child: &Child, name: &str) {
    succeed(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]));
}

/// A command that does not listen to TERM, with a child in a process group of its own, as root.
const STUBBORN: &str = "\
- name: before
  copy: {dest: '{{ at }}-a', content: a}
- name: long
  become: true
  shell: sh -c 'trap \"\" TERM; sleep 75{{ n }} & sleep 75{{ n }}; sleep 75{{ n }}' & timeout 99 sleep 75{{ n }} & echo run >>{{ at }}-runs; wait
- name: after
  copy: {dest: '{{ at }}-b', content: b}";

fn stubborn(name: &str, number: u32) -> Option<(Site, LabHost)> {
    let site = Site::new()?;
    let host = user(name, "/bin/bash")?;
    host.sh(&format!("rm -f /tmp/{name}-*"));
    sudoers(&host, name, &format!("{name} ALL=(ALL) PASSWD: ALL"));
    host.sh(&format!("echo {name}:geheim | chpasswd"));
    let site = site.host("it", &host, name, &[("ansible_become_password", "geheim")]);
    site.play(&format!("vars: {{at: /tmp/{name}, n: {number}}}\n"), STUBBORN);
    Some((site, host))
}

/// What is left on the host: processes, folders of shells that are gone, and the files of the playbook.
fn left(host: &LabHost, number: u32, name: &str) -> String {
    until(host, &format!("pgrep -u {name} -f WL- >/dev/null || echo none"));
    host.sh(&format!(
        "pgrep -af 'sleep 75{number}' | grep -v pgrep
         for d in /tmp/.windlass-* /dev/shm/.windlass-* /var/tmp/.windlass-*; do
           p=${{d##*.windlass-}}; [ ! -d $d ] || kill -0 ${{p%%-*}} 2>/dev/null || echo $d
         done
         ls /tmp/{name}-*"
    ))
}

#[test]
fn ctrl_c_lets_what_runs_come_to_its_end_and_begins_nothing_more() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("kint", "/bin/bash") else { return };
    host.sh("rm -f /tmp/kint-*");
    let site = site.host("it", &host, "kint", &[]);
    let work = "- name: long\n  command: sh -c 'echo run >>/tmp/kint-runs; sleep 3; echo end >>/tmp/kint-runs'\n\
                - name: after\n  command: touch /tmp/kint-b";
    site.tasks(work);
    let (child, begun) = site.begin(&["--limit", "it"]);
    until(&host, "cat /tmp/kint-runs 2>/dev/null");
    signal(&child, "INT");
    end(child, begun).ends(130).says(&["interrupted", "changed it long"]).recaps("it", &["ok=1"]).within(8);
    // Both were sent in one go.
    assert_eq!(host.sh("cat /tmp/kint-runs; ls /tmp/kint-*"), "run\nend\n/tmp/kint-runs");
    until(&host, "find /tmp /dev/shm -user kint -name '.windlass-*' | grep . || echo none");
    site.apply(&["--limit", "it"]).ends(0).recaps("it", &["ok=2"]);
}

#[test]
fn ctrl_c_twice_ends_what_runs_with_its_children() {
    let Some((site, host)) = stubborn("kint2", 11) else { return };
    let (child, begun) = site.begin(&["--limit", "it"]);
    until(&host, "cat /tmp/kint2-runs 2>/dev/null");
    signal(&child, "INT");
    sleep(Duration::from_millis(300));
    signal(&child, "INT");
    end(child, begun).ends(130).says(&["interrupted again", "failed it long"]).within(20);
    assert_eq!(left(&host, 11, "kint2"), "/tmp/kint2-a\n/tmp/kint2-runs");
}

#[test]
fn ctrl_c_twice_leaves_a_durable_command_to_the_next_run() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("kint3", "/bin/bash") else { return };
    host.sh("rm -f /tmp/kint3-*");
    let site = site.host("it", &host, "kint3", &[]);
    let work = "- name: long\n  command: sh -c 'echo run >>/tmp/kint3-runs; sleep 6; echo end >>/tmp/kint3-runs'\n  async: 60\n  poll: 1";
    site.tasks(work);
    let (child, begun) = site.begin(&["--limit", "it"]);
    until(&host, "cat /tmp/kint3-runs 2>/dev/null");
    signal(&child, "INT");
    sleep(Duration::from_millis(100));
    signal(&child, "INT");
    end(child, begun).ends(130).says(&["it: the command there goes on", "the next run waits for it"]).within(5);
    let told = site.apply(&["--limit", "it"]);
    told.ends(0).says(&["notice", "earlier run"]).recaps("it", &["ok=1"]);
    assert_eq!(host.sh("cat /tmp/kint3-runs"), "run\nend");
}

#[test]
fn ctrl_c_twice_names_a_host_that_can_not_be_reached() {
    let Some((site, host)) = stubborn("kint4", 14) else { return };
    let (child, begun) = site.begin(&["--limit", "it"]);
    until(&host, "cat /tmp/kint4-runs 2>/dev/null");
    // No further shell becomes root.
    host.sh("rm /etc/sudoers.d/kint4");
    signal(&child, "INT");
    sleep(Duration::from_millis(300));
    signal(&child, "INT");
    end(child, begun).ends(130).says(&["it: ", "what runs there goes on"]).within(20);
    host.sh("pkill -KILL -f 'sleep 75[1]4'; pkill -KILL -u kint4; true");
}

#[test]
fn a_time_limit_ends_a_command_that_does_not_listen() {
    let Some((site, host)) = stubborn("klim", 12) else { return };
    let work = STUBBORN.replace("  become: true", "  become: true\n  timeout: 1");
    site.play("vars: {at: /tmp/klim, n: 12}\n", &work);
    let told = site.apply(&["--limit", "it"]);
    told.ends(2).says(&["failed it long", "did not end in time"]).within(25);
    assert_eq!(left(&host, 12, "klim"), "/tmp/klim-a\n/tmp/klim-runs");
}

/// Where the host has no `timeout`, the limit is kept from here.
#[test]
fn a_time_limit_is_kept_from_here_where_the_host_can_not() {
    let Some((site, host)) = stubborn("klim2", 13) else { return };
    host.sh("install -d /home/klim2/bin; printf '#!/bin/sh\\nshift 3; exec \"$@\"\\n' >/home/klim2/bin/timeout; chmod 755 /home/klim2/bin/timeout");
    sudoers(
        &host,
        "klim2",
        "Defaults:klim2 secure_path=\"/home/klim2/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\nklim2 ALL=(ALL) PASSWD: ALL",
    );
    let work = STUBBORN.replace("  become: true", "  become: true\n  timeout: 1").replace("timeout 99 ", "");
    site.play("vars: {at: /tmp/klim2, n: 13}\n", &work);
    let told = site.apply(&["--limit", "it"]);
    told.ends(2).says(&["failed it long", "did not end in time"]).within(35);
    assert_eq!(left(&host, 13, "klim2"), "/tmp/klim2-a\n/tmp/klim2-runs");
}

/// The program is killed between a change and its handler: the next run reloads, and only once.
#[test]
fn a_killed_run_owes_its_handlers() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("kowe", "/bin/bash") else { return };
    host.sh("rm -rf /tmp/kowe-* /home/kowe/.local");
    sudoers(&host, "kowe", "kowe ALL=(ALL) NOPASSWD: ALL");
    let site = site.host("it", &host, "kowe", &[]);
    let work = "- name: conf\n  copy: {dest: /tmp/kowe-conf, content: new}\n  notify: reload\n\
                - name: root's\n  become: true\n  copy: {dest: /tmp/kowe-root, content: new}\n  notify: restart\n\
                - name: long\n  shell: echo run >>/tmp/kowe-runs; sleep {{ pause | default(0) }}";
    let handlers = "\nhandlers:\n- name: reload\n  shell: echo reload >>/tmp/kowe-handled\n\
                    - name: restart\n  become: true\n  shell: echo restart >>/tmp/kowe-handled";
    site.tasks(work);
    let play = std::fs::read_to_string(site.path().join("play.yml")).unwrap();
    site.file("play.yml", &format!("{play}{}\n", handlers.replace('\n', "\n  ")));
    let (mut child, _) = site.begin(&["--limit", "it", "-e", "pause=3"]);
    until(&host, "cat /tmp/kowe-runs 2>/dev/null");
    signal(&child, "KILL");
    child.wait().unwrap();
    let notes = "stat -c '%U %a' /var/lib/windlass/notified; grep -lx restart /var/lib/windlass/notified/* | wc -l; cat /home/kowe/.local/state/windlass/notified/*";
    assert_eq!(host.sh(notes), "root 700\n1\nreload");
    let plan = site.run(&["plan", "play.yml", "--limit", "it"]);
    plan.ends(0).says(&["the handler `reload` is owed since an earlier run", "apply runs it"]);
    assert_eq!(host.sh("cat /tmp/kowe-handled 2>&1 | grep -c reload; true"), "0");
    let told = site.apply(&["--limit", "it"]);
    told.ends(0).says(&["changed it handler reload", "changed it handler restart", "it runs now"]);
    assert_eq!(host.sh("cat /tmp/kowe-handled; ls /home/kowe/.local/state/windlass; grep -lx restart /var/lib/windlass/notified/*; true"), "reload\nrestart");
    site.apply(&["--limit", "it"]).ends(0).recaps("it", &["changed=1"]);
    assert_eq!(host.sh("cat /tmp/kowe-handled"), "reload\nrestart");
}

#[test]
fn a_refused_password_is_told_under_no_log() {
    let Some((site, _)) = stubborn("knolog", 15) else { return };
    site.tasks("- name: secret\n  become: true\n  no_log: true\n  command: echo s3cret");
    let told = site.apply(&["--limit", "it", "-e", "ansible_become_password=wrong"]);
    told.ends(2).says(&["failed it secret", "the password for `become` to root was refused"]);
    assert!(!format!("{told:?}").contains("s3cret"));
}
