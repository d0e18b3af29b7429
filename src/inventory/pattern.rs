//! Patterns that choose hosts: `web:&prod:!web3`, `db[0]`, `*.example.org`, `~web\d+`, and `@file` for a limit.

use super::data::ALL;
use super::{GroupName, HostName, Inventory};
use crate::source::{Diagnostic, Span, suggest};
use fancy_regex::Regex;
use indexmap::IndexSet;

/// The names under which a host that no inventory names is this machine.
pub(super) const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Inventory {
    /// The hosts that a play's `hosts:` chooses, in the order of the pattern and of the inventory, limited by the text
    /// of `--limit`. A name in the pattern that matches nothing chooses nothing ([`Inventory::unmatched`] tells).
    ///
    /// # Errors
    /// A regular expression that is none; a part of the limit that matches nothing; a limit file that can't be read.
    pub fn select(&self, pattern: &str, limit: Option<&str>) -> Result<Vec<HostName>, Diagnostic> {
        let hosts = self.evaluate(&split(pattern))?;
        let Some(limit) = limit.filter(|limit| !limit.trim().is_empty()) else {
            return Ok(hosts.into_iter().collect());
        };
        let parts = with_files(&split(limit))?;
        if let Some(part) = self.unmatched_parts(&parts)?.first() {
            return Err(self.no_match(part, "the limit", &Span::synthetic("--limit", limit)));
        }
        let limited = self.evaluate(&parts)?;
        Ok(hosts.into_iter().filter(|host| limited.contains(host)).collect())
    }

    /// A warning for each part of a play's pattern that matches no host and no group. `span` is where the pattern stands.
    pub fn unmatched(&self, pattern: &str, span: &Span) -> Vec<Diagnostic> {
        let parts = self.unmatched_parts(&split(pattern)).unwrap_or_default();
        parts.iter().map(|part| self.no_match(part, "the pattern", span).warning()).collect()
    }

    fn unmatched_parts(&self, parts: &[String]) -> Result<Vec<String>, Diagnostic> {
        let mut unmatched = Vec::new();
        for part in parts {
            if !self.matches(part)?.is_empty() {
                continue;
            }
            let name = without_operator(part);
            let (name, _) = subscript(name);
            if name != ALL && !self.data.groups.keys().any(|g| matcher(name).is_ok_and(|m| m.is_match(g.as_str()))) {
                unmatched.push(part.clone());
            }
        }
        Ok(unmatched)
    }

    fn no_match(&self, part: &str, what: &str, span: &Span) -> Diagnostic {
        let name = without_operator(part);
        let message = format!("`{name}` in {what} is no host and no group of the inventory");
        let diagnostic = Diagnostic::error("unknown-host", message, span);
        let hosts = self.data.hosts.keys().map(HostName::as_str);
        match suggest(name, hosts.chain(self.data.groups.keys().map(GroupName::as_str))) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help("list what there is with `windlass inventory --graph`"),
        }
    }

    fn evaluate(&self, parts: &[String]) -> Result<IndexSet<HostName>, Diagnostic> {
        let is = |part: &String, operator: char| part.starts_with(operator);
        let plain: Vec<&String> = parts.iter().filter(|p| !is(p, '!') && !is(p, '&')).collect();
        let mut hosts = IndexSet::new();
        if plain.is_empty() && !parts.is_empty() {
            hosts.extend(self.matches(ALL)?);
        }
        for part in plain {
            hosts.extend(self.matches(part)?);
        }
        for part in parts.iter().filter(|p| is(p, '&')) {
            let others: IndexSet<HostName> = self.matches(part)?.into_iter().collect();
            hosts.retain(|host| others.contains(host));
        }
        for part in parts.iter().filter(|p| is(p, '!')) {
            let others: IndexSet<HostName> = self.matches(part)?.into_iter().collect();
            hosts.retain(|host| !others.contains(host));
        }
        Ok(hosts)
    }

    /// The hosts that one part matches, whatever operator stands before it.
    fn matches(&self, part: &str) -> Result<Vec<HostName>, Diagnostic> {
        let name = without_operator(part);
        if let Some((host, _)) = self.data.hosts.get_key_value(name) {
            return Ok(vec![host.clone()]);
        }
        let (name, slice) = subscript(name);
        let matcher = matcher(name)?;
        let groups: Vec<&GroupName> = self.data.groups.keys().filter(|g| matcher.is_match(g.as_str())).collect();
        let mut found: IndexSet<HostName> = groups.iter().flat_map(|g| self.data.members(g)).collect();
        if groups.is_empty() || name.starts_with('~') || name.contains(['.', '?', '*', '[']) {
            found.extend(self.data.hosts.keys().filter(|h| matcher.is_match(h.as_str())).cloned());
        }
        if found.is_empty() && LOCALHOST.contains(&name) {
            found.insert(name.into());
        }
        let found: Vec<HostName> = found.into_iter().collect();
        Ok(match slice {
            Some(slice) => slice.of(&found).to_vec(),
            None => found,
        })
    }
}

