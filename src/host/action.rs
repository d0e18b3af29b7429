//! What can be done to a machine.

use super::answer::Answer;
use super::key::{Key, clean};
use super::question::Question;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One thing to do. Actions of a step run in order, after the host has checked the step's guard.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// What to do.
    pub kind: ActionKind,
    /// All that it may write. [`Key::Anything`] unless narrowed by one who knows.
    pub writes: Vec<Key>,
    /// What will be true afterwards, beyond what [`ActionKind::predicts`] already knows.
    pub predicts: Vec<(Question, Answer)>,
    /// What a failure means for the step.
    pub on_failure: OnFailure,
    /// Whether other hosts can see it happen (a service, a database, a command): under the `linear` strategy it waits
    /// until every host has finished the steps before.
    pub shared: bool,
    /// One line for a plan: `create /etc/x`. Never shows a secret.
    pub shows: String,
}

/// What a failed action means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The step fails; its later actions do not run.
    Stop,
    /// The step's later actions run all the same; the module sees the outcome if it looks again.
    Continue,
}

/// Kinds of actions. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionKind {
    /// Puts a file in place: written beside its target, checked, given its attributes, renamed.
    Install(Install),
    /// Makes one folder, whose parent exists.
    Directory {
        /// The folder.
        path: String,
        /// Permission bits; 0755 if none.
        mode: Option<u32>,
        /// Owner, by name or number.
        owner: Option<String>,
        /// Group, by name or number.
        group: Option<String>,
    },
    /// Changes attributes of what is there.
    Attributes {
        /// The path; a link at the end is followed where `follow` says so.
        path: String,
        /// Whether a link at the end is followed.
        follow: bool,
        /// Permission bits.
        mode: Option<u32>,
        /// Owner, by name or number.
        owner: Option<String>,
        /// Group, by name or number.
        group: Option<String>,
    },
    /// Makes a link, in place of a link or a file that may be there (by rename, so that it is never missing).
    Link {
        /// Where the link is.
        path: String,
        /// What it points to, as written.
        target: String,
        /// A hard link.
        hard: bool,
    },
    /// Removes what is there; absent is fine.
    Remove {
        /// The path; a link is removed, not followed.
        path: String,
        /// With all below it.
        recursive: bool,
    },
    /// Sets times, making an empty file if nothing is there.
    Touch {
        /// The path.
        path: String,
        /// Last access: seconds since 1970; none keeps, `Some(None)` is now.
        atime: Option<Option<i64>>,
        /// Last change: seconds since 1970; none keeps, `Some(None)` is now.
        mtime: Option<Option<i64>>,
    },
    /// Runs a command.
    Run(Run),
}

/// A file to put in place. The attributes are final: the module has looked at what is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Install {
    /// The target: not a link (the module resolved it).
    pub path: String,
    /// What to put there.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// Owner, by name or number; none leaves what is there, or the identity that runs.
    pub owner: Option<String>,
    /// Group, likewise.
    pub group: Option<String>,
    /// Whether something is there now, whose ACLs and extended attributes are kept.
    pub replaces: bool,
    /// Where the former content is copied to first.
    pub backup: Option<String>,
    /// A command that must succeed before the rename; `%s` is the new file.
    pub validate: Option<String>,
    /// Write into the target where it can't be renamed over (a mount point).
    pub unsafe_writes: bool,
}

/// Bytes to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// A file on the controller, streamed when it is sent.
    File(Source),
}

impl Content {
    /// Text.
    pub fn text(text: &str) -> Self {
        Self::Bytes(Arc::from(text.as_bytes()))
    }

    /// Bytes to come.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(source) => source.len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file on the controller, known by its digests: never its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub len: u64,
    /// Permission bits, for `mode: preserve`.
    pub mode: u32,
    /// Hexadecimal.
    pub sha256: String,
    /// Hexadecimal, for the `checksum` that results report.
    pub sha1: String,
}

/// A command to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What to run.
    pub command: Command,
    /// The folder to run in; the identity's home if none.
    pub chdir: Option<String>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub stdin: Stdin,
    /// Files that are there for as long as it runs, in a private folder named by `$WINDLASS_DIR`.
    pub attach: Vec<(String, Content)>,
    /// TERM, then KILL, to its process group after this long.
    pub timeout: Option<Duration>,
    /// File mode mask; 022 if none.
    pub umask: Option<u32>,
    /// Whether it must survive a lost connection and be found again (packages, builds, migrations).
    pub durable: bool,
    /// For durable ones: what it works on, where more than its command and folder tells that. What an earlier
    /// connection left running on the same is waited for. Its result is used where it is the same run; else the
    /// command runs after it, and finds `WINDLASS_AFTER` set.
    pub slot: Option<String>,
    /// For durable ones: must not be done twice, so that the result of one that ended unseen is used as well.
    pub once: bool,
}

