//! Versions and requirements of Python packages (PEP 440 and PEP 508), as far as what is installed needs comparing.

use std::cmp::Ordering;

/// A parsed version. Fields compare in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    epoch: u64,
    release: Vec<u64>,
    /// Development and pre-releases come before the release: (kind, number); a release itself has the highest kind.
    pre: (i8, u64),
    post: Option<u64>,
    /// A development release comes before the one without; so "none" is the highest.
    dev: u64,
    local: String,
}

impl Version {
    /// Reads a version; none if it is not of PEP 440's form.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let text = text.strip_prefix('v').unwrap_or(&text);
        let (public, local) = text.split_once('+').unwrap_or((text, ""));
        let (epoch, rest) = public.split_once('!').map_or((Some(0), public), |(e, r)| (e.parse().ok(), r));
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let mut release = Vec::new();
        for part in rest[..end].trim_end_matches('.').split('.') {
            release.push(part.parse().ok()?);
        }
        while release.len() > 1 && release.last() == Some(&0) {
            release.pop();
        }
        let (mut pre, mut post, mut dev) = (None, None, None);
        let mut tail = &rest[rest[..end].trim_end_matches('.').len()..];
        while !tail.is_empty() {
            let trimmed = tail.trim_start_matches(['.', '-', '_']);
            let word_end = trimmed.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
            let (word, after) = trimmed.split_at(word_end);
            let after = after
                .strip_prefix(['.', '-', '_'])
                .filter(|a| a.starts_with(|c: char| c.is_ascii_digit()))
                .unwrap_or(after);
            let number_end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let number = if number_end == 0 { 0 } else { after[..number_end].parse().ok()? };
            match word {
                "a" | "alpha" => pre = Some((-3, number)),
                "b" | "beta" => pre = Some((-2, number)),
                "rc" | "c" | "pre" | "preview" => pre = Some((-1, number)),
                "post" | "rev" | "r" => post = Some(number),
                "dev" => dev = Some(number),
                "" if tail.starts_with('-') && number_end > 0 => post = Some(number),
                _ => return None,
            }
            tail = &after[number_end..];
        }
        let pre = pre.unwrap_or(if dev.is_some() && post.is_none() { (-4, 0) } else { (0, 0) });
        Some(Self {
            epoch: epoch?,
            release,
            pre,
            post,
            dev: dev.unwrap_or(u64::MAX),
            local: local.replace(['-', '_'], "."),
        })
    }

    fn public(&self) -> Self {
        Self { local: String::new(), ..self.clone() }
    }

    fn begins_with(&self, prefix: &Self, parts: usize) -> bool {
        let at = |v: &Self, i: usize| v.release.get(i).copied().unwrap_or(0);
        self.epoch == prefix.epoch && (0..parts).all(|i| at(self, i) == at(prefix, i))
    }
}

/// A requirement such as `Django[argon2]>=5,<6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The name, normalised (PEP 503).
    pub name: String,
    /// Whether extras are asked for, or a marker says when it counts.
    pub conditional: bool,
    /// Operators and versions.
    pub specifiers: Vec<(String, String)>,
}

/// A name in the form in which names are compared.
pub fn normalise(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

impl Requirement {
    /// Reads a requirement by name; none for URLs, paths and what has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, marker) = text.split_once(';').map_or((text, false), |(t, _)| (t, true));
        let text = text.trim();
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let mut rest = rest.trim_start();
        let extras = rest.starts_with('[');
        if extras {
            rest = rest.split_once(']')?.1;
        }
        let rest = rest.trim().trim_start_matches('(').trim_end_matches(')');
        if name.is_empty() || name.starts_with(['-', '.', '_']) || rest.starts_with(['@', '/', ':']) {
            return None;
        }
        let mut specifiers = Vec::new();
        for part in rest.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let end = part.find(|c: char| !"=<>!~".contains(c))?;
            let (operator, version) = part.split_at(end);
            if !matches!(operator, "==" | "===" | ">=" | "<=" | ">" | "<" | "!=" | "~=") {
                return None;
            }
            specifiers.push((operator.to_owned(), version.trim().to_owned()));
        }
        Some(Self { name: normalise(name), conditional: extras || marker, specifiers })
    }

    /// Whether exactly one version fits.
    pub fn is_pinned(&self) -> bool {
        matches!(&self.specifiers[..], [(operator, version)] if operator.starts_with("==") && !version.contains('*'))
    }

    /// Whether a version fits; not if it can't be read.
    pub fn fits(&self, version: &str) -> bool {
        self.specifiers.iter().all(|(operator, wanted)| fits(operator, wanted, version).unwrap_or(false))
    }
}

fn fits(operator: &str, wanted: &str, version: &str) -> Option<bool> {
    if operator == "===" {
        return Some(wanted.eq_ignore_ascii_case(version));
    }
    let have = Version::parse(version)?;
    if let Some(prefix) = wanted.strip_suffix(".*") {
        let parts = prefix.split('.').count();
        let same = have.begins_with(&Version::parse(prefix)?, parts);
        return match operator {
            "==" => Some(same),
            "!=" => Some(!same),
            _ => None,
        };
    }
    let want = Version::parse(wanted)?;
    // A local part counts only where it is asked for.
    let have = if want.local.is_empty() { have.public() } else { have };
    let order = have.cmp(&want);
    Some(match operator {
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        ">=" => order != Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        "<" => order == Ordering::Less,
        _ => order != Ordering::Less && have.begins_with(&want, wanted.split('.').count().saturating_sub(1)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_in_pep_440s_order() {
        let order = [
            "1.0.dev1",
            "1.0a1",
            "1.0a2.dev1",
            "1.0a2",
            "1.0b1",
            "1.0rc1",
            "1.0",
            "1.0.post1.dev1",
            "1.0.post1",
            "1.0.1",
            "1.10",
            "1!0.1",
        ];
        for pair in order.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::parse("1.0"), Version::parse("v1.0.0"));
        assert_eq!(Version::parse("1.0-rc.1"), Version::parse("1.0rc1"));
        assert_eq!(Version::parse("not-a-version"), None);
    }

    #[test]
    fn requirements_fit_or_not() {
        let fits = |text: &str, version: &str| Requirement::parse(text).unwrap().fits(version);
        assert!(fits("Django>=5,<6", "5.2.1") && !fits("Django>=5,<6", "6.0"));
        assert!(fits("django==5.1.*", "5.1.15") && !fits("django==5.1.*", "5.10"));
        assert!(fits("x~=2.2", "2.9") && !fits("x~=2.2", "3.0") && !fits("x~=2.2.1", "2.3"));
        assert!(fits("x==1.0", "1.0+local.1") && fits("x", "anything") && fits("x!=1", "2"));
        let parsed = Requirement::parse("Zope.Interface[test] == 5.0 ; python_version > '3'").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.conditional, parsed.is_pinned()), ("zope-interface", true, true));
        for url in ["git+https://x/y.git", "./here", "/there", "https://x/y.whl", "-e .", "x @ https://y"] {
            assert_eq!(Requirement::parse(url), None, "{url}");
        }
    }
}
