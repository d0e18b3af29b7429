//! The controller is killed in the middle of a deploy or a rollback. No visitor notices, and the next command, whichever
//! it is, leaves one release that runs, is recorded and is linked, and nobody's lock.

use crate::app::{App, Migration};
use crate::faults::all;
use crate::load::{Ask, Load, Pace};
use crate::plain::unlocked;
use crate::rig::Rig;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Where a deploy is cut off: what its journal says then.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// What tests call it.
    pub name: &'static str,
    /// Text of the line that is waited for, and how often it is to be there.
    pub line: &'static str,
    /// Management commands that take some seconds longer, so that the fault meets them.
    pub slow: &'static str,
    /// How the play slows it down.
    pub settings: &'static str,
    /// Whether the record names the new release afterwards, in the order in which the phases come.
    pub switched: bool,
}

const fn cut(
    name: &'static str,
    line: &'static str,
    slow: &'static str,
    settings: &'static str,
    switched: bool,
) -> Cut {
    Cut { name, line, slow, settings, switched }
}

/// All phases, in order. What is not journalled lies between two lines that are.
pub const CUTS: [Cut; 16] = [
    cut("lock", "LOCK", "", "", false),
    cut("begin", "\"hosts\"", "", "", false),
    cut("unpack", "\"unpack\", \"state\": \"begin\"", "", "", false),
    cut("venv", "\"venv\", \"state\": \"begin\"", "", "", false),
    cut("check", "\"check\", \"state\": \"begin\"", "check", "", false),
    cut("static", "\"static\", \"state\": \"begin\"", "collectstatic", "", false),
    cut("seal", "\"seal\", \"state\": \"begin\"", "", "", false),
    cut("hook", "\"hook\", \"state\": \"begin\"", "", "before_switch: [\"sleep 3\"]", false),
    cut("backup", "\"backup\", \"state\": \"begin\"", "-", "backup: always", false),
    cut("migrate", "\"migrate\", \"state\": \"begin\"", "migrate", "", false),
    cut("start", "\"start\", \"state\": \"begin\", \"release\"", "", "", false),
    cut("switch", "\"switch\", \"state\": \"begin\"", "", "", true),
    cut("watch", "\"switch\", \"state\": \"end\"", "", "watch: 5\nwatch_limit: 50", true),
    cut("drain", "\"drain\", \"state\": \"begin\"", "", "", true),
    cut("after_switch", "\"hook\", \"state\": \"begin\"", "", "after_switch: [\"sleep 3\"]", true),
    cut("finish", "\"finish\"", "", "", true),
];

pub fn named(name: &str) -> Cut {
    *CUTS.iter().find(|cut| cut.name == name).unwrap()
}

impl Cut {
    /// The application, slow at this place.
    pub fn app(&self, version: &str) -> App {
        let app = App::new().version(version).migration(Migration::Safe);
        // One more to apply; for the releases after this one the database is ahead of the code.
        let app = if self.name == "migrate" { app.migration(Migration::Table) } else { app };
        // Each its own environment, so that there is one to build.
        let app = if self.name == "venv" { app.requirement(&format!("# {version}")) } else { app };
        if self.slow.is_empty() {
            return app;
        }
        let sleep = format!("import sys, time\nif {:?} in sys.argv: time.sleep(3)\nBASE_DIR =", self.slow);
        app.edit("config/settings.py", "BASE_DIR =", &sleep)
    }
}

/// Watches the journal of a host for a line. It must be begun before what writes it.
pub struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    pub fn begin(rig: &Rig, cut: &Cut) -> Watch {
        Watch::on(rig, 0, cut.line)
    }

    /// Of one of the web hosts.
    pub fn on(rig: &Rig, host: usize, line: &str) -> Watch {
        // An empty journal first: what an earlier deploy wrote is not waited for.
        let script = format!(
            "cd /srv/deployable/.deploy 2>/dev/null || mkdir -p /srv/deployable/.deploy && cd /srv/deployable/.deploy
             rm -f journal; echo watching
             for i in $(seq 6000); do
                 {}
                 sleep 0.01
             done
             echo never; cat journal",
            if line == "LOCK" {
                "if [ -e lock ]; then echo there; exit; fi".to_owned()
            } else {
                format!("if grep -qF '{line}' journal 2>/dev/null; then echo there; exit; fi")
            }
        );
        let mut command: Command = rig.web[host].ssh("root");
        let mut child = command.arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "watching\n");
        Watch { child, lines }
    }

    /// Waits until the line is there.
    #[track_caller]
    pub fn wait(mut self, what: &str) {
        let mut said = String::new();
        self.lines.read_line(&mut said).unwrap();
        if said != "there\n" {
            self.lines.read_to_string(&mut said).unwrap();
            panic!("{what} was not reached: {said}");
        }
        // The end of ssh takes longer than what is watched for.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Deploys, and kills the controller at the given place; proves that it was there.
#[track_caller]
pub fn kill_at(rig: &mut Rig, cut: &Cut, version: &str) {
    let settings = rig.settings.clone();
    rig.settings = format!("{settings}\n{}", cut.settings);
    let before = rig.serving(0);
    let watch = Watch::begin(rig, cut);
    let (mut child, _) = rig.begin_deploy(&cut.app(version), &[]);
    watch.wait(cut.name);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.signal(), Some(9), "{}: it had ended before it was killed\n{}", cut.name, said());
    rig.settings = settings;
    // What the host was at comes to its end or is cut off; then nothing more happens.
    std::thread::sleep(Duration::from_millis(300));
    let journal = rig.web[0].sh("cat /srv/deployable/.deploy/journal 2>/dev/null || true");
    let lock = rig.web[0].sh("cat /srv/deployable/.deploy/lock");
    assert!(lock.contains("token"), "{}: nobody's lock was left\n{}", cut.name, said());
    if cut.name != "lock" {
        assert!(journal.contains(cut.line), "{}: {journal}", cut.name);
        assert_eq!(journal.contains("\"finish\""), cut.name == "finish", "{}: {journal}", cut.name);
    }
    // The switch may have come a moment too late or too early for the record.
    if cut.name != "switch" {
        assert_eq!(rig.serving(0) != before, cut.switched, "{}: {before} served\n{journal}", cut.name);
    }
}

