//! Work that fails half-way: nothing is left half-written.

use crate::common::lab::LabHost;
use crate::site::{Site, USERS, user};

#[test]
fn a_full_disk() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    host.sh("umount -q /mnt/full; mkdir -p /mnt/full && mount -t tmpfs -o size=256k none /mnt/full && echo old >/mnt/full/f && echo old >/mnt/full/small && dd if=/dev/zero of=/mnt/full/fill bs=1k count=200 status=none");
    site.file("large", &"x".repeat(400_000));
    let medium = "m".repeat(90_000);
    let site = site.host("it", &host, "root", &[]);
    let tasks = format!(
        "- name: large\n  copy: {{src: large, dest: /mnt/full/f}}\n  ignore_errors: true\n- name: medium\n  copy: {{content: {medium}, dest: /mnt/full/small}}\n  ignore_errors: true\n- name: unpacked\n  shell: cat /mnt/full/fill >/mnt/full/more\n"
    );
    site.tasks(&tasks);
    let well = LabHost::get(crate::site::WELL).unwrap();
    well.sh("mkdir -p /mnt/full; echo fill >/mnt/full/fill");
    let told = site.apply(&[]);
    told.failed(
        "it",
        &[
            "could not replace /mnt/full/f (",
            "could not replace /mnt/full/small",
            "No space left on device",
            "play.yml:10:7",
            "failed it unpacked",
        ],
    );
    told.recaps("it", &["ignored=2"]);
    assert_eq!(host.sh("cat /mnt/full/f /mnt/full/small; ls -A /mnt/full"), "old\nold\nf\nfill\nmore\nsmall");
    host.sh("umount /mnt/full");
}

/// All the places for the far side's own files are full: it still says so.
#[test]
fn no_room_for_temporary_files() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get("hosts-full").unwrap();
    host.sh("for d in /dev/shm /tmp; do mountpoint -q $d && umount -l $d; mount -t tmpfs -o size=64k none $d; chmod 1777 $d; dd if=/dev/zero of=$d/fill bs=1k status=none 2>/dev/null; done; true");
    let site = site.host("it", &host, "root", &[]);
    site.tasks("- name: who\n  shell: echo one; echo two >&2\n  register: out\n- debug: {msg: 'it said {{ out.stdout }} {{ out.stderr }}'}");
    let told = site.apply(&[]);
    host.sh("umount -l /dev/shm /tmp");
    // Either another place was found, or it is an error that names the reason; never an empty result.
    if told.code == 0 {
        assert_eq!(told.out.matches("it said one two").count(), 2, "{}", told.out);
    } else {
        told.failed("it", &["No space left", "play.yml:4:7"]);
    }
}

#[test]
fn a_folder_that_can_not_be_written() {
    let Some(site) = Site::new() else { return };
    let Some(host) = user("tro", "/bin/sh") else { return };
    let site = site.host("it", &host, "tro", &[]);
    site.tasks("- name: put\n  copy: {dest: /usr/local/tro, content: x}\n- name: after\n  command: 'true'");
    let told = site.apply(&[]);
    told.failed("it", &["failed it put", "play.yml:4:7", "ermission denied"]).recaps("well", &["ok=2"]);
}

#[test]
fn a_template_with_an_undefined_variable() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    host.sh("echo old >/tmp/undefined");
    site.file("t.j2", "one\ntwo {{ site.nmae }}\n");
    let site = site.host("it", &host, "root", &[("site", "x")]);
    let site = Site::host(site, "it2", &host, "root", &[]);
    site.play(
        "vars:\n  names: {it: {n: 1}, it2: {name: fine}, well: {name: fine}}\n  site: '{{ names[inventory_hostname] }}'\n",
        "- name: first\n  command: 'true'\n- name: page\n  template: {src: t.j2, dest: '/tmp/undefined-{{ inventory_hostname }}'}\n- name: after\n  command: 'true'",
    );
    site.file("t.j2", "one\ntwo {{ site.name }}\n");
    let told = site.apply(&[]);
    told.failed("it", &["failed it page", "play.yml:9:7", "t.j2:2", "site.name"]).recaps("it", &["ok=1"]);
    told.recaps("it2", &["ok=3"]);
    assert_eq!(host.sh("ls /tmp/undefined*"), "/tmp/undefined\n/tmp/undefined-it2");
}

#[test]
fn a_source_that_is_not_there() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let site = site.host("it", &host, "root", &[]);
    site.tasks("- name: put\n  copy: {src: nowhere.txt, dest: /tmp/nowhere}");
    site.apply(&[]).ends(65).says(&["play.yml:5", "nowhere.txt"]);
}

/// On the host: by a command, of which nobody knows beforehand what it does.
#[test]
fn a_file_that_vanishes_from_the_host() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    for host in [&host, &LabHost::get(crate::site::WELL).unwrap()] {
        host.sh("mkdir -p /tmp/vanishing; echo one >/tmp/vanishing/f");
    }
    let site = site.host("it", &host, "root", &[("gone", "/tmp/vanishing/f")]);
    site.tasks(
        "- name: there\n  stat: {path: /tmp/vanishing/f}\n- name: clean\n  command: rm -f {{ gone | default('/tmp/nothing') }}\n\
         - name: line\n  lineinfile: {path: /tmp/vanishing/f, line: two}\n- name: after\n  command: 'true'",
    );
    site.apply(&[]).failed("it", &["failed it line", "/tmp/vanishing/f", "play.yml:8:7"]).recaps("well", &["ok=4"]);
    assert_eq!(host.sh("ls -A /tmp/vanishing"), "");
}

#[test]
fn a_source_that_vanishes_while_it_runs() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    host.sh("echo old >/tmp/vanish; echo old >/tmp/vanish2");
    let gone = site.file("gone", &"x".repeat(200_000));
    let cut = site.file("cut", &"y".repeat(300_000));
    let site = site.host("it", &host, "root", &[("slow", "1")]);
    site.tasks(
        "- name: wait\n  command: sleep 2\n- name: gone\n  copy: {src: gone, dest: /tmp/vanish}\n  ignore_errors: true\n- name: cut\n  copy: {src: cut, dest: /tmp/vanish2}\n  ignore_errors: true\n- name: after\n  command: 'true'",
    );
    let (child, begun) = site.begin(&["--limit", "it"]);
    std::thread::sleep(std::time::Duration::from_millis(1200));
    std::fs::remove_file(gone).unwrap();
    std::fs::write(cut, "y".repeat(1000)).unwrap();
    let told = crate::site::Told::of(child.wait_with_output().unwrap(), begun);
    // The tasks fail, not the host: the other tasks run.
    told.ends(0).recaps("it", &["unreachable=0", "failed=0"]).says(&["could not find `gone`"]);
    let left = host.sh("ls -A /tmp | grep -c 'vanish.*windlass'; true");
    assert_eq!(left, "0");
    let content = host.sh("head -c 8 /tmp/vanish");
    assert!(content == "old" || content == "xxxxxxxx", "{content}\n{}", told.out);
    let size: u64 = host.sh("stat -c %s /tmp/vanish2").parse().unwrap();
    assert!([4, 1000, 300_000].contains(&size), "{size}\n{}", told.out);
}
