//! Ways to reach machines: byte streams over SSH (russh) and to programs on this machine; and the lab that provides
//! machines to rehearse on.
//!
//! [`Target`] is what the inventory says about a host, [`ConnectContext`] what a run shares (agent, `ssh_config`, jump
//! hosts, limits), [`Link`] one connection to one machine, [`Pipe`] one command running on it. What is said over a
//! pipe is the business of the session layer above. `README.md` beside this file shows the flow.

mod algorithms;
mod auth;
mod config;
mod context;
mod dial;
pub mod embedded;
mod endpoint;
mod error;
mod keys;
mod known_files;
mod known_hosts;
pub mod lab;
mod link;
mod local;
mod options;
mod pause;
mod pipe;
mod secret;
pub mod session;
pub mod shells;
mod spill;
mod ssh;
mod stream;
mod target;

pub use context::{ConfigSource, ConnectContext, Limits};
pub use error::{DESCRIPTORS, Problem, Step, TransportError};
pub use link::{Counters, Link};
pub use pipe::{Exit, ExitWatch, Pipe, PipeReader, PipeWriter, StderrTail};
pub use secret::Secret;
pub use target::{ConnectionKind, HostKeyChecking, Target};
