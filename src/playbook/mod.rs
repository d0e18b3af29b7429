//! Playbooks and roles as a typed tree. See `README.md`.

mod action;
mod arguments;
pub mod deploy;
pub mod embedded;
mod extra;
mod freeform;
mod include;
mod keywords;
mod list;
mod load;
mod loops;
mod notify;
mod play;
mod references;
mod role;
mod search;
mod specs;
mod tags;
mod task;
mod tree;
mod tree_roles;
mod unsupported;

#[cfg(test)]
mod tests;

pub use extra::parse_vars;
pub use include::{Included, load_role, load_tasks_file};
pub use list::Listed;
pub use load::{Check, LoadContext, Site, Unchecked, load_vars_file};
pub use play::{load_playbook, load_plays};
pub use role::RoleRequest;
pub use search::SearchPath;
pub use tags::selected;
pub use tree::*;
pub use tree_roles::*;
pub use unsupported::BACKGROUND;
