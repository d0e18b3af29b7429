//! Tests (`x is …`) that minijinja does not have, or has with another meaning.

use super::Value;
use super::call::{self, Call, Made, Spec, as_text, builtin, known, truthy};
use super::error::{Signal, fail};
use super::filters::regex::{self, Flags};
use minijinja as mj;
use minijinja::value::{Rest, ValueOrKwargs};
use std::cmp::Ordering;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

const TESTS: &[Spec<bool>] = &[
    builtin(
        "match",
        "whether a pattern matches at the beginning",
        &["value", "pattern", "ignorecase", "multiline"],
        matching,
    ),
    builtin("search", "whether a pattern matches anywhere", &["value", "pattern", "ignorecase", "multiline"], search),
    builtin(
        "regex",
        "whether a pattern matches",
        &["value", "pattern", "ignorecase", "multiline", "match_type"],
        regex_test,
    ),
    builtin(
        "version",
        "whether a version compares so",
        &["value", "version", "operator", "strict", "version_type"],
        version,
    ),
    builtin(
        "version_compare",
        "the same as `version`",
        &["value", "version", "operator", "strict", "version_type"],
        version,
    ),
    builtin("subset", "whether all elements are in the other list", &["value", "other"], subset),
    builtin("issubset", "the same as `subset`", &["value", "other"], subset),
    builtin("superset", "whether all elements of the other list are in it", &["value", "other"], superset),
    builtin("issuperset", "the same as `superset`", &["value", "other"], superset),
    builtin("contains", "whether it has this element", &["value", "element"], contains),
    builtin("any", "whether any element is true", &["value"], any),
    builtin("all", "whether all elements are true", &["value"], all),
    builtin("truthy", "whether Python takes it for true", &["value", "convert_bool"], is_truthy),
    builtin("falsy", "whether Python takes it for false", &["value", "convert_bool"], is_falsy),
    builtin("succeeded", "whether a result is not a failure", &["value"], succeeded),
    builtin("success", "the same as `succeeded`", &["value"], succeeded),
    builtin("successful", "the same as `succeeded`", &["value"], succeeded),
    builtin("failed", "whether a result is a failure", &["value"], failed),
    builtin("failure", "the same as `failed`", &["value"], failed),
    builtin("changed", "whether a result is a change", &["value"], changed),
    builtin("change", "the same as `changed`", &["value"], changed),
    builtin("skipped", "whether a result was skipped", &["value"], skipped),
    builtin("skip", "the same as `skipped`", &["value"], skipped),
    builtin("reachable", "whether the host could be reached", &["value"], reachable),
    builtin("unreachable", "whether the host could not be reached", &["value"], unreachable),
    builtin("timedout", "whether the result timed out", &["value"], timedout),
    builtin("started", "whether a job has started", &["value"], started),
    builtin("finished", "whether a job has finished", &["value"], finished),
    builtin("file", "whether it is a file on the controller", &["value"], |call| Ok(path(call)?.is_file())),
    builtin("is_file", "the same as `file`", &["value"], |call| Ok(path(call)?.is_file())),
    builtin("directory", "whether it is a directory on the controller", &["value"], |call| Ok(path(call)?.is_dir())),
    builtin("is_dir", "the same as `directory`", &["value"], |call| Ok(path(call)?.is_dir())),
    builtin("link", "whether it is a link on the controller", &["value"], |call| Ok(path(call)?.is_symlink())),
    builtin("is_link", "the same as `link`", &["value"], |call| Ok(path(call)?.is_symlink())),
    builtin("exists", "whether it exists on the controller", &["value"], |call| Ok(path(call)?.exists())),
    builtin("link_exists", "whether it exists on the controller, links not followed", &["value"], |call| {
        Ok(path(call)?.symlink_metadata().is_ok())
    }),
    builtin("abs", "whether a path is absolute", &["value"], |call| Ok(call.text("value")?.starts_with('/'))),
    builtin("is_abs", "the same as `abs`", &["value"], |call| Ok(call.text("value")?.starts_with('/'))),
    builtin("same_file", "whether two paths are one file on the controller", &["value", "other"], same_file),
    builtin("is_same_file", "the same as `same_file`", &["value", "other"], same_file),
    builtin("mount", "whether it is a mount point on the controller", &["value"], mount),
    builtin("is_mount", "the same as `mount`", &["value"], mount),
    builtin("vault_encrypted", "whether a text is a vault", &["value"], |call| {
        Ok(matches!(call.value("value")?, Value::Str(text) if super::is_encrypted(&text)))
    }),
    builtin("uri", "whether a text is a URI", &["value", "schemes"], uri),
    builtin("url", "whether a text is a URL", &["value", "schemes"], url),
    builtin("urn", "whether a text is a URN", &["value"], |call| {
        Ok(
            matches!(call.value("value")?, Value::Str(text) if text.to_lowercase().starts_with("urn:") && text.split(':').count() >= 3),
        )
    }),
    builtin("nan", "whether a number is not a number", &["value"], |call| {
        Ok(matches!(call.value("value")?, Value::Float(x) if x.is_nan()))
    }),
];

