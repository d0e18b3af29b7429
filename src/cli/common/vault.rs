//! Passwords for encrypted files and variables.

use super::ask;
use super::config::Config;
use super::terminal::Terminal;
use crate::cli::{CommandError, Ui};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use windlass::values::{Decrypt, NoVault, Redactor, Vault};

/// Options for what `ansible-vault` has encrypted.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
#[command(next_help_heading = "Vault")]
pub struct VaultArgs {
    /// A file with a vault password, or a program that prints it; repeatable
    #[arg(
        long = "vault-password-file",
        visible_alias = "vault-pass-file",
        value_name = "FILE",
        env = "WINDLASS_VAULT_PASSWORD_FILE"
    )]
    vault_password_files: Vec<PathBuf>,
    /// A vault password with its id: `LABEL@FILE`, or `LABEL@prompt` to be asked; repeatable
    #[arg(long = "vault-id", value_name = "LABEL@SOURCE")]
    vault_ids: Vec<String>,
    /// Ask for the vault password
    #[arg(short = 'J', long, visible_alias = "ask-vault-password")]
    ask_vault_pass: bool,
}

/// Configuration, and what opens encrypted texts.
pub struct Keyring {
    pub config: Config,
    pub terminal: Terminal,
    pub redactor: Arc<Redactor>,
    pub decrypt: Arc<dyn Decrypt>,
}

impl Keyring {
    /// Reads the configuration and the vault passwords. `progress`: whether bars may be drawn later.
    pub fn open(args: &VaultArgs, progress: bool, ui: &mut Ui) -> Result<Keyring, CommandError> {
        let config = Config::load(ui)?;
        let terminal = Terminal::new(progress);
        let redactor = Arc::new(Redactor::new());
        let decrypt = args.open(&config, &redactor, &terminal)?;
        Ok(Keyring { config, terminal, redactor, decrypt })
    }
}

impl VaultArgs {
    /// What opens encrypted texts. Passwords are made known to `redactor`.
    fn open(
        &self,
        config: &Config,
        redactor: &Arc<Redactor>,
        terminal: &Terminal,
    ) -> Result<Arc<dyn Decrypt>, CommandError> {
        let mut vault = Vault::new(Arc::clone(redactor));
        let mut any = false;
        let mut add = |id: &str, password: &str| {
            vault.add(id, password);
            any = true;
        };
        for source in &self.vault_ids {
            let (label, source) = source.split_once('@').unwrap_or(("default", source));
            let password = match source {
                "" => {
                    return Err(CommandError::usage(format_args!("`--vault-id {label}@` names no source"))
                        .hinted("write `--vault-id LABEL@FILE` or `--vault-id LABEL@prompt`"));
                }
                "prompt" | "prompt_ask_vault_pass" => ask::password(terminal, &format!("vault password ({label}): "))?,
                file => ask::password_file(&config.expand(file))?,
            };
            add(label, password.expose());
        }
        let from_config = config.vault_password_file.iter().filter(|_| self.vault_password_files.is_empty());
        for file in self.vault_password_files.iter().chain(from_config) {
            let file = config.expand(&file.to_string_lossy());
            add("default", ask::password_file(&file)?.expose());
        }
        if self.ask_vault_pass {
            add("default", ask::password(terminal, "vault password: ")?.expose());
        }
        Ok(if any { Arc::new(vault) } else { Arc::new(NoVault) })
    }
}