/// How a command is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Words, run without a shell.
    Argv(Vec<String>),
    /// Text for a shell (`/bin/sh` if none), with positional parameters.
    Shell {
        /// The text.
        script: String,
        /// The shell.
        shell: Option<String>,
        /// `$1`…
        args: Vec<String>,
    },
}

/// What a command reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Stdin {
    /// Nothing.
    Empty,
    /// These bytes; they reach no argument list.
    Content(Content),
}

impl Run {
    /// Words, run without a shell.
    pub fn argv<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Self::new(Command::Argv(words.into_iter().map(Into::into).collect()))
    }

    /// A script of Windlass's own for `/bin/sh`; values come in `args` (or the environment), never in the text.
    pub fn sh(script: &str, args: &[&str]) -> Self {
        Self::new(Command::Shell {
            script: script.to_owned(),
            shell: None,
            args: args.iter().map(|&a| a.to_owned()).collect(),
        })
    }

    fn new(command: Command) -> Self {
        Self {
            command,
            chdir: None,
            env: Vec::new(),
            stdin: Stdin::Empty,
            attach: Vec::new(),
            timeout: None,
            umask: None,
            durable: false,
            slot: None,
            once: false,
        }
    }

    /// The same, surviving a lost connection.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// The same, surviving a lost connection, and never beside another that works on the same.
    #[must_use]
    pub fn durable_on(mut self, slot: &str) -> Self {
        self.slot = Some(slot.to_owned());
        self.durable()
    }

    /// The same, with a variable of the environment set.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, reading `text`.
    #[must_use]
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Stdin::Content(Content::text(text));
        self
    }
}

/// What a command or a probe said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Exit status; minus the signal's number if one ended it.
    pub rc: i32,
    /// Standard output, capped.
    pub stdout: Arc<[u8]>,
    /// Standard error, capped.
    pub stderr: Arc<[u8]>,
    /// Whether something was cut off.
    pub truncated: bool,
    /// Whether the time limit ended it.
    pub timed_out: bool,
    /// When it began, microseconds since 1970 by the controller's clock.
    pub started: i64,
    /// How long it took, microseconds.
    pub took: u64,
}

impl Output {
    /// Success with this standard output.
    pub fn ok(stdout: &str) -> Self {
        Self { stdout: Arc::from(stdout.as_bytes()), ..Self::default() }
    }

    /// An exit status with this standard error.
    pub fn failed(rc: i32, stderr: &str) -> Self {
        Self { rc, stderr: Arc::from(stderr.as_bytes()), ..Self::default() }
    }

    /// Whether the exit status was 0.
    pub fn success(&self) -> bool {
        self.rc == 0
    }

    /// Standard output as text; what is not UTF-8 is replaced.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; what is not UTF-8 is replaced.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl Action {
    /// An action of a kind that knows what it writes; `Run` may write anything.
    pub fn new(kind: ActionKind, shows: impl Into<String>) -> Self {
        let shared = matches!(kind, ActionKind::Run(_));
        Self {
            writes: kind.writes(),
            kind,
            predicts: Vec::new(),
            on_failure: OnFailure::Stop,
            shared,
            shows: shows.into(),
        }
    }

    /// A command that may write anything and that other hosts can see.
    pub fn run(run: Run, shows: impl Into<String>) -> Self {
        Self::new(ActionKind::Run(run), shows)
    }

    /// The same, writing only these.
    #[must_use]
    pub fn writing(mut self, keys: Vec<Key>) -> Self {
        self.writes = keys;
        self
    }

    /// The same, seen by no other host (packages, accounts, files).
    #[must_use]
    pub fn local(mut self) -> Self {
        self.shared = false;
        self
    }

    /// The same, with something known to be true afterwards.
    #[must_use]
    pub fn predict(mut self, question: Question, answer: Answer) -> Self {
        self.predicts.push((question, answer));
        self
    }

    /// The same, its failure left to the module.
    #[must_use]
    pub fn tolerant(mut self) -> Self {
        self.on_failure = OnFailure::Continue;
        self
    }
}

impl ActionKind {
    /// The path that it is about, if it is about one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Install(install) => Some(&install.path),
            Self::Directory { path, .. }
            | Self::Attributes { path, .. }
            | Self::Link { path, .. }
            | Self::Remove { path, .. }
            | Self::Touch { path, .. } => Some(path),
            Self::Run(_) => None,
        }
    }

    /// All that it may write.
    pub fn writes(&self) -> Vec<Key> {
        match self {
            Self::Install(install) => {
                let mut keys = vec![Key::path(&install.path)];
                keys.extend(install.backup.as_deref().map(Key::path));
                if install.validate.is_some() {
                    keys = vec![Key::Anything];
                }
                keys
            }
            Self::Remove { path, recursive: true } => vec![Key::Below(clean(path))],
            Self::Run(_) => vec![Key::Anything],
            other => other.path().map(Key::path).into_iter().collect(),
        }
    }
}
