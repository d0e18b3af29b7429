//! What is installed and what could be, as dpkg and apt say.

/// A package that dpkg knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Architecture.
    pub arch: String,
    /// Version.
    pub version: String,
    /// Whether it is installed and configured.
    pub installed: bool,
    /// Whether more of it is there than its configuration files; where dpkg was stopped or is at work, only a part.
    pub there: bool,
    /// Virtual packages that it stands for.
    pub provides: Vec<String>,
}

/// What could be installed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Name.
    pub name: String,
    /// The version that would be installed now, if any.
    pub candidate: Option<String>,
    /// All versions that could be.
    pub versions: Vec<String>,
}

/// What `status.sh` said.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Packages that dpkg knows.
    pub packages: Vec<Package>,
    /// What could be installed.
    pub policies: Vec<Policy>,
    /// Names that a pattern could stand for.
    pub known: Vec<String>,
    /// Virtual packages, with the names of those that stand for them.
    pub providers: Vec<(String, Vec<String>)>,
    /// Whether what could be installed was asked.
    pub asked_policy: bool,
}

impl Status {
    /// Reads it.
    pub fn read(text: &str) -> Self {
        let mut status = Self::default();
        let mut part = "";
        for line in text.lines() {
            match (line, part) {
                ("=installed" | "=policy" | "=virtual", _) => {
                    part = line;
                    status.asked_policy |= line == "=policy";
                }
                (line, "=installed") => status.packages.extend(package(line)),
                (line, "=policy") => status.policy(line),
                (line, "=virtual") => status.virtual_line(line),
                _ => {}
            }
        }
        status
    }

    fn policy(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix('~') {
            self.known.push(name.to_owned());
        } else if let Some(name) = line.strip_suffix(':').filter(|l| !l.starts_with(' ')) {
            self.policies.push(Policy { name: name.to_owned(), ..Policy::default() });
        } else if let Some(policy) = self.policies.last_mut() {
            let text = line.trim();
            if let Some(candidate) = text.strip_prefix("Candidate: ") {
                policy.candidate = (candidate != "(none)").then(|| candidate.to_owned());
            } else if line.starts_with("     ") && !line.starts_with("      ") || line.starts_with(" *** ") {
                let version = line.trim_start_matches([' ', '*']).split(' ').next().unwrap_or_default();
                policy.versions.push(version.to_owned());
            }
        }
    }

    fn virtual_line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("Package: ") {
            self.providers.push((name.to_owned(), Vec::new()));
        } else if !line.starts_with("Reverse Provides:")
            && let (Some((_, names)), Some(name)) = (self.providers.last_mut(), line.split(' ').next())
            && !name.is_empty()
            && !names.iter().any(|n| n == name)
        {
            names.push(name.to_owned());
        }
    }

    /// A package by its name, with an architecture (`name:arch`) or without.
    pub fn package(&self, name: &str) -> Option<&Package> {
        let (bare, arch) = name.split_once(':').map_or((name, None), |(n, a)| (n, Some(a)));
        let fits = |p: &&Package| p.name == bare && arch.is_none_or(|a| a == p.arch || a == "any" || p.arch == "all");
        self.packages.iter().filter(fits).max_by_key(|p| (p.installed, p.there))
    }

    /// Whether an installed package stands for the virtual package `name`.
    pub fn provided(&self, name: &str) -> bool {
        self.packages.iter().any(|p| p.installed && p.provides.iter().any(|v| v == name))
    }

    /// What could be installed under a name.
    pub fn could_be(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|p| p.name == name)
    }

    /// The names of packages that stand for the virtual package `name`.
    pub fn providers(&self, name: &str) -> &[String] {
        self.providers.iter().find(|(n, _)| n == name).map_or(&[], |(_, p)| p)
    }
}

fn package(line: &str) -> Option<Package> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, arch, version, state, provides] = fields[..] else { return None };
    let state = state.rsplit(' ').next().unwrap_or_default();
    if state == "not-installed" {
        return None;
    }
    Some(Package {
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: version.to_owned(),
        installed: state == "installed",
        there: state != "config-files",
        provides: provides.split(',').filter_map(|p| p.split_whitespace().next().map(str::to_owned)).collect(),
    })
}

/// A wanted package: its name, and the version or release after `=` or `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// As it was given.
    pub spec: &'a str,
    /// Name.
    pub name: &'a str,
    /// Version, with `*`.
    pub version: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Reads `name`, `name=version` or `name/release`.
    pub fn read(spec: &'a str) -> Self {
        if let Some((name, version)) = spec.split_once('=') {
            return Self { spec, name, version: Some(version) };
        }
        Self { spec, name: spec.split('/').next().unwrap_or(spec), version: None }
    }

    /// Whether the name is a pattern.
    pub fn is_pattern(&self) -> bool {
        self.name.contains(['*', '?', '['])
    }
}

/// Whether a text matches a pattern of `*` and `?`.
pub fn matches(pattern: &str, text: &str) -> bool {
    fn go(p: &[u8], t: &[u8]) -> bool {
        match (p.first(), t.first()) {
            (None, None) => true,
            (Some(b'*'), _) => go(&p[1..], t) || (!t.is_empty() && go(p, &t[1..])),
            (Some(b'?'), Some(_)) => go(&p[1..], &t[1..]),
            (Some(b'['), Some(c)) => match p.iter().skip(2).position(|b| *b == b']') {
                Some(end) => {
                    let set = &p[1..end + 2];
                    let (not, set) = if set[0] == b'!' { (true, &set[1..]) } else { (false, set) };
                    let range = set.windows(3).any(|w| w[1] == b'-' && w[0] <= *c && *c <= w[2]);
                    (range || set.contains(c)) != not && go(&p[end + 3..], &t[1..])
                }
                None => *c == b'[' && go(&p[1..], &t[1..]),
            },
            (Some(a), Some(b)) if a == b => go(&p[1..], &t[1..]),
            _ => false,
        }
    }
    go(pattern.as_bytes(), text.as_bytes())
}

/// Whether apt's last words say that there was nothing to do.
pub fn nothing_done(out: &str) -> bool {
    let half = |l: &str| l.strip_suffix(" not fully installed or removed.").is_some_and(|n| n.trim() != "0");
    if out.lines().any(half) {
        return false;
    }
    let counts = out.lines().rev().find(|l| l.contains(" newly installed") && l.contains(" to remove"));
    counts.is_some_and(|l| {
        let zero = |what: &str| l.contains(&format!("0 {what}")) && !l.contains(&format!("10 {what}"));
        let numbers: Vec<u64> = l.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        // `0 upgraded, 0 newly installed, [1 reinstalled, 1 downgraded,] 0 to remove and 5 not upgraded.`
        zero("upgraded,") && numbers[..numbers.len().saturating_sub(1)].iter().all(|n| *n == 0)
    })
}

/// What apt says it does, without the rest of its words.
pub fn summary(out: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in out.lines() {
        if line.starts_with("The following ") && !line.contains("automatically installed and are no longer required") {
            inside = true;
        } else if !line.starts_with("  ") {
            inside = false;
        }
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    if let Some(counts) = out.lines().find(|l| l.contains(" newly installed") && l.contains(" to remove")) {
        kept.push_str(counts);
        kept.push('\n');
    }
    kept
}
