//! What comes from outside the command line: `ansible.cfg`, Ansible's environment variables, the home folder.
//!
//! A setting of the command line wins, then its `WINDLASS_…` variable, then Ansible's variable, then `ansible.cfg`.

use crate::cli::{CommandError, ErrorKind, Ui};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use windlass::source::{Node, Span};

/// Settings that mean the same here as in Ansible.
#[derive(Debug, Default)]
pub struct Config {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    pub inventory: Vec<String>,
    pub roles_path: Vec<PathBuf>,
    pub remote_user: Option<String>,
    pub forks: Option<usize>,
    pub vault_password_file: Option<PathBuf>,
    pub host_key_checking: Option<bool>,
    pub private_key_file: Option<PathBuf>,
    pub timeout: Option<u32>,
    pub ssh_args: Option<String>,
    pub ssh_common_args: Option<String>,
    pub ssh_extra_args: Option<String>,
    pub become_: Option<bool>,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    pub become_ask_pass: Option<bool>,
    home: PathBuf,
}

/// A setting: its section and key in `ansible.cfg`, and its environment variable.
const SETTINGS: [(&str, &str, &str); 15] = [
    ("defaults", "inventory", "ANSIBLE_INVENTORY"),
    ("defaults", "roles_path", "ANSIBLE_ROLES_PATH"),
    ("defaults", "remote_user", "ANSIBLE_REMOTE_USER"),
    ("defaults", "forks", "ANSIBLE_FORKS"),
    ("defaults", "vault_password_file", "ANSIBLE_VAULT_PASSWORD_FILE"),
    ("defaults", "host_key_checking", "ANSIBLE_HOST_KEY_CHECKING"),
    ("defaults", "private_key_file", "ANSIBLE_PRIVATE_KEY_FILE"),
    ("defaults", "timeout", "ANSIBLE_TIMEOUT"),
    ("ssh_connection", "ssh_args", "ANSIBLE_SSH_ARGS"),
    ("ssh_connection", "ssh_common_args", "ANSIBLE_SSH_COMMON_ARGS"),
    ("ssh_connection", "ssh_extra_args", "ANSIBLE_SSH_EXTRA_ARGS"),
    ("privilege_escalation", "become", "ANSIBLE_BECOME"),
    ("privilege_escalation", "become_user", "ANSIBLE_BECOME_USER"),
    ("privilege_escalation", "become_method", "ANSIBLE_BECOME_METHOD"),
    ("privilege_escalation", "become_ask_pass", "ANSIBLE_BECOME_ASK_PASS"),
];

/// Keys of `ansible.cfg` that change nothing about what a playbook does, so that leaving them out needs no word.
const MOOT: [&str; 33] = [
    "ansible_managed",
    "any_unparsed_is_failed",
    "bin_ansible_callbacks",
    "callback_whitelist",
    "callbacks_enabled",
    "callback_result_format",
    "command_warnings",
    "control_path",
    "control_path_dir",
    "deprecation_warnings",
    "devel_warning",
    "display_args_to_stdout",
    "display_skipped_hosts",
    "fact_caching",
    "fact_caching_connection",
    "fact_caching_timeout",
    "force_color",
    "forks",
    "host_pattern_mismatch",
    "inject_facts_as_vars",
    "interpreter_python",
    "localhost_warning",
    "local_tmp",
    "log_path",
    "nocolor",
    "nocows",
    "pipelining",
    "poll_interval",
    "remote_tmp",
    "retry_files_enabled",
    "result_format",
    "stdout_callback",
    "system_warnings",
];

