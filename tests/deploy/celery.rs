//! Celery beside the web: workers end their tasks, one scheduler runs, and hosts may do nothing else.

use crate::app::App;
use crate::common::lab::LabHost;
use crate::differ::killed;
use crate::killed::{QUICK, calm};
use crate::plain::unlocked;
use crate::rig::{Rig, everything};
use std::time::{Duration, Instant};

const CONFIG: &str = r#"
import os
import time

from celery import Celery

from config.version import CODE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("deployable", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 1.0}}


@app.task(name="slow")
def slow(seconds):
    time.sleep(seconds)
    return CODE


@app.task(name="tick")
def tick():
    return CODE
"#;

/// Workers and the scheduler on the one host.
const VARS: &str = r#"{"django_app_celery": "config.celery", "django_app_celery_beat": true, "django_app_celery_grace": 60,
    "django_app_env": {"BROKER": "redis://127.0.0.1:6379/0"}}"#;

fn app(version: &str) -> App {
    App::new().version(version).file("config/celery.py", CONFIG).requirement("celery[redis]==5.5.3")
}

fn redis(host: &LabHost) {
    host.sh("command -v redis-server >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qq -y redis-server >/dev/null 2>&1
             redis-cli config set protected-mode no >/dev/null; redis-cli config set bind '* -::*' >/dev/null || systemctl start redis-server
             redis-cli flushall >/dev/null; redis-cli ping");
}

/// Active units of Celery on a host, `worker@RELEASE` and so on.
fn units(host: &LabHost) -> Vec<String> {
    let told = host.sh("systemctl list-units --plain --no-legend --state=active 'deployable-*@*' | sed 's/ .*//'");
    told.lines().map(|l| l.trim_start_matches("deployable-").trim_end_matches(".service").to_owned()).collect()
}

fn shell(host: &LabHost, code: &str) -> String {
    host.sh(&format!("deployable-manage shell -c '{code}' 2>&1 | tail -n 1"))
}

#[test]
fn a_task_survives_the_deploy_and_one_scheduler_runs() {
    if !everything() {
        return;
    }
    let Some(rig) = Rig::one() else { return };
    let host = rig.web[0].clone();
    redis(&host);
    let told = rig.deploy(&app("2"), &["-e", VARS]);
    eprintln!("{}", told.out);
    told.ends(0);
    let old = rig.serving(0);
    assert_eq!(units(&host), [format!("beat@{old}"), format!("worker@{old}")]);

    let id = shell(&host, "from config.celery import slow; print(slow.delay(25).id)");
    let begun = Instant::now();
    // How many schedulers there are while it goes on.
    host.sh("systemd-run --quiet --unit=count-beats sh -c 'while sleep 0.1; do pgrep -fc \"[b]in/celery.* beat \"; done > /root/beats'");
    let told = rig.deploy(&app("3"), &["-e", VARS]);
    host.sh("systemctl stop count-beats");
    eprintln!("{}", told.out);
    told.ends(0);
    let new = rig.serving(0);
    assert_ne!(new, old);
    let ask = format!("from config.celery import app; print(app.AsyncResult(\"{id}\").get(timeout=60))");
    assert_eq!(shell(&host, &ask), "2", "the old worker did not end its task ({:?})", begun.elapsed());
    assert_eq!(units(&host), [format!("beat@{new}"), format!("worker@{new}")]);
    let most = host.sh("sort -n /root/beats | tail -n 1");
    assert_eq!(most, "1", "schedulers at once");
    let ask = "from config.celery import tick; print(tick.delay().get(timeout=20))";
    assert_eq!(shell(&host, ask), "3");

    rig.windlass(&["rollback", "-e", VARS]).ends(0);
    assert_eq!(units(&host), [format!("beat@{old}"), format!("worker@{old}")]);
}

/// The controller dies while workers and scheduler are restarted: there is one of each afterwards.
#[test]
fn a_controller_killed_while_celery_restarts_leaves_one_scheduler() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = QUICK.to_owned();
    let host = rig.web[0].clone();
    redis(&host);
    rig.deploy(&app("2"), &["-e", VARS]).ends(0);
    let load = calm(&rig);
    let begins = "\"workers\", \"state\": \"begin\"";
    killed(&rig, 0, begins, || rig.begin_deploy(&app("3"), &["-e", VARS]).0);
    rig.deploy(&app("4"), &["-e", VARS]).ends(0).says(&["every host had switched", "brought to its end"]);
    let release = rig.serving(0);
    assert_eq!(units(&host), [format!("beat@{release}"), format!("worker@{release}")]);
    rig.assert_serves("4");
    unlocked(&rig);
    load.stop().assert_clean();
}

#[test]
fn a_host_may_only_run_workers_and_only_one_the_scheduler() {
    if !everything() {
        return;
    }
    let Some(rig) = Rig::three() else { return };
    redis(&rig.db);
    let folder = rig.path().join("host_vars");
    std::fs::create_dir_all(&folder).unwrap();
    let vars = format!(
        r#"{{"django_app_celery": "config.celery", "django_app_celery_grace": 30, "django_app_env": {{"BROKER": "redis://{}:6379/0"}}}}"#,
        rig.db.address
    );
    let beat = "django_app_celery_beat: true\n";
    for host in ["deploy-web2", "deploy-web3"] {
        std::fs::write(folder.join(format!("{host}.yml")), beat).unwrap();
    }
    let told = rig.deploy(&app("2"), &["-e", &vars]);
    assert_ne!(told.code, 0);
    told.says(&["scheduler"]);
    assert!(rig.web.iter().all(|host| units(host).is_empty()));

    std::fs::write(folder.join("deploy-web2.yml"), "{}\n").unwrap();
    std::fs::write(folder.join("deploy-web3.yml"), format!("django_app_web: false\n{beat}")).unwrap();
    let told = rig.deploy(&app("2"), &["-e", &vars]);
    eprintln!("{}", told.out);
    told.ends(0);
    let release = rig.serving(0);
    assert_eq!(rig.serving(2), release, "the record is on hosts of workers, too");
    assert_eq!(units(&rig.web[0]), [format!("worker@{release}")]);
    assert_eq!(units(&rig.web[2]), [format!("beat@{release}"), format!("worker@{release}")]);
    assert!(!rig.running(2).contains(&release), "it serves no web");
    let begun = Instant::now();
    while shell(&rig.web[0], "from config.celery import tick; print(tick.delay().get(timeout=20))") != "2" {
        assert!(begun.elapsed() < Duration::from_secs(60), "no worker answers");
    }
    rig.windlass(&["status", "-e", &vars]).ends(0);
}
