//! The program under test, run with a playbook against one lab host, and what it reported.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use super::lab::LabHost;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run with `--json` said.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub events: Vec<Value>,
    pub stderr: String,
}

/// A folder with playbooks and their files, removed at the end of the test.
pub struct Project {
    pub host: LabHost,
    folder: tempfile::TempDir,
    inventory: tempfile::NamedTempFile,
}

impl Project {
    pub fn new(host: &LabHost) -> Self {
        Project { host: host.clone(), folder: tempfile::tempdir().unwrap(), inventory: host.inventory() }
    }

    /// Writes a file of the project, with its folders.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `windlass COMMAND --json` with these arguments (playbooks, options), in the project's folder.
    pub fn run(&self, command: &str, args: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args([command, "--json", "-i"])
            .arg(self.inventory.path())
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let events =
            stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
        Run {
            code: output.status.code().unwrap_or(-1),
            events,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Applies a playbook that must succeed.
    pub fn apply(&self, playbook: &str) -> Run {
        self.run("apply", &[playbook]).succeeded()
    }

    /// Applies a playbook on a host that is as it says already: succeeds and changes nothing.
    pub fn settled(&self, playbook: &str) -> Run {
        let run = self.apply(playbook);
        assert_eq!(run.with_status("changed"), Vec::<String>::new(), "the second run changes again\n{}", run.told());
        run
    }

    /// Plans a playbook that must succeed.
    pub fn plan(&self, playbook: &str) -> Run {
        self.run("plan", &[playbook]).succeeded()
    }
}

impl Run {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.code == 0, "exit code {}\n{}", self.code, self.told());
        self
    }

    /// The events with the results of tasks.
    pub fn results(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(|event| event["event"] == "result")
    }

    /// The fields of the last result of the task with this name.
    #[track_caller]
    pub fn result(&self, task: &str) -> &Value {
        let found = self.results().filter(|r| r["task"]["name"] == task).last();
        &found.unwrap_or_else(|| panic!("no result of task {task:?}\n{}", self.told()))["result"]
    }

    /// The status of the last result of the task with this name.
    #[track_caller]
    pub fn status(&self, task: &str) -> &str {
        let found = self.results().filter(|r| r["task"]["name"] == task).last();
        found.unwrap_or_else(|| panic!("no result of task {task:?}\n{}", self.told()))["status"].as_str().unwrap()
    }

    /// The names of the tasks with a result of that status (`ok`, `changed`, `failed`…).
    pub fn with_status(&self, status: &str) -> Vec<String> {
        self.results()
            .filter(|r| r["status"] == status)
            .map(|r| r["task"]["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// A number of the recap of the only host (`ok`, `changed`, `failed`…).
    pub fn recap(&self, count: &str) -> u64 {
        let recap = self.events.iter().find(|event| event["event"] == "recap").expect("a recap");
        let host = recap["hosts"].as_object().unwrap().values().next().unwrap();
        host[count].as_u64().unwrap()
    }

    /// Everything, for the message of a failing assertion.
    pub fn told(&self) -> String {
        let line = |r: &Value| {
            let mut line = format!("{} {} {}: {}", r["status"], r["task"]["name"], r["item"], r["result"]);
            if r["status"] != "failed" {
                line = line.chars().take(400).collect();
            }
            line
        };
        let results: Vec<String> = self.results().map(line).collect();
        format!("{}\n{}", results.join("\n"), self.stderr)
    }
}