impl Config {
    /// Reads `ansible.cfg` in the working folder, or the file that `ANSIBLE_CONFIG` names, and Ansible's variables.
    pub fn load(ui: &mut Ui) -> Result<Config, CommandError> {
        let mut config = Config { home: home(), ..Config::default() };
        if let Some(file) = config_file(ui) {
            let text = std::fs::read_to_string(&file).map_err(|error| {
                CommandError::new(ErrorKind::Playbook, format_args!("can't read `{}`: {error}", file.display()))
            })?;
            windlass::source::reads::note(&file, text.as_bytes());
            let values = parse(&text);
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            config.take(&values, &folder, &file.display().to_string())?;
            warn_of_others(&values, &file, ui)?;
            config.file = Some(file);
        }
        let from_environment: Vec<(String, String, String)> = SETTINGS
            .iter()
            .filter_map(|(section, key, variable)| {
                let value = std::env::var(variable).ok().filter(|v| !v.is_empty())?;
                Some(((*section).to_owned(), (*key).to_owned(), value))
            })
            .collect();
        config.take(&from_environment, Path::new(""), "the environment")?;
        Ok(config)
    }

    /// Takes settings; relative paths start at `folder`.
    fn take(&mut self, values: &[(String, String, String)], folder: &Path, origin: &str) -> Result<(), CommandError> {
        for (section, key, value) in values {
            let bad = |wants: &str| {
                CommandError::new(
                    ErrorKind::Playbook,
                    format_args!("`{key} = {value}` in {origin}: {wants} is expected"),
                )
            };
            let text = || Some(value.clone());
            let path = |text: &str| {
                let path = self.expand(text);
                if path.is_absolute() { path } else { folder.join(path) }
            };
            let flag = || {
                let node = Node::string(value, Span::synthetic(origin, value));
                windlass::source::bool_of(&node).map_err(|_| bad("true or false"))
            };
            match (section.as_str(), key.as_str()) {
                ("defaults", "inventory") => {
                    // A list of files; one that ends in a comma is a list of hosts.
                    self.inventory = if value.trim_end().ends_with(',') {
                        vec![value.clone()]
                    } else {
                        value.split(',').map(|p| path(p.trim()).to_string_lossy().into_owned()).collect()
                    };
                }
                ("defaults", "roles_path") => self.roles_path = value.split(':').map(|p| path(p.trim())).collect(),
                ("defaults", "remote_user") => self.remote_user = text(),
                ("defaults", "forks") => {
                    self.forks = Some(value.parse().ok().filter(|n| *n > 0).ok_or_else(|| bad("a number"))?);
                }
                ("defaults", "vault_password_file") => self.vault_password_file = Some(path(value)),
                ("defaults", "host_key_checking") => self.host_key_checking = Some(flag()?),
                ("defaults", "private_key_file") => self.private_key_file = Some(path(value)),
                ("defaults", "timeout") => {
                    self.timeout = Some(value.parse().ok().filter(|n| *n > 0).ok_or_else(|| bad("a number"))?);
                }
                ("ssh_connection", "ssh_args") => self.ssh_args = text(),
                ("ssh_connection", "ssh_common_args") => self.ssh_common_args = text(),
                ("ssh_connection", "ssh_extra_args") => self.ssh_extra_args = text(),
                ("privilege_escalation", "become") => self.become_ = Some(flag()?),
                ("privilege_escalation", "become_user") => self.become_user = text(),
                ("privilege_escalation", "become_method") => match value.as_str() {
                    "sudo" | "su" => self.become_method = text(),
                    _ => return Err(bad("sudo or su")),
                },
                ("privilege_escalation", "become_ask_pass") => self.become_ask_pass = Some(flag()?),
                _ => {}
            }
        }
        Ok(())
    }

    /// A path as people write it: `~` is the home folder.
    pub fn expand(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None if path == "~" => self.home.clone(),
            None => PathBuf::from(path),
        }
    }

    /// The home folder of the user who runs this.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

fn home() -> PathBuf {
    std::env::home_dir().filter(|h| !h.as_os_str().is_empty()).unwrap_or_else(|| PathBuf::from("/"))
}

