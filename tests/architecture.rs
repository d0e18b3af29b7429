//! Keeps the map true: `docs/architecture.md` says which layer may use which, and this test reads it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::case_sensitive_file_extension_comparisons)] // Files of this repository only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The most lines of a file in `src/`.
const LINES: usize = 600;

/// Files that are longer, up to how many lines, and why.
const LONG: &[(&str, usize, &str)] = &[("src/engine/drive.rs", 750, "a host's program under way is one state machine")];

struct File {
    /// From the root of the repository.
    path: String,
    /// Without comments, and with empty strings.
    code: String,
    /// The same without what is compiled for tests only.
    product: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files that are not ignored by git, as paths from the root.
fn everything() -> Vec<String> {
    let root = root();
    let walk = ignore::WalkBuilder::new(&root)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| !matches!(entry.file_name().to_str(), Some(".git" | "target")))
        .build();
    let mut out: Vec<String> = walk
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|t| t.is_file()))
        .map(|entry| entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
        .collect();
    out.sort();
    out
}

fn sources() -> Vec<File> {
    let mut files = Vec::new();
    let mut only_tests = BTreeSet::new();
    for path in everything().into_iter().filter(|p| p.starts_with("src/") && p.ends_with(".rs")) {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let code = bare(&text);
        only_tests.extend(test_files(&path, &text));
        let product = without_tests(&code);
        files.push(File { path, code, product });
    }
    for file in &mut files {
        let own =
            |test: &String| file.path == *test || file.path.starts_with(&format!("{}/", test.trim_end_matches(".rs")));
        if only_tests.iter().any(own) {
            file.product = String::new();
        }
    }
    assert!(files.len() > 100, "the sources are not where this test looks");
    files
}

/// Code without comments and without what is in strings and characters; lines stay where they are.
fn bare(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let keep_lines = |out: &mut String, part: &[char]| out.extend(part.iter().filter(|c| **c == '\n'));
    while i < bytes.len() {
        let rest = &bytes[i..];
        let end = if rest.starts_with(&['/', '/']) {
            Some(rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()))
        } else if rest.starts_with(&['/', '*']) {
            Some((2..rest.len()).find(|&j| rest[j - 1] == '*' && rest[j] == '/').map_or(rest.len(), |j| j + 1))
        } else {
            None
        };
        if let Some(end) = end {
            keep_lines(&mut out, &rest[..end]);
            i += end;
            continue;
        }
        let after_word = i > 0 && (bytes[i - 1].is_alphanumeric() || bytes[i - 1] == '_');
        if rest[0] == 'r' && (!after_word || bytes[i - 1] == 'b') {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            if rest.get(1 + hashes) == Some(&'"') {
                let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let begin = 2 + hashes;
                let end = (begin..rest.len()).find(|&j| rest[j..].starts_with(&close)).unwrap_or(rest.len());
                out.push('"');
                keep_lines(&mut out, &rest[begin..end]);
                out.push('"');
                i += end + close.len();
                continue;
            }
        }
        if rest[0] == '"' {
            let mut j = 1;
            while j < rest.len() && rest[j] != '"' {
                j += if rest[j] == '\\' { 2 } else { 1 };
            }
            out.push('"');
            keep_lines(&mut out, &rest[..j.min(rest.len())]);
            out.push('"');
            i += j + 1;
            continue;
        }
        if rest[0] == '\'' {
            // A character, not a lifetime.
            let end = match rest {
                [_, '\\', ..] => rest.iter().skip(3).position(|c| *c == '\'').map(|j| j + 3),
                [_, _, '\'', ..] => Some(2),
                _ => None,
            };
            if let Some(end) = end {
                out.push_str("' '");
                i += end + 1;
                continue;
            }
        }
        out.push(rest[0]);
        i += 1;
    }
    out
}

