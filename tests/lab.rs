//! The lab, on this machine: hosts start, behave as virtual machines do, and leave nothing behind.
//!
//! Needs root; the first run builds the base image.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod common;

use common::lab::{LabHost, available, find, lab_name, succeed, windlass_lab};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A lab for one test, which nothing is left of in the end.
struct OwnLab(String);

impl OwnLab {
    fn new(what: &str) -> Option<OwnLab> {
        available().then(|| {
            let lab = OwnLab(format!("{}-{what}", lab_name()));
            succeed(&mut lab.windlass(&["down"])); // of a run that was killed
            lab
        })
    }

    fn windlass(&self, args: &[&str]) -> Command {
        windlass_lab(&self.0, args)
    }
}

impl Drop for OwnLab {
    fn drop(&mut self) {
        let _ = self.windlass(&["down"]).output();
    }
}

/// Everything on this machine that belongs to a lab, by asking the machine and not the lab.
fn traces(lab: &str, network: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = |what: &str, text: &str, wanted: &dyn Fn(&str) -> bool| {
        found.extend(text.lines().filter(|line| wanted(line)).map(|line| format!("{what}: {line}")));
    };
    let ours = |line: &str| line.contains(&format!("/{lab}/")) || line.contains(&format!("windlass-lab/{lab}."));
    lines("mount", &std::fs::read_to_string("/proc/self/mounts").unwrap(), &ours);
    lines("machine", &std::fs::read_to_string("/run/windlass-lab/machine.json").unwrap_or_default(), &ours);
    let groups = succeed(Command::new("find").args(["/sys/fs/cgroup", "-path", "*windlass-lab/*", "-type", "d"]));
    lines("cgroup", &groups, &ours);
    let files =
        succeed(Command::new("find").args(["/var/tmp/windlass-lab/run", "-maxdepth", "1"]).stderr(Stdio::null()));
    lines("file", &files, &|line| line.ends_with(&format!("/{lab}")) || line.ends_with(&format!("/{lab}.lock")));
    for process in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        // One that has ended, and that process 1 has not yet taken note of, is no more.
        if std::fs::read_to_string(process.path().join("status")).unwrap_or_default().contains("\nState:\tZ") {
            continue;
        }
        let cgroup = std::fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
        lines(&format!("process {}", process.path().display()), &cgroup, &ours);
    }
    if let Some(number) = network {
        let device = |line: &str| {
            line.split_whitespace().next().is_some_and(|name| {
                let rest = name.strip_prefix(&format!("wl{number}"));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['h', 'd', 'a', 'b', '@']))
            })
        };
        lines("device", &succeed(Command::new("ip").args(["-br", "link"])), &device);
        let routed = |line: &str| line.contains(&format!("10.83.{number}."));
        lines("route", &succeed(Command::new("ip").args(["route", "show", "table", "all"])), &routed);
        let table = format!("table ip windlass_lab_{number}");
        lines("nftables", &succeed(Command::new("nft").args(["list", "tables"])), &|line| line == table);
    }
    found
}

/// The N of a lab's network 10.83.N.0/24.
fn network(host: &LabHost) -> String {
    host.address.split('.').nth(2).unwrap().to_owned()
}

#[test]
fn a_host_behaves_as_a_virtual_machine_does() {
    let Some(host) = LabHost::get("lab1") else { return };
    assert_eq!(host.sh("hostname; cat /proc/1/comm; systemctl is-system-running"), "lab1\nsystemd\nrunning");
    assert_eq!(succeed(host.ssh("deploy").arg("id -un; sudo id -un")), "deploy\nroot");
    let refused = host.ssh("ops").arg("sudo -n id").output().unwrap();
    assert!(!refused.status.success(), "ops needs a password");
    assert_eq!(succeed(host.ssh("ops").arg("echo lab-ops | sudo -S -p '' id -un")), "root");
    host.sh("systemd-run --quiet --unit=probe sleep 60 && systemctl is-active probe && systemctl stop probe");
    host.sh("sysctl -qw net.ipv4.tcp_fin_timeout=31");

    let through_us = succeed(&mut windlass_lab(&host.lab, &["ssh", "deploy@lab1", "echo 'one  two' $USER"]));
    assert_eq!(through_us, "one  two deploy");
    let code = windlass_lab(&host.lab, &["ssh", "lab1", "exit", "7"]).status().unwrap().code();
    assert_eq!(code, Some(7));
}

