//! A folder with files, in which the program runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder with an inventory of one host, `here`, which is this machine.
pub struct Site {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// What the program printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Site {
    pub fn new() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let site = Site { folder, environment: Vec::new() };
        site.file("hosts", "here ansible_connection=local\n")
    }

    /// With a file; `HERE` in it stands for the folder.
    pub fn file(self, name: &str, text: &str) -> Site {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("HERE", &self.folder.path().to_string_lossy())).unwrap();
        self
    }

    /// With `site.yml`: one play on all hosts with these lines.
    pub fn play(self, lines: &str) -> Site {
        let lines: String = lines.lines().map(|line| format!("  {line}\n")).collect();
        self.file("site.yml", &format!("- hosts: all\n  gather_facts: false\n{lines}"))
    }

    /// With a variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Site {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Runs `windlass` with these words.
    pub fn run(&self, words: &str) -> Ran {
        self.args(&words.split_whitespace().collect::<Vec<_>>())
    }

    pub fn args(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&*self.folder.path().to_string_lossy(), "HERE");
        Ran { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        let foreign = std::env::vars().map(|(name, _)| name);
        for name in foreign.filter(|name| name.starts_with("WINDLASS_") || name.starts_with("ANSIBLE_")) {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1").envs(self.environment.iter().cloned());
        command
    }

    /// Applies `site.yml`.
    pub fn apply(&self) -> Ran {
        self.run("apply site.yml")
    }
}

impl Ran {
    /// The run, which must have ended with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "ended with {}\nstdout:\n{}\nstderr:\n{}", self.code, self.out, self.err);
        self
    }

    /// The lines of standard output that tell results, without their details.
    pub fn results(&self) -> Vec<&str> {
        let end = self.out.lines().position(str::is_empty).unwrap_or(usize::MAX);
        let lines = self.out.lines().take(end).skip(1);
        lines.filter(|line| !line.starts_with(' ')).map(str::trim_end).collect()
    }

    /// The counts of the recap for a host.
    #[track_caller]
    pub fn recap(&self, host: &str) -> String {
        let line = self.out.lines().find(|line| line.starts_with(host) && line.contains("ok="));
        let line = line.unwrap_or_else(|| panic!("no recap of {host} in:\n{}\n{}", self.out, self.err));
        line.split_whitespace().skip(1).filter(|word| !word.ends_with("=0")).collect::<Vec<_>>().join(" ")
    }
}

/// Whether a program is installed.
#[allow(dead_code)]
pub fn installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file()))
}
