//! What several modules share.

pub mod attributes;