/// The place behind the bracket that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return open + i + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Code without the items that stand behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let end = match (item.find('{'), item.find(';')) {
            (Some(open), Some(semicolon)) if semicolon < open => semicolon + 1,
            (Some(open), _) => closing(item, open),
            (None, Some(semicolon)) => semicolon + 1,
            (None, None) => item.len(),
        };
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// Files that a file declares as modules for tests only.
fn test_files(path: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let folder = match path.rsplit_once('/').unwrap() {
        (folder, "mod.rs" | "lib.rs" | "main.rs") => folder.to_owned(),
        (folder, name) => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            continue;
        }
        let mut named = None;
        for line in lines.by_ref() {
            if let Some(path) = line.strip_prefix("#[path = \"") {
                named = Some(path.trim_end_matches("\"]").to_owned());
            } else if !line.starts_with("#[") {
                if let Some(name) = line.rsplit_once("mod ").and_then(|(_, n)| n.strip_suffix(';')) {
                    match named.take() {
                        Some(named) => out.push(format!("{}/{named}", path.rsplit_once('/').unwrap().0)),
                        None => out.extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]),
                    }
                }
                break;
            }
        }
    }
    // What a module for tests declares is for tests, too.
    out.into_iter().map(|f| f.trim_end_matches("/mod.rs").to_owned()).collect()
}

/// What each layer may use, as the map has it.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let section = text.split("## The layers").nth(1).expect("the map has a section `The layers`");
    let section = section.split("\n## ").next().unwrap();
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in section.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "a row has three cells: {line}");
        let uses = cells[2].split(',').map(str::trim).filter(|w| *w != "–").map(str::to_owned).collect();
        out.insert(cells[0].trim_matches('`').trim_end_matches('/').to_owned(), uses);
    }
    out
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The layers named behind `crate::`: one, or those of a list in braces.
fn named(rest: &str) -> Vec<&str> {
    let Some(list) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let (mut depth, mut fresh, mut out) = (0, true, Vec::new());
    for (i, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                out.push(word(&list[i..]));
                fresh = false;
            }
            _ => {}
        }
    }
    out
}

/// The layers that a file uses, each with a line.
fn uses(path: &str, code: &str) -> Vec<(String, usize)> {
    let mut out = Vec::new();
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    for prefix in ["crate::", "windlass::"] {
        for (at, _) in code.match_indices(prefix) {
            if at > 0 && code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            out.extend(named(&code[at + prefix.len()..]).into_iter().map(|n| (n.to_owned(), line_of(at))));
        }
    }
    // `super::super::x` may lead out of the layer.
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = inside.split('/').count();
    let mut at = 0;
    while let Some(found) = code[at..].find("super::").map(|i| at + i) {
        let mut end = found;
        while code[end..].starts_with("super::") {
            end += "super::".len();
        }
        at = end;
        let inline = inline_depth(code, found);
        if (end - found) / "super::".len() >= depth + inline {
            out.extend(named(&code[end..]).into_iter().map(|n| (n.to_owned(), line_of(found))));
        }
    }
    out
}

