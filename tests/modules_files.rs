//! The modules for files, commands and the network on a real host: applied, looked at by other means, applied again,
//! and planned where nothing is there yet.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "modules_files/commands.rs"]
mod commands;
mod common;
#[path = "modules_files/copies.rs"]
mod copies;
#[path = "modules_files/edits.rs"]
mod edits;
#[path = "modules_files/hostile.rs"]
mod hostile;
#[path = "modules_files/identity.rs"]
mod identity;
#[path = "modules_files/looks.rs"]
mod looks;
#[path = "modules_files/network.rs"]
mod network;
#[path = "modules_files/states.rs"]
mod states;

use common::lab::LabHost;
use common::windlass::Project;

/// A project for the host of these tests, and a new, empty folder on it.
fn project(root: &str) -> Option<Project> {
    let host = LabHost::get("files")?;
    host.sh(&format!("rm -rf {root} && mkdir -p {root}"));
    Some(Project::new(&host))
}

/// All that is below a folder: kinds, modes, owners, sizes, times, links and content.
fn digest(host: &LabHost, root: &str) -> String {
    host.sh(&format!(
        "cd {root} && find . -printf '%p|%y|%m|%u|%g|%s|%l|%T@\\n' | sort && find . -type f -exec sha256sum {{}} + | sort"
    ))
}

/// Plans `site.yml`, and shows that this touches nothing below the folder. The task `right` at its end is left out:
/// what it asserts is so only after the tasks before it.
#[track_caller]
fn plan_touches_nothing(project: &Project, root: &str) {
    let playbook = std::fs::read_to_string(project.path().join("site.yml")).unwrap();
    project.file("plan.yml", playbook.split("    - name: right\n").next().unwrap());
    let before = digest(&project.host, root);
    let run = project.plan("plan.yml");
    assert!(!run.with_status("changed").is_empty(), "the plan foretells nothing\n{}", run.told());
    assert_eq!(digest(&project.host, root), before, "the plan touched the host");
}
