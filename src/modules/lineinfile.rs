//! `lineinfile`: a line that is in a file, or is not.

use super::args::Arguments;
use super::common::attributes::FileAttributes;
use super::common::edit::{self, Editing};
use super::common::put::How;
use super::common::regex::{Over, Pattern, widen};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, TaskResult, View};
use crate::values::Value;

crate::module_choices! {
    /// Whether the line is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_args! {
    /// What `lineinfile` takes.
    pub struct LineArgs {
        /// The file.
        path: String, ["dest", "destfile", "name"];
        /// Whether the line is there.
        state: State = State::Present;
        /// The line to replace: the last one that this regular expression is found in; or the lines to remove.
        regexp: Option<String>, ["regex"];
        /// The same by a text.
        search_string: Option<String>;
        /// The line.
        line: Option<String>, ["value"];
        /// Where a new line goes: after the last line that this regular expression is found in, `EOF` or `BOF`.
        insertafter: Option<String>;
        /// Where a new line goes: before the last line that this regular expression is found in, or `BOF`.
        insertbefore: Option<String>;
        /// Fill `\1` and the like in `line` from what `regexp` found; without a match, change nothing.
        backrefs: bool = false;
        /// Make the file where there is none.
        create: bool = false;
        /// Keep a copy of the former file.
        backup: bool = false;
        /// Take the first line that is found, not the last.
        firstmatch: bool = false;
        /// A command that must accept the new file, whose name is put for `%s`.
        validate: Option<String>;
    } + attributes: FileAttributes
}

/// The module.
pub static MODULE: Module = Module {
    names: &["lineinfile", "ansible.builtin.lineinfile", "ansible.legacy.lineinfile"],
    doc: "A line that is in a file, or is not.",
    args: <LineArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    // A link at the path leads anywhere.
    writes: super::registry::anything,
};

fn plan(args: &LineArgs, view: &View<'_>) -> Result<Decision, Stop> {
    for (a, b, both) in [
        ("insertbefore", "insertafter", args.insertbefore.is_some() && args.insertafter.is_some()),
        ("regexp", "search_string", args.regexp.is_some() && args.search_string.is_some()),
        ("backrefs", "search_string", args.backrefs && args.search_string.is_some()),
    ] {
        if both {
            return Err(Stop::fail(format!("`{a}` and `{b}` exclude each other")));
        }
    }
    let regexp = args.regexp.as_deref().map(compile).transpose()?;
    match args.state {
        State::Present => {
            let Some(line) = args.line.as_deref() else {
                return Err(Stop::fail("`line` is required with `state: present`"));
            };
            if args.backrefs && regexp.is_none() {
                return Err(Stop::fail("`backrefs` needs `regexp`"));
            }
            let anchor = match (args.insertafter.as_deref(), args.insertbefore.as_deref()) {
                (Some("BOF"), _) | (_, Some("BOF")) => Anchor::Start,
                (None, None) | (Some("EOF"), _) => Anchor::End,
                (Some(pattern), _) => Anchor::After(compile(pattern)?),
                (None, Some(pattern)) => Anchor::Before(compile(pattern)?),
            };
            let editing = edit::open(view, &args.path)?;
            if editing.before.is_none() && !args.create {
                return Err(edit::not_there(&editing.path));
            }
            let mut lines = lines_of(&editing);
            let msg = present(args, &mut lines, line, regexp.as_ref(), &anchor)?;
            finish(args, view, &editing, msg.map(|m| (m.to_owned(), lines)), TaskResult::ok())
        }
        State::Absent => {
            if regexp.is_none() && args.search_string.is_none() && args.line.is_none() {
                return Err(Stop::fail("`regexp`, `search_string` or `line` is required with `state: absent`"));
            }
            let editing = edit::open(view, &args.path)?;
            if editing.before.is_none() {
                return Ok(Decision::nothing(TaskResult::ok().msg("file not present").with("found", 0)));
            }
            let lines = lines_of(&editing);
            let mut kept = Vec::new();
            for line in &lines {
                let gone = match (&regexp, &args.search_string, &args.line) {
                    (Some(pattern), ..) => pattern.find(&widen(line))?.is_some(),
                    (None, Some(text), _) => contains(line, text.as_bytes()),
                    (None, None, wanted) => bare(line) == wanted.as_deref().unwrap_or_default().as_bytes(),
                };
                if !gone {
                    kept.push(line.clone());
                }
            }
            let found = lines.len() - kept.len();
            let change = (found > 0).then(|| (format!("{found} line(s) removed"), kept));
            finish(args, view, &editing, change, TaskResult::ok().with("found", found))
        }
    }
}