/// A release need not be watched for long where nothing is wrong with it.
pub const QUICK: &str = "healthy_for: 1";

/// Fewer requests than usual, so that a machine that has other work to do answers them in time; and slow ones of one
/// second, since each drain waits for them.
pub fn calm(rig: &Rig) -> Load {
    let mut config = rig.load_config().rate(60.0);
    for client in &mut config.clients {
        if matches!(client.pace, Pace::InFlight(_)) {
            client.ask = Ask::Get("/slow/?s=1&n=@");
        }
    }
    Load::start(config)
}

/// The commands that may follow, one after the other.
#[track_caller]
fn next_command(rig: &Rig, number: usize, cut: &Cut, served: &str) -> String {
    let (version, told) = match number % 3 {
        0 => {
            let version = format!("{}-next", cut.name);
            (version.clone(), rig.deploy(&App::new().version(&version).migration(Migration::Safe), &[]))
        }
        1 => {
            let told = rig.windlass(&["status"]);
            told.ends(0).says(&["locked by", "its owner is dead"]);
            if cut.name != "lock" && cut.name != "finish" {
                told.says(&["without a word"]);
            }
            let version = format!("{}-next", cut.name);
            (version.clone(), rig.deploy(&App::new().version(&version).migration(Migration::Safe), &[]))
        }
        _ => {
            // What was switched to everywhere is brought to its end first, and then left.
            let told = rig.windlass(&["rollback"]);
            told.says(&["serves again"]);
            let version = rig.version(0)["code"].as_str().unwrap().to_owned();
            assert_eq!(version == served, cut.switched, "{}", told.out);
            (version, told)
        }
    };
    told.ends(0).says(&["took over the lock of"]);
    rig.assert_serves(&version);
    unlocked(rig);
    version
}

fn walk(cuts: &[Cut]) {
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = QUICK.to_owned();
    let load = calm(&rig);
    let mut serves = "1".to_owned();
    for (number, cut) in cuts.iter().enumerate() {
        load.begin(cut.name);
        kill_at(&mut rig, cut, &format!("{}-{number}", cut.name));
        serves = next_command(&rig, number, cut, &serves);
        load.end(cut.name);
        clean_so_far(&load, cut.name);
        eprintln!("killed at {}: {serves} serves afterwards, {} requests without a failure", cut.name, load.done());
    }
    let history = rig.web[0].sh("cat /srv/deployable/.deploy/history");
    assert_eq!(history.matches("\"takeover\"").count(), cuts.len(), "{history}");
    let report = load.stop();
    eprintln!("{}", report.text());
    report.assert_clean();
}

#[track_caller]
pub fn clean_so_far(load: &Load, what: &str) {
    assert_eq!(load.failed(), 0, "requests failed: {what}");
}

#[test]
fn a_killed_controller_is_followed_by_any_command() {
    walk(&[named("migrate"), named("start"), named("switch")]);
}

#[test]
fn a_controller_may_be_killed_in_every_phase_before_the_switch() {
    if all() {
        walk(&CUTS.iter().copied().filter(|cut| !cut.switched).collect::<Vec<_>>());
    }
}

#[test]
fn a_controller_may_be_killed_in_every_phase_from_the_switch_on() {
    if all() {
        walk(&CUTS.iter().copied().filter(|cut| cut.switched).collect::<Vec<_>>());
    }
}

/// A rollback that is killed is put right as well.
#[test]
fn a_rollback_may_be_killed() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = QUICK.to_owned();
    rig.deploy(&App::new().version("2"), &[]).ends(0);
    let load = calm(&rig);
    for (number, name) in ["begin", "start", "switch", "drain"].iter().enumerate() {
        let cut = named(name);
        let watch = Watch::begin(&rig, &cut);
        let mut child = rig.command(&["rollback"]).spawn().unwrap();
        watch.wait(cut.name);
        child.kill().unwrap();
        assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(9), "{name}");
        let version = format!("3-{number}");
        rig.deploy(&App::new().version(&version), &[]).ends(0).says(&["the rollback of", "without a word"]);
        rig.assert_serves(&version);
        unlocked(&rig);
        clean_so_far(&load, name);
    }
    load.stop().assert_clean();
}

/// After the switch, and before anything was told of it, the host reboots: what the record names serves.
#[test]
fn a_reboot_after_the_switch_keeps_what_is_recorded() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = QUICK.to_owned();
    kill_at(&mut rig, &named("drain"), "2");
    let release = rig.serving(0);
    rig.reboot(0);
    assert_eq!(rig.serving(0), release);
    rig.assert_serves("2");
    rig.windlass(&["status"]).ends(0).says(&["without a word"]);
    rig.deploy(&App::new().version("3").migration(Migration::Safe), &[]).ends(0).says(&["brought to its end"]);
    rig.assert_serves("3");
    unlocked(&rig);
}
