//! How filters, tests and functions are declared, and how they get their arguments.

use super::Value;
use super::convert::{from_template, to_template};
use super::error::{Signal, fail};
use minijinja as mj;
use minijinja::value::{Kwargs, Rest, StringInput, ValueOrKwargs, from_args};
use std::sync::Arc;

/// The result of a filter, test or function.
pub(crate) type Made<T> = Result<T, mj::Error>;

/// A filter, test or function: its name, what it takes and what it does.
pub(crate) struct Spec<T> {
    pub name: &'static str,
    /// The collections under whose names it is known too.
    pub collections: &'static [&'static str],
    /// One line for people.
    pub about: &'static str,
    /// The names of its parameters in order; for filters and tests the first is the value itself. `*x` takes all
    /// further positional arguments (what follows it can only be named), a last `**` any further named ones.
    pub params: &'static [&'static str],
    /// Whether it wants to see undefined values.
    pub undefined: bool,
    pub run: fn(&Call<'_>) -> Made<T>,
}

/// Of `ansible.builtin`.
pub(crate) const fn builtin<T>(
    name: &'static str,
    about: &'static str,
    params: &'static [&'static str],
    run: fn(&Call<'_>) -> Made<T>,
) -> Spec<T> {
    Spec { name, collections: &["ansible.builtin", "ansible.legacy"], about, params, undefined: false, run }
}

impl<T> Spec<T> {
    /// Wants to see undefined values.
    pub(crate) const fn lenient(mut self) -> Self {
        self.undefined = true;
        self
    }

    /// All names it is known under.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self.name.to_owned()).chain(self.collections.iter().map(|c| format!("{c}.{}", self.name)))
    }
}

/// The arguments of a call.
pub(crate) struct Call<'a> {
    params: &'static [&'static str],
    slots: Vec<Option<&'a mj::Value>>,
    rest: &'a [mj::Value],
    named: Vec<(String, mj::Value)>,
    kept: Vec<(usize, mj::Value)>,
}

