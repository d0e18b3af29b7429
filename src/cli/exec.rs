//! `windlass exec`: a management command on a host.

use super::common::releases::ReleaseBase;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use windlass::deploy::Request;

/// Run a management command in the serving release
///
/// With its environment and as its user, on the first host that serves: `windlass exec shop -- migrate --plan`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The application
    #[arg(value_name = "APP")]
    app: String,
    /// The management command
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<String>,
    /// On this host
    #[arg(long, value_name = "HOST", help_heading = "Deploy")]
    host: Option<String>,
    #[command(flatten)]
    release: ReleaseBase,
}

pub fn run(args: &ExecArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let request = Request::Exec { command: args.command.clone(), host: args.host.clone() };
    args.release.run(Some(&args.app), request, ui)
}
