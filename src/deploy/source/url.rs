//! The address of a repository, with its credentials kept apart.

use super::error::SourceError;
use std::fmt;
use std::path::{Path, PathBuf};

/// A name and a password, or a token as password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password; without one, git's own credential helpers are asked for that of this name.
    pub password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// Where a repository is: a URL (https, http, ssh, git, file), `user@host:path`, or an absolute path of this machine.
///
/// What it shows (by `Debug` and `Display`) and what is passed to programs holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoUrl {
    clean: String,
    credentials: Option<Credentials>,
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.clean))
    }
}

impl RepoUrl {
    /// Reads an address; the credentials of an https URL are taken out of it.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        let refuse = |why: &str| Err(SourceError::Spec { what: format!("the repository `{}` {why}", mask(text)) });
        if text.is_empty() {
            return refuse("is empty: name a URL, or an absolute path of this machine");
        }
        if text.starts_with('-') || text.chars().any(char::is_control) {
            return refuse("is no address: it begins with `-`, or holds control characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            // gitremote-helpers(7): `ext::` and its like run commands.
            if text.split('/').next().is_some_and(|first| first.contains("::")) {
                return refuse("names a transport of git's that runs programs, which is not supported");
            }
            if !text.starts_with('/') && !is_scp(text) {
                return refuse("is neither a URL nor an absolute path");
            }
            return Ok(Self { clean: text.to_owned(), credentials: None });
        };
        let scheme = scheme.to_ascii_lowercase();
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        match scheme.as_str() {
            "file" => Ok(Self { clean: format!("{scheme}://{rest}"), credentials: None }),
            "http" | "https" if host.is_empty() => refuse("names no host"),
            "http" | "https" => {
                let credentials = userinfo.filter(|u| !u.is_empty()).map(|userinfo| {
                    let (user, password) = match userinfo.split_once(':') {
                        Some((user, password)) => (user, Some(decode(password))),
                        None => (userinfo, None),
                    };
                    Credentials { user: decode(user), password }
                });
                if let Some(c) = &credentials
                    && [Some(&c.user), c.password.as_ref()]
                        .into_iter()
                        .flatten()
                        .any(|t| t.contains(['\n', '\r', '\0']))
                {
                    return refuse("holds credentials with line breaks");
                }
                Ok(Self { clean: format!("{scheme}://{host}{path}"), credentials })
            }
            "ssh" | "git+ssh" | "ssh+git" | "git" => {
                if userinfo.is_some_and(|u| u.contains(':')) {
                    return refuse("holds a password, which ssh does not take from an address; use a key");
                }
                if host.is_empty() || host.starts_with('-') {
                    return refuse("names no host");
                }
                Ok(Self { clean: format!("{scheme}://{rest}"), credentials: None })
            }
            _ => refuse("has a scheme that is not supported; use https, ssh, or an absolute path"),
        }
    }

    /// The same, with these credentials instead of its own.
    #[must_use]
    pub fn with(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials.or(self.credentials);
        self
    }

    /// The address without credentials, for programs.
    pub fn clean(&self) -> &str {
        &self.clean
    }

    /// The credentials.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// `https://host:port`, to which credentials belong; none where the address is not of http.
    pub fn origin(&self) -> Option<&str> {
        let rest = self.clean.strip_prefix("https://").or_else(|| self.clean.strip_prefix("http://"))?;
        let end = self.clean.len() - rest.len() + rest.find('/').unwrap_or(rest.len());
        Some(&self.clean[..end])
    }

    /// Whether it is reached by ssh.
    pub fn is_ssh(&self) -> bool {
        is_scp(&self.clean) || ["ssh://", "git+ssh://", "ssh+git://"].iter().any(|s| self.clean.starts_with(s))
    }

    /// The path, if it is of this machine.
    pub fn local(&self) -> Option<PathBuf> {
        if self.clean.starts_with('/') {
            return Some(PathBuf::from(&self.clean));
        }
        self.clean.strip_prefix("file://").map(PathBuf::from)
    }

    /// Where a submodule is whose address (from `.gitmodules`) may be relative to this one, as git-submodule(1) has it.
    /// Credentials go along only to the same origin; a path of this machine is taken only from a repository of it.
    pub(super) fn submodule(&self, url: &str) -> Result<Self, SourceError> {
        let mut joined = url.to_owned();
        if url.starts_with("./") || url.starts_with("../") {
            let mut base = self.clean.trim_end_matches('/').to_owned();
            let mut rest = url;
            loop {
                if let Some(next) = rest.strip_prefix("../") {
                    let Some(cut) = base.rfind('/').or_else(|| base.rfind(':')) else { break };
                    base.truncate(cut);
                    rest = next;
                } else if let Some(next) = rest.strip_prefix("./") {
                    rest = next;
                } else {
                    break;
                }
            }
            // `git@host:a` with `../b` loses the colon's path altogether.
            let scp = is_scp(&self.clean) && !base.contains(':');
            joined = format!("{base}{}{rest}", if scp { ':' } else { '/' });
        }
        let mut module = Self::parse(&joined)?;
        if module.local().is_some() && self.local().is_none() {
            return Err(SourceError::Spec {
                what: format!(
                    "a submodule of {self} names a path of this machine, {module}: give it a URL in .gitmodules"
                ),
            });
        }
        if module.credentials.is_none() && module.origin().is_some() && module.origin() == self.origin() {
            module.credentials.clone_from(&self.credentials);
        }
        Ok(module)
    }

