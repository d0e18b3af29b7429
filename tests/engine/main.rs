//! The engine on this machine, in folders of its own: real shells, no network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod basics;
#[path = "../../src/cli/connector.rs"]
#[allow(dead_code)]
mod connector;
mod hold;
mod language;
mod owed;
mod random;
mod rig;