/// The parts of a pattern: separated by commas, or else by colons that stand outside of brackets.
fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<String> = if pattern.contains(',') {
        pattern.split(',').map(str::to_owned).collect()
    } else if pattern.trim().parse::<std::net::Ipv6Addr>().is_ok() {
        vec![pattern.to_owned()]
    } else {
        let mut parts = vec![String::new()];
        let mut depth = 0;
        for c in pattern.chars() {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if depth <= 0 && (c == ':' || c.is_whitespace()) {
                parts.push(String::new());
            } else if let Some(last) = parts.last_mut() {
                last.push(c);
            }
        }
        parts
    };
    parts.iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

/// `@file` stands for the lines of that file.
fn with_files(parts: &[String]) -> Result<Vec<String>, Diagnostic> {
    let mut all = Vec::new();
    for part in parts {
        match part.strip_prefix('@') {
            Some(path) => {
                let file = crate::source::read(std::path::Path::new(path), path)?;
                all.extend(file.text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned));
            }
            None => all.push(part.clone()),
        }
    }
    Ok(all)
}

fn without_operator(part: &str) -> &str {
    part.strip_prefix(['!', '&']).unwrap_or(part)
}

/// Which of the hosts of a group.
#[derive(Debug, PartialEq, Eq)]
enum Slice {
    /// `[0]`, `[-1]`
    One(isize),
    /// `[1:3]`, the end included; `[1:]`
    Range(usize, Option<usize>),
}

impl Slice {
    fn of<'a>(&self, hosts: &'a [HostName]) -> &'a [HostName] {
        let (start, end) = match *self {
            Self::One(i) => {
                let at = if i < 0 { hosts.len().checked_sub(i.unsigned_abs()) } else { usize::try_from(i).ok() };
                match at {
                    Some(at) => (at, at),
                    None => return &[],
                }
            }
            Self::Range(start, end) => (start, end.unwrap_or(usize::MAX)),
        };
        let end = end.saturating_add(1).min(hosts.len());
        hosts.get(start..end).unwrap_or(&[])
    }
}

/// Splits `web[1:3]` into `web` and the slice; other brackets belong to the name.
fn subscript(part: &str) -> (&str, Option<Slice>) {
    let whole = (part, None);
    if part.starts_with('~') {
        return whole;
    }
    let Some((name, inner)) = part.strip_suffix(']').and_then(|p| p.rsplit_once('[')) else { return whole };
    match slice(inner) {
        Some(slice) if !name.is_empty() => (name, Some(slice)),
        _ => whole,
    }
}

/// What stands in the brackets; `None` if it is a set of characters or else no slice.
fn slice(text: &str) -> Option<Slice> {
    let number = |text: &str| if text.starts_with('+') { None } else { text.parse::<usize>().ok() };
    if let Some(back) = text.strip_prefix('-') {
        return number(back).and_then(|n| isize::try_from(n).ok()).map(|n| Slice::One(-n));
    }
    match text.split_once([':', '-']) {
        None => number(text).and_then(|n| isize::try_from(n).ok()).map(Slice::One),
        Some((start, "")) => Some(Slice::Range(number(start)?, None)),
        Some((start, end)) => Some(Slice::Range(number(start)?, Some(number(end)?))),
    }
}

