//! Programs as bytes, and the far side's bytes as events.
//!
//! The far side is one POSIX shell that is kept open (`far.sh`). It reads frames: a header line, then exactly as many
//! bytes as it names. It answers in marked frames: a line `@NONCE TAG …`, then bytes up to the next such line. The
//! nonce is chosen anew for every shell, so that no output can pretend to be a marker.

mod answers;
mod batch;
mod compile;
mod guard;
mod parse;
mod stopping;

pub use compile::{Chunk, compile, forgetting};
pub use parse::{Hello, Parser, Signal};
pub use stopping::{Left, Stopping, stopping};

/// The far side's program, to be given to `sh -c` as it is.
pub const FAR_SIDE: &str = include_str!("far.sh");

/// The first line for a new shell: what it marks its frames with, and the folder in which it keeps what must outlive it
/// (its own choice, if none). It travels on standard input, since argument lists can be seen by others.
pub fn greeting(nonce: &str, state: Option<&str>) -> String {
    match state {
        Some(folder) => format!("WL-{nonce} {folder}\n"),
        None => format!("WL-{nonce}\n"),
    }
}

/// The most bytes of standard output that are brought back from one command.
pub const OUTPUT_LIMIT: usize = 8 << 20;

/// Contents up to this size that hold no NUL travel inside the program's text, which saves the host a process.
const INLINE_LIMIT: u64 = 64 << 10;

/// The most paths that are asked about in one call of the host's tool.
const PATHS_AT_ONCE: usize = 400;

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod tests;
