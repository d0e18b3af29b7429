//! The network between controller and host is cut in the middle of a deploy. Visitors of a host that is cut off can't
//! reach it either, so that the load comes from the host itself.

use crate::common::lab::succeed;
use crate::faults::all;
use crate::killed::{Cut, QUICK, Watch, named};
use crate::plain::unlocked;
use crate::rig::{Rig, Told};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// So that a broken connection is noticed after seconds, and not after a minute.
pub const SOON: [&str; 2] =
    ["-e", "ansible_ssh_extra_args='-o ServerAliveInterval=2 -o ServerAliveCountMax=2 -o ConnectTimeout=4'"];

/// Requests from the host itself, ten a second, to nginx: a count of those that were answered, and what failed.
fn begin_local_load(rig: &Rig) {
    rig.web[0].sh(r#"cat > /root/rig/load.py <<'END'
import os, time, urllib.request
good, bad = 0, []
while not os.path.exists("/root/rig/stop"):
    began = time.time()
    try:
        request = urllib.request.Request("http://127.0.0.1:8080/version?n=7", headers={"Host": "deployable.test"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            good += answer.status == 200
    except Exception as problem:
        bad.append(repr(problem))
    time.sleep(max(0, 0.1 - (time.time() - began)))
with open("/root/rig/result.new", "w") as file:
    print(good, len(bad), bad[:3], file=file)
os.rename("/root/rig/result.new", "/root/rig/result")
END
systemctl stop rig-load 2>/dev/null
rm -f /root/rig/stop /root/rig/result
systemd-run --quiet --collect --unit=rig-load python3 /root/rig/load.py"#);
}

#[track_caller]
fn end_local_load(rig: &Rig) {
    let result = rig.web[0].sh("touch /root/rig/stop; for i in $(seq 100); do [ -e /root/rig/result ] && break; sleep 0.2; done; cat /root/rig/result");
    let mut words = result.split(' ');
    let (good, bad) = (words.next().unwrap().parse::<u32>().unwrap(), words.next().unwrap());
    assert!(good > 50 && bad == "0", "requests on the host itself: {result}");
}

/// A deploy whose host is cut off when it comes to a phase.
fn cut_at(rig: &mut Rig, cut: &Cut, version: &str) -> (Child, Instant) {
    rig.settings = format!("{QUICK}\n{}", cut.settings);
    let watch = Watch::begin(rig, cut);
    let begun = rig.begin_deploy(&cut.app(version), &SOON);
    watch.wait(cut.name);
    rig.net(0, &["cut"]);
    rig.settings = QUICK.to_owned();
    begun
}

/// Waits until a run has given up the connections that it had, which proves that the cut hit it.
#[track_caller]
fn until_given_up(rig: &Rig, run: &Child) {
    let begun = Instant::now();
    let mine = format!("pid={},", run.id());
    let connections = || {
        let mut ss = Command::new("ss");
        ss.args(["-Htnp", "state", "established", "dst", &rig.web[0].address, "dport", "=", ":22"]);
        succeed(&mut ss).lines().filter(|line| line.contains(&mine)).count()
    };
    while connections() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the cut was not noticed");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Cut until the connection is given up: the deploy connects anew and goes on.
fn goes_on(rig: &mut Rig, cut: &Cut, version: &str) {
    let (child, begun) = cut_at(rig, cut, version);
    until_given_up(rig, &child);
    rig.net(0, &["clear"]);
    Told::of(child.wait_with_output().unwrap(), begun).ends(0);
    rig.assert_serves(version);
    unlocked(rig);
    eprintln!("cut at {}: it went on", cut.name);
}

/// Cut for good: the deploy ends and says where the host is, and the next command puts it right.
fn ends_and_is_mended(rig: &mut Rig, cut: &Cut, version: &str) {
    let (child, begun) = cut_at(rig, cut, version);
    let told = Told::of(child.wait_with_output().unwrap(), begun);
    told.ends(4).says(&[&rig.web[0].name, "could not be reached to put it back", "the next `windlass deploy`"]);
    let unreachable = rig.windlass(&[&["status"], SOON.as_slice()].concat());
    unreachable.ends(4).says(&["can't be reached"]);
    rig.net(0, &["clear"]);
    rig.windlass(&["status"]).ends(0).says(&["without a word"]);
    let next = format!("{version}-next");
    let app = cut.app(&next);
    rig.deploy(&app, &[]).ends(0).says(&["took over the lock", "without a word"]);
    rig.assert_serves(&next);
    unlocked(rig);
}

#[test]
fn a_deploy_goes_on_after_the_network_was_cut() {
    let Some(mut rig) = Rig::one() else { return };
    begin_local_load(&rig);
    let phases: &[&str] =
        if all() { &["unpack", "venv", "check", "migrate", "start", "switch", "drain"] } else { &["migrate"] };
    for (number, name) in phases.iter().enumerate() {
        goes_on(&mut rig, &named(name), &format!("2-{number}"));
    }
    end_local_load(&rig);
}

#[test]
fn a_deploy_whose_host_is_lost_says_where_it_is() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    begin_local_load(&rig);
    for (number, name) in ["venv", "migrate", "start", "switch"].iter().enumerate() {
        ends_and_is_mended(&mut rig, &named(name), &format!("2-{number}"));
    }
    end_local_load(&rig);
}
