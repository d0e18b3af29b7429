//! The `git` program: how it is run, and what its failures mean.

use super::super::Options;
use super::super::error::SourceError;
use super::super::url::RepoUrl;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The most that is kept of what git writes, in bytes. The list of a large repository's refs has some millions.
const OUTPUT_LIMIT: u64 = 256 << 20;

/// Variables by which a surrounding git (a hook, an alias) says which repository it works on (git(1), "The Git
/// Repository"); none of them is meant for the one that is worked on here.
const NOT_INHERITED: [&str; 13] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
    "GIT_SHALLOW_FILE",
    "GIT_QUARANTINE_PATH",
    "GIT_ATTR_SOURCE",
    "GIT_EXTERNAL_DIFF",
];

/// Answers git's question for credentials (gitcredentials(7)) from the environment, which, unlike arguments, only
/// this user can see.
const HELPER: &str = r#"!f() { [ "$1" = get ] || return 0; printf 'username=%s\n' "$WINDLASS_GIT_USER"; [ -z "${WINDLASS_GIT_PASSWORD+x}" ] || printf 'password=%s\n' "$WINDLASS_GIT_PASSWORD"; }; f"#;

/// A `git` that asks nobody anything and works on nothing but what it is told.
pub(in super::super) fn inherited(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    // A Ctrl-C at the terminal is this program's to handle.
    command.process_group(0);
    command
}

/// What git wrote.
#[derive(Debug)]
pub(in super::super) struct Said {
    pub stdout: Vec<u8>,
}

impl Said {
    /// As text, without the line's end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

/// A repository that is here, and the one that it was copied from.
pub(in super::super) struct Git<'a> {
    folder: PathBuf,
    pub url: RepoUrl,
    key_file: Option<&'a Path>,
    pub options: &'a Options<'a>,
}

impl<'a> Git<'a> {
    /// Works in `folder`.
    pub fn new(folder: &Path, url: RepoUrl, key_file: Option<&'a Path>, options: &'a Options<'a>) -> Self {
        Self { folder: folder.to_owned(), url, key_file, options }
    }

    /// The repository as messages name it.
    pub fn shown(&self) -> String {
        self.url.to_string()
    }

    fn command(&self, words: &[&str]) -> Result<Command, SourceError> {
        let mut command = inherited(&self.folder);
        if let (Some(credentials), Some(origin)) = (self.url.credentials(), self.url.origin()) {
            if credentials.password.is_some() {
                // Nobody else's password for this machine.
                command.args(["-c", "credential.helper="]);
            }
            command.arg("-c").arg(format!("credential.{origin}.helper={HELPER}"));
            command.env("WINDLASS_GIT_USER", &credentials.user);
            match &credentials.password {
                Some(password) => command.env("WINDLASS_GIT_PASSWORD", password),
                None => command.env_remove("WINDLASS_GIT_PASSWORD"),
            };
        }
        command.args(["-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"]);
        // A server that says nothing for a minute is given up (git-config(1), http.lowSpeedLimit).
        command.args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60"]);
        // Only ssh's command line is a shell's; it is asked for only where it is used.
        if matches!(words.first(), Some(&"fetch" | &"ls-remote")) && self.url.is_ssh() {
            command.env("GIT_SSH_COMMAND", self.ssh()?);
        }
        command.args(words);
        Ok(command)
    }

    /// The command line for ssh, which asks nobody anything either.
    fn ssh(&self) -> Result<String, SourceError> {
        let configured = || {
            let asked = inherited(&self.folder).args(["config", "core.sshCommand"]).output();
            asked.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
        };
        let base = self.options.ssh_command.map(str::to_owned).or_else(configured).filter(|c| !c.is_empty());
        let mut line = base.unwrap_or_else(|| "ssh".to_owned());
        line.push_str(" -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=20");
        if let Some(key) = self.key_file {
            let Some(text) = key.to_str() else {
                return Err(SourceError::Spec { what: format!("the path of the key {} is not UTF-8", key.display()) });
            };
            if let Err(source) = std::fs::File::open(key) {
                return Err(SourceError::read(key, source));
            }
            line.push_str(" -o IdentitiesOnly=yes -i ");
            line.push_str(&crate::host::quote(text));
        }
        Ok(line)
    }

