//! Lookups: what an expression may fetch from the controller.

mod ask;
mod files;
mod lists;
mod password;
mod search;
mod tables;

use super::Value;
use super::call::{Made, named_error, truthy, undefined_error};
use super::convert::{from_template, to_template};
use super::error::{Signal, fail};
use super::evaluation;
pub(crate) use ask::expand_user;
use ask::{Ask, Lookup};
use minijinja as mj;
use minijinja::value::{Kwargs, Rest, ValueOrKwargs, from_args};

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Lookup> {
    [lists::LOOKUPS, files::LOOKUPS, search::LOOKUPS, tables::LOOKUPS, password::LOOKUPS].into_iter().flatten()
}

/// The lookup of a short or full name.
pub(crate) fn find(name: &str) -> Option<&'static Lookup> {
    all().find(|lookup| {
        name == lookup.name
            || name.strip_suffix(lookup.name).and_then(|rest| rest.strip_suffix('.')).is_some_and(|collection| {
                matches!(collection, "ansible.builtin" | "ansible.legacy" | "community.general")
            })
    })
}

pub(crate) fn register(env: &mut mj::Environment<'static>) {
    for (name, list) in [("lookup", false), ("query", true), ("q", true)] {
        let run = move |state: &mj::State<'_, '_>, args: Rest<ValueOrKwargs>| run(state, args, list);
        env.add_function(name, run);
    }
}

fn run(state: &mj::State<'_, '_>, args: Rest<ValueOrKwargs>, list: bool) -> Made<mj::Value> {
    let args = args.into_values();
    if let Some(undefined) = args.iter().find(|arg| arg.is_undefined()) {
        return Err(undefined_error(state, undefined));
    }
    let (values, kwargs): (&[mj::Value], Kwargs) = from_args(&args)?;
    let [name, terms @ ..] = values else { return Err(fail("a lookup needs a name")) };
    let name = name.as_str().ok_or_else(|| fail("the name of a lookup must be a text"))?;
    let lookup = find(name)
        .ok_or_else(|| mj::Error::new(mj::ErrorKind::UnknownFunction, format!("lookup:{name} is unknown")))?;
    // One variable by name stays as lazy as it is.
    if let ("vars", [one], false) = (lookup.name, terms, list)
        && let (Some(name), true) = (one.as_str(), kwargs.args().all(|k| k == "default" || k == "errors"))
        && let Some(value) = evaluation::current()?.variable(name)
    {
        return Ok(value);
    }
    let mut ask = Ask { evaluation: evaluation::current()?, terms: Vec::new(), options: Vec::new() };
    let mut want_list = list;
    let mut errors = "strict".to_owned();
    for term in terms {
        ask.terms.push(known(from_template(term)?)?);
    }
    for key in kwargs.args().map(str::to_owned).collect::<Vec<_>>() {
        let raw: mj::Value = kwargs.get(&key)?;
        if raw.is_undefined() {
            return Err(undefined_error(state, &raw));
        }
        let value = known(from_template(&raw)?)?;
        match key.as_str() {
            "wantlist" => want_list = truthy(&value),
            "errors" => errors = value.to_string(),
            key if lookup.options.contains(&key) || lookup.options.contains(&"**") => {
                ask.options.push((key.to_owned(), value));
            }
            key => {
                let known = lookup.options.join(", ");
                return Err(fail(format!("the lookup `{name}` has no option `{key}`; it has {known}")));
            }
        }
    }
    if !matches!(errors.as_str(), "strict" | "warn" | "ignore") {
        return Err(fail(format!("`errors` can't be '{errors}'; it is strict, warn or ignore")));
    }
    let found = match (lookup.run)(&ask) {
        Ok(found) => found,
        Err(error) => {
            let error = named_error("lookup", lookup.name, error);
            if errors == "strict" || Signal::find(&error).is_some() || super::diagnose::is_undefined(&error) {
                return Err(error);
            }
            if errors == "warn" {
                let message = error.detail().unwrap_or("a lookup failed").to_owned();
                (ask.evaluation.engine.options.warn)(&message);
            }
            let nothing = if want_list { Value::list(Vec::new()) } else { Value::Null };
            return Ok(to_template(&nothing));
        }
    };
    Ok(to_template(&if want_list { Value::list(found) } else { joined(found) }))
}

/// What `lookup` makes of a list: the one element, texts joined, anything else as it is.
fn joined(mut found: Vec<Value>) -> Value {
    if found.len() == 1 {
        return found.remove(0);
    }
    if !found.is_empty() && found.iter().all(|v| matches!(v, Value::Str(_))) {
        let texts: Vec<&str> = found.iter().filter_map(Value::as_str).collect();
        return Value::from(texts.join(","));
    }
    Value::list(found)
}

fn known(value: Value) -> Made<Value> {
    super::call::known(value)
}
