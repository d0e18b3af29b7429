//! What several modules share.

pub mod attributes;
pub mod exec;
pub mod folders;
pub mod paths;
pub mod put;
pub mod remote_copy;
pub mod text;
