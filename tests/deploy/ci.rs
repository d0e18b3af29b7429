//! The steps of `examples/ci/github.yml`, run as they are written: by `bash -e`, with the environment and the secrets
//! that they name, and a `gh` that keeps what would be posted.

use crate::app::App;
use crate::rig::{Rig, root};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use windlass::source::{Kind, Node, load_one};

/// What a runner knows.
struct Runner<'a> {
    rig: &'a Rig,
    home: PathBuf,
    inputs: BTreeMap<&'static str, String>,
    workflow: Node,
}

/// How a job went: of each step its name, its exit code, and what it said.
#[derive(Debug, Default)]
struct Went {
    steps: Vec<(String, i32, String)>,
    summary: String,
    comments: String,
}

impl Went {
    #[track_caller]
    fn well(&self) -> &Went {
        assert!(self.steps.iter().all(|(_, code, _)| *code == 0), "{self:#?}");
        self
    }

    #[track_caller]
    fn step(&self, name: &str) -> &(String, i32, String) {
        self.steps.iter().find(|(n, _, _)| n == name).unwrap_or_else(|| panic!("no step {name}: {self:#?}"))
    }
}

impl Runner<'_> {
    /// The value of a `${{ … }}`; one that is not known here fails the test.
    fn expressions(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (name, after) = after.split_once("}}").unwrap();
            out.push_str(before);
            out.push_str(self.inputs.get(name.trim()).unwrap_or_else(|| panic!("${{{{{name}}}}} is not known")));
            rest = after;
        }
        out + rest
    }

    fn environment(&self, node: &Node) -> Vec<(String, String)> {
        let entries = node.get("env").and_then(Node::as_map).unwrap_or_default();
        entries.iter().map(|e| (e.key.to_string(), self.expressions(e.value.as_str().unwrap()))).collect()
    }

    /// Runs the steps of a job that are not an action of somebody else's. After one that failed, only those with
    /// `if: always()`.
    fn job(&self, name: &str) -> Went {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir(at("bin")).unwrap();
        let gh = "#!/bin/sh\nfor last; do :; done\n[ \"$1 $2 $3\" = 'pr comment 7' ] || exit 9\n\
                  case \" $* \" in *' --edit-last '*) exit 1 ;; esac\ncat \"$last\" >> \"$RUNNER_TEMP/comments\"\n";
        std::fs::write(at("bin/gh"), gh).unwrap();
        std::fs::set_permissions(at("bin/gh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_windlass"), at("bin/windlass")).unwrap();
        for file in ["env", "output", "summary", "comments"] {
            std::fs::write(at(file), "").unwrap();
        }
        let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", at("bin").display());
        let job = self.workflow.get("jobs").and_then(|jobs| jobs.get(name)).unwrap();
        let mut went = Went::default();
        let mut failed = false;
        for step in job.get("steps").and_then(Node::as_list).unwrap() {
            let Some(run) = step.get("run").and_then(Node::as_str) else {
                assert!(step.get("uses").is_some());
                continue;
            };
            let always = step.get("if").and_then(Node::as_str) == Some("always()");
            if failed && !always {
                continue;
            }
            std::fs::write(at("step.sh"), self.expressions(run)).unwrap();
            let mut command = Command::new("bash");
            command.arg("-e").arg(at("step.sh")).current_dir(self.rig.path()).env_clear();
            command.env("PATH", &path).env("HOME", &self.home).env("RUNNER_TEMP", temp.path()).env("CI", "true");
            command.env("GITHUB_ACTIONS", "true").env("GITHUB_ACTOR", "anna");
            command.env("WINDLASS_ROLES_PATH", root().join("roles"));
            for (variable, file) in
                [("GITHUB_ENV", "env"), ("GITHUB_OUTPUT", "output"), ("GITHUB_STEP_SUMMARY", "summary")]
            {
                command.env(variable, at(file));
            }
            command.envs(self.environment(&self.workflow)).envs(self.environment(job));
            for line in std::fs::read_to_string(at("env")).unwrap().lines() {
                let (name, value) = line.split_once('=').unwrap();
                command.env(name, value);
            }
            command.envs(self.environment(step));
            let output = command.output().unwrap();
            let code = output.status.code().unwrap_or(-1);
            failed |= code != 0;
            let said = [output.stdout, output.stderr].concat();
            let title = step.get("name").and_then(Node::as_str).unwrap().to_owned();
            went.steps.push((title, code, String::from_utf8_lossy(&said).into_owned()));
        }
        went.summary = std::fs::read_to_string(at("summary")).unwrap();
        went.comments = std::fs::read_to_string(at("comments")).unwrap();
        went
    }
}

