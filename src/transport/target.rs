//! What the inventory says about how to reach a host.

use super::error::{Problem, Step, TransportError};
use super::options::{self, Overrides};
use super::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// How a machine is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// Over SSH.
    Ssh,
    /// It is this machine.
    Local,
}

/// What to do about a server key that no known_hosts file has. A changed or revoked key is another matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyChecking {
    /// Refuse it.
    Strict,
    /// Record it and go on.
    AcceptNew,
    /// Go on with any key, also a changed one (but then without sending a password).
    Off,
}

/// One host of the inventory, as its connection variables describe it. What it leaves open comes from `ssh_config`.
#[derive(Debug, Clone)]
pub struct Target {
    /// The inventory's name of the host, for messages.
    pub name: String,
    /// The name or address to connect to (`ansible_host`, else the name): what `ssh_config` is asked about.
    pub host: String,
    /// SSH or this machine.
    pub connection: ConnectionKind,
    /// `ansible_port`.
    pub port: Option<u16>,
    /// `ansible_user`.
    pub user: Option<String>,
    /// `ansible_ssh_private_key_file`, tried before those of `ssh_config`.
    pub identity_files: Vec<String>,
    /// `ansible_password`.
    pub password: Option<Secret>,
    /// `ansible_ssh_timeout`: for TCP connect, handshake and login together.
    pub connect_timeout: Option<Duration>,
    /// `ansible_ssh_retries`: how often a connection that failed for a passing reason is tried again.
    pub retries: Option<u32>,
    /// `ansible_ssh_host_key_checking`.
    pub host_key_checking: Option<HostKeyChecking>,
    /// What `ansible_ssh_common_args` and `ansible_ssh_extra_args` ask for.
    pub overrides: Overrides,
    /// Where a local connection starts its programs (not a variable: for callers that stand in for a host).
    pub local_directory: Option<PathBuf>,
}

impl Target {
    /// A host reached over SSH, with everything else left to `ssh_config`.
    pub fn ssh(name: impl Into<String>, host: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            host: host.into(),
            connection: ConnectionKind::Ssh,
            port: None,
            user: None,
            identity_files: Vec::new(),
            password: None,
            connect_timeout: None,
            retries: None,
            host_key_checking: None,
            overrides: Overrides::default(),
            local_directory: None,
        }
    }

    /// This machine.
    pub fn local(name: impl Into<String>) -> Self {
        let mut target = Self::ssh(name, "localhost");
        target.connection = ConnectionKind::Local;
        target
    }

    /// Reads a host's connection variables; `lookup` gives a variable's value, already rendered to text.
    ///
    /// As in Ansible, `localhost`, `127.0.0.1` and `::1` are not special here: the inventory layer says
    /// `ansible_connection: local` for its implicit localhost.
    ///
    /// # Errors
    /// A variable that cannot be understood, or an ssh option that is not supported, by name.
    pub fn from_vars(name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, TransportError> {
        let vars = Vars { name, lookup };
        let mut target = Self::ssh(name, vars.first(HOST).map_or_else(|| name.to_owned(), |(_, v)| v));
        if let Some((variable, value)) = vars.first(CONNECTION) {
            target.connection = match value.as_str() {
                "ssh"
                | "smart"
                | "paramiko"
                | "paramiko_ssh"
                | "ansible.builtin.ssh"
                | "ansible.builtin.paramiko_ssh" => ConnectionKind::Ssh,
                "local" | "ansible.builtin.local" => ConnectionKind::Local,
                _ => return Err(vars.bad(variable, &value, "the connections are ssh and local")),
            };
        }
        if let Some((variable, value)) = vars.first(PORT) {
            let port = value.trim().parse().ok().filter(|port| *port != 0);
            target.port = Some(port.ok_or_else(|| vars.bad(variable, &value, "a port is a number from 1 to 65535"))?);
        }
        if let Some((variable, value)) = vars.first(USER) {
            if !options::is_safe_user(&value) {
                return Err(vars.bad(variable, &value, "not a user name that can be used safely"));
            }
            target.user = Some(value);
        }
        if target.connection == ConnectionKind::Ssh && !options::is_safe_host(&target.host) {
            let variable = vars.first(HOST).map_or("the host's name", |(variable, _)| variable);
            return Err(vars.bad(variable, &target.host, "not a host name or address"));
        }
        target.identity_files = vars.first(KEY).map(|(_, v)| v).into_iter().collect();
        target.password = vars.first(PASSWORD).map(|(_, v)| Secret::new(v));
        if let Some((variable, value)) = vars.first(TIMEOUT) {
            let seconds = value.trim().parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0 && *s < 1e6);
            let seconds = seconds.ok_or_else(|| vars.bad(variable, &value, "a time limit is a number of seconds"))?;
            target.connect_timeout = Some(Duration::from_secs_f64(seconds));
        }
        if let Some((variable, value)) = vars.first(RETRIES) {
            let retries = value.trim().parse().ok();
            target.retries = Some(retries.ok_or_else(|| vars.bad(variable, &value, "it is a whole number"))?);
        }
        if let Some((variable, value)) = vars.first(CHECKING) {
            target.host_key_checking = Some(
                HostKeyChecking::parse(&value)
                    .ok_or_else(|| vars.bad(variable, &value, "it is true, false or accept-new"))?,
            );
        }
        for variable in ARGS {
            if let Some(value) = vars.get(variable) {
                options::parse_arguments(&value, &mut target.overrides).map_err(|error| error.at(name, variable))?;
            }
        }
        if let Some((variable, value)) = vars.first(EXECUTABLE) {
            return Err(vars.bad(variable, &value, "Windlass speaks SSH itself and runs no ssh program; remove it"));
        }
        Ok(target)
    }
}

