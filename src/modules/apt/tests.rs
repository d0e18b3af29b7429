#![allow(clippy::unwrap_used)]
use super::status::{Status, nothing_done, summary};
use crate::host::action::Command;
use crate::host::{Output, Run};
use crate::modules::testing::Fake;
use serde_json::json;

fn words(run: &Run) -> Vec<String> {
    match &run.command {
        Command::Shell { args, .. } => args[4..].to_vec(),
        Command::Argv(words) => words.clone(),
    }
}

const POLICY: &str = "=policy\nnginx:\n  Installed: (none)\n  Candidate: 1.22.1-9\n  Version table:\n     1.22.1-9 500\n        500 http://deb.debian.org/debian bookworm/main\n     1.18.0-6 500\n        500 http://x\nmta:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n=virtual\nPackage: nginx\nReverse Provides: \nPackage: mta\nReverse Provides: \npostfix 3.7 (= )\n";

/// A host with these packages, and with lists as old as `stamp` says.
fn with_status(status: &'static str, stamp: &'static str) -> Fake {
    Fake::new()
        .probe(move |probe| {
            Some(Output::ok(&if probe.script.contains("update-success-stamp") {
                stamp.to_owned()
            } else {
                format!("=installed\n{status}{POLICY}")
            }))
        })
        .on_run(|_, _| {
            Some(Output::ok(
                "The following NEW packages will be installed:\n  nginx\n0 upgraded, 1 newly installed, 0 to remove and 5 not upgraded.\n",
            ))
        })
}

#[test]
fn what_is_there_is_left_alone() {
    let mut host = with_status(
        "curl\tamd64\t7.88.1\tinstall installed\t\npostfix\tamd64\t3\tinstall installed\tmta, x (= 1)\n",
        "",
    );
    host.settled("apt", json!({"name": ["curl", "mta"]}));
    host.settled("apt", json!({"name": "curl=7.88.*"}));
    host.settled("apt", json!({"name": "nginx", "state": "absent"}));
    host.settled("apt", json!({"name": "nginx", "only_upgrade": true}));
    assert_eq!(host.rounds(), 1);
}

#[test]
fn what_dpkg_has_not_finished_is_not_installed() {
    let mut host = with_status("nginx\tamd64\t1.22.1-9\tinstall half-configured\t\n", "");
    assert!(host.converge("apt", json!({"name": "nginx"})).result.changed);
    let mut host = with_status("nginx\tamd64\t1.22.1-9\tinstall unpacked\t\n", "");
    host.converge("apt", json!({"name": "nginx", "state": "absent"}));
}

#[test]
fn what_is_missing_is_installed_in_one_go() {
    let mut host = with_status("curl\tamd64\t7.88.1\tinstall installed\t\n", "");
    let decision = host.converge(
        "apt",
        json!({"pkg": "curl, nginx, mta", "install_recommends": false, "default_release": "bookworm-backports"}),
    );
    assert!(decision.result.changed);
    let words = words(&host.ran()[0]);
    assert_eq!(words[words.len() - 3..], ["install", "nginx", "mta"]);
    assert!(words.contains(&"APT::Install-Recommends=no".to_owned()));
    assert!(words.contains(&"Dpkg::Options::=--force-confold".to_owned()));
    assert!(host.ran()[0].durable);
    assert!(decision.result.diff[0].after.contains("nginx"));
    assert!(decision.result.data["stdout"].to_string().contains("1 newly installed"));
}

#[test]
fn versions_are_looked_for() {
    let mut host = with_status("nginx\tamd64\t1.22.1-9\tinstall installed\t\n", "");
    host.settled("apt", json!({"name": "nginx=1.22.*"}));
    host.settled("apt", json!({"name": "nginx", "state": "latest"}));
    host.converge("apt", json!({"name": "nginx=1.18.*", "allow_downgrade": true}));
    let words = words(&host.ran()[0]);
    assert!(words.contains(&"--allow-downgrades".to_owned()) && words.contains(&"nginx=1.18.*".to_owned()));
    assert!(host.fails("apt", json!({"name": "nginx=9"})).contains("1.22.1-9, 1.18.0-6"));
    assert!(host.fails("apt", json!({"name": "nonesuch"})).contains("No package matching 'nonesuch'"));
    assert!(host.fails("apt", json!({"name": "$(reboot)"})).contains("no name of a package"));
    assert!(host.fails("apt", json!({"name": "--reinstall"})).contains("no name of a package"));
}

#[test]
fn latest_follows_the_candidate() {
    let mut host = with_status("nginx\tamd64\t1.18.0-6\tinstall installed\t\n", "");
    host.settled("apt", json!({"name": "nginx"}));
    assert!(host.converge("apt", json!({"name": "nginx", "state": "latest"})).result.changed);
}

#[test]
fn the_lists_are_refreshed_only_when_they_are_old() {
    let mut host = with_status("curl\tamd64\t7\tinstall installed\t\n", "fresh 1000");
    host.settled("apt", json!({"name": "curl", "cache_valid_time": 3600}));
    let mut host = with_status("curl\tamd64\t7\tinstall installed\t\n", "stale 1000");
    let decision = host.converge("apt", json!({"name": "curl", "update_cache": true}));
    assert_eq!(host.ran().len(), 1);
    assert!(!decision.result.changed, "refreshing before packages that are there is no change");
    let decision = host.converge("apt", json!({"name": "nginx", "update_cache": true}));
    assert_eq!(host.ran().len(), 3);
    assert!(decision.result.changed);
}

