//! Releases of Django applications on plain hosts. See `README.md`.

pub mod far;
pub mod migrations;
pub mod source;
