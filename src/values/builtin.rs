//! What minijinja brings: its filters and tests made to pass undefined values on, and its output as Python prints.

use super::call::{as_text, named_error, undefined_error};
use super::convert::{Omitted, from_template};
use super::error::{Signal, fail};
use super::evaluation;
use super::relax;
use minijinja as mj;
use minijinja::value::{Rest, StringInput, ValueKind, ValueOrKwargs};
use minijinja::{filters as f, tests as t};

/// Writes a value into the output of a template.
pub(crate) fn format(
    out: &mut mj::Output<'_>,
    state: &mut mj::State<'_, '_>,
    value: &mj::Value,
) -> Result<(), mj::Error> {
    match value.kind() {
        ValueKind::Undefined => {
            StringInput::new(state, value)?;
            Ok(())
        }
        ValueKind::None => {
            evaluation::emitted(value, 0);
            Ok(())
        }
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            evaluation::emitted(value, text.len());
            Ok(out.write_str(text)?)
        }
        _ if value.downcast_object_ref::<Omitted>().is_some() => {
            evaluation::emitted(value, 0);
            Ok(())
        }
        _ => {
            let converted = from_template(value)?;
            if converted.has_unknown() {
                return Err(Signal::Unknown.error());
            }
            let text = as_text(&converted)?;
            evaluation::emitted(value, text.len());
            Ok(out.write_str(&text)?)
        }
    }
}

/// Methods of Python's types that minijinja does not have itself.
pub(crate) fn method(
    state: &mut mj::State<'_, '_>,
    value: &mj::Value,
    name: &str,
    args: &[mj::Value],
) -> Result<mj::Value, mj::Error> {
    if let Some(result) = super::functions::method(value, name, args)? {
        return Ok(result);
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// The filters that stay minijinja's.
fn filters() -> Vec<(&'static str, mj::Value)> {
    macro_rules! all {
        ($($name:literal => $function:expr),* $(,)?) => { vec![$(($name, mj::Value::from_function($function))),*] };
    }
    all! {
        "abs" => f::abs, "attr" => f::attr, "batch" => f::batch, "capitalize" => f::capitalize, "chain" => f::chain,
        "count" => f::length, "dictsort" => f::dictsort, "first" => f::first, "format" => f::format,
        "groupby" => f::groupby, "items" => f::items, "join" => f::join,
        "last" => f::last, "length" => f::length, "lines" => f::lines, "list" => f::list, "lower" => f::lower,
        "map" => f::map, "pprint" => f::pprint, "reverse" => f::reverse, "round" => f::round, "slice" => f::slice,
        "string" => f::string, "sum" => f::sum, "title" => f::title, "tojson" => f::tojson, "trim" => f::trim,
        "upper" => f::upper,         "escape" => f::escape, "e" => f::escape, "safe" => f::safe,
    }
}

/// The tests that stay minijinja's.
fn tests() -> Vec<(&'static str, mj::Value)> {
    macro_rules! all {
        ($($name:literal => $function:expr),* $(,)?) => { vec![$(($name, mj::Value::from_function($function))),*] };
    }
    all! {
        "boolean" => t::is_boolean, "divisibleby" => t::is_divisibleby, "endingwith" => t::is_endingwith, "eq" => t::is_eq,
        "==" => t::is_eq, "equalto" => t::is_eq, "even" => t::is_even, "false" => t::is_false, "filter" => t::is_filter,
        "float" => t::is_float, "ge" => t::is_ge, ">=" => t::is_ge, "gt" => t::is_gt, ">" => t::is_gt,
        "greaterthan" => t::is_gt, "in" => t::is_in, "integer" => t::is_integer, "int" => t::is_integer,
        "iterable" => t::is_iterable, "le" => t::is_le, "<=" => t::is_le, "lessthan" => t::is_lt, "lower" => t::is_lower,
        "lt" => t::is_lt, "<" => t::is_lt, "mapping" => t::is_mapping, "ne" => t::is_ne, "!=" => t::is_ne,
        "none" => t::is_none, "number" => t::is_number, "odd" => t::is_odd, "sameas" => t::is_sameas,
        "startingwith" => t::is_startingwith, "string" => t::is_string, "test" => t::is_test, "true" => t::is_true,
        "upper" => t::is_upper,
    }
}

/// The names of what stays minijinja's.
pub(crate) fn names(what: &str) -> Vec<&'static str> {
    match what {
        "filter" => filters().into_iter().map(|(name, _)| name).collect(),
        "test" => tests().into_iter().map(|(name, _)| name).filter(|n| n.starts_with(char::is_alphabetic)).collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn register(env: &mut mj::Environment<'static>) {
    for (name, function) in filters() {
        let run = move |state: &mut mj::State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<mj::Value, mj::Error> {
            let args = args.into_values();
            if let Some(undefined) = args.first().filter(|arg| arg.is_undefined()) {
                return Ok(undefined.clone());
            }
            function.call(state, &args).map_err(|e| named_error("filter", name, e))
        };
        env.add_filter(format!("ansible.builtin.{name}"), run.clone());
        env.add_filter(name, run);
    }
    for (name, function) in tests() {
        let run = move |state: &mut mj::State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<bool, mj::Error> {
            let args = args.into_values();
            if let Some(undefined) = args.iter().find(|arg| arg.is_undefined()) {
                return Err(undefined_error(state, undefined));
            }
            function.call(state, &args).map(|v| v.is_true()).map_err(|e| named_error("test", name, e))
        };
        if name.starts_with(char::is_alphabetic) {
            env.add_test(format!("ansible.builtin.{name}"), run.clone());
        }
        env.add_test(name, run);
    }
    for name in ["defined", "ansible.builtin.defined"] {
        env.add_test(name, |value: ValueOrKwargs| !value.into_value().is_undefined());
    }
    for name in ["undefined", "ansible.builtin.undefined"] {
        env.add_test(name, |value: ValueOrKwargs| value.into_value().is_undefined());
    }
    env.add_test("sequence", |value: mj::Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::String | ValueKind::Map)
    });
    env.add_global("omit", mj::Value::from_object(Omitted));
    env.add_function(relax::ATTRIBUTE, |value: mj::Value, key: mj::Value| -> Result<mj::Value, mj::Error> {
        if value.is_undefined() { Ok(value) } else { value.get_item(&key) }
    });
    env.add_function(
        relax::METHOD,
        |state: &mut mj::State<'_, '_>, args: Rest<ValueOrKwargs>| -> Result<mj::Value, mj::Error> {
            let args = args.into_values();
            let [value, name, rest @ ..] = args.as_slice() else { return Err(fail("needs a value and a method")) };
            if value.is_undefined() {
                return Ok(value.clone());
            }
            value.call_method(state, name.as_str().unwrap_or_default(), rest)
        },
    );
}
