//! `windlass plan` of a deploy, saved and applied: exactly that, or nothing.

use crate::app::{App, Migration, git};
use crate::rig::{Rig, Told};
use serde_json::Value;

const PLAN: &[&str] = &["plan", "deploy.yml", "-o", "plan.json", "--detailed-exitcode"];

fn plan(rig: &Rig, app: &App) -> Told {
    app.write_to(&rig.source());
    rig.windlass(PLAN)
}

fn saved(rig: &Rig) -> Value {
    serde_json::from_str(&std::fs::read_to_string(rig.path().join("plan.json")).unwrap()).unwrap()
}

/// Refused, with this reason, and nothing has been touched.
fn refused(rig: &Rig, serving: &str, code: i32, words: &[&str]) {
    let told = rig.windlass(&["apply", "plan.json"]);
    told.ends(code).says(&["no host was touched"]).says(words);
    assert_eq!(rig.serving(0), serving);
}

#[test]
fn a_saved_plan_is_what_happens() {
    let Some(rig) = Rig::one() else { return };
    let before = rig.serving(0);
    let app = App::new().version("2").migration(Migration::Safe).requirement("# another environment");
    let told = plan(&rig, &app);
    told.ends(2).says(&[
        "deployable: a new release, ",
        &format!("{}: in place of {before}", rig.web[0].name),
        "requirements: changed",
        "1 migration to apply: 1 ok",
        app.newest_migration(),
        "start beside the old one",
        "rename nginx's upstream link, no reload",
        "pg_dump",
        "WebSockets are cut",
        "windlass apply plan.json",
    ]);
    assert_eq!(rig.serving(0), before, "a plan changes nothing");

    let plan = saved(&rig);
    let text = plan.to_string();
    assert_eq!(plan["kind"], "deploy");
    let deploy = &plan["deploys"][0];
    assert_eq!(deploy["hosts"][&rig.web[0].name]["serving"], before.as_str());
    assert_eq!(deploy["migrations"].as_array().unwrap().len(), 1);
    assert!(deploy["requirements"]["requirements.txt"].is_string());
    // Its secrets are on the host, in clear.
    let environment = rig.web[0].sh("cat /etc/deployable/env");
    let mut secrets = 0;
    for line in environment.lines() {
        if let Some((name, value)) = line.split_once('=')
            && (name.contains("SECRET") || name.contains("PASSWORD"))
        {
            let value = value.trim_matches(['"', '\'']);
            assert!(value.len() > 7 && !text.contains(value), "{name} is in the plan");
            secrets += 1;
        }
    }
    assert!(secrets >= 2, "{environment}");

    rig.windlass(&["apply", "plan.json"]).ends(0).says(&[&format!("serves on {}", rig.web[0].name)]);
    rig.assert_serves("2");
    assert_eq!(rig.serving(0), deploy["release"].as_str().unwrap(), "the planned name");
    rig.windlass(&["plan", "deploy.yml", "--detailed-exitcode"]).ends(0).says(&["nothing to do"]);
    // A plan is good for once.
    let release = rig.serving(0);
    refused(&rig, &release, 1, &[&format!("{before} served when the plan was made, and {release} serves now")]);
}

#[test]
fn a_plan_that_no_longer_holds_is_refused_with_the_reason() {
    let Some(rig) = Rig::one() else { return };
    let before = rig.serving(0);
    let app = App::new().version("2").migration(Migration::Safe);
    plan(&rig, &app).ends(2);

    app.clone().version("3").write_to(&rig.source());
    refused(&rig, &before, 1, &["the files of", "are not those that the plan was made from"]);
    app.write_to(&rig.source());

    // Somebody has applied the migration by hand.
    let name = app.newest_migration();
    let row = format!("INSERT INTO django_migrations (app, name, applied) VALUES ('notes', '{name}', now())");
    let psql = |sql: &str| rig.db.sh(&format!("su postgres -c \"psql -qAtX deployable\" <<'END'\n{sql}\nEND\n"));
    let known = psql("SELECT DISTINCT app FROM django_migrations ORDER BY app");
    let own = saved(&rig)["deploys"][0]["migrations"][0].as_str().unwrap().split('.').next().unwrap().to_owned();
    assert!(known.lines().any(|app| app == own), "{known}");
    psql(&row.replace("'notes'", &format!("'{own}'")));
    refused(&rig, &before, 1, &["was pending, and is not any more"]);
    psql(&format!("DELETE FROM django_migrations WHERE name = '{name}'"));

    // A deploy of somebody else is under way.
    let (mut other, _) = rig.begin_deploy(&app, &[]);
    let begun = std::time::Instant::now();
    loop {
        let told = rig.windlass(&["status", "--json"]);
        if told.out.contains("\"lock\":\"") {
            break;
        }
        if other.try_wait().unwrap().is_some() {
            panic!("it ended before it was seen: {:?}", other.wait_with_output());
        }
        assert!(begun.elapsed().as_secs() < 40, "{}", told.out);
    }
    let told = rig.windlass(&["apply", "plan.json"]);
    assert!(matches!(told.code, 1 | 75), "{}{}", told.out, told.err);
    told.says(&["no host was touched"]);
    assert!(other.wait().unwrap().success());
    let now = rig.serving(0);
    refused(&rig, &now, 1, &["somebody has deployed meanwhile"]);
}

#[test]
fn the_environment_is_part_of_a_plan() {
    let Some(rig) = Rig::one() else { return };
    // The key of its digest is made by the first deploy.
    rig.deploy(&App::new().version("2"), &[]).ends(0);
    let before = rig.serving(0);
    plan(&rig, &App::new().version("3")).ends(2);
    rig.web[0].sh("echo 'EXTRA=1' >> /etc/deployable/env");
    refused(&rig, &before, 1, &["Write the environment`: planned was nothing to do, now it is a change"]);
}

#[test]
fn the_planned_commit_is_deployed_though_its_branch_has_moved_on() {
    let Some(rig) = Rig::one() else { return };
    let repository = rig.path().join("repository");
    let first = App::new().version("2").commit_to(&repository, "Two");
    let branch = git(&repository, &["rev-parse", "--abbrev-ref", "HEAD"]);
    let playbook =
        format!("- hosts: web\n  become: true\n  deploy:\n    git: {}\n    ref: {branch}\n", repository.display());
    std::fs::write(rig.path().join("git.yml"), playbook).unwrap();
    rig.windlass(&["deploy", "git.yml"]).ends(0);
    rig.assert_serves("2");
    let second = App::new().version("3").commit_to(&repository, "Carts are <kept>");
    let told = rig.windlass(&["plan", "git.yml", "-o", "plan.json", "--markdown", "--detailed-exitcode"]);
    told.ends(2).says(&[
        "## Windlass plan",
        "### `deployable`: a new release",
        "1 commit since",
        "Carts are &lt;kept>",
        &format!("| switch | {} |", rig.web[0].name),
    ]);
    let told = rig.windlass(&["plan", "git.yml", "--json"]);
    told.ends(0);
    let mut events = told.out.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let plan = events.rfind(|e| e["event"] == "deploy_plan").unwrap();
    assert_eq!(plan["document"]["commit"], second.as_str());
    assert_eq!(plan["document"]["commits"]["commits"][0]["subject"], "Carts are <kept>");
    App::new().version("4").commit_to(&repository, "Later");
    rig.windlass(&["apply", "plan.json"]).ends(0);
    rig.assert_serves("3");
    assert_eq!(rig.record(0).unwrap()["commit"], second.as_str());
    assert_ne!(first, second);
}
