//! The versions of the application are what they say: each fault breaks what it names, and nothing before it.

use crate::app::{App, Fault, Migration, git};
use crate::common::lab::LabHost;
use crate::rig::Rig;
use std::process::{Command, Stdio};

/// A command of Python in this version of the application, with the environment and the packages that the rig's host
/// has; whether it succeeded, and what it said.
fn python(host: &LabHost, app: &App, command: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    app.write_to(folder.path());
    let mut tar = Command::new("tar");
    let mut tar = tar.arg("-C").arg(folder.path()).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
    let output = host
        .ssh("root")
        .arg(format!(
            "set -e; rm -rf /tmp/app; mkdir /tmp/app; cd /tmp/app; tar -x
             set -a; . /etc/deployable/env; STATIC_ROOT=/tmp/app-static; set +a
             /srv/deployable/releases/*/venv/bin/python {command} 2>&1"
        ))
        .stdin(tar.stdout.take().unwrap())
        .output()
        .unwrap();
    tar.wait().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn each_fault_breaks_what_it_names() {
    use Migration::{Drops, Irreversible, NotNull, Safe, Table};
    let Some(rig) = Rig::one() else { return };
    let host = &rig.web[0];
    let two = App::new().version("2");
    let check = "manage.py check";
    let models = "manage.py makemigrations --check --dry-run";
    let collect = "manage.py collectstatic --noinput --clear";
    let wsgi = "-c 'import config.wsgi'";
    let succeeds = |app: &App, command: &str| {
        let (well, said) = python(host, app, command);
        assert!(well, "{command}: {said}");
    };
    let fails = |fault: Fault, command: &str, words: &str| {
        let (well, said) = python(host, &two.clone().broken(fault), command);
        assert!(!well && said.contains(words), "{fault:?}: {command}: {said}");
    };
    for command in [check, models, collect, wsgi] {
        succeeds(&two, command);
    }
    fails(Fault::NoManage, check, "manage.py");
    fails(Fault::Settings, check, "the settings are wrong: SECRET_KEY=");
    fails(Fault::Import, check, "not_there_at_all");
    succeeds(&two.clone().broken(Fault::Wsgi), check);
    fails(Fault::Wsgi, wsgi, "not_there_at_all");
    fails(Fault::MigrationMissing, models, "unmigrated");
    fails(Fault::Static, collect, "not-there-at-all.svg");
    for fault in [
        Fault::Unhealthy,
        Fault::HealthSlow(1),
        Fault::HealthRedirects,
        Fault::Crash,
        Fault::SlowStart(1),
        Fault::SomeErrors,
        Fault::Disk(1),
    ] {
        let app = two.clone().broken(fault);
        succeeds(&app, "-m compileall -q .");
    }

    // Models and migrations fit each other, also one on another.
    for migrations in [&[Drops][..], &[Safe, Table, Irreversible, NotNull]] {
        let app = migrations.iter().fold(two.clone(), |app, migration| app.migration(*migration));
        succeeds(&app, models);
        succeeds(&app, "manage.py migrate --plan");
    }
    fails(Fault::Migration, "manage.py migrate", "this migration was made to fail");
    succeeds(&two.clone().migration(Safe).migration(Table), "manage.py migrate");
    rig.reset();
    rig.assert_serves("1");
}

#[test]
fn versions_differ_where_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let first = App::new().commit_to(folder.path(), "one");
    let second = App::new().version("2").migration(Migration::Safe).commit_to(folder.path(), "two");
    assert_ne!(first, second);
    let changed = git(folder.path(), &["diff", "--name-status", &first, &second]);
    let mut changed: Vec<&str> = changed.lines().collect();
    changed.sort_unstable();
    assert_eq!(
        changed,
        [
            "A\tpages/migrations/0002_colour.py",
            "M\tconfig/version.py",
            "M\tpages/late.py",
            "M\tpages/models.py",
            "M\tpages/static/pages/site.css"
        ]
    );
    // What is no longer of it goes.
    App::new().write_to(folder.path());
    assert!(!folder.path().join("pages/migrations/0002_colour.py").exists());
    assert!(folder.path().join(".git").exists());
}
