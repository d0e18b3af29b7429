//! Filters for values of any kind, mappings and serialised data.

use crate::values::call::{Call, Made, Spec, as_text, builtin, known, truthy};
use crate::values::error::{Signal, fail};
use crate::values::{Map, Value};
use std::sync::Arc;

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("bool", "yes/no words and numbers as a boolean", &["value"], bool),
    builtin(
        "ternary",
        "one value if true, another if false, perhaps a third if none",
        &["value", "true_val", "false_val", "none_val"],
        ternary,
    ),
    builtin("mandatory", "an error if undefined", &["value", "msg"], mandatory).lenient(),
    builtin("type_debug", "the name of the value's Python type", &["value"], type_debug),
    builtin("combine", "mappings merged, later ones win", &["value", "*others", "recursive", "list_merge"], combine),
    builtin("dict2items", "a mapping as a list of key and value", &["value", "key_name", "value_name"], dict2items),
    builtin("items2dict", "a list of key and value as a mapping", &["value", "key_name", "value_name"], items2dict),
    builtin("extract", "the element under this key of a container", &["value", "container", "morekeys"], extract),
    Spec {
        name: "dict_kv",
        collections: &["community.general"],
        about: "a mapping of one key",
        params: &["value", "key"],
        undefined: false,
        run: dict_kv,
    },
    Spec {
        name: "groupby_as_dict",
        collections: &["community.general"],
        about: "a list of mappings as a mapping by one attribute",
        params: &["value", "attribute"],
        undefined: false,
        run: groupby_as_dict,
    },
    Spec {
        name: "counter",
        collections: &["community.general"],
        about: "how often each element occurs",
        params: &["value"],
        undefined: false,
        run: counter,
    },
];

fn bool(call: &Call<'_>) -> Made<Value> {
    Ok(match call.value("value")? {
        Value::Null => Value::Null,
        value @ Value::Bool(_) => value,
        Value::Int(i) => Value::Bool(i == 1),
        Value::Float(x) => Value::Bool((x - 1.0).abs() < f64::EPSILON),
        Value::Str(text) => {
            Value::Bool(matches!(text.to_lowercase().as_str(), "yes" | "on" | "1" | "true" | "y" | "t"))
        }
        other => return Err(fail(format!("{} is neither true nor false", other.describe()))),
    })
}

fn ternary(call: &Call<'_>) -> Made<Value> {
    let value = call.value("value")?;
    if matches!(value, Value::Null)
        && let Some(none) = call.opt("none_val")?
    {
        return Ok(none);
    }
    if truthy(&value) { call.any("true_val") } else { call.any("false_val") }
}

fn mandatory(call: &Call<'_>) -> Made<Value> {
    if call.raw("value").is_some_and(minijinja::Value::is_undefined) {
        let message = call.opt_text("msg")?;
        return Err(fail(message.map_or_else(|| "this variable must be defined".to_owned(), |m| m.to_string())));
    }
    call.any("value")
}

fn type_debug(call: &Call<'_>) -> Made<Value> {
    Ok(Value::from(match call.value("value")? {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Str(_) => "str",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
        Value::Unknown | Value::Omit => "Omit",
    }))
}

/// How lists are merged by `combine`.
#[derive(Clone, Copy)]
enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendNew,
    PrependNew,
}

fn combine(call: &Call<'_>) -> Made<Value> {
    let recursive = call.flag("recursive", false)?;
    let lists = match call.opt_text("list_merge")?.as_deref() {
        None | Some("replace") => ListMerge::Replace,
        Some("keep") => ListMerge::Keep,
        Some("append") => ListMerge::Append,
        Some("prepend") => ListMerge::Prepend,
        Some("append_rp") => ListMerge::AppendNew,
        Some("prepend_rp") => ListMerge::PrependNew,
        Some(other) => {
            return Err(fail(format!(
                "list_merge can't be '{other}'; it is one of replace, keep, append, prepend, append_rp, prepend_rp"
            )));
        }
    };
    // Lists of mappings count as their mappings, in order.
    let mut maps = Vec::new();
    for value in std::iter::once(call.any("value")?).chain(call.rest()?) {
        gather(value, &mut maps)?;
    }
    let mut maps = maps.into_iter();
    let mut out = maps.next().unwrap_or_default();
    for map in maps {
        if out.is_empty() {
            out = map;
        } else {
            let mut merged = (*out).clone();
            merge(&mut merged, &map, recursive, lists);
            out = Arc::new(merged);
        }
    }
    Ok(Value::Map(out))
}

