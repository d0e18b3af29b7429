//! The options of connections, against the embedded host.

use crate::site::Site;
use windlass::transport::Secret;
use windlass::transport::embedded::{EmbeddedHost, Options};

/// A site whose host `box` is an embedded host of which the inventory says the address only, and the runtime it needs.
fn served(options: Options) -> (tokio::runtime::Runtime, EmbeddedHost, Site) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let site = Site::new();
    let host = runtime.block_on(EmbeddedHost::start_with(&site.path("host"), options)).unwrap();
    let inventory = format!("box ansible_host=127.0.0.1 ansible_port={}\n", host.port());
    let known = format!("Host *\n  UserKnownHostsFile {}\n", host.known_hosts().display());
    let site = site.file("hosts", &inventory).file("known.conf", &known).file("empty.conf", "");
    // Nothing of the person who runs the tests.
    let home = site.path("home").to_string_lossy().into_owned();
    let site = site.file("home/.keep", "").env("HOME", &home).env("SSH_AUTH_SOCK", "");
    (runtime, host, site)
}

const PING: [&str; 6] = ["run", "all", "-m", "ping", "-T", "20"];

fn ping(site: &Site, more: &[&str]) -> crate::site::Ran {
    site.args(&[&PING[..], more].concat())
}

#[test]
fn a_key_a_configuration_and_host_keys() {
    let (_runtime, host, site) = served(Options::default());
    let key = host.client_key().to_string_lossy().into_owned();
    let ran = ping(&site, &["--private-key", &key, "-F", "known.conf", "-u", "somebody"]).ends(0);
    assert!(ran.out.starts_with("ok           box  ping\n"), "{}", ran.out);

    let ran = ping(&site, &["-F", "known.conf"]).ends(4);
    assert!(ran.out.starts_with("unreachable  box  ping\n"), "{}", ran.out);

    // A key that nobody knows is refused, unless the option says otherwise.
    let ran = ping(&site, &["--private-key", &key, "-F", "empty.conf", "--host-key-checking", "strict"]).ends(4);
    assert!(ran.out.contains("known_hosts"), "{}", ran.out);
    ping(&site, &["--private-key", &key, "-F", "empty.conf", "--host-key-checking", "off"]).ends(0);
    let site = site.env("ANSIBLE_HOST_KEY_CHECKING", "False");
    ping(&site, &["--private-key", &key, "-F", "empty.conf"]).ends(0);
}

#[test]
fn a_password_from_a_file_and_options_of_ssh() {
    let options = Options { password: Some(Secret::new("open-sesame")), ..Options::default() };
    let (_runtime, host, site) = served(options);
    let site = site.file("pass", "open-sesame\n").file("wrong", "nothing\n");
    ping(&site, &["-F", "known.conf", "--connection-password-file", "pass"]).ends(0);
    let ran = ping(&site, &["-F", "known.conf", "--connection-password-file", "wrong", "-vvv"]).ends(4);
    assert!(!ran.out.contains("nothing\n") && !ran.err.contains("nothing\n"), "{}", ran.out);

    let known = format!("-o UserKnownHostsFile={}", host.known_hosts().display());
    let key = format!("-i {}", host.client_key().display());
    ping(&site, &["-F", "empty.conf", "--ssh-common-args", &known, "--ssh-extra-args", &key]).ends(0);
    let ran = ping(&site, &["--ssh-extra-args", "-A"]).ends(64);
    assert!(ran.err.contains("-A") && ran.out.is_empty(), "{}", ran.err);
    let ran = ping(&site, &["-u", "some;body"]).ends(64);
    assert!(ran.err.contains("some;body"), "{}", ran.err);
}

#[test]
fn a_play_over_ssh_changes_nothing_the_second_time() {
    let (_runtime, host, site) = served(Options::default());
    let site = site.play(
        "\
tasks:
  - name: Folder
    file: {path: HERE/out/deep, state: directory}
  - name: Template
    template: {src: a.j2, dest: HERE/out/a}
  - name: Look
    command: cat HERE/out/a
    register: seen
    changed_when: false
  - name: Copy what was seen
    copy: {content: '{{ seen.stdout }}', dest: HERE/out/deep/b}
",
    );
    let site = site.file("a.j2", "on {{ inventory_hostname }}\n");
    let key = host.client_key().to_string_lossy().into_owned();
    let args = ["apply", "site.yml", "--private-key", &key, "-F", "known.conf", "--stats"];
    assert_eq!(site.args(&args).ends(0).recap("box"), "ok=4 changed=3");
    assert_eq!(site.read("out/deep/b"), "on box");
    let ran = site.args(&args).ends(0);
    assert_eq!(ran.recap("box"), "ok=4");
    assert!(ran.out.contains("round trips a host"), "{}", ran.out);
}
