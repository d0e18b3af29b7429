//! Deploys on real hosts, under load. `rig.rs` tells what they run on, and `../common/load` what sees every failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "../common/app.rs"]
mod app;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/load/mod.rs"]
mod load;

mod applications;
mod around;
mod base;
mod celery;
mod ci;
mod deferred;
mod differ;
mod faults;
mod killed;
mod locks;
mod network;
mod plain;
mod plans;
mod rest;
mod rig;
mod sources;
mod strategies;