#[test]
fn packages_come_from_the_registry_once_for_all_hosts() {
    let (Some(one), Some(two)) = (LabHost::get("lab1"), LabHost::get("lab2")) else { return };
    let install = "apt-get update -q && apt-get install -y -q sl";
    one.sh(install);
    let said = two.sh(&format!("{install} && sl --version >/dev/null 2>&1; test -x /usr/games/sl && echo installed"));
    assert!(said.contains("Need to get 0 B/") || said.contains("already the newest"), "{said}");
    assert!(said.ends_with("installed"), "{said}");
    for host in [one, two] {
        host.sh("apt-get purge -y -q sl && apt-get clean");
    }
}

#[test]
fn what_is_no_registry_is_refused_before_it_leaves_this_machine() {
    let Some(host) = LabHost::get("lab1") else { return };
    let mail = host.ssh("root").arg("timeout 3 bash -c 'exec 3<>/dev/tcp/203.0.113.1/25'").output().unwrap();
    let said = String::from_utf8_lossy(&mail.stderr).into_owned();
    assert!(said.contains("refused"), "{said}");
    // An address of the lab where no host is: unreachable, never by way of the default route.
    let route = succeed(Command::new("ip").args(["route", "get", &format!("10.83.{}.250", network(&host))]));
    assert!(route.contains(&format!("dev wl{}", network(&host))), "{route}");
}

#[test]
fn hosts_know_each_other_by_name_also_those_that_came_first() {
    let (Some(one), Some(two)) = (LabHost::get("lab1"), LabHost::get("lab2")) else { return };
    assert_eq!(one.sh("getent hosts lab2"), format!("{:<15} lab2", two.address));
    assert_eq!(two.sh("getent hosts lab1"), format!("{:<15} lab1", one.address));
}

/// Average round trip from one host to another, in milliseconds.
fn round_trip(from: &LabHost, to: &LabHost) -> f64 {
    let said = from.sh(&format!("ping -q -c 4 -i 0.2 -W 2 {} | tail -n 1", to.address));
    said.split('/').nth(4).unwrap_or_else(|| panic!("no average in {said:?}")).parse().unwrap()
}

