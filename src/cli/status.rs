//! `windlass status`: what serves where.

use super::common::releases::ReleaseArgs;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use windlass::deploy::Request;

/// Show what serves where, since when, and how healthy it is
///
/// Ends with 2 if a host is not healthy, with 4 if one can't be reached.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    release: ReleaseArgs,
}

pub fn run(args: &StatusArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    args.release.base.run(args.release.app.as_deref(), Request::Status, ui)
}
