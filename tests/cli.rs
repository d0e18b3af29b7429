//! The program as people run it, on files of its own and on this machine as a host.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/docs.rs"]
mod docs;
#[path = "cli/listing.rs"]
mod listing;
#[path = "cli/local.rs"]
mod local;
#[path = "cli/options.rs"]
mod options;
#[path = "cli/saved.rs"]
mod saved;
#[path = "cli/site.rs"]
mod site;
#[path = "cli/ssh.rs"]
mod ssh;
