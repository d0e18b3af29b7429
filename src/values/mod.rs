//! Values, and the templates that make them.

mod decrypt;
mod from_node;
mod scope;
mod value;
mod yaml;

pub use decrypt::{Decrypt, NoVault, is_encrypted};
pub use scope::{Lookup, Scope};
pub use value::{Map, Value};
pub use yaml::{Flow, YamlOptions, from_yaml, from_yaml_all, to_yaml};
