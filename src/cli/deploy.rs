//! `windlass deploy`: a release, from its source to all hosts.

use super::common::releases::{WhoArgs, code, releases};
use super::common::{Job, PlaybookArgs, check_start, execute, listing};
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use windlass::deploy::{DeployRequest, Request};
use windlass::engine::run::Options;

/// Bring a release to all hosts without dropping a request
///
/// Runs the playbook; a play with `deploy:` builds the release on all of its hosts, proves it on a socket of its own,
/// switches, and lets the old one end. If anything fails, all hosts return to what served before. Ends with 75 if
/// somebody else deploys now; see `docs/deploy.md`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    book: PlaybookArgs,
    #[command(flatten)]
    flags: DeployFlags,
    #[command(flatten)]
    who: WhoArgs,
}

/// What a deploy is told beside its play.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deploy")]
pub struct DeployFlags {
    /// Branch, tag or commit in place of the playbook's
    #[arg(long = "ref", value_name = "REF", env = "WINDLASS_REF")]
    reference: Option<String>,
    /// Accept migrations that break the serving release while they are applied
    #[arg(long)]
    allow_unsafe_migrations: bool,
    /// Take over a lock whose owner is surely dead
    #[arg(long)]
    take_over: bool,
    /// Go on without hosts that can't be reached; the next deploy brings them level
    #[arg(long)]
    allow_unreachable: bool,
    /// A new release even if no file has changed
    #[arg(long)]
    again: bool,
}

impl DeployFlags {
    /// As the library takes them.
    pub fn request(&self) -> DeployRequest {
        DeployRequest {
            reference: self.reference.clone(),
            allow_unsafe: self.allow_unsafe_migrations,
            take_over: self.take_over,
            allow_unreachable: self.allow_unreachable,
            again: self.again,
            plan: Vec::new(),
        }
    }
}

pub fn run(args: &DeployArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let book = &args.book;
    let workspace = book.workspace(None, ui)?;
    let loaded = book.load(&workspace, ui)?;
    if loaded.playbook.plays.iter().all(|play| play.deploy.is_none()) {
        return Err(CommandError::usage("no play here says `deploy:`").hinted("`windlass apply` runs ordinary plays"));
    }
    let mut options = Options { shard: book.workspace.inventory.shard, ..Options::default() };
    book.selection.apply(&mut options)?;
    check_start(&options, &loaded.playbook)?;
    if book.listing.any() {
        return listing::show(&book.listing, &loaded, &options, book.limit(), ui);
    }
    let releases = Arc::new(releases(Request::Deploy(args.flags.request()), None, &args.who, &workspace));
    let job = Job { deployer: Some(Arc::clone(&releases)), ..book.job(&workspace, loaded, options) };
    let ending = execute(job, ui)?;
    ui.annotate_failures(&releases);
    Ok(code(&releases, &ending).into())
}
