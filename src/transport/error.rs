//! What can go wrong between here and a running command, and what to do about it.

use std::fmt;

/// A failure to reach or use a machine. Its text says which host, at which step, what, and what next.
#[derive(Debug, Clone, thiserror::Error)]
pub struct TransportError {
    /// The host's name in the inventory (or a jump host's address).
    pub host: String,
    /// Where on the way it happened.
    pub step: Step,
    /// What happened.
    pub problem: Box<Problem>,
}

/// Where on the way to a running command a failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading the inventory's connection variables.
    Variables,
    /// Reading `ssh_config`.
    Config,
    /// Looking up the address.
    Resolve,
    /// Connecting over TCP.
    Connect,
    /// Going through a jump host or proxy command.
    Proxy,
    /// Waiting for the server's first line.
    Version,
    /// Agreeing on keys.
    KeyExchange,
    /// Checking the server's identity.
    HostKey,
    /// Logging in.
    Authentication,
    /// Opening a channel and starting the command.
    Channel,
    /// Starting a program on this machine.
    Spawn,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variables => "connection variables",
            Self::Config => "ssh configuration",
            Self::Resolve => "address lookup",
            Self::Connect => "TCP connect",
            Self::Proxy => "proxy",
            Self::Version => "SSH version exchange",
            Self::KeyExchange => "SSH key exchange",
            Self::HostKey => "host key",
            Self::Authentication => "authentication",
            Self::Channel => "opening a channel",
            Self::Spawn => "starting a local program",
        })
    }
}

/// What to do where there are more connections than a process may open files.
pub const DESCRIPTORS: &str = "raise the limit of open files (`ulimit -Hn` and `ulimit -n` in a shell of root, LimitNOFILE= in a systemd unit, \
     --ulimit nofile= of a container), or share the hosts between jobs (--shard 1/2, --shard 2/2)";

/// What happened.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs)]
pub enum Problem {
    #[error("{name} is {value:?}: {reason}")]
    Variable { name: String, value: String, reason: String },
    #[error("{origin} has the ssh option {option:?}, which is not supported")]
    UnsupportedOption { origin: String, option: String, advice: String },
    #[error("{place}: {reason}")]
    Config { place: String, reason: String, advice: String },
    #[error("{address} has no address: {reason}")]
    Resolve { address: String, reason: String },
    #[error("{address} refused the connection")]
    Refused { address: String },
    #[error("{address} cannot be reached: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("{address} cannot be reached: this process may open no more files")]
    Descriptors { address: String },
    #[error("no answer within {seconds} s")]
    Timeout { seconds: f64 },
    #[error("the server closed the connection before the SSH handshake{said}")]
    Dropped { said: String, attempts: u32 },
    #[error("what answers there is not an SSH server: it said {said:?}")]
    NotSsh { said: String },
    #[error("no {kind} in common: the server offers {theirs}")]
    NoCommonAlgorithm { kind: String, theirs: String },
    #[error("the key of {name} is not known: {key_type} {fingerprint}")]
    HostKeyUnknown { name: String, key_type: String, fingerprint: String, record: String },
    #[error("the key of {name} has CHANGED: it shows {key_type} {fingerprint}, but {file}:{line} has another{note}")]
    HostKeyChanged {
        name: String,
        key_type: String,
        fingerprint: String,
        file: String,
        line: usize,
        note: String,
        forget: String,
    },
    #[error("the key of {name} ({key_type} {fingerprint}) is marked as revoked in {file}:{line}")]
    HostKeyRevoked { name: String, key_type: String, fingerprint: String, file: String, line: usize },
    #[error("the known key of {name} cannot be recorded in {file}: {reason}")]
    HostKeyNotRecorded { name: String, file: String, reason: String },
    #[error(
        "{user} could not log in; tried: {}; the server accepts: {}{}",
        list(tried, "nothing"),
        list(offered, "not said"),
        notes_text(notes)
    )]
    Authentication { user: String, tried: Vec<String>, offered: Vec<String>, notes: Vec<String>, advice: String },
    #[error("the server refused to open a channel: {reason}")]
    ChannelRefused { reason: String },
    #[error("the server refused to run the command")]
    CommandRefused,
    #[error("{command:?}: {reason}")]
    ProxyCommand { command: String, reason: String },
    #[error("by way of {jump}: {reason}")]
    Jump { jump: String, reason: String },
    #[error("{program}: {reason}")]
    Spawn { program: String, reason: String },
    #[error("the connection was lost: {reason}")]
    Lost { reason: String },
}

