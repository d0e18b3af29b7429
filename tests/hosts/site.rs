//! A playbook and an inventory of lab hosts, and what the program said when it ran them.

use crate::common::lab::LabHost;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The host that is well, and those on which a test may do as it likes with users of its own.
pub const WELL: &str = "hosts-well";
pub const USERS: &str = "hosts-users";

/// A folder with an inventory, playbooks and their files, removed at the end of the test.
pub struct Site {
    folder: tempfile::TempDir,
    inventory: String,
}

/// How a run ended.
#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Site {
    /// With the host `well` that is well.
    pub fn new() -> Option<Site> {
        let well = LabHost::get(WELL)?;
        let site = Site { folder: tempfile::tempdir().unwrap(), inventory: String::new() };
        Some(site.host("well", &well, "root", &[]))
    }

    /// With a further host: a name, the machine, the login, and variables that win over the usual ones.
    pub fn host(mut self, name: &str, host: &LabHost, user: &str, vars: &[(&str, &str)]) -> Site {
        let args = format!("-F /dev/null -o IdentitiesOnly=yes -o UserKnownHostsFile={}", host.known_hosts.display());
        let key = host.key.display().to_string();
        let usual = [
            ("ansible_host", host.address.as_str()),
            ("ansible_user", user),
            ("ansible_ssh_private_key_file", key.as_str()),
            ("ansible_ssh_common_args", args.as_str()),
        ];
        let head = if self.inventory.is_empty() { "all:\n  hosts:\n" } else { "" };
        self.inventory.push_str(&format!("{head}    {name}:\n"));
        for (key, value) in usual.iter().filter(|(key, _)| !vars.iter().any(|(k, _)| k == key)).chain(vars) {
            self.inventory.push_str(&format!("      {key}: {}\n", serde_json::to_string(value).unwrap()));
        }
        self
    }

    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `play.yml`: one play for all hosts, without facts, with these lines of tasks (the first is line 4).
    pub fn tasks(&self, tasks: &str) -> &Self {
        self.play("", tasks)
    }

    /// The same with keywords of the play, each line with its newline.
    pub fn play(&self, keywords: &str, tasks: &str) -> &Self {
        let indent = |text: &str, by: &str| -> String {
            text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{by}{line}\n") }).collect()
        };
        let keywords = indent(keywords, "  ");
        let text = format!("- hosts: all\n  gather_facts: false\n{keywords}  tasks:\n{}", indent(tasks, "    "));
        self.file("play.yml", &text);
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        self.file("hosts.yml", &self.inventory);
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).args(["-i", "hosts.yml", "--color", "never"]).current_dir(self.path());
        command.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Told {
        let begun = Instant::now();
        Told::of(self.command(args).output().unwrap(), begun)
    }

    /// `windlass apply play.yml` with further arguments.
    pub fn apply(&self, args: &[&str]) -> Told {
        self.run(&[&["apply", "play.yml"], args].concat())
    }

    /// The same, not waited for.
    pub fn begin(&self, args: &[&str]) -> (Child, Instant) {
        (self.command(&[&["apply", "play.yml"], args].concat()).spawn().unwrap(), Instant::now())
    }
}

impl Told {
    pub fn of(output: Output, begun: Instant) -> Told {
        Told {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: begun.elapsed(),
        }
    }

    /// The line of the recap for a host.
    #[track_caller]
    pub fn recap(&self, host: &str) -> &str {
        let found = self.out.lines().rev().find(|l| l.starts_with(&format!("{host} ")) && l.contains("unreachable="));
        found.unwrap_or_else(|| panic!("no recap of {host}: {self:#?}"))
    }

    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert!(self.code == code, "exit code {} and not {code}\n{}{}", self.code, self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Self {
        let squeezed = self.out.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            let found = self.out.contains(word) || self.err.contains(word) || squeezed.contains(word);
            assert!(found, "{word:?} is missing in\n{}{}", self.out, self.err);
        }
        self
    }

    #[track_caller]
    pub fn recaps(&self, host: &str, counts: &[&str]) -> &Self {
        let line = self.recap(host);
        for count in counts {
            assert!(
                line.split_whitespace().any(|w| w == *count),
                "{count} is missing in {line}\n{}{}",
                self.out,
                self.err
            );
        }
        self
    }

    #[track_caller]
    pub fn within(&self, seconds: u64) -> &Self {
        assert!(self.took < Duration::from_secs(seconds), "it took {:?}\n{}{}", self.took, self.out, self.err);
        self
    }

    /// One host could not be reached, and `well` came to its end.
    #[track_caller]
    pub fn unreachable(&self, host: &str, words: &[&str]) -> &Self {
        self.ends(4).says(words).recaps(host, &["unreachable=1", "failed=0"]);
        self.recaps("well", &["unreachable=0", "failed=0"])
    }

    /// A task failed on one host, and `well` came to its end.
    #[track_caller]
    pub fn failed(&self, host: &str, words: &[&str]) -> &Self {
        self.ends(2).says(words).recaps(host, &["unreachable=0", "failed=1"]);
        self.recaps("well", &["unreachable=0", "failed=0"])
    }
}

/// A user of the shared host with the lab's key, made afresh with this login shell; returns the host.
pub fn user(name: &str, shell: &str) -> Option<LabHost> {
    static ONE: Mutex<()> = Mutex::new(());
    let host = LabHost::get(USERS)?;
    static GERMAN: std::sync::Once = std::sync::Once::new();
    GERMAN.call_once(|| {
        host.sh("locale -a | grep -qi de_DE.utf8 || {
               apt-get update -qq; apt-get install -y -qq --no-install-recommends locales
               localedef -i de_DE -f UTF-8 de_DE.UTF-8; } >/dev/null 2>&1
             printf 'LANG=de_DE.UTF-8\nLC_ALL=de_DE.UTF-8\n' >/etc/default/locale");
    });
    let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    host.sh(&format!(
        "pkill -KILL -u {name}; chattr -i /home/{name} 2>/dev/null; userdel -rf {name} 2>/dev/null; rm -f /etc/sudoers.d/{name}
         useradd -m -s {shell} {name} && chmod 711 /home/{name} && install -d -o {name} -g {name} -m 700 /home/{name}/.ssh &&
         install -o {name} -g {name} -m 600 /home/deploy/.ssh/authorized_keys /home/{name}/.ssh/"
    ));
    drop(one);
    Some(host)
}

/// Rules of sudoers for that user alone.
pub fn sudoers(host: &LabHost, name: &str, rules: &str) {
    host.sh(&format!(
        "cat >/tmp/{name}.sudo <<'E'\n{rules}\nE\nvisudo -cqf /tmp/{name}.sudo && install -m 440 /tmp/{name}.sudo /etc/sudoers.d/{name}"
    ));
}