fn answers(host: &LabHost) -> bool {
    let mut command = Command::new("timeout");
    command.arg("4").arg("ssh").args(host.ssh("root").get_args()).arg("true");
    command.stdin(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_network_can_be_slow_narrow_cut_and_frozen_and_mended() {
    let (Some(host), Some(other)) = (LabHost::get("lab3"), LabHost::get("lab2")) else { return };
    let net = |args: &[&str]| succeed(windlass_lab(&host.lab, &["net", "lab3"]).args(args));
    let shown = || succeed(&mut windlass_lab(&host.lab, &["list"]));
    net(&["clear"]);
    let near = round_trip(&other, &host);
    assert!(near < 20.0, "{near} ms without a delay");

    net(&["delay", "25"]);
    let far = round_trip(&other, &host);
    assert!((50.0..90.0).contains(&far), "{far} ms with 25 ms each way");
    net(&["delay", "10.5"]);
    let nearer = round_trip(&other, &host);
    assert!((21.0..50.0).contains(&nearer), "{nearer} ms with 10.5 ms each way");
    assert!(shown().contains("up, delay 10.5 ms"), "{}", shown());
    net(&["clear"]);
    assert!(round_trip(&other, &host) < 20.0);

    net(&["rate", "4000"]);
    let start = Instant::now();
    succeed(
        Command::new("sh")
            .arg("-c")
            .arg("head -c 2000000 /dev/zero | \"$@\" 'cat >/dev/null'")
            .arg("sh")
            .arg("ssh")
            .args(host.ssh("root").get_args()),
    );
    let took = start.elapsed();
    assert!(took > Duration::from_secs(3), "2 MB at 4 Mbit/s in {took:?}");

    net(&["cut"]);
    assert!(!answers(&host));
    net(&["clear"]);
    assert!(answers(&host));

    net(&["freeze"]);
    assert!(shown().contains("frozen"), "{}", shown());
    let connect = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{}/22'", host.address);
    succeed(Command::new("sh").arg("-c").arg(connect));
    assert!(!answers(&host));
    net(&["clear"]);
    assert!(answers(&host));
}

#[test]
fn a_guest_reboots_powers_off_and_keeps_its_disk() {
    let Some(lab) = OwnLab::new("off") else { return };
    succeed(&mut lab.windlass(&["up", "p1"]));
    let host = find(&lab.0, "p1");
    let started = || {
        let mut command = host.ssh("root");
        command.arg("systemctl show --property UserspaceTimestampMonotonic --value").output().unwrap().stdout
    };
    let before = started();
    assert!(!before.is_empty());
    host.sh("echo kept > /srv/note");
    let _ = host.ssh("root").arg("systemctl reboot").output();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let now = started();
        if !now.is_empty() && now != before {
            break;
        }
        assert!(Instant::now() < end, "no reboot within 60 s");
        sleep(Duration::from_millis(200));
    }
    assert_eq!(host.sh("cat /srv/note"), "kept");

    let _ = host.ssh("root").arg("systemctl poweroff").output();
    let listed = |state: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        while !succeed(&mut lab.windlass(&["list"])).lines().any(|line| line.contains(state)) {
            assert!(Instant::now() < end, "not {state} within 30 s");
            sleep(Duration::from_millis(200));
        }
    };
    listed(" off ");
    let refused = lab.windlass(&["ssh", "p1", "true"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("windlass lab up p1"));
    succeed(&mut lab.windlass(&["up", "p1"]));
    assert_eq!(host.sh("cat /srv/note"), "kept");
    succeed(&mut lab.windlass(&["down", "--keep"]));
    listed(" off ");
    succeed(&mut lab.windlass(&["up", "p1"]));
    assert_eq!(find(&lab.0, "p1").sh("cat /srv/note"), "kept");
    succeed(&mut lab.windlass(&["down", "p1"]));
    succeed(&mut lab.windlass(&["up", "p1"]));
    assert_eq!(find(&lab.0, "p1").sh("cat /srv/note 2>/dev/null || echo gone"), "gone");
}

#[test]
fn down_leaves_nothing_behind() {
    let Some(lab) = OwnLab::new("down") else { return };
    succeed(&mut lab.windlass(&["up", "d1", "d2"]));
    let host = find(&lab.0, "d1");
    let number = network(&host);
    succeed(&mut lab.windlass(&["net", "d1", "delay", "5"]));
    succeed(&mut lab.windlass(&["net", "d2", "freeze"]));
    let kinds = ["cgroup", "device", "route", "nftables", "file", "process", "machine"];
    let there = traces(&lab.0, Some(&number));
    for kind in kinds {
        assert!(there.iter().any(|line| line.starts_with(kind)), "the search does not see any {kind}: {there:#?}");
    }
    assert!(Path::new(&host.key).exists());
    succeed(&mut lab.windlass(&["down"]));
    assert_eq!(traces(&lab.0, Some(&number)), Vec::<String>::new());
    assert!(Path::new(&host.key).exists(), "the key is shared by all labs");
    succeed(&mut lab.windlass(&["down"])); // nothing to do is no error
}

/// A lab in a lab: there, nobody else is at work, so that the whole machine can be compared. It is also a bare Debian
/// with systemd as process 1, where nothing that the lab needs is installed yet.
#[test]
fn a_bare_machine_is_left_as_it_was_but_for_packages() {
    let Some(host) = LabHost::get("lab4") else { return };
    host.sh("rm -rf /tmp/lab; mkdir /tmp/lab; sysctl -qw net.ipv4.ip_forward=0");
    let into = |from: &str, what: &[&str], to: &str| {
        let mut pack =
            Command::new("tar").args(["-C", from, "-cf", "-"]).args(what).stdout(Stdio::piped()).spawn().unwrap();
        let unpack = format!("tar -C {to} -xf -");
        let stream = pack.stdout.take().unwrap();
        succeed(host.ssh("root").arg(unpack).stdin(stream));
        assert!(pack.wait().unwrap().success());
    };
    let program = Path::new(env!("CARGO_BIN_EXE_windlass"));
    into(program.parent().unwrap().to_str().unwrap(), &["windlass"], "/tmp/lab");
    let state = host.key.parent().unwrap().to_str().unwrap();
    // The base image too, which would take the guest half a minute to build.
    let image =
        succeed(Command::new("sh").arg("-c").arg(format!("cd {state} && ls -d images/bookworm-* | grep -v new")));
    let parts: Vec<&str> = ["id_ed25519", "id_ed25519.pub"].into_iter().chain(image.lines()).collect();
    into(state, &parts, "/tmp/lab");

    let look = "ip -br link | cut -d' ' -f1; ip -4 route show table all; ls /run/netns 2>&1; cut -d' ' -f1-3 /proc/mounts; \
                cat /proc/sys/net/ipv4/ip_forward; find /sys/fs/cgroup -maxdepth 1; \
                ps -e -o comm= | grep -E 'nspawn|windlass|unshare'; ls -a /tmp/lab";
    let lab = |args: &str| host.sh(&format!("/tmp/lab/windlass lab --lab-dir /tmp/lab {args} 2>&1"));
    let before = host.sh(look);
    let said = lab("up n1 n2");
    assert!(said.contains("n1: ready at") && !said.contains("building"), "{said}");
    assert_eq!(lab("ssh deploy@n1 'hostname; sudo systemctl is-system-running'"), "n1\nrunning");
    assert_eq!(lab("ssh n2 'apt-get update -q >/dev/null && echo reached'"), "reached");
    assert_eq!(host.sh("cat /proc/sys/net/ipv4/ip_forward"), "1");
    lab("net n1 cut");
    lab("down");
    let after = host.sh(look);
    assert_eq!(after.replace("cache\n", "").replace("lock\n", ""), before, "first: after, second: before");
    assert_eq!(host.sh("nft list tables"), "");
    host.sh("rm -rf /tmp/lab");
}

#[test]
fn a_lab_killed_half_way_is_mended_by_the_next_call() {
    let Some(lab) = OwnLab::new("kill") else { return };
    for (round, after) in [15_u64, 60, 120, 200, 320, 500].into_iter().enumerate() {
        let mut up = lab.windlass(&["up", "k1", "k2"]).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(after));
        up.kill().unwrap();
        up.wait().unwrap();
        if round % 2 == 0 {
            // Up again: whatever stands is used, whatever is broken is made anew.
            succeed(&mut lab.windlass(&["up", "k1", "k2"]));
            let number = network(&find(&lab.0, "k1"));
            assert_eq!(find(&lab.0, "k2").sh("systemctl is-system-running"), "running", "killed after {after} ms");
            succeed(&mut lab.windlass(&["down"]));
            assert_eq!(traces(&lab.0, Some(&number)), Vec::<String>::new(), "killed after {after} ms");
        } else {
            succeed(&mut lab.windlass(&["down"]));
            assert_eq!(traces(&lab.0, None), Vec::<String>::new(), "killed after {after} ms");
        }
    }
    for after in [10_u64, 40, 90, 150] {
        succeed(&mut lab.windlass(&["up", "k1", "k2"]));
        let number = network(&find(&lab.0, "k1"));
        let mut down = lab.windlass(&["down"]).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(after));
        down.kill().unwrap();
        down.wait().unwrap();
        succeed(&mut lab.windlass(&["down"]));
        assert_eq!(traces(&lab.0, Some(&number)), Vec::<String>::new(), "down killed after {after} ms");
    }
}

#[test]
fn mistakes_are_told_with_what_to_do_and_their_exit_code() {
    if !available() {
        return;
    }
    let fails = |args: &[&str], code: i32, says: &str| {
        let output = windlass_lab(&format!("{}-none", lab_name()), args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "standard output is for data");
    };
    fails(&["up", "../x"], 64, "`../x` can't be the name of a host");
    fails(&["up", "--suite", "sid", "x"], 64, "bookworm");
    fails(&["ssh", "x"], 64, "windlass lab up");
    fails(&["net", "x", "freeze"], 64, "no host `x`");
    fails(&["net", "x", "delay", "much"], 64, "much");
    fails(&["down", "x"], 64, "no host `x`");
    fails(&["nonsense"], 64, "nonsense");
}

#[test]
fn without_root_it_says_what_to_do_instead() {
    if !available() {
        return;
    }
    let dir = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let program = dir.path().join("windlass");
    std::fs::copy(env!("CARGO_BIN_EXE_windlass"), &program).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["lab", "up", "x"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("needs root") && said.contains("sudo") && said.lines().count() <= 3, "{said}");
}
