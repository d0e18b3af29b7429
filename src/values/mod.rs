//! Values, and the templates that make them.

mod scope;
mod value;

pub use scope::{Lookup, Scope};
pub use value::{Map, Value};
