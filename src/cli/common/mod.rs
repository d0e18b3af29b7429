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

pub use connection::ConnectionArgs;
pub use execute::{Ending, Job, OutputArgs, execute};
pub use findings::Findings;
pub use inventory::InventoryArgs;
pub use playbook::PlaybookArgs;
pub use privilege::PrivilegeArgs;
pub use selection::check_start;
pub use vault::{Keyring, VaultArgs};
pub use workspace::{Workspace, WorkspaceArgs};
