//! Which tasks run, and what is only listed.

use crate::cli::CommandError;
use clap::Args;
use std::sync::Arc;
use windlass::engine::run::Options;
use windlass::playbook::Playbook;
use windlass::source::{suggest, text_of};
use windlass::values::Templar;

/// Options that choose tasks.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Tasks")]
pub struct SelectionArgs {
    /// Only tasks with one of these tags (comma separated; repeatable)
    #[arg(short, long, value_name = "TAGS", value_delimiter = ',', env = "WINDLASS_TAGS")]
    pub tags: Vec<String>,
    /// No tasks with one of these tags
    #[arg(long, value_name = "TAGS", value_delimiter = ',', env = "WINDLASS_SKIP_TAGS")]
    pub skip_tags: Vec<String>,
    /// Leave out all tasks before the one with this name
    #[arg(long, value_name = "TASK")]
    pub start_at_task: Option<String>,
    /// Run notified handlers also on hosts that failed
    #[arg(long)]
    pub force_handlers: bool,
}

impl SelectionArgs {
    /// Puts them into a run's options.
    pub fn apply(&self, options: &mut Options) -> Result<(), CommandError> {
        let words = |list: &[String]| list.iter().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect();
        options.tags = words(&self.tags);
        options.skip_tags = words(&self.skip_tags);
        if !self.tags.is_empty() && options.tags.is_empty() {
            return Err(CommandError::usage("`--tags` names no tag"));
        }
        options.start_at.clone_from(&self.start_at_task);
        options.force_handlers = self.force_handlers;
        Ok(())
    }
}

/// That `--start-at-task` names a task, so that a slip of the pen does not leave out everything.
pub fn check_start(options: &Options, playbook: &Playbook) -> Result<(), CommandError> {
    let Some(wanted) = &options.start_at else { return Ok(()) };
    let shared = |words: &[String]| words.iter().map(|w| Arc::from(w.as_str())).collect::<Vec<Arc<str>>>();
    let (tags, skip) = (shared(&options.tags), shared(&options.skip_tags));
    let listed = playbook.plays.iter().flat_map(|play| play.listed(&tags, &skip));
    let names: Vec<String> = listed
        .map(|l| match &l.task.name {
            Some(node) => text_of(node).map(|t| t.to_string()).unwrap_or_default(),
            None => l.task.action.name().to_owned(),
        })
        .collect();
    // What a template comes to is known only later.
    if names.iter().any(|name| name == wanted || Templar::is_template(name)) {
        return Ok(());
    }
    let error = CommandError::usage(format_args!("no task is called `{wanted}`, so that none would run"));
    Err(match suggest(wanted, &names) {
        Some(near) => error.hinted(format_args!("did you mean `{near}`?")),
        None => error.hinted(
            "list the tasks with `--list-tasks`; the name is without its role, and included files do not count",
        ),
    })
}

/// Options that only look at the playbook.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Look only")]
pub struct ListingArgs {
    /// List the hosts of each play, and do nothing
    #[arg(long)]
    pub list_hosts: bool,
    /// List the tasks that would run, and do nothing
    #[arg(long)]
    pub list_tasks: bool,
    /// List the tags that there are, and do nothing
    #[arg(long)]
    pub list_tags: bool,
    /// Check playbooks, roles, inventory and variables, and do nothing
    #[arg(long)]
    pub syntax_check: bool,
}

impl ListingArgs {
    /// Whether no host is to be reached.
    pub fn any(&self) -> bool {
        self.list_hosts || self.list_tasks || self.list_tags || self.syntax_check
    }
}
