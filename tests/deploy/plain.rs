//! Deploys and rollbacks in which nothing goes wrong, and requests that can't be met: no visitor notices any of them.

use crate::app::{App, Migration};
use crate::rig::{Rig, get};

/// Three deploys under load, one of them of files that serve already, and back again.
#[test]
fn deploys_and_rollbacks_drop_no_request() {
    let Some(rig) = Rig::one() else { return };
    let first = rig.serving(0);
    let load = rig.load();

    load.begin("deploy");
    let two = App::new().version("2").migration(Migration::Safe);
    let told = rig.deploy(&two, &[]);
    load.end("deploy");
    told.ends(0).says(&["0002_colour", &format!("serves on {}", rig.web[0].name), &first]);
    let second = rig.serving(0);
    assert_ne!(second, first);
    rig.assert_serves("2");
    let copies = rig.web[0].sh("ls /srv/deployable/backups");
    assert_eq!(copies, format!("{second}.dump"));
    // Pages of the older release find their style sheet, and those of the newer one theirs.
    let sheets = rig.web[0].sh("ls /srv/deployable/shared/static/pages/site.*.css | wc -l");
    assert_eq!(sheets, "2");

    rig.deploy(&two, &[]).ends(0).says(&["nothing to do", &second]);
    assert_eq!(rig.serving(0), second);

    load.begin("deploy again");
    let told = rig.deploy(&two.clone().version("3"), &[]);
    load.end("deploy again");
    // The same requirements: nothing was installed.
    told.ends(0).says_not(&["install the requirements"]);
    rig.assert_serves("3");

    load.begin("rollback");
    let told = rig.windlass(&["rollback"]);
    load.end("rollback");
    told.ends(0).says(&[&second, "serves again"]);
    rig.assert_serves("2");
    assert_eq!(rig.serving(0), second);

    // By name, and over a migration that the older code does not mind.
    let told = rig.windlass(&["rollback", "--to", &first]);
    told.ends(0).says(&[&first, "they stay applied"]);
    rig.assert_serves("1");

    let history = rig.windlass(&["status"]);
    history.ends(0).says(&[&first, "200"]);
    rig.windlass(&["releases"]).ends(0).says(&[&first, &second, "serves"]);
    let report = load.stop();
    eprintln!("{}", report.text());
    report.assert_clean();
    assert_eq!(report.told("code"), ["1", "2", "3"]);
}

#[test]
fn a_rollback_needs_something_to_return_to() {
    let Some(rig) = Rig::one() else { return };
    let load = rig.load();
    let serving = rig.serving(0);
    App::new().write_to(&rig.source());
    rig.windlass(&["rollback"]).ends(1).says(&["nothing to return to", "windlass releases"]);
    let told = rig.windlass(&["rollback", "--to", "20200101-000000-abcdefg"]);
    told.ends(1).says(&["has no release 20200101-000000-abcdefg", "It has:", &serving]);
    rig.windlass(&["rollback", "--to", &serving]).ends(1).says(&[&serving, "serves already"]);
    rig.assert_serves("1");
    unlocked(&rig);
    load.stop().assert_clean();
}

/// A host that nothing serves on: the first deploy of it, one that fails before, and no rollback.
#[test]
fn a_first_deploy_that_fails_leaves_the_host_stopped_and_clean() {
    let Some(rig) = Rig::one() else { return };
    rig.web[0].sh(
        "set -e; systemctl stop 'deployable@*'; cd /srv/deployable; rm -rf serving current.sock releases/* shared/static/* .deploy",
    );
    let mut rig = rig;
    rig.settings = "health_timeout: 6".to_owned();
    let told = rig.deploy(&App::new().broken(crate::app::Fault::Unhealthy), &[]);
    told.ends(2).says(&["answers 500", "nothing serves, as before"]);
    assert_eq!(rig.record(0), None);
    assert_eq!(rig.running(0), Vec::<String>::new());
    assert_eq!(rig.web[0].sh("ls /run/deployable; readlink /srv/deployable/current.sock || true"), "");
    assert_ne!(get(&rig.web[0], "/healthz/").unwrap().0, 200);
    unlocked(&rig);
    rig.windlass(&["rollback"]).says(&["nothing to return to"]);
    rig.deploy(&App::new().version("2"), &[]).ends(0);
    rig.assert_serves("2");
}

/// Nobody holds the lock, and the journal of what was done last has its end.
#[track_caller]
pub fn unlocked(rig: &Rig) {
    for host in &rig.web {
        let left = host.sh("ls /srv/deployable/.deploy 2>/dev/null || true");
        assert!(!left.lines().any(|name| name == "lock"), "{} is still locked:\n{left}", host.name);
        let journal = host.sh("cat /srv/deployable/.deploy/journal 2>/dev/null || true");
        assert!(
            journal.is_empty() || journal.contains("\"finish\""),
            "{}: the journal has no end:\n{journal}",
            host.name
        );
    }
}