fn list(items: &[String], none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

fn notes_text(notes: &[String]) -> String {
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) }
}

impl TransportError {
    pub(crate) fn new(host: impl Into<String>, step: Step, problem: Problem) -> Self {
        Self { host: host.into(), step, problem: Box::new(problem) }
    }

    /// What to do next, where there is something better to say than the problem itself.
    pub fn help(&self) -> Option<String> {
        Some(match &*self.problem {
            Problem::Variable { .. } | Problem::CommandRefused | Problem::HostKeyNotRecorded { .. } => return None,
            Problem::UnsupportedOption { advice, .. } | Problem::Config { advice, .. } => advice.clone(),
            Problem::Resolve { .. } => "check ansible_host, or HostName in ~/.ssh/config".into(),
            Problem::Refused { .. } => "check that sshd runs there, and the port (ansible_port)".into(),
            Problem::Unreachable { .. } => "check the network, the firewall, and ansible_host".into(),
            Problem::Descriptors { .. } => DESCRIPTORS.into(),
            Problem::Timeout { .. } => match self.step {
                Step::Connect => "check the address and the firewall, or raise ansible_ssh_timeout".into(),
                Step::Version => {
                    "something accepts the connection but says nothing: check the port, or a proxy in between".into()
                }
                _ => "the host may be overloaded; raise ansible_ssh_timeout".into(),
            },
            Problem::Dropped { attempts, .. } => format!(
                "tried {attempts} times; sshd may be at its MaxStartups limit, or a firewall (fail2ban) refuses this machine"
            ),
            Problem::NotSsh { .. } => "check the port (ansible_port)".into(),
            Problem::NoCommonAlgorithm { .. } => {
                "the server's OpenSSH is too old or too restricted: allow a current algorithm there".into()
            }
            Problem::HostKeyUnknown { record, .. } => format!(
                "compare the fingerprint on the host (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then record it: \
                 {record}; or set ansible_ssh_host_key_checking: accept-new for this inventory"
            ),
            Problem::HostKeyChanged { forget, .. } => format!(
                "if the machine was reinstalled, forget the old key: {forget}; otherwise someone may be between you and it"
            ),
            Problem::HostKeyRevoked { .. } => {
                "do not trust this machine until its owner explains; give it a new host key".into()
            }
            Problem::Authentication { advice, .. } => advice.clone(),
            Problem::ChannelRefused { .. } => "sshd's MaxSessions may be too low (10 by default)".into(),
            Problem::ProxyCommand { .. } => "run the proxy command by hand to see what it says".into(),
            Problem::Jump { .. } => {
                "check that the jump host allows TCP forwarding (AllowTcpForwarding) and reaches the host".into()
            }
            Problem::Spawn { .. } => "check that the program exists on this machine".into(),
            Problem::Lost { .. } => "run it again: hosts are left consistent, and the next run converges".into(),
        })
    }

    /// Whether trying again may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            &*self.problem,
            Problem::Timeout { .. } | Problem::Dropped { .. } | Problem::Lost { .. } | Problem::Unreachable { .. }
        )
    }

    /// Whether it was found in the inventory or the configuration, before any host was touched.
    pub fn is_configuration(&self) -> bool {
        matches!(self.step, Step::Variables | Step::Config)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.host, self.step, self.problem)?;
        if let Some(help) = self.help() {
            write!(f, ". Next: {help}")?;
        }
        Ok(())
    }
}
