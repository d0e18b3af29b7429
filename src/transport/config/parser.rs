//! The own reader of `ssh_config`, for machines without OpenSSH: `Host`, `Include`, and the options Windlass knows.
//! The rules are those of the manual page ssh_config(5): the first value wins; identity files add up.

use super::pattern::{list_matches, matches};
use super::{Query, Settings};
use crate::transport::context::ConnectContext;
use crate::transport::error::TransportError;
use crate::transport::options::{Support, split_option, split_words, support};
use std::path::{Path, PathBuf};

/// As deep as OpenSSH follows `Include`.
const DEPTH: usize = 16;

/// Reads the files that exist, in order.
pub(super) fn read(context: &ConnectContext, query: &Query, files: &[PathBuf]) -> Result<Settings, TransportError> {
    let mut reader = Reader { context, query, settings: Settings::default() };
    for (keyword, value) in &query.overrides {
        reader.set(keyword, value);
    }
    for file in files {
        reader.file(file, &mut true, 0)?;
    }
    Ok(reader.settings)
}

/// Options that a configuration has for a person's own logins, or for its list of algorithms: asked for on purpose (in
/// the inventory) they are refused; here they are left out, as they are from what `ssh -G` prints.
fn for_logins(keyword: &str) -> bool {
    matches!(
        keyword,
        "forwardagent"
            | "localforward"
            | "remoteforward"
            | "dynamicforward"
            | "tunnel"
            | "remotecommand"
            | "ciphers"
            | "macs"
            | "kexalgorithms"
            | "hostkeyalgorithms"
            | "pubkeyacceptedalgorithms"
            | "pubkeyacceptedkeytypes"
            | "casignaturealgorithms"
    )
}

struct Reader<'a> {
    context: &'a ConnectContext,
    query: &'a Query,
    settings: Settings,
}

