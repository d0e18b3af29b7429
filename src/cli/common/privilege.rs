//! Raised privileges (`become`).

use super::ask;
use super::config::Config;
use super::terminal::Terminal;
use crate::cli::CommandError;
use clap::Args;
use std::path::PathBuf;
use windlass::engine::run::Options;
use windlass::transport::Secret;

/// Options for raised privileges.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Privileges")]
pub struct PrivilegeArgs {
    /// Raise privileges, unless the playbook or the inventory says otherwise
    #[arg(short = 'b', long = "become")]
    pub become_: bool,
    /// The user to become [default: root]
    #[arg(long, value_name = "USER")]
    pub become_user: Option<String>,
    /// How: sudo or su [default: sudo]
    #[arg(long, value_name = "METHOD", value_parser = ["sudo", "su"], hide_possible_values = true)]
    pub become_method: Option<String>,
    /// Ask for the password that sudo wants
    #[arg(short = 'K', long, conflicts_with = "become_password_file")]
    pub ask_become_pass: bool,
    /// A file with the password that sudo wants, or a program that prints it
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE", env = "WINDLASS_BECOME_PASSWORD_FILE")]
    pub become_password_file: Option<PathBuf>,
}

impl PrivilegeArgs {
    /// Puts them into a run's options.
    pub fn apply(&self, config: &Config, options: &mut Options) {
        options.become_ = self.become_ || config.become_.unwrap_or(false);
        options.become_user = self.become_user.clone().or_else(|| config.become_user.clone());
        options.become_method = self.become_method.clone().or_else(|| config.become_method.clone());
    }

    /// The password, if one was given or is to be asked for.
    pub fn password(&self, config: &Config, terminal: &Terminal) -> Result<Option<Secret>, CommandError> {
        if let Some(file) = &self.become_password_file {
            return ask::password_file(&config.expand(&file.to_string_lossy())).map(Some);
        }
        if self.ask_become_pass || config.become_ask_pass.unwrap_or(false) {
            return ask::password(terminal, "become password: ").map(Some);
        }
        Ok(None)
    }
}
