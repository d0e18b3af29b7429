//! One file a module: typed arguments and one pure `plan` function from (arguments, view of a host) to a decision.
//!
//! `docs/writing-a-module.md` leads through one.

pub mod args;
pub mod common;
pub mod registry;
#[cfg(test)]
pub mod testing;

pub mod apt;
pub mod apt_key;
pub mod apt_repository;
pub mod assert;
pub mod async_status;
pub mod authorized_key;
pub mod blockinfile;
pub mod command;
pub mod copy;
pub mod cron;
pub mod debug;
pub mod django_manage;
pub mod facts;
pub mod fail;
pub mod fetch;
pub mod file;
pub mod find;
pub mod get_url;
pub mod getent;
pub mod git;
pub mod group;
pub mod hostname;
pub mod lineinfile;
pub mod package;
pub mod pause;
pub mod ping;
pub mod pip;
pub mod postgresql_db;
pub mod postgresql_ext;
pub mod postgresql_privs;
pub mod postgresql_user;
pub mod raw;
pub mod replace;
pub mod script;
pub mod service;
pub mod set_fact;
pub mod setup;
pub mod shell;
pub mod slurp;
pub mod stat;
pub mod systemd;
pub mod tempfile;
pub mod template;
pub mod timezone;
pub mod unarchive;
pub mod uri;
pub mod user;
pub mod wait_for;

pub use registry::{FreeForm, Module, Needs, all, find};
