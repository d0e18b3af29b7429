//! `blockinfile`: some lines of a file, between two marks.

use super::args::Arguments;
use super::common::attributes::FileAttributes;
use super::common::edit;
use super::common::put::How;
use super::common::regex::{Over, Pattern, widen};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, TaskResult, View};

crate::module_choices! {
    /// Whether the block is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_args! {
    /// What `blockinfile` takes.
    pub struct BlockArgs {
        /// The file.
        path: String, ["dest", "destfile", "name"];
        /// Whether the block is there; an empty block is not.
        state: State = State::Present;
        /// The lines above and below the block; `{mark}` becomes `marker_begin` and `marker_end`.
        marker: String = "# {mark} ANSIBLE MANAGED BLOCK";
        /// What the block consists of.
        block: String, ["content"] = "";
        /// Where a new block goes: after the last line that this regular expression is found in, or `EOF`.
        insertafter: Option<String>;
        /// Where a new block goes: before the last line that this regular expression is found in, or `BOF`.
        insertbefore: Option<String>;
        /// Make the file where there is none.
        create: bool = false;
        /// Keep a copy of the former file.
        backup: bool = false;
        /// A command that must accept the new file, whose name is put for `%s`.
        validate: Option<String>;
        /// What `{mark}` is above the block.
        marker_begin: String = "BEGIN";
        /// What `{mark}` is below the block.
        marker_end: String = "END";
        /// Put an empty line after the block.
        append_newline: bool = false;
        /// Put an empty line before the block.
        prepend_newline: bool = false;
    } + attributes: FileAttributes
}

/// The module.
pub static MODULE: Module = Module {
    names: &["blockinfile", "ansible.builtin.blockinfile", "ansible.legacy.blockinfile"],
    doc: "Some lines of a file, between two marks.",
    args: <BlockArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    // A link at the path leads anywhere.
    writes: super::registry::anything,
};

fn plan(args: &BlockArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if args.insertafter.is_some() && args.insertbefore.is_some() {
        return Err(Stop::fail("`insertbefore` and `insertafter` exclude each other"));
    }
    let compile = |p: &str| Pattern::new(p, Over::Bytes, false, false);
    let anchor = match (args.insertafter.as_deref(), args.insertbefore.as_deref()) {
        (_, Some("BOF")) => Anchor::Start,
        (None, None) | (Some("EOF"), _) => Anchor::End,
        (Some(pattern), _) => Anchor::After(compile(pattern)?),
        (None, Some(pattern)) => Anchor::Before(compile(pattern)?),
    };
    let editing = edit::open(view, &args.path)?;
    if editing.before.is_none() {
        if args.state == State::Absent {
            return Ok(Decision::nothing(TaskResult::ok().msg(format!("{} is not there", editing.path))));
        }
        if !args.create {
            return Err(edit::not_there(&editing.path));
        }
    }
    let before = editing.before.as_deref();
    let after = edited(args, before.unwrap_or_default(), &anchor)?;
    let msg = match before {
        None => "File created",
        Some(before) if before == after => "",
        Some(_) if args.state == State::Absent || args.block.is_empty() => "Block removed",
        Some(_) => "Block inserted",
    };
    let how = How { attributes: &args.attributes, backup: args.backup, validate: args.validate.as_deref() };
    edit::save(view, &editing, Some(&after), msg, how, TaskResult::ok())
}

enum Anchor {
    Start,
    End,
    After(Pattern),
    Before(Pattern),
}

/// Lines with their ends, which are `\n`, `\r\n` or `\r`.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (i, &b) in bytes.iter().enumerate() {
        if b == b'\n' || (b == b'\r' && bytes.get(i + 1) != Some(&b'\n')) {
            lines.push(bytes[start..=i].to_vec());
            start = i + 1;
        }
    }
    if start < bytes.len() {
        lines.push(bytes[start..].to_vec());
    }
    lines
}

fn edited(args: &BlockArgs, before: &[u8], anchor: &Anchor) -> Result<Vec<u8>, Stop> {
    let mut lines = split(before);
    let mark = |word: &str| format!("{}\n", args.marker.replace("{mark}", word)).into_bytes();
    let (begin, end) = (mark(&args.marker_begin), mark(&args.marker_end));
    let present = args.state == State::Present;
    let mut block = Vec::new();
    if present && !args.block.is_empty() {
        block.push(begin.clone());
        let newline = if args.block.ends_with('\n') { "" } else { "\n" };
        block.extend(split(format!("{}{newline}", args.block).as_bytes()));
        block.push(end.clone());
    }
    let last = |wanted: &[u8]| lines.iter().rposition(|l| l == wanted);
    let mut at = match (last(&begin), last(&end)) {
        (Some(a), Some(b)) => {
            lines.drain(a.min(b)..=a.max(b));
            a.min(b)
        }
        _ => place(&lines, before, anchor)?,
    };
    if at > 0 && lines[at - 1].last() != Some(&b'\n') {
        lines[at - 1].push(b'\n');
    }
    if args.prepend_newline && present && at > 0 && lines[at - 1] != b"\n" {
        lines.insert(at, b"\n".to_vec());
        at += 1;
    }
    let below = at + block.len();
    lines.splice(at..at, block);
    if args.append_newline && present && lines.get(below).is_some_and(|l| l != b"\n") {
        lines.insert(below, b"\n".to_vec());
    }
    Ok(lines.concat())
}

