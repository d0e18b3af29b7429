//! What hosts can be like, and what can happen to them: each either works, or is a clear error on that host alone.
//!
//! Every test runs the program on two lab hosts at least, of which one is well and must come to its end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;

mod durable;
mod logins;
mod lost;
mod plans;
mod privileges;
mod reach;
mod secrets;
mod shells;
mod site;
mod stopping;
mod trixie;
mod trouble;
