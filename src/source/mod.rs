//! YAML text to nodes that know where they stand, and the diagnostics that point at them.

mod diagnostic;
mod node;
mod span;

pub use diagnostic::{Diagnostic, Label, Severity};
pub use node::{Entry, Kind, Node};
pub use span::{SourceFile, Span};
