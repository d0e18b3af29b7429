//! Where templates get their variables from.

use super::Value;
use crate::source::Node;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What a scope says of a name.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// No such variable.
    Undefined,
    /// Data: used as it is, never templated.
    Data(Value),
    /// A variable as it stands in a file: rendered when it is used, in the scope that asks.
    Template(Arc<Node>),
    /// Not known yet: the evaluation stops with `EvalError::Wait` and is tried again later. The scope
    /// has noted for itself what is missing.
    Wait,
    /// A mapping from names to scopes, as `hostvars` is: each is looked into only where an expression does.
    Scopes(Arc<dyn Scopes>),
}

/// Scopes by name (`hostvars`: the variables of every host).
pub trait Scopes: fmt::Debug + Send + Sync + 'static {
    /// All names.
    fn names(&self) -> Vec<Arc<str>>;

    /// The scope called `name`.
    fn scope(&self, name: &str) -> Option<Arc<dyn Scope>>;
}

/// The variables that one evaluation sees. Implemented by the engine (the precedence ladder of a host and a task) and
/// by plain maps in tests.
pub trait Scope: Send + Sync + 'static {
    /// The variable `name`, by the order of precedence.
    fn get(&self, name: &str) -> Lookup;

    /// All names, for `vars`, for "did you mean" and for `lookup('varnames')`.
    fn names(&self) -> Vec<Arc<str>>;

    /// Folders on the controller in which files are looked for, most specific first. `kind` is `files`, `templates` or
    /// `vars` (Ansible's search path: the role's folder of that name, the role, the play's folder).
    fn search_path(&self, kind: &str) -> Vec<PathBuf> {
        let _ = kind;
        Vec::new()
    }

    /// What random draws start from: the same number for every evaluation of the same step, so that a second one
    /// decides the same.
    fn seed(&self) -> u64 {
        0
    }
}
