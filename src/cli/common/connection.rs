//! How hosts are reached.

use super::ask;
use super::config::Config;
use super::terminal::Terminal;
use crate::cli::connector::Defaults;
use crate::cli::{CommandError, ErrorKind};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use windlass::transport::{ConnectContext, HostKeyChecking, Secret, Target};

/// Options for connections. What the inventory says of a host wins over them.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Log in as this user [default: as ssh_config says, else your own name]
    #[arg(short = 'u', long, value_name = "USER", env = "WINDLASS_REMOTE_USER")]
    user: Option<String>,
    /// Ask for the login's password
    #[arg(short = 'k', long, conflicts_with = "connection_password_file")]
    ask_pass: bool,
    /// A file with the login's password, or a program that prints it
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE")]
    connection_password_file: Option<PathBuf>,
    /// Log in with this private key
    #[arg(long, visible_alias = "key-file", value_name = "FILE", env = "WINDLASS_PRIVATE_KEY_FILE")]
    private_key: Option<PathBuf>,
    /// How to connect
    #[arg(short = 'c', long, value_name = "HOW")]
    connection: Option<How>,
    /// Seconds that connecting may take [default: 10]
    #[arg(short = 'T', long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// Further options of ssh, such as `-J bastion` (see `docs/cli.md` for those that are understood)
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    ssh_common_args: Option<String>,
    /// The same, after those
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    ssh_extra_args: Option<String>,
    /// Read this ssh configuration in place of your own and the system's
    #[arg(short = 'F', long, value_name = "FILE", env = "WINDLASS_SSH_CONFIG")]
    ssh_config: Option<PathBuf>,
    /// What to do about a host key that known_hosts does not have [default: as ssh_config says]
    #[arg(long, value_name = "WHAT", env = "WINDLASS_HOST_KEY_CHECKING")]
    host_key_checking: Option<Checking>,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
enum How {
    /// Over SSH
    #[value(alias = "smart", alias = "paramiko")]
    Ssh,
    /// This machine
    Local,
}

#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
enum Checking {
    /// Refuse it
    Strict,
    /// Record it and go on
    AcceptNew,
    /// Go on with any key, also a changed one
    Off,
}

impl ConnectionArgs {
    /// What the connector takes for hosts of which the inventory says nothing.
    pub fn defaults(&self, config: &Config, terminal: &Terminal) -> Result<Defaults, CommandError> {
        let mut defaults = Defaults::default();
        // Under the last of the names that a setting has, so that each of them wins when the inventory gives it.
        let mut set = |name, value: Option<String>| {
            if let Some(value) = value {
                defaults.variables.insert(name, value);
            }
        };
        let path = |path: &PathBuf| config.expand(&path.to_string_lossy()).to_string_lossy().into_owned();
        set("ansible_user", self.user.clone().or_else(|| config.remote_user.clone()));
        let key = self.private_key.as_ref().or(config.private_key_file.as_ref());
        if let Some(key) = key.map(path) {
            if !std::path::Path::new(&key).is_file() {
                return Err(CommandError::usage(format_args!("there is no private key `{key}`"))
                    .hinted("name the private half, not the `.pub` file"));
            }
            set("ansible_ssh_private_key_file", Some(key));
        }
        let how = self.connection.map(|how| match how {
            How::Ssh => "ssh",
            How::Local => "local",
        });
        set("ansible_connection", how.map(str::to_owned));
        set("ansible_timeout", self.timeout.or(config.timeout).map(|seconds| seconds.to_string()));
        set("ansible_ssh_args", config.ssh_args.clone());
        set("ansible_ssh_common_args", self.ssh_common_args.clone().or_else(|| config.ssh_common_args.clone()));
        set("ansible_ssh_extra_args", self.ssh_extra_args.clone().or_else(|| config.ssh_extra_args.clone()));
        check(&defaults)?;
        let mut set = |name, value: Option<String>| {
            if let Some(value) = value {
                defaults.variables.insert(name, value);
            }
        };
        set("ansible_password", self.password(config, terminal)?.map(|secret| secret.expose().to_owned()));
        Ok(defaults)
    }

    fn password(&self, config: &Config, terminal: &Terminal) -> Result<Option<Secret>, CommandError> {
        if let Some(file) = &self.connection_password_file {
            return ask::password_file(&config.expand(&file.to_string_lossy())).map(Some);
        }
        if self.ask_pass {
            return ask::password(terminal, "SSH password: ").map(Some);
        }
        Ok(None)
    }

    /// What all connections share.
    pub fn context(&self, config: &Config, terminal: &Terminal) -> Result<ConnectContext, CommandError> {
        let mut context = ConnectContext::new(config.home(), local_user()?);
        context.agent_socket = std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()).map(PathBuf::from);
        if let Some(file) = &self.ssh_config {
            let file = config.expand(&file.to_string_lossy());
            if !file.exists() {
                return Err(CommandError::usage(format_args!("there is no ssh configuration `{}`", file.display())));
            }
            context.config_file = Some(file);
        }
        context.host_key_checking = match self.host_key_checking {
            Some(Checking::Strict) => Some(HostKeyChecking::Strict),
            Some(Checking::AcceptNew) => Some(HostKeyChecking::AcceptNew),
            Some(Checking::Off) => Some(HostKeyChecking::Off),
            None => config.host_key_checking.map(|on| if on { HostKeyChecking::Strict } else { HostKeyChecking::Off }),
        };
        let (terminal, one_at_a_time) = (terminal.clone(), Mutex::new(()));
        context.passphrase = Some(Arc::new(move |key| {
            let _turn = one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
            ask::passphrase(&terminal, key)
        }));
        Ok(context)
    }
}

/// That what was given can be used, before it fails on each host.
fn check(defaults: &Defaults) -> Result<(), CommandError> {
    let lookup = |name: &str| defaults.variables.get(name).cloned();
    match Target::from_vars("any-host", &lookup) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = error.to_string();
            let message = message.strip_prefix("any-host: ").unwrap_or(&message);
            Err(CommandError::usage(format_args!("an option or setting of connections is wrong: {message}")))
        }
    }
}

/// The name of the user who runs this.
pub fn local_user() -> Result<String, CommandError> {
    for name in ["USER", "LOGNAME"] {
        if let Ok(user) = std::env::var(name)
            && !user.is_empty()
        {
            return Ok(user);
        }
    }
    let output = std::process::Command::new("id").arg("-un").output();
    match output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()) {
        Ok(user) if !user.is_empty() => Ok(user),
        _ => Err(CommandError::new(ErrorKind::Unavailable, "can't tell which user runs this")
            .hinted("set the environment variable USER")),
    }
}
