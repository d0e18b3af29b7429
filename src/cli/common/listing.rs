//! `--list-hosts`, `--list-tasks`, `--list-tags`, `--syntax-check`.

use super::selection::ListingArgs;
use super::workspace::Loaded;
use crate::cli::{CommandError, ErrorKind, Ui};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;
use windlass::engine::run::Options;
use windlass::playbook::Play;
use windlass::values::Value;

/// Shows what was asked for.
pub fn show(
    wanted: &ListingArgs,
    loaded: &Loaded,
    options: &Options,
    limit: Option<&str>,
    ui: &mut Ui,
) -> Result<ExitCode, CommandError> {
    let mut out = String::new();
    if !(wanted.list_hosts || wanted.list_tasks || wanted.list_tags) {
        let plays = loaded.playbook.plays.len();
        ui.status(format_args!("no errors in {plays} play{}", if plays == 1 { "" } else { "s" }));
        return Ok(ExitCode::SUCCESS);
    }
    for (place, play) in loaded.playbook.plays.iter().enumerate() {
        let _ = writeln!(out, "play {}: {}  ({})", place + 1, name(play), play.span);
        if wanted.list_hosts {
            hosts(play, loaded, limit, options, &mut out)?;
        }
        if wanted.list_tasks {
            tasks(play, options, &mut out);
        }
        if wanted.list_tags {
            tags(play, options, &mut out);
        }
    }
    ui.data(out);
    Ok(ExitCode::SUCCESS)
}

fn name(play: &Play) -> String {
    play.name.as_ref().and_then(|n| n.as_str().map(str::to_owned)).unwrap_or_else(|| pattern(play))
}

fn pattern(play: &Play) -> String {
    match Value::from(&play.hosts) {
        Value::List(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn hosts(
    play: &Play,
    loaded: &Loaded,
    limit: Option<&str>,
    options: &Options,
    out: &mut String,
) -> Result<(), CommandError> {
    let pattern = pattern(play);
    if windlass::values::Templar::is_template(&pattern) {
        let _ = writeln!(out, "  hosts: {pattern} (known when the play begins)");
        return Ok(());
    }
    let mut hosts = loaded
        .inventory
        .select(&pattern, limit)
        .map_err(|problem| CommandError::new(ErrorKind::Playbook, problem.to_string()))?;
    hosts.retain(|host| options.shard.is_none_or(|shard| shard.holds(host.as_str())));
    let _ = writeln!(out, "  hosts ({}):", hosts.len());
    for host in hosts {
        let _ = writeln!(out, "    {host}");
    }
    Ok(())
}

fn shared(words: &[String]) -> Vec<Arc<str>> {
    words.iter().map(|word| Arc::from(word.as_str())).collect()
}

fn tasks(play: &Play, options: &Options, out: &mut String) {
    let _ = writeln!(out, "  tasks:");
    for listed in play.listed(&shared(&options.tags), &shared(&options.skip_tags)) {
        let _ = write!(out, "    {}", listed.name);
        if !listed.tags.is_empty() {
            let _ = write!(out, "  [{}]", listed.tags.join(", "));
        }
        let _ = writeln!(out, "  ({})", listed.task.span);
    }
}

fn tags(play: &Play, options: &Options, out: &mut String) {
    let listed = play.listed(&shared(&options.tags), &shared(&options.skip_tags));
    let all: BTreeSet<Arc<str>> = listed.into_iter().flat_map(|l| l.tags).collect();
    let all: Vec<Arc<str>> = all.into_iter().collect();
    let _ = writeln!(out, "  tags: {}", if all.is_empty() { "(none)".to_owned() } else { all.join(", ") });
}
