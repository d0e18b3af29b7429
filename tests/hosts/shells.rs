//! What `/bin/sh` is on a host.

use crate::common::lab::LabHost;
use crate::site::Site;

const WORK: &str = "\
- setup: {gather_subset: min}
- name: all of it
  command: printf '%s|' 'a b' \"it's\" '$x' 'ü'
  register: out
- debug: {msg: 'it said {{ out.stdout }}'}
- file: {path: /tmp/sh/d, state: directory, mode: '2750'}
- copy: {dest: \"/tmp/sh/d/it's $x\", content: \"a\\nb\\\\n\\n\\n\"}
- copy: {dest: /tmp/sh/large, src: large}
- lineinfile: {path: /tmp/sh/d/l, line: 'x=\\1$y', create: true}
- file: {path: /tmp/sh/link, src: d/l, state: link}
- shell: 'cat | tr a-z A-Z; exit 3'
  args: {stdin: loud}
  register: loud
  failed_when: loud.rc != 3
- debug: {msg: 'and {{ loud.stdout }}'}
- command: 'false'
  ignore_errors: true
- shell: echo $0; kill -9 $$
  register: killed
  failed_when: killed.rc != 137
- script: s.sh one
  register: script
- debug: {msg: 'script {{ script.stdout }}'}
- user: {name: shuser}
- stat: {path: /tmp/sh/large, checksum_algorithm: sha256}
  register: large
- debug: {msg: 'sum {{ large.stat.checksum }}'}
- command: sh -c 'echo durable'
  async: 20
  poll: 1
  register: slow
- debug: {msg: 'slow {{ slow.stdout }}'}
- shell: sleep 20
  timeout: 1
  ignore_errors: true
- file: {path: /tmp/sh, state: absent}
- user: {name: shuser, state: absent}";

fn sum(text: &str) -> String {
    windlass::host::answer::digest(windlass::host::question::Algorithm::Sha256, text.as_bytes())
}

fn works(shell: &str, packages: &str) {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(&format!("hosts-{shell}")).unwrap();
    if !packages.is_empty() {
        host.sh(&format!(
            "command -v {shell} || (apt-get update -qq && apt-get install -y -qq --no-install-recommends {packages})"
        ));
    }
    // As Debian's own alternative would: `sh` by another name.
    host.sh(&format!(
        "rm -rf /tmp/sh; mkdir /tmp/sh; ln -sfn \"$(command -v {shell})\" /bin/.sh && mv -T /bin/.sh /bin/sh"
    ));
    LabHost::get(crate::site::WELL).unwrap().sh("mkdir -p /tmp/sh");
    let site = site.host("it", &host, "deploy", &[]);
    site.file("large", &"0123456789\u{0}\n".repeat(100_000));
    site.file("s.sh", "echo \"$1 $#\"\n");
    site.play("become: true\n", WORK);
    let told = site.apply(&["--limit", "it", "--stats"]);
    told.ends(0).says(&["it said a b|it's|$x|ü|", "and LOUD", "script one 1", "slow durable", "did not end in time"]);
    told.says(&[&format!("sum {}", sum(&"0123456789\u{0}\n".repeat(100_000)))]);
    told.recaps("it", &["failed=0", "ignored=2"]).within(30);
    assert_eq!(host.sh("ls -A /tmp /dev/shm | grep -c windlass-; true"), "0");
    // For the next run.
    host.sh("ln -sfn dash /bin/.sh && mv -T /bin/.sh /bin/sh");
}

#[test]
fn dash() {
    works("dash", "");
}

#[test]
fn bash() {
    works("bash", "");
}

#[test]
fn busybox_ash() {
    works("busybox", "busybox");
}

#[test]
fn mksh() {
    works("mksh", "mksh");
}
