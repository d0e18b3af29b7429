//! One deploy at a time: who is refused, whose lock is taken over, and what becomes of an owner that comes back.

use crate::app::App;
use crate::common::lab::succeed;
use crate::faults::all;
use crate::killed::{QUICK, Watch, calm, named};
use crate::plain::unlocked;
use crate::rig::{Rig, Told};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn signal(child: &Child, signal: &str) {
    succeed(Command::new("kill").args(["-s", signal, &child.id().to_string()]));
}

/// A deploy that has come to a phase.
fn deploy_at(rig: &Rig, name: &str, app: &App, args: &[&str]) -> (Child, Instant) {
    let cut = named(name);
    let watch = Watch::begin(rig, &cut);
    let begun = rig.begin_deploy(app, args);
    watch.wait(cut.name);
    begun
}

/// An application that can be stopped while it starts.
fn slow(version: &str, seconds: u32) -> App {
    App::new().version(version).broken(crate::app::Fault::SlowStart(seconds))
}

#[test]
fn the_second_of_two_deploys_is_refused() {
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = format!(
        "{QUICK}\nbefore_switch: [\"n=0; until [ -e /tmp/go ] || [ $n = 900 ]; do n=$((n+1)); sleep 0.1; done\"]"
    );
    rig.web[0].sh("rm -f /tmp/go");
    let load = calm(&rig);
    let (first, begun) = deploy_at(&rig, "hook", &App::new().version("2"), &["--by", "ada@first"]);
    let told = rig.windlass(&["deploy", "deploy.yml", "--by", "ben@second"]);
    told.ends(75).says(&[
        &format!("deployable is locked on {} by ada@first (deploy of", rig.web[0].name),
        "since 2",
        "sign of life",
        "--take-over",
    ]);
    rig.windlass(&["rollback", "--by", "ben@second"]).ends(75).says(&["ada@first"]);
    rig.windlass(&["unlock", "--by", "ben@second"]).says(&["seems to live", "--force"]);
    rig.windlass(&["status"]).ends(0).says(&["locked by ada@first", "its owner lives", "is at `hook`"]);
    rig.web[0].sh("touch /tmp/go");
    Told::of(first.wait_with_output().unwrap(), begun).ends(0);
    rig.assert_serves("2");
    unlocked(&rig);
    load.stop().assert_clean();
}

/// The first owner stands still until its lock has expired, another one deploys, and the first goes on.
#[test]
fn an_owner_that_comes_back_can_do_nothing() {
    let Some(mut rig) = Rig::one() else { return };
    // Its process lives, so that only silence speaks of its death.
    let hook = format!("{QUICK}\nbefore_switch: [\"sleep 1\"]");
    rig.settings.clone_from(&hook);
    let load = calm(&rig);
    let (first, begun) = deploy_at(&rig, "hook", &App::new().version("2"), &["--by", "ada@first"]);
    signal(&first, "STOP");
    let told = rig.deploy(&App::new().version("3"), &["--by", "ben@second"]);
    told.ends(75).says(&["ada@first"]);
    rig.settings = format!("{hook}\nlock_expires: 3");
    rig.web[0].sh(
        "cd /srv/deployable/.deploy; while [ $(($(date +%s) - $(stat -c %Y lock.seen))) -lt 6 ]; do sleep 0.2; done",
    );
    rig.windlass(&["status"]).ends(0).says(&["its owner is dead, and the next deploy takes it over"]);
    let told = rig.deploy(&App::new().version("3"), &["--by", "ben@second"]);
    told.ends(0).says(&["took over the lock of ada@first", "without a word"]);
    rig.assert_serves("3");
    let history = rig.web[0].sh("cat /srv/deployable/.deploy/history");
    let taken = history.lines().find(|line| line.contains("\"takeover\"")).expect(&history);
    assert!(taken.contains("ben@second") && taken.contains("ada@first"), "{taken}");
    let served = rig.serving(0);
    let state = "cat /srv/deployable/.deploy/history /srv/deployable/.deploy/journal; ls -A /srv/deployable/releases";
    let before = rig.web[0].sh(state);
    signal(&first, "CONT");
    let told = Told::of(first.wait_with_output().unwrap(), begun);
    assert_ne!(told.code, 0, "{}{}", told.out, told.err);
    told.says(&["the lock of deployable is no longer this run's", "touches nothing any more"]);
    assert_eq!(rig.web[0].sh(state), before);
    assert_eq!(rig.serving(0), served);
    rig.assert_serves("3");
    unlocked(&rig);
    load.stop().assert_clean();
}

#[test]
fn a_lock_is_given_back_by_hand() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = "before_switch: [\"sleep 3\"]".to_owned();
    let (mut first, _) = deploy_at(&rig, "hook", &App::new().version("2"), &["--by", "ada@first"]);
    first.kill().unwrap();
    first.wait().unwrap();
    rig.settings = String::new();
    rig.windlass(&["unlock"]).ends(0).says(&["unlocked; it was ada@first", "a deploy is unfinished"]);
    let history = rig.web[0].sh("cat /srv/deployable/.deploy/history");
    assert!(history.contains("\"unlock\"") && history.contains("ada@first"), "{history}");
    rig.windlass(&["unlock"]).ends(0).says(&["is not locked"]);
    let told = rig.deploy(&App::new().version("3"), &[]);
    told.ends(0).says(&["without a word"]).says_not(&["took over"]);
    rig.assert_serves("3");
    unlocked(&rig);
}

/// Ctrl-C once: the step comes to its end, and everything returns.
#[test]
fn an_interrupted_deploy_returns() {
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = QUICK.to_owned();
    let before = rig.serving(0);
    let load = calm(&rig);
    let (first, begun) = deploy_at(&rig, "start", &slow("2", 2), &[]);
    signal(&first, "INT");
    let told = Told::of(first.wait_with_output().unwrap(), begun);
    told.ends(130).says(&[&format!("{before} serves, as before")]);
    rig.assert_serves("1");
    unlocked(&rig);

    let (first, begun) = deploy_at(&rig, "drain", &App::new().version("3"), &[]);
    signal(&first, "INT");
    let told = Told::of(first.wait_with_output().unwrap(), begun);
    told.ends(130).says(&[&format!("{before} serves, as before")]);
    rig.assert_serves("1");
    unlocked(&rig);
    // Nothing speaks against what was interrupted.
    rig.windlass(&["releases"]).ends(0).says_not(&["broken"]);
    rig.deploy(&App::new().version("4"), &[]).ends(0);
    rig.assert_serves("4");
    load.stop().assert_clean();
}

/// Ctrl-C twice: it stops at once, and the next command puts things right.
#[test]
fn a_deploy_that_is_interrupted_twice_stops() {
    if !all() {
        return;
    }
    let Some(rig) = Rig::one() else { return };
    let load = calm(&rig);
    let (first, begun) = deploy_at(&rig, "start", &slow("2", 20), &[]);
    let stopped = Instant::now();
    signal(&first, "INT");
    std::thread::sleep(Duration::from_millis(500));
    signal(&first, "INT");
    let told = Told::of(first.wait_with_output().unwrap(), begun);
    told.ends(130);
    assert!(stopped.elapsed() < Duration::from_secs(15), "it waited for the start: {:?}", stopped.elapsed());
    rig.deploy(&App::new().version("3"), &[]).ends(0).says(&["without a word"]);
    rig.assert_serves("3");
    unlocked(&rig);
    load.stop().assert_clean();
}
