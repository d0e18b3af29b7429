//! What is given with `-i`: a file, a program, a folder of them, or a list of hosts.

use super::data::{Data, Origin};
use super::{LoadContext, ini, range, script, yaml};
use crate::source::{Diagnostic, Kind, Node, SourceFile, Span, parse_one, read};
use crate::values::is_encrypted;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files in a folder of inventories that are none, by their ending.
const IGNORED: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// Reads one source into `data`. Gives the folder beside which `group_vars` and `host_vars` lie.
pub(super) fn source(
    given: &str,
    context: &LoadContext,
    data: &mut Data,
    found: &mut Vec<Diagnostic>,
) -> Option<PathBuf> {
    let path = Path::new(given);
    if given.contains(',') && !path.exists() {
        list(given, data, found);
        return None;
    }
    if !path.exists() {
        let problem = Diagnostic::bare("no-such-inventory", format!("there is no inventory `{given}`"))
            .help("give a file, an executable or a folder with -i; a list of hosts ends with a comma: -i web1,");
        found.push(problem);
        return None;
    }
    if path.is_dir() {
        folder(path, context, data, found, 0);
        return Some(path.to_owned());
    }
    file(path, context, data, found);
    Some(path.parent().map(Path::to_owned).unwrap_or_default())
}

/// `web1,web2:2222,`
fn list(given: &str, data: &mut Data, found: &mut Vec<Diagnostic>) {
    let span = Span::synthetic("-i", given);
    let origin = Origin { file: given.to_owned(), folder: None };
    for name in given.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match range::split_port(name) {
            Ok((name, port)) => {
                let port = port.map(|port| (port, Node::new(Kind::Int(i64::from(port)), span.clone())));
                data.host(name, port.as_ref().map(|(p, n)| (*p, n)), Some(&origin));
                data.join(name, super::data::UNGROUPED);
            }
            Err(problem) => {
                found.push(Diagnostic::error("bad-host", problem, &span).help("write `name` or `name:port`"));
            }
        }
    }
}

fn folder(path: &Path, context: &LoadContext, data: &mut Data, found: &mut Vec<Diagnostic>, depth: usize) {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("can't read the folder of inventories `{}`: {error}", path.display());
            return found.push(Diagnostic::bare("unreadable-file", message).help("check the path and its permissions"));
        }
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort_unstable();
    for name in names {
        let special = matches!(name.as_str(), "group_vars" | "host_vars" | "vars_plugins");
        if special || name.starts_with('.') || IGNORED.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        let path = path.join(name);
        if !path.is_dir() {
            file(&path, context, data, found);
        } else if depth < 20 {
            folder(&path, context, data, found, depth + 1);
        }
    }
}

fn file(path: &Path, context: &LoadContext, data: &mut Data, found: &mut Vec<Diagnostic>) {
    let name = path.to_string_lossy();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let origin =
        Origin { file: absolute.to_string_lossy().into_owned(), folder: absolute.parent().map(Path::to_owned) };
    if is_program(path) {
        return script::read(&absolute, &name, &origin, data, found);
    }
    let mut text = match read(path, &name) {
        Ok(text) => text,
        Err(problem) => return found.push(problem),
    };
    if is_encrypted(&text.text) {
        match context.decrypt.decrypt(&text.text) {
            Ok(clear) => text = Arc::new(SourceFile { name: name.to_string(), text: clear }),
            Err(why) => {
                let problem = Diagnostic::bare("vault-locked", format!("can't open the inventory `{name}`: {why}"))
                    .help("give the password with --vault-password-file or --ask-vault-pass");
                return found.push(problem);
            }
        }
    }
    match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => found.push(
            Diagnostic::bare("bad-inventory", format!("`{name}`: inventories in TOML are not supported"))
                .help("write it as YAML or INI"),
        ),
        Some("yml" | "yaml" | "json") => read_yaml(text, &origin, data, found),
        Some("ini") => ini::read(&text, &origin, data, found),
        _ if looks_like_yaml(&text.text) => read_yaml(text, &origin, data, found),
        _ => ini::read(&text, &origin, data, found),
    }
}

fn read_yaml(text: Arc<SourceFile>, origin: &Origin, data: &mut Data, found: &mut Vec<Diagnostic>) {
    match parse_one(text) {
        Ok(root) if root.is_null() => {}
        Ok(root) => yaml::read(&root, origin, data, found),
        Err(problems) => found.extend(problems),
    }
}

/// Executable, and begins as a program does: a file on a share where all is executable stays a file.
fn is_program(path: &Path) -> bool {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    let executable = std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o111 != 0);
    let mut head = [0; 4];
    executable
        && std::fs::File::open(path).and_then(|mut file| file.read(&mut head)).is_ok()
        && (head.starts_with(b"#!") || head == *b"\x7fELF")
}

/// Whether a file without a telling ending is YAML: its first line with content is `---`, `{` or a key without a value.
fn looks_like_yaml(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| {
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        line == "---"
            || line.starts_with('{')
            || line.strip_suffix(':').is_some_and(|key| !key.contains(['[', '=', ' ']))
    })
}