    /// `text`, as git said it, without anything secret of this address.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = mask(text);
        if let Some(password) = self.credentials.as_ref().and_then(|c| c.password.as_ref()).filter(|p| !p.is_empty()) {
            text = text.replace(password.as_str(), "***");
        }
        text
    }
}

/// Whether `text` is `[user@]host:path`: a colon before the first slash (git-clone(1), GIT URLS).
fn is_scp(text: &str) -> bool {
    let end = text.find('/').unwrap_or(text.len());
    text[..end].find(':').is_some_and(|colon| colon > 0) && !text.contains("://")
}

/// `text` without the credentials of the URLs in it: the user part of those of http, the password of others, and queries.
pub fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let scheme = before[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '+').next().unwrap_or("");
        let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '<' | '>');
        let url = &after[..after.find(ends).unwrap_or(after.len())];
        let authority = &url[..url.find('/').unwrap_or(url.len())];
        let mut shown = 0;
        if let Some(userinfo) = authority.rfind('@') {
            match authority[..userinfo].split_once(':') {
                Some((user, _)) if !scheme.starts_with("http") => {
                    out.push_str(user);
                    out.push_str(":***");
                }
                None if !scheme.starts_with("http") => out.push_str(&authority[..userinfo]),
                _ => out.push_str("***"),
            }
            shown = userinfo;
        }
        match url[shown..].find('?') {
            Some(query) => {
                out.push_str(&url[shown..=shown + query]);
                out.push_str("***");
            }
            None => out.push_str(&url[shown..]),
        }
        rest = &after[url.len()..];
    }
    out.push_str(rest);
    out
}

/// RFC 3986's percent-encoding undone; what is no encoding stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (bytes[i], hex(i + 1), hex(i + 2)) {
            out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An absolute path as an address.
impl TryFrom<&Path> for RepoUrl {
    type Error = SourceError;

    fn try_from(path: &Path) -> Result<Self, SourceError> {
        match path.to_str() {
            Some(text) => Self::parse(text),
            None => {
                Err(SourceError::Spec { what: format!("the path {} of a repository is not UTF-8", path.display()) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        let url = RepoUrl::parse("https://bob:s%40cret@git.example.org:8443/a/b.git").unwrap();
        assert_eq!(url.clean(), "https://git.example.org:8443/a/b.git");
        assert_eq!(url.credentials().unwrap().password.as_deref(), Some("s@cret"));
        assert_eq!(url.origin(), Some("https://git.example.org:8443"));
        assert!(!format!("{url} {url:?}").contains("s@cret"));
        assert!(!format!("{url} {url:?}").contains("bob"));
        assert_eq!(url.masked("it was s@cret"), "it was ***");
        let token = RepoUrl::parse("https://ghp_token@example.org/x").unwrap();
        assert_eq!(token.credentials().unwrap().user, "ghp_token");
        assert_eq!(RepoUrl::parse("git@example.org:a/b.git").unwrap().clean(), "git@example.org:a/b.git");
        assert_eq!(RepoUrl::parse("/srv/x").unwrap().local(), Some(PathBuf::from("/srv/x")));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "-x", "ext::sh -c id", "relative/path", "a\nb", "ftp://u:p@h/x", "https:///x", "ssh://-oX/y"] {
            assert!(matches!(RepoUrl::parse(bad), Err(SourceError::Spec { .. })), "{bad}");
        }
        let error = RepoUrl::parse("ssh://git:secret@h/x").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        let error = RepoUrl::parse("ftp://u:secret@h/x").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn urls_in_text_are_masked() {
        assert_eq!(
            mask("fatal: 'https://u:p@h/x' and http://t@h/y?k=v z"),
            "fatal: 'https://***@h/x' and http://***@h/y?*** z"
        );
        assert_eq!(mask("ssh://git@h/x ssh://git:p@h/x"), "ssh://git@h/x ssh://git:***@h/x");
        assert_eq!(mask("https://a:p@w@h/x"), "https://***@h/x");
        assert_eq!(mask("no url"), "no url");
    }

    #[test]
    fn submodules_are_relative_to_their_parent() {
        let at = |base: &str, url: &str| RepoUrl::parse(base).unwrap().submodule(url).map(|u| u.clean().to_owned());
        assert_eq!(at("https://h/a/b.git", "../c.git").unwrap(), "https://h/a/c.git");
        assert_eq!(at("https://h/a/b.git", "./c").unwrap(), "https://h/a/b.git/c");
        assert_eq!(at("git@h:a/b.git", "../c.git").unwrap(), "git@h:a/c.git");
        assert_eq!(at("git@h:b.git", "../c.git").unwrap(), "git@h:c.git");
        assert_eq!(at("/srv/a", "../c").unwrap(), "/srv/c");
        assert!(at("https://h/a/b.git", "/etc/x").is_err());
        let parent = RepoUrl::parse("https://u:p@h/a/b.git").unwrap();
        assert!(parent.submodule("../c.git").unwrap().credentials().is_some());
        assert!(parent.submodule("https://other/c.git").unwrap().credentials().is_none());
    }
}
