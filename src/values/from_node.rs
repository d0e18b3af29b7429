//! A node as plain data, its templates left as the text they are.

use super::{Map, Value};
use crate::source::{Kind, Node};

/// Nothing is rendered: a template stays its text, an encrypted string (`!vault`) stays its armour.
impl From<&Node> for Value {
    fn from(node: &Node) -> Self {
        match &node.kind {
            Kind::Null => Self::Null,
            Kind::Bool(b) => Self::Bool(*b),
            Kind::Int(i) => Self::Int(*i),
            Kind::Float(x) => Self::Float(*x),
            Kind::Str(text) => Self::Str(text.clone()),
            Kind::List(items) => Self::list(items.iter().map(Self::from).collect()),
            Kind::Map(entries) => {
                Self::map(entries.iter().map(|e| (e.key.clone(), Self::from(&e.value))).collect::<Map>())
            }
        }
    }
}
