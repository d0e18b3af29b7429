//! Lookups that take lists and mappings apart, and variables by name.

use super::ask::{Ask, Lookup, words};
use crate::values::Value;
use crate::values::call::{Made, as_text, truthy};
use crate::values::convert::from_template;
use crate::values::error::fail;
use crate::values::filters::regex;
use minijinja as mj;
use std::sync::Arc;

pub(super) const LOOKUPS: &[Lookup] = &[
    Lookup { name: "items", about: "the elements, one level of lists opened", options: &[], run: |ask| Ok(ask.flat()) },
    Lookup { name: "list", about: "the terms as they are", options: &[], run: |ask| Ok(ask.terms.clone()) },
    Lookup { name: "flattened", about: "the elements of nested lists", options: &[], run: flattened },
    Lookup { name: "dict", about: "the keys and values of mappings", options: &[], run: dict },
    Lookup { name: "indexed_items", about: "the elements with their numbers", options: &[], run: indexed_items },
    Lookup { name: "nested", about: "all combinations of elements of the lists", options: &[], run: nested },
    Lookup { name: "cartesian", about: "the same as `nested`", options: &[], run: nested },
    Lookup {
        name: "together",
        about: "the first elements of the lists, the second ones…",
        options: &[],
        run: together,
    },
    Lookup {
        name: "subelements",
        about: "pairs of an element and each of its sub-elements",
        options: &[],
        run: subelements,
    },
    Lookup {
        name: "sequence",
        about: "numbers, formatted",
        options: &["start", "end", "count", "stride", "format"],
        run: sequence,
    },
    Lookup { name: "random_choice", about: "one of the terms", options: &[], run: random_choice },
    Lookup { name: "vars", about: "variables by name", options: &["default"], run: vars },
    Lookup { name: "varnames", about: "the names of variables that match a pattern", options: &[], run: varnames },
    Lookup { name: "env", about: "variables of the controller's environment", options: &["default"], run: env },
];

#[allow(clippy::unnecessary_wraps)] // The type of a lookup.
fn flattened(ask: &Ask) -> Made<Vec<Value>> {
    fn open(items: &[Value], out: &mut Vec<Value>) {
        for item in items {
            match item {
                Value::List(inner) => open(inner, out),
                other => out.push(other.clone()),
            }
        }
    }
    let mut out = Vec::new();
    open(&ask.terms, &mut out);
    Ok(out)
}

fn dict(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    for term in ask.flat() {
        let Value::Map(map) = term else { return Err(fail(format!("needs mappings, and got {}", term.describe()))) };
        out.extend(
            map.iter().map(|(k, v)| Value::from_pairs([("key", Value::Str(Arc::clone(k))), ("value", v.clone())])),
        );
    }
    Ok(out)
}

#[allow(clippy::unnecessary_wraps)] // The type of a lookup.
fn indexed_items(ask: &Ask) -> Made<Vec<Value>> {
    Ok(ask.flat().into_iter().enumerate().map(|(i, v)| Value::list(vec![Value::from(i), v])).collect())
}

fn lists(ask: &Ask) -> Made<Vec<Vec<Value>>> {
    let one = |term: &Value| match term {
        Value::List(items) => Ok(items.to_vec()),
        other => Err(fail(format!("needs lists, and got {}", other.describe()))),
    };
    ask.terms.iter().map(one).collect()
}

fn nested(ask: &Ask) -> Made<Vec<Value>> {
    let mut out: Vec<Vec<Value>> = vec![Vec::new()];
    for list in lists(ask)? {
        if out.len().saturating_mul(list.len()) > 1_000_000 {
            return Err(fail("would make more than 1000000 elements"));
        }
        out = out
            .iter()
            .flat_map(|head| list.iter().map(move |v| [head.as_slice(), std::slice::from_ref(v)].concat()))
            .collect();
    }
    Ok(out.into_iter().map(Value::list).collect())
}

fn together(ask: &Ask) -> Made<Vec<Value>> {
    let lists = lists(ask)?;
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |i| Value::list(lists.iter().map(|l| l.get(i).cloned().unwrap_or_default()).collect());
    Ok((0..longest).map(row).collect())
}

fn subelements(ask: &Ask) -> Made<Vec<Value>> {
    let [items, key, rest @ ..] = ask.terms.as_slice() else { return Err(fail("needs a list and the name of a key")) };
    let items: Vec<Value> = match items {
        Value::List(items) => items.to_vec(),
        Value::Map(map) => map.values().cloned().collect(),
        other => return Err(fail(format!("needs a list, and got {}", other.describe()))),
    };
    let skip = rest.iter().any(|flags| flags.get("skip_missing").is_some_and(truthy));
    let key = as_text(key)?;
    let path: Vec<&str> = key.split('.').collect();
    let mut out = Vec::new();
    for item in items {
        if item.get("skipped").is_some_and(truthy) {
            continue;
        }
        let found = path.iter().try_fold(&item, |value, part| value.get(part));
        match found {
            Some(Value::List(subs)) => {
                let bare = without(&item, &path);
                out.extend(subs.iter().map(|sub| Value::list(vec![bare.clone(), sub.clone()])));
            }
            None if skip => {}
            None => return Err(fail(format!("an element has no `{key}`"))),
            Some(other) => return Err(fail(format!("`{key}` must be a list, and is {}", other.describe()))),
        }
    }
    Ok(out)
}