pub(crate) fn all_tests() -> impl Iterator<Item = &'static Spec<bool>> {
    TESTS.iter()
}

pub(crate) fn register(env: &mut mj::Environment<'static>) {
    for spec in all_tests() {
        for name in spec.names() {
            env.add_test(name, move |state: &mj::State<'_, '_>, args: Rest<ValueOrKwargs>| {
                call::test(spec, state, args)
            });
        }
    }
}

fn flags(call: &Call<'_>) -> Made<Flags> {
    Ok(Flags { ignorecase: call.flag("ignorecase", false)?, multiline: call.flag("multiline", false)? })
}

fn matching(call: &Call<'_>) -> Made<bool> {
    regex::matches(&call.text("value")?, &call.text("pattern")?, flags(call)?, "match")
}

fn search(call: &Call<'_>) -> Made<bool> {
    regex::matches(&call.text("value")?, &call.text("pattern")?, flags(call)?, "search")
}

fn regex_test(call: &Call<'_>) -> Made<bool> {
    let how = call.opt_text("match_type")?.unwrap_or_else(|| "search".into());
    if !matches!(&*how, "search" | "match" | "fullmatch") {
        return Err(fail(format!("match_type can't be '{how}'; it is search, match or fullmatch")));
    }
    regex::matches(&call.text("value")?, &call.text("pattern")?, flags(call)?, &how)
}

fn version(call: &Call<'_>) -> Made<bool> {
    let (a, b) = (call.text("value")?, call.text("version")?);
    let operator = call.opt_text("operator")?.unwrap_or_else(|| "eq".into());
    let strict = call.flag("strict", false)?;
    let kind = call.opt_text("version_type")?;
    let kind = kind.as_deref().unwrap_or(if strict { "strict" } else { "loose" });
    let ordering = match kind {
        "loose" => loose(&a).cmp(&loose(&b)),
        "strict" | "semver" | "semantic" | "pep440" => release(&a, kind)?.cmp(&release(&b, kind)?),
        other => {
            return Err(fail(format!(
                "version_type can't be '{other}'; it is loose, strict, semver, semantic or pep440"
            )));
        }
    };
    match &*operator {
        "==" | "=" | "eq" => Ok(ordering == Ordering::Equal),
        "!=" | "<>" | "ne" => Ok(ordering != Ordering::Equal),
        "<" | "lt" => Ok(ordering == Ordering::Less),
        "<=" | "le" => Ok(ordering != Ordering::Greater),
        ">" | "gt" => Ok(ordering == Ordering::Greater),
        ">=" | "ge" => Ok(ordering != Ordering::Less),
        other => Err(fail(format!("'{other}' is no comparison; use ==, !=, <, <=, >, >= (or eq, ne, lt, le, gt, ge)"))),
    }
}

