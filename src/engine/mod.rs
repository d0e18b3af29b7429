//! The convergence loop. See `README.md`.

mod background;
pub mod board;
mod call;
mod carry;
pub mod code;
mod controller;
pub mod deploy;
pub mod depth;
pub mod drive;
pub mod event;
mod finish;
mod freeze;
mod hold;
mod include;
pub mod lookahead;
pub mod machine;
pub mod play;
pub mod run;
pub mod scope;
mod shells;
pub mod state;
pub mod step;
mod task;
mod validate;
mod variables;
pub mod watch;
pub mod world;
