//! What the commands that work with hosts share: their arguments, and the way from arguments to a run.

mod ask;
mod config;
mod connection;
mod execute;
mod findings;
mod inventory;
pub mod listing;
mod playbook;
mod privilege;
mod selection;
mod terminal;
mod variables;
mod vault;
mod workspace;

pub use execute::{Ending, execute};
pub use playbook::PlaybookArgs;
