//! Lookups that look for files.

use super::ask::{Ask, Lookup};
use crate::values::Value;
use crate::values::call::{Made, as_text, truthy};
use crate::values::error::fail;
use std::path::Path;
use std::sync::Arc;

pub(super) const LOOKUPS: &[Lookup] = &[
    Lookup {
        name: "first_found",
        about: "the first file that exists",
        options: &["files", "paths", "skip"],
        run: first_found,
    },
    Lookup { name: "fileglob", about: "the files that match a pattern", options: &[], run: fileglob },
];

/// Texts from a text (separated by `,`, `:` or `;`), or a list of them.
fn texts(value: &Value, out: &mut Vec<Arc<str>>) -> Made<()> {
    match value {
        Value::Null => {}
        Value::List(items) => {
            for item in items.iter() {
                texts(item, out)?;
            }
        }
        other => {
            out.extend(as_text(other)?.split([',', ';', ':']).map(str::trim).filter(|t| !t.is_empty()).map(Arc::from));
        }
    }
    Ok(())
}

fn first_found(ask: &Ask) -> Made<Vec<Value>> {
    let mut tried = Vec::new();
    let mut skip = ask.flag_option("skip", false);
    let mut groups = Vec::new();
    let mut add = |files: Option<&Value>, paths: Option<&Value>| -> Made<()> {
        let (mut f, mut p) = (Vec::new(), Vec::new());
        if let Some(files) = files {
            texts(files, &mut f)?;
        }
        if let Some(paths) = paths {
            texts(paths, &mut p)?;
        }
        groups.push((f, p));
        Ok(())
    };
    for term in ask.flat() {
        match &term {
            Value::Map(map) => {
                skip = skip || map.get("skip").is_some_and(truthy);
                add(map.get("files"), map.get("paths"))?;
            }
            other => add(Some(other), ask.option("paths"))?,
        }
    }
    if ask.option("files").is_some() {
        add(ask.option("files"), ask.option("paths"))?;
    }
    for (files, paths) in groups {
        let names: Vec<String> = if paths.is_empty() {
            files.iter().map(ToString::to_string).collect()
        } else if files.is_empty() {
            paths.iter().map(ToString::to_string).collect()
        } else {
            paths.iter().flat_map(|p| files.iter().map(move |f| format!("{}/{f}", p.trim_end_matches('/')))).collect()
        };
        for name in names {
            for candidate in ask.candidates(&name, &["files", "templates", "vars"]) {
                if candidate.exists() {
                    return Ok(vec![Value::from(candidate.to_string_lossy().into_owned())]);
                }
            }
            tried.push(name);
        }
    }
    if skip { Ok(Vec::new()) } else { Err(fail(format!("none of these files exists: {}", tried.join(", ")))) }
}

fn fileglob(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    for pattern in ask.texts()? {
        for candidate in ask.candidates(&pattern, &["files"]) {
            let (Some(folder), Some(name)) = (candidate.parent(), candidate.file_name()) else { continue };
            let found = glob(folder, &name.to_string_lossy());
            if !found.is_empty() {
                out.extend(found.into_iter().map(Value::from));
                break;
            }
        }
    }
    Ok(out)
}

/// The files in a folder whose names match, sorted, so that every run sees them in the same order.
fn glob(folder: &Path, pattern: &str) -> Vec<String> {
    let pattern: Vec<char> = pattern.chars().collect();
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut out: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            // As in a shell, a leading dot has to be asked for.
            (!name.starts_with('.') || pattern.first() == Some(&'.'))
                && wild(&pattern, &name.chars().collect::<Vec<_>>())
        })
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .collect();
    out.sort();
    out
}

/// Whether a name matches a pattern of `*`, `?` and `[…]`.
fn wild(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|i| wild(rest, &name[i..])),
        ['?', rest @ ..] => !name.is_empty() && wild(rest, &name[1..]),
        ['[', rest @ ..] => {
            let close = rest.iter().skip(1).position(|c| *c == ']').map(|i| i + 1);
            let (Some(close), Some(first)) = (close, name.first()) else {
                return name.first() == Some(&'[') && wild(rest, &name[1..]);
            };
            let (class, negated) = match &rest[..close] {
                ['!' | '^', class @ ..] => (class, true),
                class => (class, false),
            };
            let mut hit = false;
            let mut i = 0;
            while i < class.len() {
                if i + 2 < class.len() && class[i + 1] == '-' {
                    hit |= (class[i]..=class[i + 2]).contains(first);
                    i += 3;
                } else {
                    hit |= class[i] == *first;
                    i += 1;
                }
            }
            hit != negated && wild(&rest[close + 1..], &name[1..])
        }
        [c, rest @ ..] => name.first() == Some(c) && wild(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::wild;

    #[test]
    fn wildcards() {
        let is =
            |pattern: &str, name: &str| wild(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>());
        assert!(is("*.conf", "a.conf") && is("a?c", "abc") && is("[a-c]x", "bx") && is("[!a]x", "bx") && is("*", ""));
        assert!(!is("*.conf", "a.conf~") && !is("a?c", "ac") && !is("[a-c]x", "dx") && !is("[!a]x", "ax"));
    }
}