impl Reader<'_> {
    fn set(&mut self, keyword: &str, value: &str) {
        let adds_up = matches!(keyword, "identityfile" | "certificatefile");
        // Whichever of the two comes first decides how the host is reached.
        let taken = match keyword {
            "proxyjump" | "proxycommand" => {
                ["proxyjump", "proxycommand"].iter().any(|k| self.settings.get(k).is_some())
            }
            _ => self.settings.get(keyword).is_some(),
        };
        if adds_up || !taken {
            self.settings.0.push((keyword.to_owned(), value.to_owned()));
        }
    }

    fn file(&mut self, path: &Path, active: &mut bool, depth: usize) -> Result<(), TransportError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(self.query.error(path.display().to_string(), error.to_string(), "make the file readable"));
            }
        };
        // Inside an Include below a Host that does not match, nothing can become active.
        let outer = *active;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = || format!("{}:{}", path.display(), number + 1);
            let Some((keyword, value)) = split_option(line).filter(|(_, value)| !value.is_empty()) else {
                return Err(self.query.error(
                    place(),
                    format!("{line:?} has no value"),
                    "give it one, or remove the line",
                ));
            };
            let keyword = keyword.to_ascii_lowercase();
            let words =
                || split_words(&value).ok_or_else(|| self.query.error(place(), "an open quote", "close the quote"));
            match keyword.as_str() {
                "host" => *active = outer && list_matches(words()?.iter().map(String::as_str), &self.query.host),
                "match" if words()? == ["all"] => *active = outer,
                "match" => {
                    let advice = "install the OpenSSH client here (its ssh -G is used then), or use Host";
                    return Err(self.query.error(
                        place(),
                        "Match is understood only where OpenSSH is installed",
                        advice,
                    ));
                }
                "include" => {
                    if depth >= DEPTH {
                        return Err(self.query.error(place(), "Include goes too deep", "look for a loop"));
                    }
                    for pattern in words()? {
                        for file in self.included(&pattern, path).map_err(|reason| {
                            self.query.error(place(), reason, "name the files, or use * in the last part only")
                        })? {
                            self.file(&file, &mut active.clone(), depth + 1)?;
                        }
                    }
                }
                "ignoreunknown" => self.set(&keyword, &value),
                _ if !*active => {}
                _ => match support(&keyword, &value) {
                    Support::Used => {
                        let value = self
                            .value(&keyword, &value)
                            .ok_or_else(|| self.query.error(place(), "an open quote", "close the quote"))?;
                        self.set(&keyword, &value);
                    }
                    Support::Refused(advice) if !for_logins(&keyword) && !self.ignored(&keyword) => {
                        return Err(self.query.error(place(), format!("{keyword} is not supported"), advice));
                    }
                    Support::Moot | Support::Refused(_) => {}
                },
            }
        }
        Ok(())
    }

    fn ignored(&self, keyword: &str) -> bool {
        let patterns = self.settings.get("ignoreunknown").unwrap_or_default();
        patterns.split([',', ' ']).any(|pattern| matches(&pattern.to_ascii_lowercase(), keyword))
    }

    /// A value without its quotes; commands and lists keep theirs.
    fn value(&self, keyword: &str, value: &str) -> Option<String> {
        match keyword {
            "proxycommand" | "userknownhostsfile" | "globalknownhostsfile" => Some(value.to_owned()),
            "hostname" => {
                split_words(value)?.first().map(|name| name.replace("%h", &self.query.host).replace("%%", "%"))
            }
            _ => split_words(value)?.into_iter().next(),
        }
    }

    /// The files an `Include` names, sorted. Relative ones lie in `~/.ssh`, or beside the system's file.
    fn included(&self, pattern: &str, from: &Path) -> Result<Vec<PathBuf>, String> {
        let path = self.context.expand_home(pattern);
        let base =
            if from.starts_with("/etc/ssh") { PathBuf::from("/etc/ssh") } else { self.context.home.join(".ssh") };
        let path = base.join(path);
        let is_pattern = |text: &str| text.contains(['*', '?']);
        if !is_pattern(&path.to_string_lossy()) {
            return Ok(vec![path]);
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(Vec::new()) };
        if is_pattern(&folder.to_string_lossy()) {
            return Err(format!("Include {pattern} has a wildcard in a folder's name"));
        }
        let name = name.to_string_lossy();
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|file| matches(&name, file) && (!file.starts_with('.') || name.starts_with('.')))
            .map(|file| folder.join(file))
            .collect();
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn settings(host: &str, files: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Settings, TransportError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        for (name, text) in files {
            std::fs::write(home.path().join(".ssh").join(name), text).unwrap();
        }
        let query = Query {
            name: "n".into(),
            host: host.into(),
            overrides: overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            config_file: None,
        };
        let context = ConnectContext::new(home.path(), "me");
        read(&context, &query, &[home.path().join(".ssh/config")])
    }

    #[test]
    fn the_first_value_wins_and_identities_add_up() {
        let text = "User first\nHost web\n  HostName %h.example\n  User second\n  IdentityFile ~/a\nHost *\n  Port=2200\n  IdentityFile \"~/b c\"\n";
        let got = settings("web", &[("config", text)], &[]).unwrap();
        assert_eq!(got.get("user"), Some("first"));
        assert_eq!(got.get("hostname"), Some("web.example"));
        assert_eq!(got.get("port"), Some("2200"));
        assert_eq!(got.all("identityfile").collect::<Vec<_>>(), ["~/a", "~/b c"]);
        let got = settings("db", &[("config", text)], &[("port", "22")]).unwrap();
        assert_eq!((got.get("hostname"), got.get("port")), (None, Some("22")));
    }

    #[test]
    fn negated_host_patterns_and_the_rest_of_the_file() {
        let text = "Host *.org !x.org\n  User org\nHost x.org\n  User x\n";
        assert_eq!(settings("y.org", &[("config", text)], &[]).unwrap().get("user"), Some("org"));
        assert_eq!(settings("x.org", &[("config", text)], &[]).unwrap().get("user"), Some("x"));
    }

    #[test]
    fn includes_are_followed_where_their_block_matches() {
        let files = [
            ("config", "Host web\n  Include conf.*\nHost *\n  User last\n"),
            ("conf.a", "User a\nHost other\n  Port 1\n"),
            ("conf.b", "Port 2\n"),
        ];
        let got = settings("web", &files, &[]).unwrap();
        assert_eq!((got.get("user"), got.get("port")), (Some("a"), Some("2")));
        let got = settings("other", &files, &[]).unwrap();
        assert_eq!((got.get("user"), got.get("port")), (Some("last"), None));
    }

    #[test]
    fn jump_and_command_exclude_each_other() {
        let text = "ProxyCommand none\nProxyJump bastion\n";
        let got = settings("web", &[("config", text)], &[]).unwrap();
        assert_eq!((got.get("proxycommand"), got.get("proxyjump")), (Some("none"), None));
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_place() {
        for (text, word) in [
            ("\nMatch user root\n  User x\n", "Match"),
            ("Port 1\nRevokedHostKeys /etc/x\n", "revokedhostkeys"),
            ("\nFrobnicate yes\n", "frobnicate"),
            ("\nUser\n", "User"),
        ] {
            let error = settings("web", &[("config", text)], &[]).unwrap_err().to_string();
            assert!(error.contains("config:2: ") && error.contains(word), "{error}");
        }
        assert!(settings("web", &[("config", "IgnoreUnknown frob*\nFrobnicate yes\n")], &[]).is_ok());
        assert!(settings("web", &[("config", "ForwardAgent yes\nCiphers aes128-ctr\n")], &[]).is_ok());
        assert!(settings("web", &[("config", "Host db\n  Frobnicate yes\n")], &[]).is_ok());
    }
}