/// A piece of a version: numbers are less than words, as in Python's loose versions of Ansible.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Word(String),
}

fn loose(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c == '.' {
            continue;
        }
        let digit = c.is_ascii_digit();
        let letter = c.is_ascii_lowercase();
        let mut end = start + c.len_utf8();
        while let Some((i, next)) = chars.peek().copied() {
            let same = if digit {
                next.is_ascii_digit()
            } else if letter {
                next.is_ascii_lowercase()
            } else {
                next != '.' && !next.is_ascii_digit() && !next.is_ascii_lowercase()
            };
            if !same {
                break;
            }
            end = i + next.len_utf8();
            chars.next();
        }
        let piece = &text[start..end];
        out.push(piece.parse().map_or_else(|_| Piece::Word(piece.to_owned()), Piece::Number));
    }
    out
}

/// A version with pre-releases before the release they lead to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    numbers: Vec<u64>,
    /// A pre-release sorts before none.
    last: (bool, Vec<Piece>),
}

fn release(text: &str, kind: &str) -> Made<Release> {
    let bad = || fail(format!("'{text}' is no {kind} version"));
    let text = text.trim().trim_start_matches('v');
    let text = text.split('+').next().unwrap_or_default();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let mut parsed = numbers
        .trim_end_matches('.')
        .split('.')
        .map(|n| n.parse::<u64>().map_err(|_| bad()))
        .collect::<Made<Vec<_>>>()?;
    if kind == "strict" && !(2..=3).contains(&parsed.len()) || kind.starts_with("sem") && parsed.len() != 3 {
        return Err(bad());
    }
    while parsed.last() == Some(&0) && parsed.len() > 1 {
        parsed.pop();
    }
    let rest = rest.trim_start_matches(['-', '.', '_']);
    let post = rest.starts_with("post");
    Ok(Release { numbers: parsed, last: (rest.is_empty() || post, loose(rest)) })
}

fn pair(call: &Call<'_>) -> Made<(Vec<Value>, Vec<Value>)> {
    Ok((call.known_list("value")?.to_vec(), call.known_list("other")?.to_vec()))
}

fn subset(call: &Call<'_>) -> Made<bool> {
    let (a, b) = pair(call)?;
    Ok(a.iter().all(|x| b.contains(x)))
}

fn superset(call: &Call<'_>) -> Made<bool> {
    let (a, b) = pair(call)?;
    Ok(b.iter().all(|x| a.contains(x)))
}

fn contains(call: &Call<'_>) -> Made<bool> {
    let element = call.value("element")?;
    match call.value("value")? {
        Value::List(items) => Ok(items.contains(&element)),
        Value::Map(map) => Ok(map.contains_key(&*as_text(&element)?)),
        Value::Str(text) => Ok(text.contains(&*as_text(&element)?)),
        other => Err(fail(format!("needs a list, a mapping or a text, not {}", other.describe()))),
    }
}

fn any(call: &Call<'_>) -> Made<bool> {
    Ok(call.known_list("value")?.iter().any(truthy))
}

fn all(call: &Call<'_>) -> Made<bool> {
    Ok(call.known_list("value")?.iter().all(truthy))
}

fn is_truthy(call: &Call<'_>) -> Made<bool> {
    let value = call.value("value")?;
    if call.flag("convert_bool", false)?
        && let Value::Str(text) = &value
    {
        return Ok(match text.trim().to_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "y" | "t" => true,
            "no" | "off" | "0" | "false" | "n" | "f" => false,
            other => !other.is_empty(),
        });
    }
    Ok(truthy(&value))
}

fn is_falsy(call: &Call<'_>) -> Made<bool> {
    is_truthy(call).map(|b| !b)
}

/// A path on the controller.
fn path(call: &Call<'_>) -> Made<PathBuf> {
    let options = &super::evaluation::current()?.engine.options;
    Ok(options.directory.join(super::lookups::expand_user(&call.text("value")?, &options.environment)))
}

