//! The vocabulary between modules and machines: keys, questions, answers, actions, and what one write means for others.
//!
//! A module asks [`Question`]s through a [`View`], and decides on [`Action`]s. Nothing here opens a socket: a
//! [`Program`](program::Program) is compiled to bytes by [`wire`], and a transport carries them.

pub mod action;
pub mod answer;
pub mod effect;
pub mod key;
pub mod mode;
pub mod program;
pub mod question;
pub mod quote;
pub mod view;
pub mod wire;

pub use action::{Action, ActionKind, Content, Install, OnFailure, Output, Run, Source, Stdin};
pub use answer::{Answer, PathKind, PathState, TreeEntry};
pub use key::Key;
pub use mode::ModeSpec;
pub use question::{Algorithm, Probe, Question};
pub use quote::quote;
pub use view::{Answers, Certainty, Controller, Decision, Diff, Failure, Held, Next, Stop, TaskResult, View, WhoAmI};