    /// Starts git, its output still to be read.
    pub fn start(&self, words: &[&str]) -> Result<Child, SourceError> {
        self.command(words)?.spawn().map_err(|source| SourceError::NoGit { source })
    }

    /// Runs git to its end.
    pub fn run(&self, doing: &'static str, words: &[&str]) -> Result<Said, SourceError> {
        let (success, stdout, stderr) = self.attempt(words)?;
        if success { Ok(Said { stdout }) } else { Err(self.meaning(doing, &stderr)) }
    }

    /// Runs git to its end; whether it succeeded, what it wrote, and its errors.
    pub fn attempt(&self, words: &[&str]) -> Result<(bool, Vec<u8>, Vec<u8>), SourceError> {
        fn read(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut from) = from {
                    let _ = (&mut from).take(OUTPUT_LIMIT).read_to_end(&mut bytes);
                    let _ = io::copy(&mut from, &mut io::sink());
                }
                bytes
            })
        }
        let mut child = self.start(words)?;
        let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if (self.options.cancel)() {
                // Its own children end when they find nobody to write to; they are not waited for.
                let _ = child.kill();
                let _ = child.wait();
                return Err(SourceError::Cancelled);
            }
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => std::thread::sleep(pause),
                Err(source) => return Err(SourceError::NoGit { source }),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        };
        Ok((status.success(), stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default()))
    }

    /// The full hash of a commit that is in the copy.
    pub fn commit(&self, name: &str) -> Result<Option<String>, SourceError> {
        if name.starts_with('-') || name.is_empty() {
            return Ok(None);
        }
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")];
        let (success, stdout, _) = self.attempt(&words)?;
        Ok(success.then(|| String::from_utf8_lossy(&stdout).trim().to_owned()))
    }

    /// A failure in words of this program.
    pub fn failed(&self, doing: &'static str, detail: &str) -> SourceError {
        SourceError::Git { doing, repo: self.shown(), detail: detail.to_owned() }
    }

    /// What a failure means, by what git said (with `LC_ALL=C`).
    fn meaning(&self, doing: &'static str, stderr: &[u8]) -> SourceError {
        let text = String::from_utf8_lossy(stderr);
        let says = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
        let (repo, detail) = (self.shown(), masked_first(&self.url, stderr));
        if says(&["No space left on device", "Disk quota exceeded"]) {
            return SourceError::NoRoom { path: self.options.cache.display().to_string() };
        }
        let denied = [
            "Authentication failed",
            "Permission denied (",
            "could not read Username",
            "could not read Password",
            "terminal prompts disabled",
            "error: 401",
            "error: 403",
        ];
        if says(&denied) {
            return SourceError::Denied { repo, detail };
        }
        let not_there =
            ["not appear to be a git repository", "not a git repository", "Repository not found", "error: 404"];
        if says(&not_there) || (text.contains("repository '") && text.contains("' not found")) {
            return SourceError::NotARepository { repo, detail };
        }
        let unreachable = [
            "Could not resolve host",
            "Connection refused",
            "Connection timed out",
            "Connection closed",
            "Connection reset",
            "Failed to connect",
            "Couldn't connect",
            "No route to host",
            "Network is unreachable",
            "Host key verification failed",
            "unable to look up",
            "unable to access",
            "unable to connect",
        ];
        if says(&unreachable) {
            return SourceError::Unreachable { repo, detail };
        }
        SourceError::Git { doing, repo, detail }
    }
}

/// The lines of what git said that tell why, masked, on one line and short.
pub(in super::super) fn masked_first(url: &RepoUrl, stderr: &[u8]) -> String {
    const MOST: usize = 400;
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let telling = |l: &&&str| {
        ["fatal:", "error:", "remote:", "ssh:", "ERROR", "Host key", "git@"].iter().any(|p| l.starts_with(p))
            || l.contains("Permission denied")
    };
    let mut kept: Vec<&str> = lines.iter().filter(telling).copied().collect();
    if kept.is_empty() {
        kept = lines;
    }
    let joined = kept.iter().map(|l| l.trim_start_matches("fatal: ")).take(4).collect::<Vec<_>>().join("; ");
    let masked: String = url.masked(&joined).chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if masked.is_empty() { "git said nothing".to_owned() } else { masked }
}