/// The lines of the inventory that a runner needs: it has its key and the hosts' keys from secrets.
fn inventory(rig: &Rig) -> String {
    rig.command(&["plan", "deploy.yml"]);
    let text = std::fs::read_to_string(rig.path().join("hosts.yml")).unwrap();
    let own = |line: &&str| !line.contains("ansible_ssh_private_key_file") && !line.contains("ansible_ssh_common_args");
    text.lines().filter(own).map(|l| format!("{l}\n")).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_steps_of_the_github_example_work_as_written() {
    let Some(rig) = Rig::one() else { return };
    let before = rig.serving(0);
    let host = &rig.web[0];
    let hosts = inventory(&rig);
    std::fs::write(rig.path().join("hosts.yml"), &hosts).unwrap();
    let home = tempfile::tempdir().unwrap();
    let key = read(&host.key);
    let mut runner = Runner {
        rig: &rig,
        home: home.path().to_owned(),
        inputs: [
            ("vars.WINDLASS_SOURCE", "https://git.example.org/windlass".to_owned()),
            ("secrets.SSH_KEY", key.trim_end().to_owned()),
            ("secrets.SSH_KNOWN_HOSTS", read(&host.known_hosts)),
            ("secrets.VAULT_PASSWORD", String::new()),
            ("github.token", "t0ken".to_owned()),
            ("github.event.pull_request.number", "7".to_owned()),
            ("inputs.release", String::new()),
        ]
        .into(),
        workflow: load_one(&root().join("examples/ci/github.yml")).unwrap(),
    };
    App::new().version("2").write_to(&rig.source());

    let went = runner.job("plan");
    went.well();
    assert!(went.step("Plan").2.contains("This would be deployed."), "{went:#?}");
    assert!(went.comments.contains("### `deployable`: a new release"), "{went:#?}");
    assert_eq!(went.comments.trim(), went.summary.trim());
    assert_eq!(rig.serving(0), before);

    runner.job("deploy").well();
    rig.assert_serves("2");
    assert!(rig.record(0).unwrap()["by"].as_str().unwrap().starts_with("anna@"));
    let went = runner.job("plan");
    assert!(went.well().step("Plan").2.contains("Nothing to deploy."), "{went:#?}");

    runner.inputs.insert("inputs.release", before.clone());
    let went = runner.job("rollback");
    assert!(went.well().step("Roll back").2.contains(&before), "{went:#?}");
    assert_eq!(rig.serving(0), before);

    // What is wrong is shown beside the file, and the pull request hears of it.
    let playbook = read(rig.path().join("deploy.yml"));
    std::fs::write(rig.path().join("deploy.yml"), playbook.replace("source:", "sorce:")).unwrap();
    let went = runner.job("plan");
    let (_, code, said) = went.step("Plan");
    assert_eq!(*code, 65, "{went:#?}");
    assert!(said.contains("::error file=deploy.yml,line=5,col=5::"), "{said}");
}

#[test]
fn the_other_examples_are_whole() {
    let gitlab = load_one(&root().join("examples/ci/gitlab.yml")).unwrap();
    for job in ["plan", "deploy", "rollback"] {
        let script = gitlab.get(job).and_then(|j| j.get("script")).and_then(Node::as_list).unwrap();
        assert!(script.iter().all(|line| matches!(line.kind, Kind::Str(_))), "{job}: a line is no text");
        for line in script {
            let checked = Command::new("bash").args(["-n", "-c", line.as_str().unwrap()]).output().unwrap();
            assert!(checked.status.success(), "{job}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    let jenkins = read(root().join("examples/ci/Jenkinsfile"));
    assert_eq!(jenkins.matches('{').count(), jenkins.matches('}').count());
}
