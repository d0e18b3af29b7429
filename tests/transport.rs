//! The transport against real servers: the embedded host always, OpenSSH's sshd where it is installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "transport/authentication.rs"]
mod authentication;
#[path = "transport/common.rs"]
mod common;
#[path = "transport/failures.rs"]
mod failures;
#[path = "transport/host_keys.rs"]
mod host_keys;
#[path = "transport/openssh.rs"]
mod openssh;
#[path = "transport/proxies.rs"]
mod proxies;
#[path = "transport/streams.rs"]
mod streams;
