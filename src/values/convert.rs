//! Between our values and the template engine's, without deep copies.

use super::error::{Signal, fail};
use super::evaluation;
use super::lazy::LazyNode;
use super::{Map, Value};
use minijinja as mj;
use minijinja::value::{DynObject, Enumerator, Object, ObjectExt, ObjectRepr, ValueKind};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A list that the template engine sees without copying it.
struct ListObject(Arc<Vec<Value>>);

/// A mapping that the template engine sees without copying it.
struct MapObject(Arc<Map>);

/// What `omit` is inside an expression.
#[derive(Debug)]
pub(crate) struct Omitted;

impl Object for Omitted {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl fmt::Debug for ListObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_list(&self.0, f)
    }
}

impl fmt::Debug for MapObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_map(&self.0, f)
    }
}

fn render_list(items: &Arc<Vec<Value>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let value = Value::List(Arc::clone(items));
    // Text can't carry "unknown": the whole evaluation becomes unknown instead.
    if value.has_unknown() {
        evaluation::taint();
    }
    write!(f, "{value}")
}

fn render_map(map: &Arc<Map>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let value = Value::Map(Arc::clone(map));
    if value.has_unknown() {
        evaluation::taint();
    }
    write!(f, "{value}")
}

fn hand_out(value: &Value) -> mj::Value {
    // The engine compares elements without looking whether they are valid, so that handing one out counts as a use.
    if matches!(value, Value::Unknown) {
        evaluation::taint();
    }
    to_template(value)
}

impl Object for ListObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &mj::Value) -> Option<mj::Value> {
        if key.kind() == ValueKind::String {
            return None;
        }
        self.0.get(key.as_usize()?).map(hand_out)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        let (a, b) = (Value::List(Arc::clone(&self.0)), Value::List(Arc::clone(&other.0)));
        equal_or_none(&a, &b)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_list(&self.0, f)
    }
}

impl Object for MapObject {
    fn get_value(self: &Arc<Self>, key: &mj::Value) -> Option<mj::Value> {
        match key.as_str() {
            Some(key) => self.get_value_by_str(key),
            None => self.get_value_by_str(&key_text(key)?),
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<mj::Value> {
        self.0.get(key).map(hand_out)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|this| Box::new(this.0.keys().map(|key| mj::Value::from(Arc::clone(key)))))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        let (a, b) = (Value::Map(Arc::clone(&self.0)), Value::Map(Arc::clone(&other.0)));
        equal_or_none(&a, &b)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_map(&self.0, f)
    }
}

fn equal_or_none(a: &Value, b: &Value) -> Option<Ordering> {
    if a.has_unknown() || b.has_unknown() {
        evaluation::taint();
    }
    // Only equality has a cheap answer; order is the engine's business, element by element.
    (a == b).then_some(Ordering::Equal)
}

/// A value as the template engine sees it.
pub(crate) fn to_template(value: &Value) -> mj::Value {
    match value {
        Value::Null => mj::Value::from(()),
        Value::Bool(b) => mj::Value::from(*b),
        Value::Int(i) => mj::Value::from(*i),
        Value::Float(x) => mj::Value::from(*x),
        Value::Str(text) => mj::Value::from(Arc::clone(text)),
        Value::List(items) => mj::Value::from_object(ListObject(Arc::clone(items))),
        Value::Map(map) => mj::Value::from_object(MapObject(Arc::clone(map))),
        Value::Unknown => Signal::Unknown.value(),
        Value::Omit => mj::Value::from_object(Omitted),
    }
}

/// The key of a mapping as text: keys are always text in a [`Value`], so that `{1: 'a'}` and `{'1': 'a'}` are the same.
pub(crate) fn key_text(key: &mj::Value) -> Option<Arc<str>> {
    match key.kind() {
        ValueKind::String => key.to_str(),
        ValueKind::Number | ValueKind::Bool | ValueKind::None => Some(key.to_string().into()),
        _ => None,
    }
}

/// The error inside an invalid value.
pub(crate) fn invalid(value: &mj::Value) -> mj::Error {
    let holder = mj::Value::from(vec![value.clone()]);
    match holder.try_iter().map(|items| items.checked().collect::<Result<Vec<_>, _>>()) {
        Ok(Err(error)) | Err(error) => error,
        Ok(Ok(_)) => fail("an invalid value"),
    }
}

/// A value of the template engine as ours. Unknown parts stay unknown; what waits, failed or is undefined is an error.
pub(crate) fn from_template(value: &mj::Value) -> Result<Value, mj::Error> {
    match value.kind() {
        ValueKind::Undefined => Err(mj::Error::new(mj::ErrorKind::UndefinedError, "a part of the value is undefined")),
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::Number => Ok(number(value)),
        ValueKind::String => Ok(value.to_str().map_or(Value::Null, Value::Str)),
        ValueKind::Bytes => Ok(Value::from(String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).as_ref())),
        ValueKind::Invalid => {
            let error = invalid(value);
            if matches!(Signal::find(&error), Some(Signal::Unknown)) { Ok(Value::Unknown) } else { Err(error) }
        }
        ValueKind::Map => {
            if let Some(map) = value.downcast_object_ref::<MapObject>() {
                return Ok(Value::Map(Arc::clone(&map.0)));
            }
            if let Some(lazy) = value.downcast_object_ref::<LazyNode>() {
                return lazy.force();
            }
            let mut map = Map::new();
            for key in value.try_iter()? {
                let text = key_text(&key).ok_or_else(|| fail(format!("{key} can't be the key of a mapping")))?;
                match from_template(&value.get_item(&key)?)? {
                    Value::Omit => {}
                    item => {
                        map.insert(text, item);
                    }
                }
            }
            Ok(Value::map(map))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            if let Some(list) = value.downcast_object_ref::<ListObject>() {
                return Ok(Value::List(Arc::clone(&list.0)));
            }
            if let Some(lazy) = value.downcast_object_ref::<LazyNode>() {
                return lazy.force();
            }
            let mut items = Vec::new();
            for item in value.try_iter()? {
                match from_template(&item)? {
                    Value::Omit => {}
                    item => items.push(item),
                }
            }
            Ok(Value::list(items))
        }
        _ if value.downcast_object_ref::<Omitted>().is_some() => Ok(Value::Omit),
        _ => Err(fail("a function or macro can't be used as a value; call it with ()")),
    }
}

fn number(value: &mj::Value) -> Value {
    if value.is_integer()
        && let Some(i) = value.as_i64()
    {
        return Value::Int(i);
    }
    // Integers beyond 64 bits lose precision: nothing that reaches a host needs them.
    f64::try_from(value.clone()).map_or(Value::Null, Value::Float)
}