/// What decides whether a name matches.
enum Matcher {
    Regex(Regex),
    Name(String),
}

impl Matcher {
    fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Regex(regex) => regex.is_match(name).unwrap_or(false),
            Self::Name(own) => own == name,
        }
    }
}

/// A regular expression after `~`, which must match from the start of the name; else a glob, which must match it whole.
fn matcher(pattern: &str) -> Result<Matcher, Diagnostic> {
    let regex = if let Some(regex) = pattern.strip_prefix('~') {
        format!("^(?:{regex})")
    } else if pattern.contains(['*', '?', '[']) {
        glob(pattern)
    } else {
        return Ok(Matcher::Name(pattern.to_owned()));
    };
    Regex::new(&regex).map(Matcher::Regex).map_err(|error| {
        Diagnostic::error(
            "bad-pattern",
            format!("`{pattern}` is no regular expression: {error}"),
            &Span::synthetic("pattern", pattern),
        )
        .help("what follows `~` is a regular expression")
    })
}

/// A shell glob as a regular expression.
fn glob(pattern: &str) -> String {
    let mut regex = String::from("(?s)^");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => {
                let from = usize::from(rest.starts_with('!'));
                // A bracket right at the start belongs to the set.
                let skip = from + usize::from(rest[from..].starts_with(']'));
                if let Some(end) = rest[skip..].find(']').map(|i| i + skip) {
                    let mut set = String::new();
                    for c in rest[from..end].chars() {
                        if matches!(c, '\\' | '[' | ']' | '^' | '&' | '~') {
                            set.push('\\');
                        }
                        set.push(c);
                    }
                    regex.push_str(if from == 1 { "[^" } else { "[" });
                    regex.push_str(&set);
                    regex.push(']');
                    rest = &rest[end + 1..];
                } else {
                    regex.push_str("\\[");
                }
            }
            c if c.is_alphanumeric() || c == '_' => regex.push(c),
            c if c.is_ascii() => regex.extend(['\\', c]),
            c => regex.push(c),
        }
    }
    regex.push('$');
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        assert_eq!(split("web:&prod:!db[1:2]"), ["web", "&prod", "!db[1:2]"]);
        assert_eq!(split(" a, b ,,"), ["a", "b"]);
        assert_eq!(split("2001:db8::5"), ["2001:db8::5"]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn subscripts() {
        assert_eq!(subscript("web[0]"), ("web", Some(Slice::One(0))));
        assert_eq!(subscript("web[-1]"), ("web", Some(Slice::One(-1))));
        assert_eq!(subscript("web[1:]"), ("web", Some(Slice::Range(1, None))));
        assert_eq!(subscript("web[1:3]"), ("web", Some(Slice::Range(1, Some(3)))));
        assert_eq!(subscript("web[ab]"), ("web[ab]", None));
        assert_eq!(subscript("~web[0]"), ("~web[0]", None));
    }

    #[test]
    fn globs() {
        let matches = |pattern: &str, name: &str| matcher(pattern).is_ok_and(|m| m.is_match(name));
        assert!(matches("web*", "web1"));
        assert!(!matches("web?", "web"));
        assert!(matches("*.x", "db-a.x"));
        assert!(!matches("*.x", "db-ax"));
        assert!(matches("db-[a-c].x", "db-b.x"));
        assert!(!matches("db-[!a-c].x", "db-b.x"));
        assert!(matches("[]x]a", "]a"));
        assert!(matches("a[b*", "a[bc"));
        assert!(matches("~web|db", "db-a"));
        assert!(!matches("~eb", "web"));
        assert!(matcher("~(").is_err());
    }
}
