//! Windlass: Ansible-style playbooks and zero-downtime Django deploys for plain virtual machines, over SSH.
//!
//! The library knows no terminal, reads no environment variables and never exits; `docs/architecture.md` is its map.

pub mod deploy;
pub mod engine;
pub mod host;
pub mod inventory;
pub mod modules;
pub mod plan;
pub mod playbook;
pub mod report;
pub mod source;
pub mod transport;
pub mod values;
