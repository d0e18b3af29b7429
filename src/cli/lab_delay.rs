//! `windlass lab-delay`: what `lab net NAME delay` starts in the background. Hidden; not for people.

use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;

/// Pass frames between two new tap devices, each a while later
#[derive(Debug, Args)]
pub struct LabDelayArgs {
    tap_a: String,
    tap_b: String,
    /// Milliseconds
    milliseconds: f64,
}

pub fn run(args: &LabDelayArgs, _ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let wait = Duration::try_from_secs_f64(args.milliseconds / 1000.0)
        .map_err(|error| CommandError::usage(format_args!("`{}` milliseconds: {error}", args.milliseconds)))?;
    windlass::transport::lab::delay_frames(&args.tap_a, &args.tap_b, wait)?;
    Ok(ExitCode::SUCCESS)
}
