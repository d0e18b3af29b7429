//! `windlass releases`: which releases there are.

use super::common::releases::ReleaseArgs;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use windlass::deploy::Request;

/// List the releases that are on the hosts
#[derive(Debug, Args)]
pub struct ReleasesArgs {
    #[command(flatten)]
    release: ReleaseArgs,
}

pub fn run(args: &ReleasesArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    args.release.base.run(args.release.app.as_deref(), Request::Releases, ui)
}
