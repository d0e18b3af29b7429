//! What the commands that work with hosts share: their arguments, and the way from arguments to a run.

mod ask;
pub mod command_line;
mod config;
mod connection;
mod descriptors;
mod execute;
mod findings;
mod interrupts;
mod inventory;
pub mod listing;
mod playbook;
mod privilege;
pub mod releases;
mod selection;
mod terminal;
mod variables;
mod vault;
mod workspace;

pub use connection::{ConnectionArgs, local_user};
pub use execute::{Ending, Job, OutputArgs, Watched, execute, now};
pub use findings::Findings;
pub use inventory::InventoryArgs;
pub use playbook::PlaybookArgs;
pub use privilege::PrivilegeArgs;
pub use selection::check_start;
pub use vault::{Keyring, VaultArgs};
pub use workspace::{Loaded, Workspace, WorkspaceArgs};