/// Before which line a new block goes.
fn place(lines: &[Vec<u8>], text: &[u8], anchor: &Anchor) -> Result<usize, Stop> {
    let (pattern, after) = match anchor {
        Anchor::Start => return Ok(0),
        Anchor::End => return Ok(lines.len()),
        Anchor::After(pattern) => (pattern, true),
        Anchor::Before(pattern) => (pattern, false),
    };
    let mut at = None;
    if pattern.multiline {
        // A pattern that speaks of lines itself is looked for in the whole text, once.
        let wide = widen(text);
        at = pattern.find(&wide)?.map(|found| {
            let (start, end) = found.span();
            wide[..if after { end } else { start }].matches('\n').count()
        });
    } else {
        for (i, line) in lines.iter().enumerate() {
            if pattern.find(&widen(line))?.is_some() {
                at = Some(i);
            }
        }
    }
    Ok(at.map_or(lines.len(), |i| (i + usize::from(after)).min(lines.len())))
}

#[cfg(test)]
mod tests {
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn after(before: &str, args: serde_json::Value) -> String {
        let mut host = Fake::new().dir("/etc", 0o755).file("/etc/f", before, 0o644);
        let mut all = json!({"path": "/etc/f", "marker": "# {mark}"});
        all.as_object_mut().into_iter().for_each(|all| all.extend(args.as_object().cloned().unwrap_or_default()));
        host.converge("blockinfile", all.clone());
        host.settled("blockinfile", all);
        host.text("/etc/f")
    }

    #[test]
    fn a_block_is_put_replaced_and_removed() {
        assert_eq!(after("a\n", json!({"block": "x\ny"})), "a\n# BEGIN\nx\ny\n# END\n");
        assert_eq!(after("a", json!({"block": "x\n"})), "a\n# BEGIN\nx\n# END\n");
        assert_eq!(after("a\n# BEGIN\nold\n# END\nb\n", json!({"block": "new"})), "a\n# BEGIN\nnew\n# END\nb\n");
        assert_eq!(after("a\n# END\nold\n# BEGIN\nb\n", json!({"block": "new"})), "a\n# BEGIN\nnew\n# END\nb\n");
        assert_eq!(after("a\n# BEGIN\nold\n# END\nb\n", json!({"state": "absent"})), "a\nb\n");
        assert_eq!(after("a\n# BEGIN\nold\n# END\nb\n", json!({"block": ""})), "a\nb\n");
    }

    #[test]
    fn a_new_block_goes_where_it_is_asked_for() {
        assert_eq!(after("a\nb\n", json!({"block": "x", "insertbefore": "BOF"})), "# BEGIN\nx\n# END\na\nb\n");
        assert_eq!(after("a\nb\n", json!({"block": "x", "insertafter": "^a"})), "a\n# BEGIN\nx\n# END\nb\n");
        assert_eq!(after("a\nb\n", json!({"block": "x", "insertbefore": "^b$"})), "a\n# BEGIN\nx\n# END\nb\n");
        assert_eq!(after("a\nb\n", json!({"block": "x", "insertafter": "^z"})), "a\nb\n# BEGIN\nx\n# END\n");
        let text = "[s]\na\n[t]\nb\n";
        let args = json!({"block": "x", "insertafter": "(?m)^\\[s\\]\\na$"});
        assert_eq!(after(text, args), "[s]\na\n# BEGIN\nx\n# END\n[t]\nb\n");
    }

    #[test]
    fn empty_lines_around_it() {
        let args = json!({"block": "x", "insertafter": "^a", "prepend_newline": true, "append_newline": true});
        assert_eq!(after("a\nb\n", args.clone()), "a\n\n# BEGIN\nx\n# END\n\nb\n");
        assert_eq!(after("a\n\n# BEGIN\nx\n# END\n\nb\n", args), "a\n\n# BEGIN\nx\n# END\n\nb\n");
    }

    #[test]
    fn a_file_is_made_with_its_folder_only_when_asked() {
        let mut host = Fake::new();
        assert!(host.fails("blockinfile", json!({"path": "/e/f", "block": "x"})).contains("does not exist"));
        let args = json!({"path": "/e/f", "block": "x", "create": true, "mode": "0600"});
        let decision = host.converge("blockinfile", args.clone());
        assert_eq!(decision.result.msg.as_deref(), Some("File created"));
        assert_eq!(host.text("/e/f"), "# BEGIN ANSIBLE MANAGED BLOCK\nx\n# END ANSIBLE MANAGED BLOCK\n");
        assert_eq!(host.state("/e/f").mode, 0o600);
        host.settled("blockinfile", args);
        host.settled("blockinfile", json!({"path": "/e/none", "state": "absent"}));
        assert!(host.fails("blockinfile", json!({"path": "/e", "block": "x"})).contains("folder"));
    }
}