/// The element without the list that is being gone through.
fn without(item: &Value, path: &[&str]) -> Value {
    let (Value::Map(map), [first, rest @ ..]) = (item, path) else { return item.clone() };
    let mut map = (**map).clone();
    if rest.is_empty() {
        map.shift_remove(*first);
    } else if let Some(inner) = map.get(*first).map(|inner| without(inner, rest)) {
        map.insert(Arc::from(*first), inner);
    }
    Value::map(map)
}

fn sequence(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    let terms = if ask.terms.is_empty() { vec![Arc::from("")] } else { ask.texts()? };
    for term in terms {
        let mut given: Vec<(String, String)> = Vec::new();
        for name in ["start", "end", "count", "stride", "format"] {
            if let Some(value) = ask.text_option(name)? {
                given.push((name.to_owned(), value.to_string()));
            }
        }
        let (plain, pairs) = words(&term);
        given.extend(pairs);
        if let Some(short) = plain.first() {
            // `start-end/stride:format`, of which only `end` must be there.
            let (numbers, format) = short.split_once(':').map_or((short.as_str(), None), |(n, f)| (n, Some(f)));
            let (range, stride) = numbers.split_once('/').map_or((numbers, None), |(r, s)| (r, Some(s)));
            let (start, end) = range.split_once('-').map_or((None, range), |(s, e)| (Some(s), e));
            let named = [("start", start), ("end", Some(end)), ("stride", stride), ("format", format)];
            given.extend(named.into_iter().filter_map(|(n, v)| Some((n.to_owned(), v?.to_owned()))));
        }
        numbers(&given, &mut out)?;
    }
    Ok(out)
}

fn numbers(given: &[(String, String)], out: &mut Vec<Value>) -> Made<()> {
    let number = |name: &str| -> Made<Option<i64>> {
        let Some((_, text)) = given.iter().rev().find(|(n, _)| n == name) else { return Ok(None) };
        let text = text.trim();
        let parsed = match text.get(..2) {
            Some("0x") => i64::from_str_radix(&text[2..], 16),
            Some("0o") => i64::from_str_radix(&text[2..], 8),
            _ => text.parse(),
        };
        parsed.map(Some).map_err(|_| fail(format!("`{name}` must be an integer, not '{text}'")))
    };
    if let Some((name, _)) =
        given.iter().find(|(n, _)| !["start", "end", "count", "stride", "format"].contains(&n.as_str()))
    {
        return Err(fail(format!("has no option `{name}`; it has start, end, count, stride, format")));
    }
    let start = number("start")?.unwrap_or(1);
    let (end, stride) = match (number("end")?, number("count")?, number("stride")?) {
        (Some(_), Some(_), _) => return Err(fail("takes `end` or `count`, not both")),
        (Some(end), None, stride) => (end, stride.unwrap_or(1)),
        (None, Some(0), _) => return Ok(()),
        (None, Some(count), stride) => (start + (count - 1) * stride.unwrap_or(1), stride.unwrap_or(1)),
        (None, None, _) => return Err(fail("needs `end` or `count`")),
    };
    if stride == 0 || (stride > 0 && end < start) || (stride < 0 && end > start) {
        return if stride == 0 { Ok(()) } else { Err(fail(format!("can't count from {start} to {end} by {stride}"))) };
    }
    if (end - start) / stride > 1_000_000 {
        return Err(fail("would make more than 1000000 elements"));
    }
    let format = given.iter().rev().find(|(n, _)| n == "format").map_or("%d", |(_, f)| f);
    let mut at = start;
    while (stride > 0 && at <= end) || (stride < 0 && at >= end) {
        let text = mj::formatting::format(mj::formatting::FormatStyle::Printf, format, &[mj::Value::from(at)]);
        out.push(Value::from(text.map_err(|e| fail(format!("the format '{format}' can't be used: {e}")))?));
        at += stride;
    }
    Ok(())
}

#[allow(clippy::unnecessary_wraps)] // The type of a lookup.
fn random_choice(ask: &Ask) -> Made<Vec<Value>> {
    if ask.terms.is_empty() {
        return Ok(Vec::new());
    }
    let mut stream = crate::values::random::Stream::new(ask.evaluation.draw("random_choice"));
    let index = usize::try_from(stream.below(ask.terms.len() as u64)).unwrap_or(0);
    Ok(vec![ask.terms[index].clone()])
}

fn vars(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    for name in ask.texts()? {
        out.push(match (ask.evaluation.variable(&name), ask.option("default")) {
            (Some(value), _) => from_template(&value)?,
            (None, Some(default)) => default.clone(),
            (None, None) => {
                return Err(mj::Error::new(mj::ErrorKind::UndefinedError, format!("`{name}` is undefined")));
            }
        });
    }
    Ok(out)
}

fn varnames(ask: &Ask) -> Made<Vec<Value>> {
    let mut names = ask.evaluation.scope.names();
    names.sort();
    let mut out = Vec::new();
    for pattern in ask.texts()? {
        for name in &names {
            if regex::matches(name, &pattern, regex::Flags::default(), "search")? {
                out.push(Value::Str(Arc::clone(name)));
            }
        }
    }
    Ok(out)
}

fn env(ask: &Ask) -> Made<Vec<Value>> {
    let environment = &ask.evaluation.engine.options.environment;
    let default = ask.option("default").cloned().unwrap_or_else(|| Value::from(""));
    Ok(ask
        .texts()?
        .iter()
        .map(|name| {
            let name = name.split_whitespace().next().unwrap_or_default();
            environment.get(name).map_or_else(|| default.clone(), Value::from)
        })
        .collect())
}
