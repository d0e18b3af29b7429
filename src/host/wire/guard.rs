//! Guards: tests in shell of whether answers still hold.

use super::compile::{follow_flag, probe_text, tool};
use crate::host::answer::{Answer, PathKind, PathState, digest};
use crate::host::program::Expect;
use crate::host::question::{Algorithm, Question};
use crate::host::quote::quote;

/// A test that succeeds where the answer still holds.
pub(super) fn guard_text(expect: &Expect) -> String {
    match (&expect.question, &expect.answer) {
        (Question::Path { path, follow, digest }, Answer::Path(state)) => {
            if !state.exists() {
                let path = quote(path);
                return if *follow {
                    format!("[ ! -e {path} ]")
                } else {
                    format!("{{ [ ! -e {path} ] && [ ! -L {path} ]; }}")
                };
            }
            let (follow, pattern, path) = (follow_flag(*follow), path_pattern(state), quote(path));
            let name = if state.kind == PathKind::Link { " %N" } else { "" };
            let attributes = format!(
                "case \"$(stat {follow} --printf '%f %u %U %g %G %s{name}' -- {path} 2>/dev/null)\" in {pattern}) ;; *) false ;; esac"
            );
            match (&state.digest, digest) {
                (Some(wanted), Some(algorithm)) => {
                    format!("{{ {attributes}; }} && {}", digest_test(*algorithm, &path, wanted))
                }
                _ => attributes,
            }
        }
        (Question::Content { path }, Answer::Content(content)) => {
            let path = quote(path);
            match content {
                None => format!("[ ! -e {path} ]"),
                Some(bytes) => digest_test(Algorithm::Sha256, &path, &digest(Algorithm::Sha256, bytes)),
            }
        }
        // What could not be looked at (a link that leads into itself) still can't be.
        (Question::Path { path, follow, .. }, Answer::Refused(_)) => {
            format!("! stat {} -- {} >/dev/null 2>&1", if *follow { "-L" } else { "" }, quote(path))
        }
        (question, _) => {
            let Some(raw) = &expect.raw else {
                // Nothing to compare with: it can't be promised.
                return "false".to_owned();
            };
            let text = match question {
                Question::Tree { path, digest } => format!("wtree {} {}", quote(path), tool(*digest)),
                Question::Probe(probe) => format!("{{ {} 2>/dev/null\nprintf '|%s' $?; }}", probe_text(probe)),
                Question::Path { .. } | Question::Content { .. } => return "false".to_owned(),
            };
            format!("[ \"$({text} | wh)\" = {raw} ]")
        }
    }
}

/// A test that succeeds where the regular file at `path` (quoted) has this digest.
fn digest_test(algorithm: Algorithm, path: &str, wanted: &str) -> String {
    let wanted = quote(&format!("{wanted}  -"));
    format!("[ -f {path} ] && [ \"$({} <{path} 2>/dev/null)\" = {wanted} ]", algorithm.tool())
}

/// A shell pattern over `stat --printf '%f %u %U %g %G %s'`, with the name and target of a link behind it; what is not
/// known matches anything.
fn path_pattern(state: &PathState) -> String {
    let kind = match state.kind {
        PathKind::File => 0o100_000,
        PathKind::Directory => 0o040_000,
        PathKind::Link => 0o120_000,
        PathKind::Fifo => 0o010_000,
        PathKind::Socket => 0o140_000,
        PathKind::CharDevice => 0o020_000,
        PathKind::BlockDevice => 0o060_000,
        PathKind::Absent => 0,
    };
    let known = |text: Option<String>| text.map_or_else(|| "*".to_owned(), |t| quote(&t));
    let sized = matches!(state.kind, PathKind::File);
    // Some tools quote names, so only the end is compared.
    let tail = match &state.target {
        Some(target) if state.kind == PathKind::Link => format!("' '*{}*", quote(target)),
        _ if state.kind == PathKind::Link => "*".to_owned(),
        _ => String::new(),
    };
    let mode = if state.kind == PathKind::Link { "a1ff".to_owned() } else { format!("{:x}", kind | state.mode) };
    format!(
        "{mode}' '{}' '{}' '{}' '{}' '{}{tail}",
        known(state.uid.map(|u| u.to_string())),
        known(state.owner.clone()),
        known(state.gid.map(|g| g.to_string())),
        known(state.group.clone()),
        known(state.size.filter(|_| sized).map(|s| s.to_string())),
    )
}
