//! YAML text to nodes that know where they stand, and the diagnostics that point at them. See `README.md`.

mod decode;
mod diagnostic;
mod load;
pub mod markdown;
mod merge;
mod node;
mod parse;
mod position;
pub mod reads;
mod render;
mod scalar;
mod span;
mod suggest;
mod syntax;

pub use decode::{MapReader, bool_of, int_of, strings_of, text_of};
pub use diagnostic::{Diagnostic, Label, Severity};
pub use load::{MAX_FILE_BYTES, load, load_one, read};
pub use node::{Entry, Kind, Node};
pub use parse::{parse, parse_one};
pub use render::{Format, RenderOptions, render, to_json};
pub(crate) use scalar::plain_is_string;
pub use span::{SourceFile, Span};
pub use suggest::suggest;

#[cfg(test)]
mod tests;
