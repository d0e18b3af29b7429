//! Filters for lists: sets, products, nesting, numbers.

use crate::values::Value;
use crate::values::call::{Call, Made, Spec, as_text, builtin, known, nothing};
use crate::values::convert::to_template;
use crate::values::error::{Signal, fail};
use std::sync::Arc;

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("flatten", "nested lists as one list", &["value", "levels", "skip_nulls"], flatten),
    builtin("difference", "the elements that the other list lacks", &["value", "other"], difference),
    builtin("intersect", "the elements that both lists have", &["value", "other"], intersect),
    builtin("union", "the elements of either list", &["value", "other"], union),
    builtin("symmetric_difference", "the elements of one list only", &["value", "other"], symmetric_difference),
    builtin("unique", "without repeated elements", &["value", "case_sensitive", "attribute"], unique),
    builtin(
        "subelements",
        "pairs of an element and each of its sub-elements",
        &["value", "subelements", "skip_missing"],
        subelements,
    ),
    builtin("min", "the least element", &["value", "attribute", "case_sensitive"], min),
    builtin("max", "the greatest element", &["value", "attribute", "case_sensitive"], max),
    builtin("rekey_on_member", "a list of mappings as a mapping by one member", &["value", "key", "duplicates"], rekey),
    Spec {
        name: "lists_mergeby",
        collections: &["community.general"],
        about: "lists of mappings merged by one key",
        params: &["value", "*others", "recursive", "list_merge"],
        undefined: false,
        run: lists_mergeby,
    },
    Spec {
        name: "lists_union",
        collections: &["community.general"],
        about: "the elements of several lists",
        params: &["value", "*others", "flatten"],
        undefined: false,
        run: lists_union,
    },
    Spec {
        name: "remove_keys",
        collections: &["ansible.utils", "community.general"],
        about: "mappings without these keys",
        params: &["value", "target"],
        undefined: false,
        run: remove_keys,
    },
    Spec {
        name: "keep_keys",
        collections: &["ansible.utils", "community.general"],
        about: "mappings with these keys only",
        params: &["value", "target"],
        undefined: false,
        run: keep_keys,
    },
    Spec {
        name: "dict",
        collections: &["community.general"],
        about: "a list of pairs as a mapping",
        params: &["value"],
        undefined: false,
        run: dict,
    },
];

/// The elements of what can be iterated: a list, the keys of a mapping, the characters of a text.
pub(super) fn elements(value: Value) -> Made<Vec<Value>> {
    match value {
        Value::List(items) => Ok(Arc::unwrap_or_clone(items)),
        Value::Map(map) => Ok(map.keys().map(|k| Value::Str(Arc::clone(k))).collect()),
        Value::Str(text) => Ok(text.chars().map(|c| Value::from(c.to_string())).collect()),
        Value::Unknown => Err(Signal::Unknown.error()),
        other => Err(fail(format!("needs a list, and got {}", other.describe()))),
    }
}

pub(super) fn input(call: &Call<'_>) -> Made<Vec<Value>> {
    elements(call.any("value")?)
}

fn other(call: &Call<'_>) -> Made<Vec<Value>> {
    elements(call.any("other")?)
}

fn flatten(call: &Call<'_>) -> Made<Value> {
    let levels = match call.opt("levels")? {
        None | Some(Value::Null) => i64::MAX,
        Some(_) => call.int("levels", None)?,
    };
    let skip = call.flag("skip_nulls", true)?;
    let mut out = Vec::new();
    flatten_into(&call.list("value")?, levels, skip, &mut out);
    Ok(Value::list(out))
}

fn flatten_into(items: &[Value], levels: i64, skip: bool, out: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::Null if skip => {}
            // Ansible takes these words for null here.
            Value::Str(text) if skip && matches!(&**text, "None" | "null") => {}
            Value::List(inner) if levels > 0 => flatten_into(inner, levels - 1, skip, out),
            other => out.push(other.clone()),
        }
    }
}

/// Whether a list has an element, by Python's equality (1 is 1.0).
fn has(items: &[Value], value: &Value) -> bool {
    items.iter().any(|item| {
        item == value
            || matches!((item, value), (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)))
                && to_template(item) == to_template(value)
    })
}

fn deduplicated(items: impl IntoIterator<Item = Value>) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for item in items {
        if !has(&out, &item) {
            out.push(item);
        }
    }
    Value::list(out)
}

