//! `windlass unlock`: a lock whose owner is gone.

use super::common::releases::ReleaseArgs;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use windlass::deploy::Request;

/// Give back a lock that its owner can't give back
///
/// Only where the owner is dead, as far as can be told; `--force` where you know it.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    #[command(flatten)]
    release: ReleaseArgs,
    /// Also if its owner seems to live
    #[arg(long, help_heading = "Deploy")]
    force: bool,
}

pub fn run(args: &UnlockArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    args.release.base.run(args.release.app.as_deref(), Request::Unlock { force: args.force }, ui)
}
