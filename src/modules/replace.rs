//! `replace`: all that a regular expression finds in a file, replaced.

use super::args::Arguments;
use super::common::attributes::FileAttributes;
use super::common::edit;
use super::common::put::How;
use super::common::regex::{Over, Pattern};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, TaskResult, View};

crate::module_choices! {
    /// How the file's bytes are read as text.
    pub enum Encoding {
        /// The only one.
        Utf8 = "utf-8" | "utf8" | "UTF-8",
    }
}

crate::module_args! {
    /// What `replace` takes.
    pub struct ReplaceArgs {
        /// The file.
        path: String, ["dest", "destfile", "name"];
        /// What to look for; `^` and `$` mean the ends of lines.
        regexp: String;
        /// What to put there; `\1` and `\g<name>` are groups of the match.
        replace: String = "";
        /// Only after the first match of this regular expression.
        after: Option<String>;
        /// Only before the match of this regular expression.
        before: Option<String>;
        /// Keep a copy of the former file.
        backup: bool = false;
        /// A command that must accept the new file, whose name is put for `%s`.
        validate: Option<String>;
        /// How the file's bytes are read as text.
        encoding: Encoding = Encoding::Utf8;
    } + attributes: FileAttributes
}

/// The module.
pub static MODULE: Module = Module {
    names: &["replace", "ansible.builtin.replace", "ansible.legacy.replace"],
    doc: "All that a regular expression finds in a file, replaced.",
    args: <ReplaceArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    // A link at the path leads anywhere.
    writes: super::registry::anything,
};

fn plan(args: &ReplaceArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let pattern = Pattern::new(&args.regexp, Over::Text, true, false)?;
    let non_empty = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let part = match (non_empty(&args.after), non_empty(&args.before)) {
        (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
        (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
        (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        (None, None) => None,
    };
    let part = part.map(|p| Pattern::new(&p, Over::Text, false, true)).transpose()?;
    let editing = edit::open(view, &args.path)?;
    let Some(before) = &editing.before else {
        return Err(edit::refused(257, format!("{} does not exist", editing.path)));
    };
    let text = std::str::from_utf8(before)
        .map_err(|e| Stop::fail(format!("{} is no UTF-8 text (at byte {})", editing.path, e.valid_up_to())))?;
    let result = TaskResult::ok().with("rc", 0);
    let (start, end) = match &part {
        None => (0, text.len()),
        Some(part) => match part.find(text)?.and_then(|found| found.group("subsection")) {
            Some(span) => span,
            None => {
                let msg = "the patterns of `before` and `after` did not match the file";
                return Ok(Decision::nothing(result.msg(msg)));
            }
        },
    };
    let (replaced, count) = pattern.replace_all(&text[start..end], &args.replace)?;
    let changed = count > 0 && replaced != text[start..end];
    let after = changed.then(|| format!("{}{replaced}{}", &text[..start], &text[end..]));
    let msg = if changed { format!("{count} replacements made") } else { String::new() };
    let how = How { attributes: &args.attributes, backup: args.backup, validate: args.validate.as_deref() };
    edit::save(view, &editing, after.as_deref().map(str::as_bytes), &msg, how, result)
}

#[cfg(test)]
mod tests {
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host() -> Fake {
        Fake::new().dir("/etc", 0o755).file("/etc/f", "a=1\n[x]\na=2\n[y]\na=3\n", 0o640)
    }

    #[test]
    fn all_matches_are_replaced() {
        let mut host = host();
        let decision = host.converge("replace", json!({"path": "/etc/f", "regexp": "^a=(\\d)$", "replace": "b=\\1"}));
        assert_eq!(host.text("/etc/f"), "b=1\n[x]\nb=2\n[y]\nb=3\n");
        assert_eq!(decision.result.msg.as_deref(), Some("3 replacements made"));
        assert_eq!(host.state("/etc/f").mode, 0o640);
        host.settled("replace", json!({"path": "/etc/f", "regexp": "^a=(\\d)$", "replace": "b=\\1"}));
        host.settled("replace", json!({"path": "/etc/f", "regexp": "^b", "replace": "b"}));
    }

    #[test]
    fn only_between_two_patterns() {
        let mut host = host();
        let args = json!({"path": "/etc/f", "regexp": "a", "replace": "b", "after": "\\[x\\]", "before": "\\[y\\]"});
        host.converge("replace", args);
        assert_eq!(host.text("/etc/f"), "a=1\n[x]\nb=2\n[y]\na=3\n");
        host.converge("replace", json!({"path": "/etc/f", "regexp": "^a.*\n", "before": "\\[x\\]"}));
        assert_eq!(host.text("/etc/f"), "[x]\nb=2\n[y]\na=3\n");
        host.settled("replace", json!({"path": "/etc/f", "regexp": "a", "replace": "b", "after": "nowhere"}));
    }

    #[test]
    fn attributes_alone_and_failures() {
        let mut host = host();
        let decision = host.converge("replace", json!({"path": "/etc/f", "regexp": "zzz", "mode": "0600"}));
        assert_eq!(decision.result.msg.as_deref(), Some("ownership or permissions changed"));
        assert!(host.fails("replace", json!({"path": "/etc/g", "regexp": "a"})).contains("does not exist"));
        assert!(host.fails("replace", json!({"path": "/etc/f", "regexp": "("})).contains("regular expression"));
    }
}
