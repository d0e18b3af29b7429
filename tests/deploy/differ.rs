//! Three hosts behind a balancer, which come to differ: the controller dies between one host's switch and the next, or
//! a host is out of its reach. No visitor notices, and the next command leaves one release on all hosts that it reaches,
//! and tells of those that it does not.

use crate::app::App;
use crate::common::lab::succeed;
use crate::faults::all;
use crate::killed::{QUICK, Watch, calm, clean_so_far};
use crate::network::SOON;
use crate::plain::unlocked;
use crate::rig::{Rig, Told};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::Instant;

const STARTS: &str = "\"start\", \"state\": \"begin\", \"release\"";
const SWITCHES: &str = "\"switch\", \"state\": \"begin\"";
const SWITCHED: &str = "\"switch\", \"state\": \"end\"";
const DRAINS: &str = "\"drain\", \"state\": \"begin\"";

/// A web host that the controller can't reach until this is dropped: no route leads there. Its visitors come by the
/// balancer, and notice nothing of that.
struct Apart {
    address: String,
}

impl Apart {
    fn new(rig: &Rig, host: usize) -> Apart {
        let address = rig.web[host].address.clone();
        succeed(Command::new("ip").args(["route", "add", "unreachable", &address]));
        Apart { address }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["route", "del", "unreachable", &self.address]).status();
    }
}

/// Begins a command, and kills it when the journal of a host has a line.
#[track_caller]
pub fn killed(rig: &Rig, host: usize, line: &str, begin: impl FnOnce() -> Child) {
    let watch = Watch::on(rig, host, line);
    let mut child = begin();
    watch.wait(line);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.signal(), Some(9), "it had ended before it was killed\n{said}");
}

/// What the records of the hosts name.
fn records(rig: &Rig) -> Vec<String> {
    (0..rig.web.len()).map(|host| rig.serving(host)).collect()
}

/// The first host has switched, and no other.
#[track_caller]
fn half_way(rig: &Rig, before: &str) {
    let now = records(rig);
    assert!(now[0] != before && now[1] == before && now[2] == before, "{before} served: {now:?}");
}

#[test]
fn a_controller_killed_between_two_hosts_leaves_one_release() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::three() else { return };
    rig.settings = QUICK.to_owned();
    rig.deploy(&App::new().version("2"), &[]).ends(0);
    let load = calm(&rig);
    let mut serves = "2".to_owned();
    for next in ["deploy", "rollback", "status and unlock", "the same again"] {
        let before = rig.serving(0);
        let app = App::new().version(&format!("cut before {next}"));
        killed(&rig, 0, SWITCHED, || rig.begin_deploy(&app, &[]).0);
        half_way(&rig, &before);
        match next {
            "rollback" => {
                let told = rig.windlass(&["rollback"]);
                // What served before serves again, and not what served before that.
                told.ends(0).says(&["took over the lock of", "not every host had switched", "serves again"]);
                assert_eq!(rig.serving(0), before, "{}", told.out);
            }
            "status and unlock" => {
                let told = rig.windlass(&["status"]);
                told.ends(0).says(&["without a word", "differs", "its owner is dead"]);
                rig.windlass(&["unlock"]).ends(0).says(&["unlocked", "a deploy is unfinished"]);
                assert!(records(&rig)[0] != before, "unlocking changed what serves");
                "after unlock".clone_into(&mut serves);
                rig.deploy(&App::new().version(&serves), &[]).ends(0).says(&["not every host had switched"]);
            }
            again => {
                let app = if again == "deploy" { App::new().version("another") } else { app };
                let told = rig.deploy(&app, &[]);
                told.ends(0).says(&["took over the lock of", "not every host had switched"]);
                serves = if again == "deploy" { "another".to_owned() } else { format!("cut before {next}") };
            }
        }
        rig.assert_serves(&serves);
        unlocked(&rig);
        clean_so_far(&load, next);
        eprintln!("killed between two hosts, then {next}: {} requests without a failure", load.done());
    }
    load.stop().assert_clean();
}

