//! `windlass rollback`: back to a release that served before.

use super::common::releases::ReleaseArgs;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use windlass::deploy::{Request, RollbackRequest};

/// Return to the release that served before
///
/// Nothing is built and nothing is fetched, so that it takes seconds. Works from any machine that reaches the hosts.
/// The migrations between the two releases are named; where the older one may not work with them, nothing is changed
/// unless you say how.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    release: ReleaseArgs,
    /// To this release (see `windlass releases`)
    #[arg(long, value_name = "RELEASE", help_heading = "Deploy")]
    to: Option<String>,
    /// Undo the migrations between, with the newer release's files
    #[arg(long, help_heading = "Deploy")]
    undo_migrations: bool,
    /// Go on though the older release may not work with the database as it is
    #[arg(long, conflicts_with = "undo_migrations", help_heading = "Deploy")]
    allow_unsafe_migrations: bool,
    /// Take over a lock whose owner is surely dead
    #[arg(long, help_heading = "Deploy")]
    take_over: bool,
    /// Go on without hosts that can't be reached
    #[arg(long, help_heading = "Deploy")]
    allow_unreachable: bool,
}

pub fn run(args: &RollbackArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let request = RollbackRequest {
        to: args.to.clone(),
        undo_migrations: args.undo_migrations,
        allow_unsafe: args.allow_unsafe_migrations,
        take_over: args.take_over,
        allow_unreachable: args.allow_unreachable,
    };
    args.release.base.run(args.release.app.as_deref(), Request::Rollback(request), ui)
}
