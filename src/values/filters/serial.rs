//! Filters to and from JSON and YAML.

use crate::values::call::{Call, Made, Spec, builtin, truthy};
use crate::values::error::fail;
use crate::values::{
    Flow, Value, YamlOptions, from_yaml as load_yaml, from_yaml_all as load_all_yaml, to_yaml as dump_yaml,
};
use std::sync::Arc;

pub(super) const FILTERS: &[Spec<Value>] = &[
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
];

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
