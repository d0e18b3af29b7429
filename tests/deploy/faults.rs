//! Releases in which something is wrong: no visitor notices, the old release serves on, the message names the cause,
//! and the next deploy works.
//!
//! `WINDLASS_DEPLOY_FAULTS=all` walks them all; otherwise those that end in different phases.

use crate::app::{App, Fault, Migration};
use crate::killed::QUICK;
use crate::load::Load;
use crate::plain::unlocked;
use crate::rig::{Rig, Told};

/// Whether everything is to be walked, however long it takes.
pub fn all() -> bool {
    let all = std::env::var("WINDLASS_DEPLOY_FAULTS").is_ok_and(|value| value == "all");
    if !all {
        eprintln!("a share of the faults: WINDLASS_DEPLOY_FAULTS=all walks all of them");
    }
    all
}

/// A site under load, on which one release after the other fails.
struct Faults {
    rig: Rig,
    load: Load,
    /// The version that serves, and how many releases were tried.
    serves: String,
    tried: usize,
}

impl Faults {
    fn begin() -> Option<Faults> {
        let mut rig = Rig::one()?;
        rig.settings = QUICK.to_owned();
        let load = rig.load();
        Some(Faults { rig, load, serves: "1".to_owned(), tried: 0 })
    }

    fn next(&mut self) -> App {
        self.tried += 1;
        App::new().version(&format!("{}-{}", self.serves, self.tried))
    }

    /// Deploys what can't be deployed.
    #[track_caller]
    fn fails(&mut self, what: &str, app: &App, args: &[&str], words: &[&str]) -> Told {
        let before = self.rig.serving(0);
        let releases = self.releases();
        self.load.begin(what);
        let told = self.rig.deploy(app, args);
        self.load.end(what);
        assert_ne!(told.code, 0, "{what}: it was deployed\n{}{}", told.out, told.err);
        told.says(words);
        assert_eq!(self.rig.serving(0), before, "{what}\n{}{}", told.out, told.err);
        self.rig.assert_serves(&self.serves);
        unlocked(&self.rig);
        // What was not finished is not left to fill the disk.
        let left: Vec<String> = self.releases().into_iter().filter(|release| !releases.contains(release)).collect();
        for release in left {
            let whole = format!("test -e /srv/deployable/releases/{release}/release.json && echo whole || true");
            assert_eq!(self.rig.web[0].sh(&whole), "whole", "{what}: {release} is left, and not whole");
        }
        assert_eq!(self.load.failed(), 0, "{what}: requests failed");
        told
    }