fn same_file(call: &Call<'_>) -> Made<bool> {
    let a = path(call)?;
    let b = super::evaluation::current()?.engine.options.directory.join(&*call.text("other")?);
    let id = |p: &PathBuf| p.metadata().map(|m| (m.dev(), m.ino())).map_err(|e| fail(format!("{}: {e}", p.display())));
    Ok(id(&a)? == id(&b)?)
}

fn mount(call: &Call<'_>) -> Made<bool> {
    let path = path(call)?;
    let (Ok(here), Ok(above)) = (path.symlink_metadata(), path.join("..").metadata()) else { return Ok(false) };
    Ok(!here.is_symlink() && (here.dev() != above.dev() || here.ino() == above.ino()))
}

fn scheme(call: &Call<'_>) -> Made<Option<(String, String)>> {
    let Value::Str(text) = call.value("value")? else { return Ok(None) };
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(None) };
    let fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let wanted: Option<Vec<String>> = match call.opt("schemes")? {
        Some(Value::List(items)) => Some(items.iter().map(ToString::to_string).collect()),
        Some(Value::Str(one)) => Some(vec![one.to_string()]),
        _ => None,
    };
    let scheme = scheme.to_lowercase();
    let allowed = wanted.is_none_or(|w| w.contains(&scheme));
    Ok((fits && allowed && !rest.is_empty()).then(|| (scheme, rest.to_owned())))
}

fn uri(call: &Call<'_>) -> Made<bool> {
    Ok(scheme(call)?.is_some())
}

fn url(call: &Call<'_>) -> Made<bool> {
    Ok(scheme(call)?
        .is_some_and(|(_, rest)| rest.strip_prefix("//").is_some_and(|r| !r.is_empty() && !r.starts_with('/'))))
}

/// A flag of a registered result.
fn result_flag(call: &Call<'_>, name: &str) -> Made<bool> {
    let result = call.any("value")?;
    match result {
        Value::Map(map) => match map.get(name) {
            None => Ok(false),
            Some(value) => Ok(truthy(&known(value.clone())?)),
        },
        Value::Unknown => Err(Signal::Unknown.error()),
        other => Err(fail(format!("needs the registered result of a task, not {}", other.describe()))),
    }
}

fn failed(call: &Call<'_>) -> Made<bool> {
    result_flag(call, "failed")
}

fn succeeded(call: &Call<'_>) -> Made<bool> {
    failed(call).map(|b| !b)
}

fn skipped(call: &Call<'_>) -> Made<bool> {
    result_flag(call, "skipped")
}

fn unreachable(call: &Call<'_>) -> Made<bool> {
    result_flag(call, "unreachable")
}

fn reachable(call: &Call<'_>) -> Made<bool> {
    unreachable(call).map(|b| !b)
}

fn timedout(call: &Call<'_>) -> Made<bool> {
    result_flag(call, "timedout")
}

fn started(call: &Call<'_>) -> Made<bool> {
    result_flag(call, "started")
}

fn finished(call: &Call<'_>) -> Made<bool> {
    result_flag(call, "finished")
}

fn changed(call: &Call<'_>) -> Made<bool> {
    let result = call.any("value")?;
    let Value::Map(map) = &result else { return result_flag(call, "changed") };
    if map.contains_key("changed") {
        return result_flag(call, "changed");
    }
    // The result of a loop whose parts tell it.
    match map.get("results") {
        Some(Value::List(items)) => {
            let mut unknown = false;
            for item in items.iter() {
                match item.get("changed") {
                    Some(Value::Unknown) => unknown = true,
                    Some(value) if truthy(value) => return Ok(true),
                    _ => {}
                }
            }
            if unknown { Err(Signal::Unknown.error()) } else { Ok(false) }
        }
        _ => Ok(false),
    }
}
