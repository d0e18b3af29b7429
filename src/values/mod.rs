//! Values, and the templates that make them.
//!
//! [`Templar`] renders what playbooks hold, with the variables of a [`Scope`], as Ansible does. Underneath is minijinja;
//! [`catalogue`] lists the filters, tests, functions and lookups that it is given here.

mod builtin;
mod call;
mod catalogue;
mod check;
mod choose;
mod convert;
mod decrypt;
mod diagnose;
mod engine;
mod error;
mod escape;
mod evaluation;
mod filters;
mod from_node;
mod functions;
mod lazy;
mod lookups;
mod random;
mod redact;
mod relax;
mod scan;
mod scope;
mod templar;
mod tests;
mod value;
mod vault;
mod yaml;

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod conformance;

pub use catalogue::{CatalogueKind, catalogue};
pub use decrypt::{Decrypt, NoVault, is_encrypted};
pub use engine::TemplarOptions;
pub use error::{EvalError, Truth};
pub use redact::Redactor;
pub use scope::{Lookup, Scope, Scopes};
pub use templar::{Templar, TemplateOptions};
pub use value::{Map, Value};
pub use vault::Vault;
pub use yaml::{Flow, YamlOptions, from_yaml, from_yaml_all, to_yaml};
