//! Global functions, and the methods of Python's types that minijinja does not bring.

use super::call::{self, Call, Made, Spec, as_text, builtin, known};
use super::convert::{from_template, to_template};
use super::engine::template_key;
use super::error::{Signal, fail};
use super::evaluation;
use super::{Map, Value};
use minijinja as mj;
use minijinja::value::{Rest, ValueKind, ValueOrKwargs, from_args};
use std::path::Path;

pub(crate) const FUNCTIONS: &[Spec<Value>] = &[
    builtin("now", "the time, as text by `fmt`, of the controller or UTC", &["utc", "fmt"], now),
    builtin("dict", "a mapping from pairs and named arguments", &["value", "**"], dict),
];

pub(crate) fn register(env: &mut mj::Environment<'static>) {
    for spec in FUNCTIONS {
        env.add_function(spec.name, move |state: &mj::State<'_, '_>, args: Rest<ValueOrKwargs>| {
            call::function(spec, state, args)
        });
    }
    env.add_function("undef", |hint: Option<String>| undef(hint));
    env.remove_global("debug");
}

fn now(call: &Call<'_>) -> Made<Value> {
    let utc = call.flag("utc", false)?;
    let format = call.opt_text("fmt")?;
    let clock = evaluation::current()?.engine.options.clock.clone();
    let zone = if utc { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
    let time = clock().to_zoned(zone);
    match format {
        Some(format) => jiff::fmt::strtime::format(&*format, &time)
            .map(Value::from)
            .map_err(|e| fail(format!("the format '{format}' can't be used: {e}"))),
        // As Python prints a datetime.
        None => Ok(Value::from(time.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())),
    }
}

/// An undefined value whose message is the hint.
fn undef(hint: Option<String>) -> Made<mj::Value> {
    evaluation::current()?.set_hint(hint.unwrap_or_else(|| "this must be given a value".to_owned()));
    Ok(mj::Value::UNDEFINED)
}

/// Python's `dict`: from a mapping or a list of pairs, and named arguments.
fn dict(call: &Call<'_>) -> Made<Value> {
    let mut out = Map::new();
    match call.opt("value")? {
        None => {}
        Some(Value::Map(map)) => out.extend(map.iter().map(|(k, v)| (k.clone(), v.clone()))),
        Some(Value::List(pairs)) => {
            for pair in pairs.iter() {
                let Some([key, value]) = pair.as_list() else { return Err(fail("needs pairs of a key and a value")) };
                out.insert(as_text(&known(key.clone())?)?, value.clone());
            }
        }
        Some(other) => return Err(fail(format!("needs a mapping or a list of pairs, not {}", other.describe()))),
    }
    for (key, value) in call.named()? {
        out.insert(key.into(), value);
    }
    Ok(Value::map(out))
}

/// The template that `include`, `import` and `extends` mean, as the key the engine keeps it under; the name itself if
/// there is none, which the engine then reports.
pub(crate) fn find_template(name: &str, parent: &str) -> String {
    let Ok(evaluation) = evaluation::current() else { return name.to_owned() };
    let mut folders = evaluation.scope.search_path("templates");
    let including = parent.strip_prefix('\u{1}').and_then(|n| n.split_once('\u{0}')).map(|(path, _)| path);
    if let Some(folder) = including.and_then(|path| Path::new(path).parent()) {
        folders.push(folder.to_path_buf());
    }
    folders.push(evaluation.engine.options.directory.clone());
    for folder in folders {
        let path = folder.join(name);
        if let Ok(text) = std::fs::read_to_string(&path) {
            crate::source::reads::note(&path, text.as_bytes());
            return template_key(&path.to_string_lossy(), &text.replace("\r\n", "\n"));
        }
    }
    name.to_owned()
}

/// A method of a Python type; none if minijinja's own set has to answer.
pub(crate) fn method(value: &mj::Value, name: &str, args: &[mj::Value]) -> Made<Option<mj::Value>> {
    match value.kind() {
        ValueKind::String => {
            string_method(value.as_str().unwrap_or_default(), name, args).map(|v| v.map(|v| to_template(&v)))
        }
        ValueKind::Seq | ValueKind::Iterable => match name {
            "index" | "count" => {
                let (wanted,): (&mj::Value,) = from_args(args)?;
                let wanted = from_template(wanted)?;
                let Value::List(items) = from_template(value)? else { return Ok(None) };
                if items.iter().any(Value::has_unknown) {
                    return Err(Signal::Unknown.error());
                }
                if name == "count" {
                    return Ok(Some(mj::Value::from(items.iter().filter(|i| **i == wanted).count())));
                }
                match items.iter().position(|i| *i == wanted) {
                    Some(index) => Ok(Some(mj::Value::from(index))),
                    None => Err(fail(format!("{wanted} is not in the list"))),
                }
            }
            _ => Ok(None),
        },
        ValueKind::Map if name == "copy" => Ok(Some(value.clone())),
        ValueKind::Map if matches!(name, "strftime" | "timestamp" | "isoformat" | "date") => {
            let (format,): (Option<&str>,) = from_args(args)?;
            Ok(super::filters::time::method(&from_template(value)?, name, format)?.map(|v| to_template(&v)))
        }
        _ => Ok(None),
    }
}

fn string_method(text: &str, name: &str, args: &[mj::Value]) -> Made<Option<Value>> {
    let width = |args: &[mj::Value]| -> Made<(usize, char)> {
        let (width, fill): (usize, Option<char>) = from_args(args)?;
        Ok((width.saturating_sub(text.chars().count()), fill.unwrap_or(' ')))
    };
    let pad = |count: usize, fill: char| std::iter::repeat_n(fill, count).collect::<String>();
    Ok(Some(match name {
        "rsplit" => {
            let (separator, limit): (Option<&str>, Option<i64>) = from_args(args)?;
            let limit = limit.and_then(|n| usize::try_from(n).ok());
            let mut items: Vec<&str> = match (separator, limit) {
                (Some(s), Some(n)) => text.rsplitn(n + 1, s).collect(),
                (Some(s), None) => text.rsplit(s).collect(),
                (None, Some(n)) => text.trim_end().rsplitn(n + 1, char::is_whitespace).collect(),
                (None, None) => text.split_whitespace().rev().collect(),
            };
            items.reverse();
            Value::from(items)
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let found = if name == "partition" { text.split_once(separator) } else { text.rsplit_once(separator) };
            match found {
                Some((before, after)) => Value::from(vec![before, separator, after]),
                None if name == "partition" => Value::from(vec![text, "", ""]),
                None => Value::from(vec!["", "", text]),
            }
        }
        "ljust" => {
            let (count, fill) = width(args)?;
            Value::from(format!("{text}{}", pad(count, fill)))
        }
        "rjust" => {
            let (count, fill) = width(args)?;
            Value::from(format!("{}{text}", pad(count, fill)))
        }
        "center" => {
            let (count, fill) = width(args)?;
            let left = count / 2 + (count & (count + text.chars().count()) & 1);
            Value::from(format!("{}{text}{}", pad(left, fill), pad(count - left, fill)))
        }
        "zfill" => {
            let (count, _) = width(args)?;
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |d| ("-", d));
            Value::from(format!("{sign}{}{digits}", pad(count, '0')))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "index" => {
            let (what,): (&str,) = from_args(args)?;
            let at = text.find(what).ok_or_else(|| fail(format!("'{what}' is not in the text")))?;
            Value::from(text[..at].chars().count())
        }
        "swapcase" => Value::from(
            text.chars()
                .flat_map(|c| {
                    if c.is_uppercase() { c.to_lowercase().collect::<Vec<_>>() } else { c.to_uppercase().collect() }
                })
                .collect::<String>(),
        ),
        "casefold" => Value::from(text.to_lowercase()),
        "encode" | "decode" | "expandtabs" if args.is_empty() => {
            Value::from(text.replace('\t', if name == "expandtabs" { "        " } else { "\t" }))
        }
        _ => return Ok(None),
    }))
}
