//! What several modules share.

pub mod accounts;
pub mod archive;
pub mod attributes;
pub mod edit;
pub mod exec;
pub mod folders;
pub mod http;
pub mod outputs;
pub mod paths;
pub mod postgres;
pub mod put;
pub mod regex;
pub mod remote_copy;
pub mod text;
