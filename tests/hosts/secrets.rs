//! Secrets are neither told nor shown in a process list.

use crate::common::lab::LabHost;
use crate::site::{Site, Told, USERS};

const SECRETS: [&str; 6] =
    ["v4ult-s3cret", "n0log-s3cret", "c0ntent-s3cret", "std1n-s3cret", "env-s3cret9", "b3come-s3cret"];

fn clean(text: &str) {
    for secret in SECRETS {
        let at = text.find(secret);
        assert!(
            at.is_none(),
            "{secret} in: {}",
            text.lines().filter(|l| l.contains(secret)).take(3).collect::<Vec<_>>().join("\n")
        );
    }
}

#[test]
fn secrets_are_never_told_or_seen() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::get(USERS).unwrap();
    let Some(_) = crate::site::user("secr", "/bin/bash") else { return };
    host.sh("echo secr:b3come-s3cret | chpasswd; rm -rf /run/secr; mkdir /run/secr");
    crate::site::sudoers(&host, "secr", "Defaults:secr timestamp_timeout=0\nsecr ALL=(ALL:ALL) ALL");
    site.file("vault.txt", "vault-password-1\n");
    site.file("become.txt", "b3come-s3cret\n");
    let vaulted = encrypted("v4ult-s3cret");
    let site = site.host("it", &host, "secr", &[]);
    site.play(
        &format!("become: true\nvars:\n  quiet: n0log-s3cret\n  token: !vault |\n{}\n", indent(&vaulted)),
        "\
- name: from the vault
  copy: {dest: /run/secr/vault, content: 'token={{ token }}'}
- name: not told
  copy: {dest: /run/secr/quiet, content: '{{ quiet }} {{ \"c0ntent-s3cret\" }}', mode: '0600'}
  no_log: true
- name: large
  copy: {dest: /run/secr/large, content: '{{ (\"x\" * 1000 + quiet) * 40 }}'}
  no_log: true
- name: by stdin
  shell: cat >/run/secr/stdin; sleep 0.4
  args: {stdin: 'std1n-s3cret {{ token }}'}
  no_log: true
- name: in the script
  shell: |
    x='{{ token }}'
    sleep 0.4
    echo \"$x\"
  register: out
- name: in the environment
  shell: test \"$TOKEN\" = \"$(cat /run/secr/want)\"; sleep 0.4
  environment: {TOKEN: env-s3cret9}
  no_log: true
  ignore_errors: true
- debug: {var: out.stdout}
- name: line
  lineinfile: {path: /run/secr/line, line: 'a={{ token }}', create: true}
- name: user
  user: {name: secr2, password: '{{ quiet | password_hash(\"sha512\", \"saltsalt\") }}'}
  no_log: true
- name: fails
  shell: 'exit 1 # {{ token }}'
  ignore_errors: true
- name: fails quietly
  shell: 'echo {{ quiet }} >&2; exit 1'
  no_log: true
  ignore_errors: true
- user: {name: secr2, state: absent}",
    );
    let watch = host
        .ssh("root")
        .arg("exec 2>/dev/null; end=$(($(date +%s) + 60)); while [ $(date +%s) -lt $end ] && [ ! -e /run/secr/stop ]; do cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; sleep 0.02; done | sort -u; rm -f /run/secr/stop")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let args = [
        "--limit",
        "it",
        "--vault-password-file",
        "vault.txt",
        "--become-password-file",
        "become.txt",
        "--diff",
        "-vvv",
    ];
    let text = site.apply(&args);
    host.sh("touch /run/secr/stop");
    let seen = String::from_utf8_lossy(&watch.wait_with_output().unwrap().stdout).into_owned();
    text.ends(0).recaps("it", &["ignored=2", "failed=0"]);
    assert_eq!(host.sh("cat /run/secr/vault /run/secr/stdin"), "token=v4ult-s3cretstd1n-s3cret v4ult-s3cret");
    assert!(seen.contains("0.4"), "the watcher saw nothing");
    both(&text);
    clean(&seen);
    assert!(!seen.contains("$6$saltsalt"), "a hash was in an argument");
    host.sh("rm -rf /run/secr/*");
    both(&site.apply(&[&args[..], &["--json"]].concat()));
    host.sh("rm -rf /run/secr/*");
    both(&site.run(&[&["plan", "play.yml"], &args[..]].concat()));
}

fn both(told: &Told) {
    clean(&told.out);
    clean(&told.err);
}

fn indent(text: &str) -> String {
    text.lines().map(|l| format!("    {}", l.trim())).collect::<Vec<_>>().join("\n")
}

fn encrypted(text: &str) -> String {
    let mut vault = windlass::values::Vault::new(std::sync::Arc::default());
    vault.add("default", "vault-password-1");
    vault.encrypt(text, None).unwrap()
}