impl<'a> Call<'a> {
    fn bind(params: &'static [&'static str], args: &'a [mj::Value]) -> Made<Self> {
        let (values, kwargs): (&[mj::Value], Kwargs) = from_args(args)?;
        let takes_named = params.last() == Some(&"**");
        let rest_at = params.iter().position(|p| p.starts_with('*') && *p != "**");
        let count = rest_at.unwrap_or(params.len() - usize::from(takes_named));
        let mut call = Call { params, slots: vec![None; params.len()], rest: &[], named: Vec::new(), kept: Vec::new() };
        let direct = values.len().min(count);
        for (slot, value) in call.slots.iter_mut().zip(&values[..direct]) {
            *slot = Some(value);
        }
        if values.len() > count {
            if rest_at.is_none() {
                return Err(fail(format!("takes at most {} arguments", count.saturating_sub(1))));
            }
            call.rest = &values[direct..];
        }
        for name in kwargs.args().map(str::to_owned).collect::<Vec<_>>() {
            let value: mj::Value = kwargs.get(&name)?;
            match params.iter().position(|p| *p == name) {
                Some(i) if i < direct => return Err(fail(format!("`{name}` is given twice"))),
                Some(i) => call.kept.push((i, value)),
                None if takes_named => call.named.push((name, value)),
                None => {
                    let known = params.iter().skip(1).filter(|p| !p.starts_with('*'));
                    let known = known.map(|p| format!("`{p}`")).collect::<Vec<_>>().join(", ");
                    let known = if known.is_empty() { "it takes none".to_owned() } else { format!("it takes {known}") };
                    return Err(fail(format!("has no argument `{name}`; {known}")));
                }
            }
        }
        Ok(call)
    }

    fn index(&self, name: &str) -> usize {
        self.params.iter().position(|p| *p == name).unwrap_or(usize::MAX)
    }

    /// The argument as the engine has it.
    pub(crate) fn raw(&self, name: &str) -> Option<&mj::Value> {
        let index = self.index(name);
        let given = self.slots.get(index).copied().flatten();
        given.or_else(|| self.kept.iter().find(|(i, _)| *i == index).map(|(_, v)| v))
    }

    /// The argument, if it was given; it may hold unknown parts.
    pub(crate) fn opt(&self, name: &str) -> Made<Option<Value>> {
        match self.raw(name) {
            None => Ok(None),
            Some(value) if value.is_undefined() => Err(undefined_argument(name)),
            Some(value) => from_template(value).map(Some),
        }
    }

    /// The argument; it may hold unknown parts.
    pub(crate) fn any(&self, name: &str) -> Made<Value> {
        self.opt(name)?.ok_or_else(|| fail(format!("needs the argument `{name}`")))
    }

    /// The argument, all of it known.
    pub(crate) fn value(&self, name: &str) -> Made<Value> {
        known(self.any(name)?)
    }

    /// The argument as text; what is no text is printed.
    pub(crate) fn text(&self, name: &str) -> Made<Arc<str>> {
        as_text(&self.value(name)?)
    }

    /// The argument as text, if it was given and is not none.
    pub(crate) fn opt_text(&self, name: &str) -> Made<Option<Arc<str>>> {
        match self.opt(name)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => as_text(&known(value)?).map(Some),
        }
    }

    /// The argument as an integer.
    pub(crate) fn int(&self, name: &str, default: Option<i64>) -> Made<i64> {
        match (self.opt(name)?, default) {
            (None | Some(Value::Null), Some(default)) => Ok(default),
            (None, None) => Err(fail(format!("needs the argument `{name}`"))),
            (Some(value), _) => as_int(&known(value.clone())?)
                .ok_or_else(|| fail(format!("`{name}` must be an integer, not {}", value.describe()))),
        }
    }

    /// The argument as a boolean, by Python's truth.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Made<bool> {
        match self.opt(name)? {
            None => Ok(default),
            Some(value) => Ok(truthy(&known(value)?)),
        }
    }

    /// The argument as a list; its elements may be unknown.
    pub(crate) fn list(&self, name: &str) -> Made<Arc<Vec<Value>>> {
        match self.any(name)? {
            Value::List(items) => Ok(items),
            Value::Unknown => Err(Signal::Unknown.error()),
            other => Err(fail(format!("needs a list, and `{name}` is {}", other.describe()))),
        }
    }

    /// The argument as a list of known elements.
    pub(crate) fn known_list(&self, name: &str) -> Made<Arc<Vec<Value>>> {
        let items = self.list(name)?;
        if items.iter().any(Value::has_unknown) { Err(Signal::Unknown.error()) } else { Ok(items) }
    }

    /// The argument as a mapping; its values may be unknown.
    pub(crate) fn map(&self, name: &str) -> Made<Arc<super::Map>> {
        match self.any(name)? {
            Value::Map(map) => Ok(map),
            Value::Unknown => Err(Signal::Unknown.error()),
            other => Err(fail(format!("needs a mapping, and `{name}` is {}", other.describe()))),
        }
    }

    /// The further positional arguments.
    pub(crate) fn rest(&self) -> Made<Vec<Value>> {
        self.rest.iter().map(from_template).collect()
    }

    /// The further named arguments.
    pub(crate) fn named(&self) -> Made<Vec<(String, Value)>> {
        self.named.iter().map(|(name, value)| Ok((name.clone(), from_template(value)?))).collect()
    }
}

fn undefined_argument(name: &str) -> mj::Error {
    mj::Error::new(mj::ErrorKind::UndefinedError, format!("the argument `{name}` is undefined"))
}

/// The value, or the signal that it is not known.
pub(crate) fn known(value: Value) -> Made<Value> {
    if value.has_unknown() { Err(Signal::Unknown.error()) } else { Ok(value) }
}

/// The value as text, as Python prints it.
pub(crate) fn as_text(value: &Value) -> Made<Arc<str>> {
    match value {
        Value::Str(text) => Ok(Arc::clone(text)),
        Value::Omit => Err(fail("got an omitted value")),
        other => Ok(other.to_string().into()),
    }
}

