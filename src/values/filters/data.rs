//! Filters for values of any kind, mappings and serialised data.

use crate::values::call::{Call, Made, Spec, as_text, builtin, known, truthy};
use crate::values::error::{Signal, fail};
use crate::values::{
    Flow, Map, Value, YamlOptions, from_yaml as load_yaml, from_yaml_all as load_all_yaml, to_yaml as dump_yaml,
};
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
    builtin(
        "to_json",
        "as JSON",
        &["value", "indent", "sort_keys", "ensure_ascii", "separators", "vault_to_text", "preprocess_unsafe"],
        to_json,
    ),
    builtin(
        "to_nice_json",
        "as indented JSON with sorted keys",
        &["value", "indent", "sort_keys", "ensure_ascii"],
        to_nice_json,
    ),
    builtin("from_json", "JSON as a value", &["value"], from_json),
    builtin(
        "to_yaml",
        "as YAML",
        &["value", "indent", "default_flow_style", "width", "sort_keys", "explicit_start", "explicit_end"],
        to_yaml,
    ),
    builtin(
        "to_nice_yaml",
        "as indented YAML",
        &["value", "indent", "default_flow_style", "width", "sort_keys", "explicit_start", "explicit_end"],
        to_nice_yaml,
    ),
    builtin("from_yaml", "YAML as a value", &["value"], from_yaml),
    builtin("from_yaml_all", "a list of the documents of a YAML text", &["value"], from_yaml_all),
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
        Value::Float(x) => Value::Bool(x == 1.0),
        Value::Str(text) => {
            Value::Bool(matches!(text.to_lowercase().as_str(), "yes" | "on" | "1" | "true" | "y" | "t"))
        }
        other => return Err(fail(format!("{} is neither true nor false", other.describe()))),
    })
}

fn ternary(call: &Call<'_>) -> Made<Value> {
    let value = call.value("value")?;
    if matches!(value, Value::Null) {
        if let Some(none) = call.opt("none_val")? {
            return Ok(none);
        }
    }
    if truthy(&value) { call.any("true_val") } else { call.any("false_val") }
}

fn mandatory(call: &Call<'_>) -> Made<Value> {
    if call.raw("value").is_some_and(|v| v.is_undefined()) {
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

fn to_json(call: &Call<'_>) -> Made<Value> {
    let value = call.value("value")?;
    let indent = call.opt("indent")?;
    let sorted = call.flag("sort_keys", false)?;
    let ascii = call.flag("ensure_ascii", true)?;
    let compact = match call.opt("separators")? {
        None | Some(Value::Null) => false,
        Some(Value::List(pair)) if pair.len() == 2 => {
            let pair = [pair[0].to_string(), pair[1].to_string()];
            match (pair[0].as_str(), pair[1].as_str()) {
                (",", ":") => true,
                (", ", ": ") => false,
                _ => return Err(fail("separators can be (',', ':') or (', ', ': ')")),
            }
        }
        Some(_) => return Err(fail("separators is a pair like (',', ':')")),
    };
    let indent = match indent {
        None | Some(Value::Null) => None,
        Some(_) => Some(usize::try_from(call.int("indent", Some(0))?).unwrap_or(0)),
    };
    Ok(Value::from(json(&value, &JsonStyle { indent, sorted, ascii, compact })))
}

fn to_nice_json(call: &Call<'_>) -> Made<Value> {
    let style = JsonStyle {
        indent: Some(usize::try_from(call.int("indent", Some(4))?).unwrap_or(4)),
        sorted: call.flag("sort_keys", true)?,
        ascii: call.flag("ensure_ascii", true)?,
        compact: false,
    };
    Ok(Value::from(json(&call.value("value")?, &style)))
}

struct JsonStyle {
    indent: Option<usize>,
    sorted: bool,
    ascii: bool,
    compact: bool,
}

/// JSON as Python writes it (`, ` and `: `, non-ASCII escaped).
fn json(value: &Value, style: &JsonStyle) -> String {
    let mut out = String::new();
    write_json(value, style, 0, &mut out);
    out
}

fn write_json(value: &Value, style: &JsonStyle, level: usize, out: &mut String) {
    let line = |out: &mut String, level: usize| {
        if let Some(indent) = style.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * level));
        }
    };
    let comma = if style.indent.is_some() || style.compact { "," } else { ", " };
    match value {
        Value::Null | Value::Omit | Value::Unknown => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(_) | Value::Float(_) => out.push_str(&value.to_string()),
        Value::Str(text) => json_string(text, style.ascii, out),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(comma);
                }
                line(out, level + 1);
                write_json(item, style, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Value::Map(map) if map.is_empty() => out.push_str("{}"),
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if style.sorted {
                entries.sort_by_key(|(key, _)| Arc::clone(key));
            }
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push_str(comma);
                }
                line(out, level + 1);
                json_string(key, style.ascii, out);
                out.push_str(if style.compact { ":" } else { ": " });
                write_json(item, style, level + 1, out);
            }
            line(out, level);
            out.push('}');
        }
    }
}

fn json_string(text: &str, ascii: bool, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && (c as u32) >= 0x7f) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string can't fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn from_json(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    serde_json::from_str(&text).map_err(|e| fail(format!("this is not JSON: {e}")))
}

fn to_yaml(call: &Call<'_>) -> Made<Value> {
    yaml_out(call, YamlOptions::TERSE)
}

fn to_nice_yaml(call: &Call<'_>) -> Made<Value> {
    yaml_out(call, YamlOptions::NICE)
}

fn yaml_out(call: &Call<'_>, defaults: YamlOptions) -> Made<Value> {
    let size = |name: &str, default: usize| -> Made<usize> {
        let value = call.int(name, Some(i64::try_from(default).unwrap_or(i64::MAX)))?;
        usize::try_from(value).map_err(|_| fail(format!("`{name}` can't be negative")))
    };
    let options = YamlOptions {
        indent: size("indent", defaults.indent)?,
        width: size("width", defaults.width)?,
        sort_keys: call.flag("sort_keys", defaults.sort_keys)?,
        flow: match call.opt("default_flow_style")? {
            None => defaults.flow,
            Some(Value::Null) => Flow::Leaves,
            Some(value) if truthy(&value) => Flow::Always,
            Some(_) => Flow::Never,
        },
    };
    let mut out = String::new();
    if call.flag("explicit_start", false)? {
        out.push_str("---\n");
    }
    out.push_str(&dump_yaml(&call.value("value")?, options));
    if call.flag("explicit_end", false)? {
        out.push_str("...\n");
    }
    Ok(Value::from(out))
}

fn from_yaml(call: &Call<'_>) -> Made<Value> {
    match call.value("value")? {
        Value::Str(text) => load_yaml(&text).map_err(|d| fail(d.message)),
        other => Ok(other),
    }
}

fn from_yaml_all(call: &Call<'_>) -> Made<Value> {
    match call.value("value")? {
        Value::Str(text) => load_all_yaml(&text).map(Value::list).map_err(|d| fail(d.message)),
        other => Ok(other),
    }
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
