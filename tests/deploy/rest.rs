//! The load client itself: at rest nothing fails, and what fails is seen.

use crate::load::{Load, Outcome};
use crate::rig::Rig;
use std::time::Duration;

fn seconds(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[test]
fn at_rest_nothing_fails() {
    let Some(rig) = Rig::one() else { return };
    let load = rig.load();
    seconds(10);
    let report = load.stop();
    eprintln!("{}", report.text());
    report.assert_clean();
    for kind in &report.kinds {
        assert!(report.of(&kind.name).requests > 5, "{}: {}", kind.name, report.text());
    }
    assert!(report.total().requests > 1900, "{}", report.text());
    assert_eq!(report.told("release"), [rig.serving(0)]);
    assert_eq!(report.told("code"), ["1"]);
    rig.assert_serves("1");
}

#[test]
fn at_rest_nothing_fails_behind_a_balancer() {
    let Some(rig) = Rig::three() else { return };
    let load = rig.load();
    seconds(10);
    let report = load.stop();
    eprintln!("{}", report.text());
    report.assert_clean();
    assert!(report.total().requests > 1900, "{}", report.text());
    rig.assert_serves("1");
}

/// Each kind of failure that a careless deploy brings about is seen, told apart, and put into its time.
#[test]
fn failures_are_seen() {
    let Some(rig) = Rig::one() else { return };
    let host = &rig.web[0];
    let release = rig.serving(0);
    let load = rig.load();
    seconds(3);
    load.begin("stop");
    host.sh(&format!("systemctl stop deployable@{release}; systemctl start deployable@{release}"));
    rig.wait_until_it_answers();
    load.end("stop");
    seconds(4);
    load.begin("reload");
    host.sh("systemctl reload nginx");
    seconds(2);
    load.end("reload");
    seconds(4);
    load.begin("kill");
    host.sh("systemctl kill -s KILL nginx; sleep 0.3; systemctl restart nginx");
    rig.wait_until_it_answers();
    seconds(1);
    load.end("kill");
    seconds(4);
    load.begin("freeze");
    rig.net(0, &["freeze"]);
    seconds(2);
    rig.net(0, &["clear"]);
    seconds(1);
    load.end("freeze");
    seconds(4);
    let report = load.stop();
    eprintln!("{}", report.text());

    let count = |window: &str, outcome| report.within(window).outcomes.get(&outcome).copied().unwrap_or(0);
    // No process behind the socket.
    assert!(count("stop", Outcome::Status(502)) > 10, "{}", report.text());
    // nginx closes idle connections when it reloads, and nothing else happens.
    assert!(count("reload", Outcome::Stale) > 0, "{}", report.text());
    let reload = report.within("reload");
    assert_eq!(reload.failed, count("reload", Outcome::Stale), "{}", report.text());
    // Requests under way are cut, and nobody listens for a moment.
    assert!(count("kill", Outcome::Reset) > 0, "{}", report.text());
    assert!(count("kill", Outcome::Connect) > 0, "{}", report.text());
    // Nothing fails when everything stands still, but the answers come late, those that were to be sent then as well.
    let freeze = report.within("freeze");
    assert_eq!(freeze.failed, 0, "{}", report.text());
    assert!(freeze.max > Duration::from_millis(1500), "{}", report.text());
    assert!(freeze.p50 > Duration::from_millis(100), "{}", report.text());
    assert_eq!(report.outside().failed, 0, "{}", report.text());
}

/// As many requests are sent as were to be, also where the site stands still.
#[test]
fn the_rate_does_not_follow_the_answers() {
    let Some(rig) = Rig::one() else { return };
    let config = rig.load_config().rate(200.0).only(&["http get", "h2 get"]);
    let rate = config.total_rate();
    let load = Load::start(config);
    seconds(2);
    rig.net(0, &["freeze"]);
    seconds(2);
    rig.net(0, &["clear"]);
    seconds(2);
    let report = load.stop();
    let last = report.records.iter().map(|record| record.at).max().unwrap();
    #[allow(clippy::cast_precision_loss)]
    let sent = report.total().requests as f64;
    let wanted = rate * last.as_secs_f64();
    assert!((sent - wanted).abs() < wanted * 0.02, "{sent} instead of {wanted}: {}", report.text());
    report.assert_clean();
}

/// What tests of deploys do to hosts works, and a reset undoes it.
#[test]
fn the_rig_breaks_and_mends() {
    let Some(rig) = Rig::one() else { return };
    let host = &rig.web[0];
    rig.small_disk(0, 20);
    let free = "df --output=avail -m /srv/deployable/releases | tail -n 1 | tr -d ' '";
    let megabytes: u64 = host.sh(free).parse().unwrap();
    assert!((15..=22).contains(&megabytes), "{megabytes}");
    rig.assert_serves("1");
    let full = host.ssh("root").arg("head -c 30M /dev/zero > /srv/deployable/releases/large").output().unwrap();
    assert!(!full.status.success());

    host.sh("systemctl stop 'deployable@*'; rm /srv/deployable/current.sock; touch /srv/deployable/releases/left
             su postgres -c 'psql -qc \"DROP TABLE pages_note\" deployable'");
    rig.reset();
    let megabytes: u64 = host.sh(free).parse().unwrap();
    assert!(megabytes > 100, "{megabytes}");
    rig.assert_serves("1");
    assert_eq!(host.sh("ls /srv/deployable/releases"), rig.serving(0));
    assert_eq!(host.sh("su postgres -c 'psql -Atc \"SELECT count(*) FROM pages_note\" deployable'"), "0");

    rig.reboot(0);
    rig.assert_serves("1");
}
