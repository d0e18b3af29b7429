//! The arguments that `apply` and `plan` share.

use super::connection::ConnectionArgs;
use super::execute::{Job, OutputArgs};
use super::findings::Findings;
use super::privilege::PrivilegeArgs;
use super::selection::{ListingArgs, SelectionArgs};
use super::workspace::{Loaded, Workspace, WorkspaceArgs};
use crate::cli::{CommandError, Ui};
use clap::Args;
use std::path::{Path, PathBuf};
use windlass::engine::run::Options;
use windlass::playbook::{LoadContext, Playbook, load_playbook};

/// Playbooks and how to run them.
#[derive(Debug, Clone, Args)]
pub struct PlaybookArgs {
    /// Playbooks, in the order in which they run
    #[arg(value_name = "PLAYBOOK", required = true)]
    pub playbooks: Vec<PathBuf>,
    #[command(flatten)]
    pub workspace: WorkspaceArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub listing: ListingArgs,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    pub privilege: PrivilegeArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

impl PlaybookArgs {
    /// Reads the configuration and the passwords. For templates the time stands still at `now`, if it is given.
    pub fn workspace(&self, now: Option<i64>, ui: &mut Ui) -> Result<Workspace, CommandError> {
        Workspace::open_at(&self.workspace, !self.output.json && !self.listing.any(), now, ui)
    }

    /// Reads playbooks, inventory and variables, and tells everything that is wrong.
    pub fn load(&self, workspace: &Workspace, ui: &mut Ui) -> Result<Loaded, CommandError> {
        read_books(&self.playbooks, workspace, &self.workspace, ui)
    }

    /// `--limit`.
    pub fn limit(&self) -> Option<&str> {
        self.workspace.inventory.limit.as_deref()
    }

    /// The run that these arguments describe.
    pub fn job<'a>(&'a self, workspace: &'a Workspace, loaded: Loaded, options: Options) -> Job<'a> {
        Job {
            workspace,
            loaded,
            connection: &self.connection,
            privilege: &self.privilege,
            output: &self.output,
            limit: self.limit().map(str::to_owned),
            options,
            outputs: false,
            markdown: false,
            watched: None,
            deployer: None,
        }
    }
}

/// Reads playbooks, inventory and variables, and tells everything that is wrong.
pub fn read_books(
    playbooks: &[PathBuf],
    workspace: &Workspace,
    args: &WorkspaceArgs,
    ui: &mut Ui,
) -> Result<Loaded, CommandError> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for file in playbooks {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    workspace.load(args, folders, |context, findings| plays(playbooks, context, findings), ui)
}

/// The plays of all playbooks, in order.
fn plays(playbooks: &[PathBuf], context: &LoadContext, findings: &mut Findings) -> Option<Playbook> {
    let mut all: Option<Playbook> = None;
    let mut complete = true;
    for file in playbooks {
        let file = built_in(file, context);
        match findings.take(load_playbook(&file, context)) {
            Some(book) => match &mut all {
                Some(all) => {
                    all.plays.extend(book.plays);
                    all.warnings.extend(book.warnings);
                }
                None => all = Some(book),
            },
            None => complete = false,
        }
    }
    all.filter(|_| complete)
}

/// A playbook that is part of the program, where there is no such file: `playbooks/site.yml`.
fn built_in(file: &Path, context: &LoadContext) -> PathBuf {
    let embedded = context.builtin.as_ref().map(|folder| folder.join(file));
    match embedded {
        Some(path) if file.starts_with("playbooks") && !file.exists() && path.is_file() => path,
        _ => file.to_owned(),
    }
}