fn config_file(ui: &mut Ui) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ANSIBLE_CONFIG").filter(|v| !v.is_empty()) {
        let path = PathBuf::from(named);
        return Some(if path.is_dir() { path.join("ansible.cfg") } else { path });
    }
    let here = PathBuf::from("ansible.cfg");
    if !here.is_file() {
        return None;
    }
    if std::fs::metadata(".").is_ok_and(|about| about.permissions().mode() & 0o002 != 0) {
        ui.warn("ansible.cfg is not read: everybody can write to this folder, and it could name anybody's programs");
        ui.hint("`chmod o-w .`, or name it with ANSIBLE_CONFIG");
        return None;
    }
    Some(here)
}

/// Sections, keys and values; comments and blank lines left out. A line that is indented goes on with the one before.
fn parse(text: &str) -> Vec<(String, String, String)> {
    let mut out: Vec<(String, String, String)> = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        let body = line.trim();
        if body.is_empty() || body.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = body.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
        } else if line.starts_with([' ', '\t'])
            && let Some((_, _, value)) = out.last_mut()
        {
            value.push_str(body);
        } else if let Some((key, value)) = body.split_once(['=', ':']) {
            let value = value.split(" ;").next().unwrap_or_default();
            let value = value.split(" #").next().unwrap_or_default().trim();
            out.push((section.clone(), key.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    out
}

/// Says which settings have no effect, and refuses those without which a playbook would mean something else.
fn warn_of_others(values: &[(String, String, String)], file: &Path, ui: &mut Ui) -> Result<(), CommandError> {
    let mut ignored = BTreeSet::new();
    for (section, key, value) in values {
        if key == "hash_behaviour" && value == "merge" {
            let message = format!("`hash_behaviour = merge` in {} is not supported", file.display());
            return Err(CommandError::new(ErrorKind::Playbook, message)
                .hinted("merge where it is meant, with the filter `combine`"));
        }
        let known = SETTINGS.iter().any(|(s, k, _)| s == section && k == key);
        if !known && !MOOT.contains(&key.as_str()) && !value.is_empty() {
            ignored.insert(format!("{section}.{key}"));
        }
    }
    if !ignored.is_empty() {
        let names: Vec<String> = ignored.into_iter().collect();
        ui.warn(format_args!("{} has settings that have no effect here: {}", file.display(), names.join(", ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn take(text: &str) -> Result<Config, CommandError> {
        let mut config = Config { home: "/home/me".into(), ..Config::default() };
        config.take(&parse(text), Path::new("/etc/x"), "ansible.cfg").map(|()| config)
    }

    #[test]
    fn settings_and_their_relative_paths() {
        let config = take(
            "[defaults]\ninventory = hosts, more/hosts  ; both\nroles_path=~/roles:/opt/roles\nforks = 7\n# c\n\
             host_key_checking = False\n[privilege_escalation]\nbecome: yes\nbecome_user = app\n\
             [ssh_connection]\nssh_args = -C\n  -4\n",
        )
        .unwrap();
        assert_eq!(config.inventory, ["/etc/x/hosts", "/etc/x/more/hosts"]);
        assert_eq!(config.roles_path, [PathBuf::from("/home/me/roles"), "/opt/roles".into()]);
        assert_eq!((config.forks, config.host_key_checking, config.become_), (Some(7), Some(false), Some(true)));
        assert_eq!(config.become_user.as_deref(), Some("app"));
        assert_eq!(take("[defaults]\ninventory = a,b,\n").unwrap().inventory, ["a,b,"]);
    }

    #[test]
    fn a_wrong_value_is_an_error_that_names_it() {
        let error = take("[defaults]\nforks = many\n").unwrap_err();
        assert_eq!(error.message, "`forks = many` in ansible.cfg: a number is expected");
        assert!(take("[privilege_escalation]\nbecome_method = doas\n").is_err());
        assert!(take("[privilege_escalation]\nbecome = perhaps\n").is_err());
    }
}
