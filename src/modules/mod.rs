//! One file a module: typed arguments and one pure `plan` function from (arguments, view of a host) to a decision.
//!
//! `docs/writing-a-module.md` leads through one.

pub mod args;
pub mod common;
pub mod registry;
#[cfg(test)]
pub mod testing;

pub mod file;

pub use registry::{FreeForm, Module, Needs, all, find};