const HOST: &[&str] = &["ansible_ssh_host", "ansible_host"];
const CONNECTION: &[&str] = &["ansible_connection"];
const PORT: &[&str] = &["ansible_ssh_port", "ansible_port"];
const USER: &[&str] = &["ansible_ssh_user", "ansible_user"];
const KEY: &[&str] = &["ansible_private_key_file", "ansible_ssh_private_key_file"];
const PASSWORD: &[&str] = &["ansible_ssh_password", "ansible_ssh_pass", "ansible_password"];
const TIMEOUT: &[&str] = &["ansible_ssh_timeout", "ansible_timeout"];
const RETRIES: &[&str] = &["ansible_ssh_retries"];
const CHECKING: &[&str] = &["ansible_ssh_host_key_checking", "ansible_host_key_checking"];
const ARGS: &[&str] = &["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"];
const EXECUTABLE: &[&str] = &["ansible_ssh_executable"];

impl HostKeyChecking {
    /// Reads OpenSSH's and Ansible's words for it. `ask` is strict: nobody is asked in the middle of a run.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "yes" | "true" | "ask" | "strict" | "1" | "on" => Some(Self::Strict),
            "accept-new" | "accept_new" => Some(Self::AcceptNew),
            "no" | "false" | "off" | "0" => Some(Self::Off),
            _ => None,
        }
    }

    /// OpenSSH's word.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Strict => "yes",
            Self::AcceptNew => "accept-new",
            Self::Off => "no",
        }
    }
}

struct Vars<'a> {
    name: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Vars<'_> {
    /// A variable's value; an empty one is as good as none.
    fn get(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).filter(|value| !value.is_empty())
    }

    /// The first of several names that has a value (Ansible's older `ansible_ssh_…` names win where both are set).
    fn first(&self, variables: &'static [&'static str]) -> Option<(&'static str, String)> {
        variables.iter().find_map(|variable| Some((*variable, self.get(variable)?)))
    }

    fn bad(&self, variable: &str, value: &str, reason: &str) -> TransportError {
        let problem =
            Problem::Variable { name: variable.to_owned(), value: value.to_owned(), reason: reason.to_owned() };
        TransportError::new(self.name, Step::Variables, problem)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<Target, TransportError> {
        Target::from_vars("web", &|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn a_bare_host_is_reached_by_its_name() {
        let target = from(&[]).unwrap();
        assert_eq!((target.host.as_str(), target.connection), ("web", ConnectionKind::Ssh));
        assert_eq!((target.port, target.user), (None, None));
    }

    #[test]
    fn the_variables_are_understood() {
        let target = from(&[
            ("ansible_host", "10.0.0.1"),
            ("ansible_port", "2222"),
            ("ansible_user", "deploy"),
            ("ansible_ssh_private_key_file", "~/.ssh/deploy"),
            ("ansible_password", "hunter2"),
            ("ansible_ssh_timeout", "2.5"),
            ("ansible_ssh_retries", "3"),
            ("ansible_ssh_host_key_checking", "accept-new"),
        ])
        .unwrap();
        assert_eq!(target.host, "10.0.0.1");
        assert_eq!(target.port, Some(2222));
        assert_eq!(target.user.as_deref(), Some("deploy"));
        assert_eq!(target.identity_files, ["~/.ssh/deploy"]);
        assert_eq!(target.connect_timeout, Some(Duration::from_millis(2500)));
        assert_eq!(target.retries, Some(3));
        assert_eq!(target.host_key_checking, Some(HostKeyChecking::AcceptNew));
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn a_false_host_key_checking_turns_it_off() {
        let target = from(&[("ansible_host_key_checking", "False")]).unwrap();
        assert_eq!(target.host_key_checking, Some(HostKeyChecking::Off));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (variable, value) in [
            ("ansible_port", "http"),
            ("ansible_connection", "winrm"),
            ("ansible_ssh_timeout", "soon"),
            ("ansible_host", "-oProxyCommand=sh"),
            ("ansible_user", "a b`c`"),
            ("ansible_ssh_host_key_checking", "maybe"),
            ("ansible_ssh_executable", "/usr/bin/ssh"),
        ] {
            let error = from(&[(variable, value)]).unwrap_err();
            assert!(error.is_configuration());
            let text = error.to_string();
            assert!(text.contains(variable) && text.starts_with("web: "), "{text}");
        }
    }

    #[test]
    fn an_unsupported_ssh_argument_is_named_with_its_variable() {
        let error = from(&[("ansible_ssh_common_args", "-o Tunnel=yes")]).unwrap_err().to_string();
        assert!(error.contains("Tunnel") && error.contains("ansible_ssh_common_args"), "{error}");
    }
}
