//! Lookups in INI and CSV files.

use super::ask::{Ask, Lookup, words};
use crate::values::Value;
use crate::values::call::{Made, as_text};
use crate::values::error::fail;
use crate::values::filters::regex;

pub(super) const LOOKUPS: &[Lookup] = &[
    Lookup {
        name: "ini",
        about: "values of an INI or properties file",
        options: &["file", "section", "type", "default", "re", "case_sensitive", "allow_no_value", "encoding"],
        run: ini,
    },
    Lookup {
        name: "csvfile",
        about: "the column of a row of a CSV file",
        options: &["file", "delimiter", "col", "keycol", "default", "encoding"],
        run: csvfile,
    },
];

/// The key and the options of one term, those within the term first.
fn settings(ask: &Ask, term: &str) -> Made<(String, Vec<(String, String)>)> {
    let (plain, mut pairs) = words(term);
    for (name, value) in &ask.options {
        if !matches!(value, Value::Null) {
            pairs.push((name.clone(), as_text(value)?.to_string()));
        }
    }
    if let Some((_, encoding)) = pairs.iter().find(|(n, _)| n == "encoding")
        && !matches!(encoding.to_lowercase().as_str(), "utf-8" | "utf8" | "ascii")
    {
        return Err(fail(format!("the encoding '{encoding}' is not supported; files are UTF-8")));
    }
    Ok((plain.join(" "), pairs))
}

fn get<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

fn yes(text: Option<&str>) -> bool {
    text.is_some_and(|t| matches!(t.to_lowercase().as_str(), "yes" | "true" | "on" | "1"))
}

fn ini(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    for term in ask.texts()? {
        let (key, pairs) = settings(ask, &term)?;
        let properties = get(&pairs, "type") == Some("properties");
        let section = if properties { "" } else { get(&pairs, "section").unwrap_or("global") };
        let text = ask.read(&ask.must_find(get(&pairs, "file").unwrap_or("ansible.ini"), "files")?)?;
        let case = yes(get(&pairs, "case_sensitive"));
        let fold = |k: &str| if case { k.to_owned() } else { k.to_lowercase() };
        let entries = read_ini(&text);
        let here = entries.iter().filter(|(s, k, _)| s == section && !k.is_empty());
        if yes(get(&pairs, "re")) {
            let flags = regex::Flags { ignorecase: !case, multiline: false };
            for (_, found, value) in here {
                if regex::matches(found, &key, flags, "match")? {
                    out.push(Value::from(value));
                }
            }
            continue;
        }
        // `DEFAULT` stands behind every section.
        let found = here
            .chain(entries.iter().filter(|(s, k, _)| s == "DEFAULT" && !k.is_empty()))
            .find(|(_, k, _)| fold(k) == fold(&key));
        match (found, get(&pairs, "default")) {
            (Some((_, _, value)), _) => out.push(Value::from(value)),
            (None, Some(default)) => out.push(Value::from(default)),
            (None, None) if !properties && !entries.iter().any(|(s, ..)| s == section) => {
                return Err(fail(format!("there is no section '{section}'")));
            }
            (None, None) => out.push(Value::from("")),
        }
    }
    Ok(out)
}

/// Section, key and value of every entry; an entry without key stands for the section itself. Lines that begin with blanks go
/// on with the value before.
fn read_ini(text: &str) -> Vec<(String, String, String)> {
    let mut out: Vec<(String, String, String)> = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            name.clone_into(&mut section);
            out.push((section.clone(), String::new(), String::new()));
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, key, value)) = out.last_mut().filter(|(_, key, _)| !key.is_empty())
        {
            let _ = key;
            value.push('\n');
            value.push_str(trimmed);
            continue;
        }
        let (key, value) = trimmed.split_once(['=', ':']).unwrap_or((trimmed, ""));
        out.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
    }
    out
}

fn csvfile(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    for term in ask.texts()? {
        let (key, pairs) = settings(ask, &term)?;
        let delimiter = match get(&pairs, "delimiter").unwrap_or("TAB") {
            "TAB" | "\\t" => '\t',
            other => other.chars().next().unwrap_or('\t'),
        };
        let column = |name: &str, default: usize| match get(&pairs, name) {
            None => Ok(default),
            Some(text) => text.parse::<usize>().map_err(|_| fail(format!("`{name}` must be a number, not '{text}'"))),
        };
        let (col, keycol) = (column("col", 1)?, column("keycol", 0)?);
        let text = ask.read(&ask.must_find(get(&pairs, "file").unwrap_or("ansible.csv"), "files")?)?;
        let row = read_csv(&text, delimiter).into_iter().find(|row| row.get(keycol).is_some_and(|k| *k == key));
        match (row.and_then(|row| row.into_iter().nth(col)), get(&pairs, "default")) {
            (Some(value), _) => out.push(Value::from(value)),
            (None, Some(default)) => out.push(Value::from(default)),
            (None, None) => {}
        }
    }
    Ok(out)
}

fn read_csv(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            c if quoted => field.push(c),
            '\r' => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c if c == delimiter => row.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