#[test]
fn a_refresh_alone_is_a_change_when_it_brought_something() {
    for (moves, changed) in [(false, false), (true, true)] {
        let at = std::rc::Rc::new(std::cell::Cell::new(1000));
        let seen = at.clone();
        let mut host =
            Fake::new().probe(move |_| Some(Output::ok(&format!("stale {}", seen.get())))).on_run(move |_, _| {
                at.set(if moves { 2000 } else { 1000 });
                Some(Output::ok("Hit:1"))
            });
        let decision = host.converge("apt", json!({"update_cache": true}));
        assert_eq!((decision.result.changed, host.ran().len()), (changed, 1));
        assert_eq!(decision.result.data["cache_updated"].as_bool(), Some(changed));
    }
}

#[test]
fn removal_keeps_or_purges_configuration() {
    let status = "nginx\tamd64\t1\tdeinstall config-files\t\n";
    let mut host = with_status(status, "");
    host.settled("apt", json!({"name": "nginx", "state": "absent"}));
    host.converge("apt", json!({"name": "nginx", "state": "absent", "purge": true, "autoremove": true}));
    let words = words(&host.ran()[0]);
    assert!(words.contains(&"--purge".to_owned()) && words.contains(&"--auto-remove".to_owned()));
}

#[test]
fn an_upgrade_is_simulated_first() {
    let mut host = Fake::new().probe(|p| {
        assert!(p.args.contains(&"dist-upgrade".to_owned()));
        Some(Output::ok("0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n"))
    });
    host.settled("apt", json!({"upgrade": "full"}));
    let mut host = Fake::new()
        .probe(|_| Some(Output::ok("10 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n")))
        .on_run(|_, _| Some(Output::ok("10 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n")));
    assert!(host.converge("apt", json!({"upgrade": true})).result.changed);
}

#[test]
fn failures_and_waits_are_told() {
    let mut host = Fake::new().probe(|_| Some(Output::ok(&format!("=installed\n{POLICY}")))).on_run(|_, _| {
        Some(Output::failed(100, "windlass: waiting for a lock: x\nE: Unable to fetch some archives\n"))
    });
    assert!(host.fails("apt", json!({"name": "nginx"})).contains("Unable to fetch some archives"));
    let mut host = Fake::new().probe(|_| Some(Output::ok(&format!("=installed\n{POLICY}")))).on_run(|_, _| {
        let mut output = Output::ok("0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.\n");
        output.stderr = std::sync::Arc::from(&b"windlass: waited 12 s in all\n"[..]);
        Some(output)
    });
    let decision = host.converge("apt", json!({"name": "nginx"}));
    assert_eq!(decision.result.data["warnings"].to_string(), "['waited 12 s in all']");
}

#[test]
fn apt_is_for_root_and_for_debian() {
    let user = crate::host::WhoAmI { user: "deploy".into(), uid: 1000, ..crate::host::WhoAmI::root() };
    let mut host = with_status("", "").whoami(user);
    assert!(host.fails("apt", json!({"name": "nginx"})).contains("become: true"));
    let mut host = Fake::new().probe(|_| Some(Output::failed(127, "")));
    assert!(host.fails("apt", json!({"name": "nginx"})).contains("no dpkg"));
    assert!(host.fails("apt", json!({})).contains("is needed"));
    assert!(host.fails("apt", json!({"name": "a", "deb": "/x.deb"})).contains("only one of"));
}

#[test]
fn files_of_packages() {
    let mut host = Fake::new().probe(|_| Some(Output::ok("=same x 1\n")));
    host.settled("apt", json!({"deb": "/tmp/x.deb"}));
    let mut host = Fake::new()
        .probe(|_| Some(Output::ok("=new x 1\n")))
        .on_run(|_, _| Some(Output::ok("=new x 1\nSetting up x\n")));
    assert!(host.converge("apt", json!({"deb": "/tmp/x.deb"})).result.changed);
    assert!(host.converge("apt", json!({"deb": "https://example.org/x.deb"})).result.changed);
    let mut host = Fake::new().on_run(|_, _| Some(Output::ok("=same x 1\n")));
    assert!(!host.converge("apt", json!({"deb": "https://example.org/x.deb"})).result.changed);
}

#[test]
fn what_apt_says_is_read() {
    assert!(nothing_done("0 upgraded, 0 newly installed, 0 to remove and 12 not upgraded."));
    assert!(!nothing_done(
        "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n1 not fully installed or removed.\n"
    ));
    assert!(!nothing_done("0 upgraded, 0 newly installed, 1 reinstalled, 0 to remove and 12 not upgraded."));
    assert!(!nothing_done("10 upgraded, 0 newly installed, 0 to remove and 0 not upgraded."));
    assert!(!nothing_done(""));
    let out = "Reading\nThe following NEW packages will be installed:\n  a b\nNeed to get\n0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.\n";
    assert_eq!(
        summary(out),
        "The following NEW packages will be installed:\n  a b\n0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.\n"
    );
    let status = Status::read(&format!(
        "=installed\nlibc6\tamd64\t2\tinstall installed\t\nlibc6\ti386\t2\tinstall installed\t\n{POLICY}"
    ));
    assert!(status.package("libc6:i386").is_some() && status.package("libc6:arm64").is_none());
    assert_eq!(status.could_be("nginx").unwrap().versions, ["1.22.1-9", "1.18.0-6"]);
    assert_eq!(status.providers("mta"), ["postfix"]);
}
