//! What several modules share.

pub mod attributes;
pub mod exec;
pub mod paths;
pub mod text;
