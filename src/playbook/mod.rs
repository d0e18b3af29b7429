//! Playbooks and roles as a typed tree. See `README.md`.

mod tree;

pub use tree::*;