fn all_known(items: Vec<Value>) -> Made<Vec<Value>> {
    if items.iter().any(Value::has_unknown) { Err(Signal::Unknown.error()) } else { Ok(items) }
}

fn difference(call: &Call<'_>) -> Made<Value> {
    let (a, b) = (all_known(input(call)?)?, all_known(other(call)?)?);
    Ok(deduplicated(a.into_iter().filter(|x| !has(&b, x))))
}

fn intersect(call: &Call<'_>) -> Made<Value> {
    let (a, b) = (all_known(input(call)?)?, all_known(other(call)?)?);
    Ok(deduplicated(a.into_iter().filter(|x| has(&b, x))))
}

fn union(call: &Call<'_>) -> Made<Value> {
    Ok(deduplicated(all_known(input(call)?)?.into_iter().chain(all_known(other(call)?)?)))
}

fn symmetric_difference(call: &Call<'_>) -> Made<Value> {
    let (a, b) = (all_known(input(call)?)?, all_known(other(call)?)?);
    let only_b: Vec<Value> = b.iter().filter(|x| !has(&a, x)).cloned().collect();
    Ok(deduplicated(a.into_iter().filter(|x| !has(&b, x)).chain(only_b)))
}

/// The attribute of an element, by a dotted path; the element itself without one.
fn attribute(item: &Value, path: Option<&str>) -> Made<Value> {
    let Some(path) = path else { return Ok(item.clone()) };
    let mut value = item.clone();
    for part in path.split('.') {
        let next = match &value {
            Value::Map(map) => map.get(part).cloned(),
            Value::List(items) => part.parse::<usize>().ok().and_then(|i| items.get(i).cloned()),
            _ => None,
        };
        value = next.ok_or_else(|| fail(format!("an element has no `{path}`")))?;
    }
    Ok(value)
}

fn unique(call: &Call<'_>) -> Made<Value> {
    let items = all_known(input(call)?)?;
    let path = call.opt_text("attribute")?;
    let fold = !call.flag("case_sensitive", false)?;
    let mut seen = Vec::new();
    let mut out = Vec::new();
    for item in items {
        let mut key = attribute(&item, path.as_deref())?;
        if let (true, Value::Str(text)) = (fold, &key) {
            key = Value::from(text.to_lowercase());
        }
        if !has(&seen, &key) {
            seen.push(key);
            out.push(item);
        }
    }
    Ok(Value::list(out))
}

fn subelements(call: &Call<'_>) -> Made<Value> {
    let items = match call.any("value")? {
        Value::Map(map) => map.values().cloned().collect(),
        other => elements(other)?,
    };
    let path: Vec<Arc<str>> = match call.value("subelements")? {
        Value::Str(text) => text.split('.').map(Arc::from).collect(),
        Value::List(keys) => keys.iter().map(as_text).collect::<Made<_>>()?,
        other => return Err(fail(format!("`subelements` must be a text or a list, not {}", other.describe()))),
    };
    let skip = call.flag("skip_missing", false)?;
    let mut out = Vec::new();
    for item in &items {
        let mut value = Some(item);
        for key in &path {
            value = value.and_then(|v| v.get(key));
        }
        match value {
            Some(Value::List(subs)) => out.extend(subs.iter().map(|sub| Value::list(vec![item.clone(), sub.clone()]))),
            Some(Value::Unknown) => return Err(Signal::Unknown.error()),
            None if skip => {}
            None => return Err(fail(format!("an element has no `{}`", path.join(".")))),
            Some(other) => {
                return Err(fail(format!("`{}` must be a list, and is {}", path.join("."), other.describe())));
            }
        }
    }
    Ok(Value::list(out))
}

fn min(call: &Call<'_>) -> Made<Value> {
    extreme(call, std::cmp::Ordering::Less)
}

fn max(call: &Call<'_>) -> Made<Value> {
    extreme(call, std::cmp::Ordering::Greater)
}

fn extreme(call: &Call<'_>, wanted: std::cmp::Ordering) -> Made<Value> {
    let path = call.opt_text("attribute")?;
    let mut best: Option<(minijinja::Value, Value)> = None;
    for item in all_known(input(call)?)? {
        let key = to_template(&attribute(&item, path.as_deref())?);
        if best.as_ref().is_none_or(|(b, _)| key.cmp(b) == wanted) {
            best = Some((key, item));
        }
    }
    best.map(|(_, item)| item).ok_or_else(|| nothing("an empty list has no least or greatest element"))
}