fn compile(pattern: &str) -> Result<Pattern, Stop> {
    Ok(Pattern::new(pattern, Over::Bytes, false, false)?)
}

fn finish(
    args: &LineArgs,
    view: &View<'_>,
    editing: &Editing,
    change: Option<(String, Vec<Vec<u8>>)>,
    result: TaskResult,
) -> Result<Decision, Stop> {
    let how = How { attributes: &args.attributes, backup: args.backup, validate: args.validate.as_deref() };
    let (msg, after) = change.map_or((String::new(), None), |(msg, lines)| (msg, Some(lines.concat())));
    let mut decision = edit::save(view, editing, after.as_deref(), &msg, how, result)?;
    decision.result.data.entry("backup".into()).or_insert_with(|| Value::from(""));
    Ok(decision)
}

enum Anchor {
    Start,
    End,
    After(Pattern),
    Before(Pattern),
}

fn lines_of(editing: &Editing) -> Vec<Vec<u8>> {
    editing.before.as_deref().unwrap_or_default().split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect()
}

/// A line without its end.
fn bare(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| !matches!(b, b'\r' | b'\n')).map_or(0, |i| i + 1);
    &line[..end]
}

fn contains(line: &[u8], text: &[u8]) -> bool {
    text.is_empty() || line.windows(text.len()).any(|w| w == text)
}

/// Makes the line be there, and says what was done.
fn present(
    args: &LineArgs,
    lines: &mut Vec<Vec<u8>>,
    line: &str,
    regexp: Option<&Pattern>,
    anchor: &Anchor,
) -> Result<Option<&'static str>, Stop> {
    let wanted = line.as_bytes();
    let mut target: Option<(usize, Option<Vec<u8>>)> = None;
    for (i, current) in lines.iter().enumerate() {
        let wide = widen(current);
        let hit = match (regexp, &args.search_string) {
            (Some(pattern), _) => match pattern.find(&wide)? {
                Some(found) if args.backrefs => {
                    Some(Some(super::common::regex::narrow(&pattern.expand(&found, line)?)))
                }
                Some(_) => Some(None),
                None => None,
            },
            (None, Some(text)) => contains(current, text.as_bytes()).then_some(None),
            (None, None) => break,
        };
        if let Some(expanded) = hit {
            target = Some((i, expanded));
            if args.firstmatch {
                break;
            }
        }
    }
    // Where nothing was found, the line itself counts as found; and the place for a new one is looked for.
    let mut place = None;
    if target.is_none() {
        for (i, current) in lines.iter().enumerate() {
            if bare(current) == wanted {
                target = Some((i, None));
                continue;
            }
            let at = match anchor {
                Anchor::After(pattern) => pattern.find(&widen(current))?.map(|_| i + 1),
                Anchor::Before(pattern) => pattern.find(&widen(current))?.map(|_| i),
                Anchor::Start | Anchor::End => None,
            };
            place = at.or(place);
            if at.is_some() && args.firstmatch {
                break;
            }
        }
    }
    if let Some((i, expanded)) = target {
        let mut new = expanded.unwrap_or_else(|| wanted.to_vec());
        if new.last() != Some(&b'\n') {
            new.push(b'\n');
        }
        if lines[i] == new {
            return Ok(None);
        }
        lines[i] = new;
        return Ok(Some("line replaced"));
    }
    if args.backrefs {
        return Ok(None);
    }
    let at = match anchor {
        Anchor::Start => 0,
        Anchor::End => lines.len(),
        Anchor::After(_) | Anchor::Before(_) => place.unwrap_or(lines.len()),
    };
    // Looking may have ended at the first anchor, and the line be right behind it.
    if matches!(anchor, Anchor::After(_)) && lines.get(at).is_some_and(|l| bare(l) == wanted) {
        return Ok(None);
    }
    if at > 0
        && let Some(before) = lines.get_mut(at - 1)
        && !matches!(before.last(), Some(b'\n' | b'\r'))
    {
        before.push(b'\n');
    }
    lines.insert(at, [wanted, b"\n"].concat());
    Ok(Some("line added"))
}

#[cfg(test)]
#[path = "lineinfile_tests.rs"]
mod tests;
