//! The transport against real servers: the embedded host always, OpenSSH's sshd where it is installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "transport/common.rs"]
mod common;
#[path = "transport/embedded.rs"]
mod embedded;
