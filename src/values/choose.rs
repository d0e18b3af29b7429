//! `select`, `reject`, `selectattr`, `rejectattr`, `sort` and `default`: filters that work on the engine's values as they
//! are, so that lazy parts stay lazy, and that see undefined attributes.

use super::call::{Made, named_error, undefined_error};
use super::convert::invalid;
use super::error::fail;
use minijinja as mj;
use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs, from_args};

/// The names, for the catalogue.
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("default", "another value for an undefined one"),
    ("d", "the same as `default`"),
    ("select", "the elements that pass a test, or are true"),
    ("reject", "the elements that do not pass a test, or are false"),
    ("selectattr", "the elements with an attribute that passes a test, or is true"),
    ("rejectattr", "the elements with an attribute that does not pass a test, or is false"),
    ("sort", "in order"),
];

pub(crate) fn register(env: &mut mj::Environment<'static>) {
    for name in ["default", "d"] {
        both(env, name, default);
    }
    both(env, "select", |state, args| choose(state, args, false, true));
    both(env, "reject", |state, args| choose(state, args, false, false));
    both(env, "selectattr", |state, args| choose(state, args, true, true));
    both(env, "rejectattr", |state, args| choose(state, args, true, false));
    both(env, "sort", sort);
}

type Run = fn(&mut mj::State<'_, '_>, &[mj::Value]) -> Made<mj::Value>;

fn both(env: &mut mj::Environment<'static>, name: &'static str, run: Run) {
    let forgiving = matches!(name, "default" | "d");
    let filter = move |state: &mut mj::State<'_, '_>, args: Rest<ValueOrKwargs>| -> Made<mj::Value> {
        let args = args.into_values();
        if let Some(undefined) = args.first().filter(|arg| arg.is_undefined() && !forgiving) {
            return Ok(undefined.clone());
        }
        run(state, &args).map_err(|e| named_error("filter", name, e))
    };
    env.add_filter(format!("ansible.builtin.{name}"), filter);
    env.add_filter(name, filter);
}

fn default(_: &mut mj::State<'_, '_>, args: &[mj::Value]) -> Made<mj::Value> {
    let (value, other, boolean, kwargs): (&mj::Value, Option<mj::Value>, Option<mj::Value>, Kwargs) = from_args(args)?;
    let positional = args.len() > 1 && !args[1].is_kwargs();
    let boolean = match boolean {
        Some(boolean) => boolean.is_true(),
        None => kwargs.get::<Option<mj::Value>>("boolean")?.is_some_and(|b| b.is_true()),
    };
    let named = kwargs.get::<Option<mj::Value>>("default_value")?;
    kwargs.assert_all_used()?;
    if !value.is_undefined() && (!boolean || value.is_true()) {
        return Ok(value.clone());
    }
    // `none` given as the default is none, and an undefined one keeps its name for the message.
    Ok(if positional { args[1].clone() } else { named.or(other).unwrap_or_else(|| mj::Value::from("")) })
}

/// The part of an element under a dotted path. What is undefined on the way makes the whole undefined.
fn attribute(item: &mj::Value, path: &mj::Value) -> Made<mj::Value> {
    let mut value = item.clone();
    let text = path.to_string();
    for part in text.split('.') {
        if value.is_undefined() {
            break;
        }
        let key = part.parse::<i64>().map_or_else(|_| mj::Value::from(part), mj::Value::from);
        let mut next = value.get_item(&key)?;
        if next.is_undefined() && key.is_number() {
            next = value.get_item(&mj::Value::from(part))?;
        }
        value = next;
        if value.kind() == ValueKind::Invalid {
            return Err(invalid(&value));
        }
    }
    Ok(value)
}

fn choose(state: &mut mj::State<'_, '_>, args: &[mj::Value], by_attribute: bool, wanted: bool) -> Made<mj::Value> {
    let [items, rest @ ..] = args else { return Err(fail("needs a list")) };
    let (path, rest) = match (by_attribute, rest) {
        (true, [path, rest @ ..]) => (Some(path), rest),
        (true, []) => return Err(fail("needs the name of an attribute")),
        (false, rest) => (None, rest),
    };
    let test = match rest.first() {
        None => None,
        Some(test) => Some(test.as_str().ok_or_else(|| fail("the name of a test must be a text"))?),
    };
    let mut out = Vec::new();
    for item in items.try_iter()?.checked() {
        let item = item?;
        let value = match path {
            None => item.clone(),
            Some(path) => attribute(&item, path)?,
        };
        let passes = match test {
            Some(test) => {
                let mut with = vec![value];
                with.extend(rest[1..].iter().cloned());
                state.perform_test(test, &with).map_err(|error| match error.kind() {
                    mj::ErrorKind::UnknownTest => {
                        mj::Error::new(mj::ErrorKind::UnknownTest, format!("test {test} is unknown"))
                    }
                    _ => error,
                })?
            }
            None if value.is_undefined() => {
                let error = undefined_error(state, &value);
                let Some(path) = path else { return Err(error) };
                return Err(mj::Error::new(error.kind(), format!("`{path}` is undefined in an element")));
            }
            None => value.is_true(),
        };
        if passes == wanted {
            out.push(item);
        }
    }
    Ok(mj::Value::from(out))
}

fn sort(_: &mut mj::State<'_, '_>, args: &[mj::Value]) -> Made<mj::Value> {
    let (items, reverse, case, by, kwargs): (&mj::Value, Option<bool>, Option<bool>, Option<mj::Value>, Kwargs) =
        from_args(args)?;
    let reverse = reverse.or(kwargs.get("reverse")?).unwrap_or(false);
    let case = case.or(kwargs.get("case_sensitive")?).unwrap_or(false);
    let by: Option<mj::Value> = by.or(kwargs.get("attribute")?);
    kwargs.assert_all_used()?;
    let paths: Vec<mj::Value> = match &by {
        None => Vec::new(),
        Some(by) => by.to_string().split(',').map(|p| mj::Value::from(p.trim())).collect(),
    };
    let fold = |value: mj::Value| match value.as_str() {
        Some(text) if !case => mj::Value::from(text.to_lowercase()),
        _ => value,
    };
    let mut keyed = Vec::new();
    for item in items.try_iter()?.checked() {
        let item = item?;
        let mut keys = Vec::new();
        for path in &paths {
            let key = attribute(&item, path)?;
            if key.is_undefined() {
                return Err(fail(format!("an element has no `{path}`")));
            }
            keys.push(fold(key));
        }
        if paths.is_empty() {
            keys.push(fold(item.clone()));
        }
        keyed.push((keys, item));
    }
    let mut mixed = None;
    keyed.sort_by(|(a, _), (b, _)| {
        let number = |v: &mj::Value| matches!(v.kind(), ValueKind::Number | ValueKind::Bool);
        if let Some((a, b)) = a.iter().zip(b).find(|(a, b)| a.kind() != b.kind() && !(number(a) && number(b))) {
            mixed = Some(format!("{} and {} can't be put in order", a.kind(), b.kind()));
        }
        let order = a.cmp(b);
        if reverse { order.reverse() } else { order }
    });
    match mixed {
        Some(message) if keyed.len() > 1 => Err(fail(message)),
        _ => Ok(keyed.into_iter().map(|(_, item)| item).collect()),
    }
}
