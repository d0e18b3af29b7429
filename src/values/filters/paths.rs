//! Filters for paths on the controller's kind of system, and Windows' where the name says so.

use crate::values::Value;
use crate::values::call::{Call, Made, Spec, as_text, builtin};
use crate::values::error::fail;
use crate::values::evaluation;
use std::sync::Arc;

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("basename", "the last part of a path", &["value"], |call| {
        let path = call.text("value")?;
        Ok(Value::from(path.rsplit_once('/').map_or(&*path, |(_, name)| name)))
    }),
    builtin("dirname", "a path without its last part", &["value"], |call| {
        Ok(Value::from(dirname(&call.text("value")?)))
    }),
    builtin("splitext", "a path and its extension", &["value"], |call| {
        let path = call.text("value")?;
        let (root, extension) = splitext(&path);
        Ok(Value::from(vec![root, extension]))
    }),
    builtin("path_join", "the parts as one path", &["value"], path_join),
    builtin("normpath", "a path without `.`, `..` and doubled slashes", &["value"], |call| {
        Ok(Value::from(normpath(&call.text("value")?)))
    }),
    builtin("realpath", "a path with its links followed, on the controller", &["value"], realpath),
    builtin("relpath", "a path as seen from another", &["value", "start"], relpath),
    builtin("commonpath", "the longest path that all begin with", &["value"], commonpath),
    builtin("expanduser", "a path with `~` opened, on the controller", &["value"], expanduser),
    builtin("expandvars", "a text with $VARIABLES of the controller opened", &["value"], expandvars),
    builtin("win_basename", "the last part of a Windows path", &["value"], |call| {
        let path = call.text("value")?;
        Ok(Value::from(path.rsplit(['\\', '/']).next().unwrap_or_default()))
    }),
    builtin("win_dirname", "a Windows path without its last part", &["value"], |call| {
        let path = call.text("value")?;
        let (drive, rest) = splitdrive(&path);
        let head = rest.rfind(['\\', '/']).map_or("", |i| &rest[..=i]);
        let trimmed = head.trim_end_matches(['\\', '/']);
        Ok(Value::from(format!("{drive}{}", if trimmed.is_empty() { head } else { trimmed })))
    }),
    builtin("win_splitdrive", "the drive and the rest of a Windows path", &["value"], |call| {
        let path = call.text("value")?;
        let (drive, rest) = splitdrive(&path);
        Ok(Value::from(vec![drive, rest]))
    }),
];

fn dirname(path: &str) -> &str {
    let head = path.rfind('/').map_or("", |i| &path[..=i]);
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head } else { trimmed }
}

fn splitext(path: &str) -> (&str, &str) {
    let name = path.rfind('/').map_or(0, |i| i + 1);
    // Leading dots belong to the name.
    let first = path[name..].find(|c| c != '.').map_or(path.len(), |i| name + i);
    match path[first..].rfind('.') {
        Some(i) => path.split_at(first + i),
        None => (path, ""),
    }
}

fn splitdrive(path: &str) -> (&str, &str) {
    match path.as_bytes() {
        [_, b':', ..] => path.split_at(2),
        _ => ("", path),
    }
}

fn path_join(call: &Call<'_>) -> Made<Value> {
    let parts: Vec<Arc<str>> = match call.value("value")? {
        Value::List(items) => items.iter().map(as_text).collect::<Made<_>>()?,
        other => vec![as_text(&other)?],
    };
    let mut out = String::new();
    for part in parts {
        if part.starts_with('/') {
            out.clear();
        } else if !out.is_empty() && !out.ends_with('/') {
            out.push('/');
        }
        out.push_str(&part);
    }
    Ok(Value::from(out))
}

fn normpath(path: &str) -> String {
    // Two slashes at the beginning are a thing of their own in POSIX.
    let root = if path.starts_with("//") && !path.starts_with("///") {
        "//"
    } else if path.starts_with('/') {
        "/"
    } else {
        ""
    };
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if !root.is_empty() && out.is_empty() => {}
            ".." if out.last().is_some_and(|last| *last != "..") => _ = out.pop(),
            part => out.push(part),
        }
    }
    let joined = format!("{root}{}", out.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

fn absolute(path: &str) -> Made<String> {
    if path.starts_with('/') {
        return Ok(normpath(path));
    }
    let folder = evaluation::current()?.engine.options.directory.clone();
    let folder = std::path::absolute(folder).map_err(|e| fail(format!("the current folder can't be had: {e}")))?;
    Ok(normpath(&format!("{}/{path}", folder.display())))
}

fn realpath(call: &Call<'_>) -> Made<Value> {
    let path = absolute(&call.text("value")?)?;
    // What does not exist can have no links: the longest part that exists is resolved.
    let mut head = path.as_str();
    loop {
        if let Ok(real) = std::fs::canonicalize(head) {
            let tail = path[head.len()..].trim_start_matches('/');
            let real = real.to_string_lossy().into_owned();
            return Ok(Value::from(if tail.is_empty() {
                real
            } else {
                format!("{}/{tail}", real.trim_end_matches('/'))
            }));
        }
        if head == "/" || head.is_empty() {
            return Ok(Value::from(path));
        }
        head = dirname(head);
    }
}

fn relpath(call: &Call<'_>) -> Made<Value> {
    let path = absolute(&call.text("value")?)?;
    let start = absolute(&call.opt_text("start")?.unwrap_or_else(|| ".".into()))?;
    let path: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let start: Vec<&str> = start.split('/').filter(|p| !p.is_empty()).collect();
    let common = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let parts: Vec<&str> =
        std::iter::repeat_n("..", start.len() - common).chain(path[common..].iter().copied()).collect();
    Ok(Value::from(if parts.is_empty() { ".".to_owned() } else { parts.join("/") }))
}

fn commonpath(call: &Call<'_>) -> Made<Value> {
    let paths: Vec<Arc<str>> = call.known_list("value")?.iter().map(as_text).collect::<Made<_>>()?;
    let Some(first) = paths.first() else { return Err(fail("needs at least one path")) };
    let root = first.starts_with('/');
    if paths.iter().any(|p| p.starts_with('/') != root) {
        return Err(fail("can't mix absolute and relative paths"));
    }
    let split = |p: &str| p.split('/').filter(|s| !s.is_empty() && *s != ".").map(str::to_owned).collect::<Vec<_>>();
    let mut common = split(first);
    for path in &paths[1..] {
        let parts = split(path);
        let same = common.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        common.truncate(same);
    }
    Ok(Value::from(format!("{}{}", if root { "/" } else { "" }, common.join("/"))))
}

fn expanduser(call: &Call<'_>) -> Made<Value> {
    let evaluation = evaluation::current()?;
    Ok(Value::from(crate::values::lookups::expand_user(&call.text("value")?, &evaluation.engine.options.environment)))
}

fn expandvars(call: &Call<'_>) -> Made<Value> {
    let evaluation = evaluation::current()?;
    let environment = &evaluation.engine.options.environment;
    let text = call.text("value")?;
    let mut out = String::new();
    let mut rest: &str = &text;
    while let Some(i) = rest.find('$') {
        out.push_str(&rest[..i]);
        let after = &rest[i + 1..];
        let (name, len) = if let Some((name, _)) = after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            (name, name.len() + 2)
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            (&after[..end], end)
        };
        match environment.get(name) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[i..=i + len]),
        }
        rest = &after[len..];
    }
    out.push_str(rest);
    Ok(Value::from(out))
}