/// The value as an integer, if it is one in any way that Ansible accepts.
pub(crate) fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(i) => Some(*i),
        Value::Bool(b) => Some(i64::from(*b)),
        #[allow(clippy::cast_possible_truncation)]
        Value::Float(x) if x.fract() == 0.0 => Some(*x as i64),
        Value::Str(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Whether Python would take the value for true.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Omit | Value::Unknown => false,
        Value::Bool(b) => *b,
        Value::Int(i) => *i != 0,
        Value::Float(x) => *x != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
    }
}

/// The error with the name of what raised it; signals and "undefined" pass as they are.
pub(crate) fn named_error(what: &str, name: &str, error: mj::Error) -> mj::Error {
    if Signal::find(&error).is_some() || super::diagnose::is_undefined(&error) || error.line().is_some() {
        return error;
    }
    match (error.kind(), error.detail()) {
        (mj::ErrorKind::UnknownFilter | mj::ErrorKind::UnknownTest, Some(_)) => error,
        (kind, Some(detail)) => mj::Error::new(kind, format!("the {what} `{name}`: {detail}")),
        (kind, None) => mj::Error::new(kind, format!("the {what} `{name}`: {kind}")),
    }
}

/// The error that says that a value is undefined, with its name.
pub(crate) fn undefined_error(state: &mj::State<'_, '_>, value: &mj::Value) -> mj::Error {
    match StringInput::new(state, value) {
        Err(error) => error,
        Ok(_) => mj::Error::from(mj::ErrorKind::UndefinedError),
    }
}

/// Runs a filter. An undefined argument makes the result undefined, as in Ansible: `x | upper | default('y')` is `y`.
pub(crate) fn filter(spec: &Spec<Value>, args: Rest<ValueOrKwargs>) -> Made<mj::Value> {
    let args = args.into_values();
    if !spec.undefined
        && let Some(undefined) = args.iter().find(|arg| arg.is_undefined())
    {
        return Ok(undefined.clone());
    }
    let call = Call::bind(spec.params, &args).map_err(|e| named_error("filter", spec.name, e))?;
    match (spec.run)(&call) {
        Ok(value) => Ok(to_template(&value)),
        Err(error) if std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<Nothing>) => {
            super::evaluation::current()?.set_hint(error.detail().unwrap_or_default().to_owned());
            Ok(mj::Value::UNDEFINED)
        }
        Err(error) => Err(named_error("filter", spec.name, error)),
    }
}

/// Marks the error of a filter whose result is undefined rather than a failure.
#[derive(Debug, thiserror::Error)]
#[error("undefined")]
struct Nothing;

/// The result of a filter that has none: undefined, so that `default` can stand in.
pub(crate) fn nothing(why: &str) -> mj::Error {
    mj::Error::new(mj::ErrorKind::UndefinedError, why.to_owned()).with_source(Nothing)
}

/// Runs a function.
pub(crate) fn function(spec: &Spec<Value>, state: &mj::State<'_, '_>, args: Rest<ValueOrKwargs>) -> Made<mj::Value> {
    let args = args.into_values();
    if let Some(undefined) = args.iter().find(|arg| arg.is_undefined() && !spec.undefined) {
        return Err(undefined_error(state, undefined));
    }
    let call = Call::bind(spec.params, &args).map_err(|e| named_error("function", spec.name, e))?;
    (spec.run)(&call).map(|value| to_template(&value)).map_err(|e| named_error("function", spec.name, e))
}

/// Runs a test.
pub(crate) fn test(spec: &Spec<bool>, state: &mj::State<'_, '_>, args: Rest<ValueOrKwargs>) -> Made<bool> {
    let args = args.into_values();
    if let Some(undefined) = args.iter().find(|arg| arg.is_undefined() && !spec.undefined) {
        return Err(undefined_error(state, undefined));
    }
    let call = Call::bind(spec.params, &args).map_err(|e| named_error("test", spec.name, e))?;
    (spec.run)(&call).map_err(|e| named_error("test", spec.name, e))
}
