//! `windlass plan`: what `apply` would do.

use super::common::{Ending, PlaybookArgs, check_start, execute, listing};
use super::exit::Exit;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use windlass::engine::run::Options;

/// Show what `apply` would change, and change nothing
///
/// Hosts are asked, and nothing on them is changed, except by commands that say `check_mode: false`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    book: PlaybookArgs,
    /// End with 0 if nothing has to change, with 1 on an error, with 2 if there are changes
    #[arg(long, help_heading = "Output")]
    detailed_exitcode: bool,
}

pub fn run(args: &PlanArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let book = &args.book;
    let workspace = book.workspace(ui)?;
    let loaded = book.load(&workspace, ui)?;
    let mut options = Options { plan: true, ..Options::default() };
    book.selection.apply(&mut options)?;
    check_start(&options, &loaded.playbook)?;
    if book.listing.any() {
        return listing::show(&book.listing, &loaded, &options, book.limit(), ui);
    }
    let ending = execute(book.job(&workspace, loaded, options), ui)?;
    let code = match &ending {
        Ending::Done(outcome) if args.detailed_exitcode => {
            if outcome.unreachable() || outcome.failed() {
                Exit::Error
            } else if outcome.changed() {
                Exit::Two
            } else {
                Exit::Ok
            }
        }
        ending => super::apply::code(ending),
    };
    Ok(code.into())
}