#[test]
fn a_rollback_killed_between_two_hosts_leaves_one_release() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::three() else { return };
    rig.settings = QUICK.to_owned();
    rig.deploy(&App::new().version("2"), &[]).ends(0);
    rig.deploy(&App::new().version("3"), &[]).ends(0);
    let load = calm(&rig);
    let before = rig.serving(0);
    killed(&rig, 0, SWITCHED, || rig.command(&["rollback"]).spawn().unwrap());
    half_way(&rig, &before);
    let told = rig.windlass(&["rollback"]);
    told.ends(0).says(&["the rollback of", "without a word", "serves again"]);
    rig.assert_serves("2");
    unlocked(&rig);
    clean_so_far(&load, "rollback");

    rig.deploy(&App::new().version("4"), &[]).ends(0);
    let before = rig.serving(0);
    killed(&rig, 0, SWITCHED, || rig.command(&["rollback"]).spawn().unwrap());
    half_way(&rig, &before);
    rig.deploy(&App::new().version("5"), &[]).ends(0).says(&["the rollback of", "without a word"]);
    rig.assert_serves("5");
    unlocked(&rig);
    load.stop().assert_clean();
}

/// Deploys, and takes hosts out of reach when the journal of the second host has a line.
#[track_caller]
fn parted(rig: &Rig, version: &str, line: &str, hosts: &[usize]) -> (Told, Vec<Apart>) {
    let watch = Watch::on(rig, 1, line);
    let (child, begun): (Child, Instant) = rig.begin_deploy(&App::new().version(version), &SOON);
    watch.wait(line);
    let apart = hosts.iter().map(|&host| Apart::new(rig, host)).collect();
    (Told::of(child.wait_with_output().unwrap(), begun), apart)
}

#[test]
fn a_host_that_is_lost_is_told_and_brought_level() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::three() else { return };
    rig.settings = QUICK.to_owned();
    rig.deploy(&App::new().version("2"), &[]).ends(0);
    let load = calm(&rig);
    for (number, (when, line)) in [("before", STARTS), ("while", SWITCHES), ("after", DRAINS)].into_iter().enumerate() {
        let before = rig.serving(0);
        let (told, apart) = parted(&rig, &format!("lost {when}"), line, &[1]);
        let lost = rig.web[1].name.clone();
        told.ends(4).says(&[&lost]);
        let reached = [rig.serving(0), rig.serving(2)];
        assert_eq!(reached[0], reached[1], "{}", told.out);
        // Where it is lost while it switches, the answer may have come just before.
        let returned = reached[0] == before;
        assert!(returned || when != "before", "{}", told.out);
        assert!(!returned || when != "after", "{}", told.out);
        told.says(&[if returned { "could not be reached to put it back" } else { "the next command does it" }]);

        rig.windlass(&["status"]).ends(4).says(&[&lost, "can't be reached"]);
        let app = App::new().version(&format!("without {number}"));
        rig.deploy(&app, &[]).ends(4).says(&[&lost, "can't be reached", "--allow-unreachable"]);
        assert_eq!([rig.serving(0), rig.serving(2)], reached);
        rig.deploy(&app, &["--allow-unreachable"]).says(&[&lost, "left out", "serves on"]);
        assert_eq!(rig.serving(0), rig.serving(2));

        drop(apart);
        assert_ne!(rig.serving(0), rig.serving(1));
        rig.windlass(&["status"]).ends(0).says(&[&format!("{lost} differs"), &format!("{lost}: a deploy of")]);
        rig.deploy(&app, &[]).ends(0).says(&[&lost, "without a word"]);
        rig.assert_serves(&format!("without {number}"));
        unlocked(&rig);
        clean_so_far(&load, when);
        eprintln!("a host lost {when} its switch: {} requests without a failure", load.done());
    }
    load.stop().assert_clean();
}

#[test]
fn two_lost_hosts_are_told_and_brought_level() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::three() else { return };
    rig.settings = QUICK.to_owned();
    rig.deploy(&App::new().version("2"), &[]).ends(0);
    let load = calm(&rig);
    let before = rig.serving(0);
    let (told, apart) = parted(&rig, "3", STARTS, &[1, 2]);
    told.ends(4).says(&[&rig.web[1].name, &rig.web[2].name, "could not be reached to put it back"]);
    assert_eq!(rig.serving(0), before, "{}", told.out);
    drop(apart);
    rig.windlass(&["status"]).ends(0).says(&["without a word"]);
    rig.windlass(&["rollback", "--to", &before]).says(&["without a word"]);
    rig.assert_serves("2");
    unlocked(&rig);
    rig.deploy(&App::new().version("4"), &[]).ends(0);
    rig.assert_serves("4");
    load.stop().assert_clean();
}