    fn releases(&self) -> Vec<String> {
        self.rig.web[0].sh("ls -A /srv/deployable/releases").lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn breaks(&mut self, fault: Fault, words: &[&str]) -> Told {
        let app = self.next().broken(fault);
        self.fails(&format!("{fault:?}"), &app, &[], words)
    }

    #[track_caller]
    fn works(&mut self, version: &str, app: App, args: &[&str]) {
        self.load.begin(version);
        self.rig.deploy(&app.version(version), args).ends(0);
        self.load.end(version);
        version.clone_into(&mut self.serves);
        self.rig.assert_serves(version);
    }

    #[track_caller]
    fn end(self) {
        let report = self.load.stop();
        eprintln!("{}", report.text());
        report.assert_clean();
    }
}

/// One of each phase: build, checks, migration, start, after the start.
#[test]
fn a_release_that_fails_is_never_seen() {
    let Some(mut faults) = Faults::begin() else { return };
    let told = faults.breaks(Fault::Settings, &["the settings are wrong", "********", "serves, as before"]);
    told.says_not(&["a-key-for-tests"]);
    faults.breaks(Fault::Migration, &["pages.0002_fails", "this migration was made to fail"]);
    // It crashes after a second.
    faults.rig.settings = String::new();
    faults.breaks(Fault::Crash, &["ended after it had answered", "this release was made to crash"]);
    faults.rig.settings = format!("{QUICK}\nhealth_timeout: 12");
    faults.breaks(Fault::Unhealthy, &["not healthy after 12 s", "/healthz/ answers 500"]);
    faults.rig.settings = QUICK.to_owned();
    // None of them is what a rollback goes to.
    faults.rig.windlass(&["rollback"]).says(&["nothing to return to"]);
    faults.rig.windlass(&["releases"]).ends(0).says(&["broken:"]);
    faults.works("2", App::new(), &[]);
    faults.end();
}

#[test]
fn what_fills_the_disk_is_gone_again() {
    let Some(mut faults) = Faults::begin() else { return };
    faults.rig.settings.push_str("\nmin_free_mb: 0");
    faults.rig.small_disk(0, 30);
    faults.breaks(Fault::Disk(24), &["MB left", "this deploy needs about"]);
    let calm = faults.rig.settings.clone();
    faults.rig.settings.push_str("\nbefore_collect: head -c 60000000 /dev/zero > filler");
    let app = faults.next();
    faults.fails("the disk is full half way", &app, &[], &["before_collect", "No space left on device"]);
    faults.rig.settings = calm;
    faults.works("2", App::new(), &[]);
    faults.rig.settings = format!("{QUICK}\nmin_free_mb: 200");
    let app = faults.next();
    faults.fails("no room", &app, &[], &["MB left", "this deploy needs about", "keep_releases"]);
    faults.end();
}

#[test]
fn releases_that_cannot_be_built() {
    if !all() {
        return;
    }
    let Some(mut faults) = Faults::begin() else { return };
    faults.breaks(Fault::NoManage, &["there is no manage.py", "project_dir"]);
    faults.breaks(Fault::RequirementsSyntax, &["install the requirements", "Django==5.2 ==="]);
    faults.breaks(Fault::Requirement, &["sqlparse==99.99.99"]);
    faults.breaks(Fault::Import, &["not_there_at_all"]);
    faults.breaks(Fault::MigrationMissing, &["makemigrations", "pages"]);
    faults.breaks(Fault::Static, &["collectstatic failed", "not-there-at-all.svg"]);
    let app = faults.next();
    faults.rig.settings.push_str("\nproject_dir: no/such/folder");
    faults.fails("project_dir", &app, &[], &["manage.py", "no/such/folder"]);
    faults.rig.settings = format!("{QUICK}\nbefore_switch: [\"echo half way; exit 3\"]");
    let app = faults.next();
    faults.fails("hook", &app, &[], &["before_switch", "ended with 3", "half way"]);
    faults.rig.settings = QUICK.to_owned();
    faults.works("2", App::new(), &[]);
    faults.end();
}

#[test]
fn releases_that_do_not_start_well() {
    if !all() {
        return;
    }
    let Some(mut faults) = Faults::begin() else { return };
    faults.breaks(Fault::Wsgi, &["not_there_at_all"]);
    faults.breaks(Fault::HealthRedirects, &["/healthz/ redirects to /health/", "health_path"]);
    faults.rig.settings = format!("{QUICK}\nhealth_timeout: 12");
    faults.breaks(Fault::HealthSlow(20), &["no answer on its socket"]);
    faults.rig.settings = QUICK.to_owned();
    let slow = faults.next().broken(Fault::SlowStart(5));
    faults.works("2", slow, &[]);
    faults.end();
}

/// The share of errors after the switch: the old release serves again.
#[test]
fn a_release_with_errors_is_taken_back() {
    if !all() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = "watch: 10\nwatch_limit: 1".to_owned();
    let before = rig.serving(0);
    let told = {
        let load = rig.load();
        let told = rig.deploy(&App::new().version("2").broken(Fault::SomeErrors), &[]);
        // Errors are what the release answers: nothing else may fail.
        let report = load.stop();
        assert!(report.failures.iter().all(|f| f.outcome == crate::load::Outcome::Status(500)), "{}", report.text());
        assert!(report.failed() > 0, "{}", report.text());
        told
    };
    told.ends(2).says(&["since the switch", "watch_limit", &format!("{before} serves, as before")]);
    rig.assert_serves("1");
    unlocked(&rig);
}

#[test]
fn unsafe_migrations_are_refused_until_they_are_accepted() {
    let Some(mut faults) = Faults::begin() else { return };
    let app = faults.next().migration(Migration::NotNull);
    let told =
        faults.fails("unsafe", &app, &[], &["0002_stars", "Split them into two deploys", "--allow-unsafe-migrations"]);
    told.says_not(&["0002_stars... OK"]);
    let columns = "su postgres -c \"psql -Atc \\\"SELECT count(*) FROM information_schema.columns WHERE column_name = 'stars'\\\" deployable\"";
    assert_eq!(faults.rig.web[0].sh(columns), "0");
    let Faults { mut rig, load, .. } = faults;
    load.stop().assert_clean();
    rig.settings = QUICK.to_owned();
    // The old code's INSERT fails from the migration on to the switch: that is what was accepted.
    rig.deploy(&App::new().version("2").migration(Migration::NotNull), &["--allow-unsafe-migrations"]).ends(0);
    rig.assert_serves("2");
    assert_eq!(rig.web[0].sh(columns), "1");
}

#[test]
fn a_source_that_is_not_there_touches_nothing() {
    let Some(rig) = Rig::one() else { return };
    let before = rig.web[0].sh("find /srv/deployable -printf '%p %T@\\n' | sort | sha256sum");
    std::fs::create_dir_all(rig.path()).unwrap();
    let told = rig.windlass(&["deploy", "deploy.yml"]);
    told.ends(1).says(&["there is no folder and no archive", "app"]);
    let repository = rig.path().join("repository");
    App::new().version("2").commit_to(&repository, "two");
    let playbook = rig.path().join("git.yml");
    std::fs::write(
        &playbook,
        format!("- hosts: web\n  become: true\n  deploy:\n    git: file://{}\n", repository.display()),
    )
    .unwrap();
    let told = rig.windlass(&["deploy", "git.yml", "--ref", "no-such-branch"]);
    told.ends(1).says(&["no-such-branch"]);
    assert_eq!(rig.web[0].sh("find /srv/deployable -printf '%p %T@\\n' | sort | sha256sum"), before);
    rig.windlass(&["deploy", "git.yml", "--ref", "main"]).ends(0);
    rig.assert_serves("2");
}