/// In how many modules that are written in place a place lies.
fn inline_depth(code: &str, place: usize) -> usize {
    code.match_indices("mod ")
        .filter(|(at, _)| *at < place && !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .filter(|(at, _)| {
            let name = word(&code[at + 4..]);
            let rest = &code[at + 4 + name.len()..];
            rest.trim_start().starts_with('{') && {
                let open = code.len() - rest.trim_start().len();
                closing(code, open) > place
            }
        })
        .count()
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn layers_use_only_what_the_map_allows() {
    let table = table();
    let mut problems = Vec::new();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources() {
        let Some((layer, _)) = file.path.trim_start_matches("src/").split_once('/').map(|(l, r)| (l.to_owned(), r))
        else {
            continue;
        };
        let Some(allowed) = table.get(&layer) else {
            problems.push(format!("{}: docs/architecture.md does not know the layer `{layer}`", file.path));
            continue;
        };
        for (other, line) in uses(&file.path, &file.code) {
            if other == layer || !table.contains_key(&other) {
                continue;
            }
            used.entry(layer.clone()).or_default().insert(other.clone());
            if !allowed.contains("all") && !allowed.contains(&other) {
                problems.push(format!("{}:{line}: `{layer}` may not use `{other}` (docs/architecture.md)", file.path));
            }
        }
    }
    for (layer, allowed) in &table {
        assert!(root().join("src").join(layer).is_dir(), "docs/architecture.md names `{layer}`, which is not there");
        for other in allowed.iter().filter(|o| *o != "all") {
            if !used.get(layer).is_some_and(|u| u.contains(other)) {
                problems
                    .push(format!("docs/architecture.md: `{layer}` does not use `{other}`; take it out of the table"));
            }
        }
    }
    report(&problems);
}

#[test]
fn files_stay_short() {
    let mut problems = Vec::new();
    for file in sources() {
        let lines = file.code.lines().count();
        let limit = LONG.iter().find(|(path, _, _)| *path == file.path).map_or(LINES, |(_, limit, _)| *limit);
        if lines > limit {
            problems.push(format!("{}: {lines} lines, of at most {limit}: one idea a file", file.path));
        }
        if limit != LINES && lines <= LINES {
            problems.push(format!("{}: {lines} lines: take it off the list of long files in this test", file.path));
        }
    }
    report(&problems);
}

fn find(files: &[File], patterns: &[&str], skip: impl Fn(&File) -> bool, why: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|f| !skip(f)) {
        for (number, line) in file.product.lines().enumerate() {
            for pattern in patterns {
                let whole = |at: usize| {
                    !pattern.starts_with(char::is_alphabetic)
                        || !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                };
                if line.match_indices(pattern).any(|(at, _)| whole(at)) {
                    problems.push(format!("{}:{}: `{pattern}`: {why}", file.path, number + 1));
                }
            }
        }
    }
    problems
}

#[test]
fn nothing_panics_on_what_comes_from_outside() {
    let problems = find(&sources(), &[".unwrap()", ".expect(\"", ".expect(&format!"], |_| false, "return an error");
    report(&problems);
}

#[test]
fn the_library_knows_no_terminal() {
    let patterns = ["println!", "eprintln!", "print!", "eprint!", "env::var", "env::args", "process::exit"];
    report(&find(&sources(), &patterns, |f| f.path.starts_with("src/cli/"), "only src/cli may"));
}

#[test]
fn nothing_is_left_open_and_no_path_of_one_machine_is_named() {
    // Put together here, so that this file does not find itself.
    let unfinished = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    let machine = [concat!("/wo", "rk/"), concat!("/tmp/ansible", "-venv")];
    let mut problems = Vec::new();
    for path in everything() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for pattern in unfinished.iter().filter(|p| path.ends_with(".rs") && line.contains(**p)) {
                problems.push(format!("{path}:{}: `{pattern}`: finish it", number + 1));
            }
            for pattern in machine {
                // At the beginning of a path, not within one.
                let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_}.$)\"-".contains(c));
                if line.match_indices(pattern).any(|(at, _)| begins(at) || line[..at].ends_with('"')) {
                    problems.push(format!("{path}:{}: `{pattern}` is a path of one machine", number + 1));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn this_test_reads_code_as_rust_does() {
    let code = "// crate::a\nlet s = \"crate::b \\\" //\"; /* crate::c\n */ let r = r#\"crate::d\"#; let c = '\"'; use crate::{e, f::{g, h}, i};";
    let found: Vec<String> = uses("src/x/y.rs", &bare(code)).into_iter().map(|(n, _)| n).collect();
    assert_eq!(found, ["e", "f", "i"]);
    assert_eq!(bare(code).lines().count(), code.lines().count());
    let code = "super::a(); mod t { use super::super::b; use super::super::super::c; }";
    assert_eq!(uses("src/x/y.rs", code).len(), 1);
    assert_eq!(uses("src/x/mod.rs", code).len(), 3);
    let tested = "a\n#[cfg(test)]\nmod t { x.unwrap() }\nb\n#[cfg(test)]\nmod u;\nc";
    assert_eq!(without_tests(tested).split_whitespace().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(test_files("src/x/y.rs", tested), ["src/x/y/u.rs", "src/x/y/u"]);
    assert!(Path::new(&root()).join("Cargo.toml").exists());
}