fn gather(value: Value, maps: &mut Vec<Arc<Map>>) -> Made<()> {
    match value {
        Value::Map(map) => maps.push(map),
        Value::List(items) => {
            for item in items.iter() {
                gather(item.clone(), maps)?;
            }
        }
        Value::Unknown => return Err(Signal::Unknown.error()),
        other => return Err(fail(format!("needs mappings, and one argument is {}", other.describe()))),
    }
    Ok(())
}

fn merge(into: &mut Map, from: &Map, recursive: bool, lists: ListMerge) {
    for (key, new) in from {
        let merged = match (into.get(key), new) {
            (Some(Value::Map(old)), Value::Map(new)) if recursive => {
                let mut both = (**old).clone();
                merge(&mut both, new, recursive, lists);
                Value::map(both)
            }
            (Some(Value::List(old)), Value::List(new)) => merge_lists(old, new, lists),
            _ => new.clone(),
        };
        into.insert(Arc::clone(key), merged);
    }
}

fn merge_lists(old: &Arc<Vec<Value>>, new: &Arc<Vec<Value>>, how: ListMerge) -> Value {
    let join = |a: &[Value], b: &[Value]| Value::list(a.iter().chain(b).cloned().collect());
    let without = |a: &[Value], b: &[Value]| a.iter().filter(|x| !b.contains(x)).cloned().collect::<Vec<_>>();
    match how {
        ListMerge::Replace => Value::List(Arc::clone(new)),
        ListMerge::Keep => Value::List(Arc::clone(old)),
        ListMerge::Append => join(old, new),
        ListMerge::Prepend => join(new, old),
        ListMerge::AppendNew => join(&without(old, new), new),
        ListMerge::PrependNew => join(new, &without(old, new)),
    }
}

fn dict2items(call: &Call<'_>) -> Made<Value> {
    let (key, value) = key_names(call)?;
    let pairs = call.map("value")?;
    Ok(Value::list(
        pairs
            .iter()
            .map(|(k, v)| {
                Value::map([(Arc::clone(&key), Value::Str(Arc::clone(k))), (Arc::clone(&value), v.clone())].into())
            })
            .collect(),
    ))
}

fn items2dict(call: &Call<'_>) -> Made<Value> {
    let (key, value) = key_names(call)?;
    let mut out = Map::new();
    for item in call.list("value")?.iter() {
        let (Some(k), Some(v)) = (item.get(&key), item.get(&value)) else {
            return Err(fail(format!(
                "needs a list of mappings with `{key}` and `{value}`, and one element is {item}"
            )));
        };
        out.insert(as_text(&known(k.clone())?)?, v.clone());
    }
    Ok(Value::map(out))
}

fn key_names(call: &Call<'_>) -> Made<(Arc<str>, Arc<str>)> {
    Ok((
        call.opt_text("key_name")?.unwrap_or_else(|| "key".into()),
        call.opt_text("value_name")?.unwrap_or_else(|| "value".into()),
    ))
}

fn extract(call: &Call<'_>) -> Made<Value> {
    use crate::values::convert::from_template;
    let container = call.raw("container").ok_or_else(|| fail("needs the argument `container`"))?;
    let key = call.raw("value").ok_or_else(|| fail("needs a key"))?;
    let mut found = container.get_item(key)?;
    let more: Vec<Value> = match call.opt("morekeys")? {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::List(keys)) => keys.to_vec(),
        Some(one) => vec![one],
    };
    let mut path = key.to_string();
    for key in more {
        if found.is_undefined() {
            break;
        }
        path = format!("{path}, {key}");
        found = found.get_item(&crate::values::convert::to_template(&key))?;
    }
    if found.is_undefined() {
        return Err(fail(format!("there is nothing under {path}")));
    }
    from_template(&found)
}

fn dict_kv(call: &Call<'_>) -> Made<Value> {
    Ok(Value::map([(call.text("key")?, call.any("value")?)].into()))
}

fn groupby_as_dict(call: &Call<'_>) -> Made<Value> {
    let attribute = call.text("attribute")?;
    let mut out = Map::new();
    for item in call.list("value")?.iter() {
        let key = item.get(&attribute).ok_or_else(|| fail(format!("an element has no `{attribute}`")))?;
        if out.insert(as_text(&known(key.clone())?)?, item.clone()).is_some() {
            return Err(fail(format!("two elements have the same `{attribute}`, {key}")));
        }
    }
    Ok(Value::map(out))
}

fn counter(call: &Call<'_>) -> Made<Value> {
    let mut out = Map::new();
    for item in call.known_list("value")?.iter() {
        let entry = out.entry(as_text(item)?).or_insert(Value::Int(0));
        if let Value::Int(count) = entry {
            *count += 1;
        }
    }
    Ok(Value::map(out))
}
