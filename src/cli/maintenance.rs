//! `windlass maintenance`: a page instead of the application.

use super::common::releases::ReleaseBase;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use windlass::deploy::Request;

/// Show a page instead of the application, or the application again
#[derive(Debug, Args)]
pub struct MaintenanceArgs {
    /// Whether the page shows
    #[arg(value_name = "on|off", value_parser = ["on", "off"])]
    state: String,
    /// The application, where the playbook has several
    #[arg(value_name = "APP")]
    app: Option<String>,
    /// What the page says
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "We are working on it and will be back in a moment.",
        help_heading = "Deploy"
    )]
    message: String,
    #[command(flatten)]
    release: ReleaseBase,
}

pub fn run(args: &MaintenanceArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let request = Request::Maintenance { on: args.state == "on", message: args.message.clone() };
    args.release.run(args.app.as_deref(), request, ui)
}
