//! What a release's files of requirements say, and how two releases' differ.

use super::source::Packed;
use crate::playbook::deploy::DeployArgs;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How one package differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub package: String,
    /// The version that the serving release has.
    pub before: Option<String>,
    /// The version that the new one has.
    pub after: Option<String>,
}

/// What becomes of the virtual environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirements {
    /// The files are the same: so is the environment.
    Same,
    /// A new environment, with these differences as far as versions are written down.
    New(Vec<Change>),
    /// There is none yet.
    First,
    /// What serves can't be read.
    Unknown(String),
}

impl Requirements {
    /// Compares files by name and content.
    pub fn compare(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Self {
        if before == after {
            return Self::Same;
        }
        let all = |files: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            files.iter().flat_map(|(name, text)| pins(name, text)).collect()
        };
        let (before, after) = (all(before), all(after));
        let mut changes: Vec<Change> = after
            .iter()
            .filter(|(package, version)| before.get(*package) != Some(*version))
            .map(|(p, v)| Change { package: p.clone(), before: before.get(p).cloned(), after: Some(v.clone()) })
            .collect();
        changes.extend(before.iter().filter(|(p, _)| !after.contains_key(*p)).map(|(p, v)| Change {
            package: p.clone(),
            before: Some(v.clone()),
            after: None,
        }));
        changes.sort_by(|a, b| a.package.cmp(&b.package));
        Self::New(changes)
    }

    /// Whether an environment is built.
    pub fn builds(&self) -> bool {
        !matches!(self, Self::Same)
    }

    /// What becomes of the environment.
    pub fn summary(&self) -> String {
        match self {
            Self::Same => "unchanged, the virtual environment is used again".to_owned(),
            Self::New(changes) if changes.is_empty() => {
                "changed, though no version that is written down: a new virtual environment".to_owned()
            }
            Self::New(_) => "changed, a new virtual environment".to_owned(),
            Self::First => "a new virtual environment".to_owned(),
            Self::Unknown(why) => format!("what the serving release has can't be read: {why}"),
        }
    }

    /// One line for each package: `+`, `~` or `-`, its name, its versions.
    pub fn lines(&self) -> Vec<String> {
        let Self::New(changes) = self else { return Vec::new() };
        let line = |c: &Change| match (&c.before, &c.after) {
            (None, Some(new)) => format!("+ {} {new}", c.package),
            (Some(old), Some(new)) => format!("~ {} {old} -> {new}", c.package),
            (Some(old), None) => format!("- {} {old}", c.package),
            (None, None) => c.package.clone(),
        };
        changes.iter().map(line).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let changes: Vec<Value> = match self {
            Self::New(changes) => {
                changes.iter().map(|c| json!({ "package": c.package, "before": c.before, "after": c.after })).collect()
            }
            _ => Vec::new(),
        };
        json!({ "changed": self.builds(), "summary": self.summary(), "packages": changes })
    }
}

/// The files that a host will install from, as `lock_files` in far/build.py chooses them.
pub fn files(packed: &Packed, args: &DeployArgs) -> Vec<String> {
    if !args.requirements.is_empty() {
        return args.requirements.clone();
    }
    let project = args.project_dir.trim_matches('/').trim_start_matches("./");
    for folder in [project, ""] {
        let at =
            |name: &str| if folder.is_empty() || folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
        for (name, more) in
            [("uv.lock", true), ("poetry.lock", true), ("requirements.txt", false), ("pyproject.toml", false)]
        {
            if packed.has(&at(name)) {
                return if more { vec![at(name), at("pyproject.toml")] } else { vec![at(name)] };
            }
        }
    }
    Vec::new()
}

/// Packages and versions that a file of requirements pins, as far as they can be read off it.
fn pins(name: &str, text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let ends = |end: &str| name.rsplit('.').next() == Some(end);
    if ends("toml") {
        return found;
    }
    if ends("lock") {
        let mut package = None;
        for line in text.lines() {
            if line == "[[package]]" {
                package = None;
            } else if let Some(value) = line.strip_prefix("name = ") {
                package = Some(value.trim_matches('"').to_owned());
            } else if let (Some(value), Some(package)) = (line.strip_prefix("version = "), package.take()) {
                found.insert(package, value.trim_matches('"').to_owned());
            }
        }
        return found;
    }
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(['#', '-']) {
            continue;
        }
        let at = line.find(|c: char| "=<>!~; @[".contains(c)).unwrap_or(line.len());
        let (package, rest) = line.split_at(at);
        // A direct reference may hold a password.
        let rest = super::source::mask(rest.split([';', '\\']).next().unwrap_or_default().trim());
        let version = rest.strip_prefix("==").unwrap_or(&rest).trim();
        found.insert(
            package.to_lowercase().replace('_', "-"),
            if version.is_empty() { "any".to_owned() } else { version.to_owned() },
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> BTreeMap<String, String> {
        [(name.to_owned(), text.to_owned())].into()
    }

    #[test]
    fn pins_are_read_from_requirements_and_locks() {
        let found = pins(
            "requirements.txt",
            "# c\nDjango==5.2.1 ; python_version > '3.9'\npsycopg[binary]>=3\n-r other.txt\ngunicorn\n",
        );
        let all: Vec<_> = found.iter().map(|(k, v)| format!("{k} {v}")).collect();
        assert_eq!(all, ["django 5.2.1", "gunicorn any", "psycopg [binary]>=3"]);
        let found = pins(
            "uv.lock",
            "[[package]]\nname = \"django\"\nversion = \"5.2\"\n\n[[package]]\nname = \"asgiref\"\nversion = \"3.8\"\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found["django"], "5.2");
        let found = pins("requirements.txt", "own @ git+https://me:t0psecret@git.example.org/own.git\n");
        assert!(!found["own"].contains("t0psecret"), "{found:?}");
    }

    #[test]
    fn what_is_added_removed_and_upgraded_is_told_by_package() {
        let before = file("requirements.txt", "django==5.1\nold==1\nsame==1\n");
        let after = file("requirements.txt", "django==5.2\nnew==2\nsame==1\n");
        let told = Requirements::compare(&before, &after);
        assert_eq!(told.lines(), ["~ django 5.1 -> 5.2", "+ new 2", "- old 1"]);
        assert!(told.builds());
        assert_eq!(Requirements::compare(&before, &before), Requirements::Same);
        let commented =
            Requirements::compare(&before, &file("requirements.txt", "django==5.1\nold==1\nsame==1\n# x\n"));
        assert!(commented.builds() && commented.lines().is_empty());
    }
}
