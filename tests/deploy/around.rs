//! What goes on around a switch: the maintenance page, a project's own commands, and the watch after it.

use crate::app::{App, Fault};
use crate::rig::{Rig, SITE, everything};
use std::process::Command;

/// Through nginx and TLS: the head and the body of the answer.
fn ask(rig: &Rig, path: &str) -> String {
    let resolve = format!("{SITE}:443:{}", rig.front.address);
    let url = format!("https://{SITE}{path}");
    let output = Command::new("curl").args(["-ski", "--max-time", "10", "--resolve", &resolve, &url]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_page_takes_the_place_of_the_application_and_gives_it_back() {
    let Some(rig) = Rig::one() else { return };
    rig.windlass(&["maintenance", "on", "--message", "Back at <noon>"]).ends(0);
    let answer = ask(&rig, "/version");
    let head = answer.to_lowercase();
    assert!(head.starts_with("http/2 503") || head.starts_with("http/1.1 503"), "{answer}");
    assert!(head.contains("retry-after: ") && answer.contains("Back at &lt;noon&gt;"), "{answer}");
    rig.windlass(&["status"]).says(&["maintenance"]);
    rig.windlass(&["maintenance", "off"]).ends(0);
    let answer = ask(&rig, "/version");
    assert!(answer.lines().next().unwrap_or_default().contains("200"), "{answer}");
}

#[test]
fn a_project_has_its_own_commands_before_and_after_the_switch() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    let notes = "/srv/deployable/shared/media/notes";
    let note = |word: &str| format!("echo {word} $RELEASE $(readlink /srv/deployable/current.sock) >> {notes}");
    rig.settings = format!(
        "before_collect: echo 'made' > pages/static/pages/made.txt\nbefore_switch: [\"{}\"]\nafter_switch:\n  - python -c 'import django'\n  - {}",
        note("before"),
        note("after")
    );
    let old = rig.serving(0);
    // What a command makes before files are collected is theirs, so it needs a folder that it may write to.
    let told = rig.deploy(&App::new().version("2"), &[]);
    eprintln!("{}", told.out);
    told.ends(0);
    let new = rig.serving(0);
    let said = rig.web[0].sh(&format!("cat {notes}"));
    let wanted = format!("before {new} /run/deployable/{old}.sock\nafter {new} /run/deployable/{new}.sock");
    assert_eq!(said, wanted);
    assert!(ask(&rig, "/static/pages/made.txt").contains("made"));

    rig.settings = "before_switch: echo 'the assets are not there' >&2; exit 3".to_owned();
    let told = rig.deploy(&App::new().version("3"), &[]);
    assert_ne!(told.code, 0);
    told.says(&["before_switch", "the assets are not there"]);
    rig.assert_serves("2");
}

#[test]
fn too_many_errors_after_the_switch_bring_the_old_release_back() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = "watch: 12\nwatch_limit: 2".to_owned();
    let load = rig.load();
    let told = rig.deploy(&App::new().version("2").broken(Fault::SomeErrors), &[]);
    let report = load.stop();
    eprintln!("{}\n{}", told.out, report.text());
    assert_ne!(told.code, 0);
    told.says(&["since the switch,", "watch_limit"]);
    rig.assert_serves("1");
    rig.windlass(&["releases"]).says(&["broken"]);
}