fn rekey(call: &Call<'_>) -> Made<Value> {
    let key = call.text("key")?;
    let overwrite = match call.opt_text("duplicates")?.as_deref() {
        None | Some("error") => false,
        Some("overwrite") => true,
        Some(other) => return Err(fail(format!("duplicates can't be '{other}'; it is error or overwrite"))),
    };
    let mut out = crate::values::Map::new();
    let items: Vec<Value> = match call.any("value")? {
        Value::Map(map) => map.values().cloned().collect(),
        other => elements(other)?,
    };
    for item in items {
        let name = item.get(&key).cloned().ok_or_else(|| fail(format!("an element has no `{key}`")))?;
        let name = as_text(&known(name)?)?;
        if out.insert(Arc::clone(&name), item).is_some() && !overwrite {
            return Err(fail(format!("two elements have the `{key}` {name}")));
        }
    }
    Ok(Value::map(out))
}

fn lists_mergeby(call: &Call<'_>) -> Made<Value> {
    let mut rest = call.rest()?;
    let index = as_text(&rest.pop().ok_or_else(|| fail("needs lists and the name of a key"))?)?;
    let mut order: Vec<Arc<str>> = Vec::new();
    let mut merged = crate::values::Map::new();
    for list in std::iter::once(call.any("value")?).chain(rest) {
        for item in elements(list)? {
            let name = item.get(&index).cloned().ok_or_else(|| fail(format!("an element has no `{index}`")))?;
            let name = as_text(&known(name)?)?;
            let (Value::Map(new), old) = (&item, merged.get(&name)) else { continue };
            let both = if let Some(Value::Map(old)) = old {
                old.iter().chain(new.iter()).map(|(k, v)| (Arc::clone(k), v.clone())).collect()
            } else {
                order.push(Arc::clone(&name));
                (**new).clone()
            };
            merged.insert(name, Value::map(both));
        }
    }
    if call.flag("recursive", false)? || call.raw("list_merge").is_some() {
        return Err(fail("`recursive` and `list_merge` are not supported; use `combine` on the elements"));
    }
    order.sort();
    Ok(Value::list(order.iter().filter_map(|name| merged.get(name).cloned()).collect()))
}

fn lists_union(call: &Call<'_>) -> Made<Value> {
    let mut all = input(call)?;
    for list in call.rest()? {
        all.extend(elements(list)?);
    }
    if call.flag("flatten", false)? {
        let mut flat = Vec::new();
        flatten_into(&all, i64::MAX, false, &mut flat);
        all = flat;
    }
    Ok(deduplicated(all_known(all)?))
}

fn targets(call: &Call<'_>) -> Made<Vec<Arc<str>>> {
    match call.value("target")? {
        Value::List(items) => items.iter().map(as_text).collect(),
        other => Ok(vec![as_text(&other)?]),
    }
}

fn filter_keys(value: &Value, keep: &dyn Fn(&str) -> bool) -> Value {
    match value {
        Value::Map(map) => {
            Value::map(map.iter().filter(|(k, _)| keep(k)).map(|(k, v)| (Arc::clone(k), v.clone())).collect())
        }
        Value::List(items) => Value::list(items.iter().map(|v| filter_keys(v, keep)).collect()),
        other => other.clone(),
    }
}

fn remove_keys(call: &Call<'_>) -> Made<Value> {
    let targets = targets(call)?;
    Ok(filter_keys(&call.any("value")?, &|key| !targets.iter().any(|t| **t == *key)))
}

fn keep_keys(call: &Call<'_>) -> Made<Value> {
    let targets = targets(call)?;
    Ok(filter_keys(&call.any("value")?, &|key| targets.iter().any(|t| **t == *key)))
}

fn dict(call: &Call<'_>) -> Made<Value> {
    let mut out = crate::values::Map::new();
    for pair in call.list("value")?.iter() {
        match pair.as_list() {
            Some([key, value]) => {
                out.insert(as_text(&known(key.clone())?)?, value.clone());
            }
            _ => return Err(fail(format!("needs pairs, and one element is {}", pair.describe()))),
        }
    }
    Ok(Value::map(out))
}
