//! `apt_repository`: sources of packages, one a line.

use super::apt;
use super::args::Arguments;
use super::common::outputs::{failed, gist};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, ActionKind, Content, Decision, Diff, Install, Key, ModeSpec, Probe, Stop, TaskResult, View};
use crate::values::Value;

crate::module_choices! {
    /// Whether the source is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_args! {
    /// What `apt_repository` takes.
    pub struct RepositoryArgs {
        /// The source: `deb [signed-by=/etc/apt/keyrings/x.asc] https://… bookworm main`.
        repo: String;
        /// Whether it is there.
        state: State = State::Present;
        /// The file's name in `/etc/apt/sources.list.d`, without `.list`; made of the URL if not given.
        filename: Option<String>;
        /// The file's mode.
        mode: Option<ModeSpec>;
        /// Refresh the lists of packages after a change.
        update_cache: bool, ["update-cache"] = true;
        /// How often to try again where they can't be refreshed.
        update_cache_retries: i64 = 5;
        /// The longest pause between those tries, in seconds.
        update_cache_retry_max_delay: i64 = 12;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["apt_repository", "ansible.builtin.apt_repository", "ansible.legacy.apt_repository"],
    doc: "Sources of packages, one a line.",
    args: RepositoryArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| vec![Key::below("/etc/apt"), Key::Packages],
};

const READ: &str = r#"for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$f" ] || continue
  printf '\036%s\n' "$f"
  cat "$f"
done
exit 0
"#;

/// A file of sources, with its lines.
struct File {
    path: String,
    lines: Vec<String>,
}

fn read(text: &str) -> Vec<File> {
    text.split('\u{1e}')
        .skip(1)
        .map(|part| {
            let (path, body) = part.split_once('\n').unwrap_or((part, ""));
            File { path: path.to_owned(), lines: body.lines().map(str::to_owned).collect() }
        })
        .collect()
}

/// A line as a source and whether it counts; none for what is no source.
fn source(line: &str) -> Option<(String, bool)> {
    let trimmed = line.trim();
    let bare = trimmed.trim_start_matches(['#', ' ', '\t']);
    let text = bare.split('#').next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    (words.len() >= 3 && matches!(words[0], "deb" | "deb-src")).then(|| (words.join(" "), !trimmed.starts_with('#')))
}

/// The file's name that Ansible would choose: the URL without its scheme and login.
fn default_name(source: &str) -> String {
    let without_options = match (source.find('['), source.find(']')) {
        (Some(a), Some(b)) if a < b => format!("{}{}", &source[..a], &source[b + 1..]),
        _ => source.to_owned(),
    };
    let url = without_options.split_whitespace().find(|w| !matches!(*w, "deb" | "deb-src")).unwrap_or_default();
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    let bare = bare.split_once('@').map_or(bare, |(_, rest)| rest);
    bare.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty()).collect::<Vec<_>>().join("_")
}

fn plan(args: &RepositoryArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let wanted = check(args)?;
    if let Some(memory) = view.memory() {
        return after_refresh(view, memory);
    }
    let said = view.probe(Probe::new(READ, &[], vec![Key::below("/etc/apt")]))?;
    let files = read(&said.out());
    let name = args.filename.clone().unwrap_or_else(|| default_name(&wanted));
    let path = if name.starts_with('/') { name } else { format!("/etc/apt/sources.list.d/{name}") };
    let path = if path.ends_with(".list") { path } else { format!("{path}.list") };
    let is_it = |line: &String| source(line).is_some_and(|(s, _)| s == wanted);
    // Each file that changes, with its text before (none if it is new) and after.
    let mut changes: Vec<(String, Option<String>, String)> = Vec::new();
    let text = |lines: &[String]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
    let there = files.iter().any(|f| f.lines.iter().any(is_it));
    for file in &files {
        let mut lines = file.lines.clone();
        match args.state {
            State::Absent => lines.retain(|l| !is_it(l)),
            State::Present => {
                for line in lines.iter_mut().filter(|l| is_it(l)) {
                    if source(line).is_some_and(|(_, counts)| !counts) {
                        line.clone_from(&wanted);
                    }
                }
            }
        }
        if lines != file.lines {
            changes.push((file.path.clone(), Some(text(&file.lines)), text(&lines)));
        }
    }
    if args.state == State::Present && !there {
        let before = files.iter().find(|f| f.path == path).map(|f| text(&f.lines));
        let after = format!("{}{wanted}\n", before.as_deref().unwrap_or_default());
        changes.push((path, before, after));
    }
    let names = |new: bool| -> Vec<String> {
        let added = changes.iter().filter(|c| c.1.is_none() && new).map(|c| c.0.clone());
        added.chain(changes.iter().filter(|c| c.2.is_empty() && !new).map(|c| c.0.clone())).collect()
    };
    let mut result = TaskResult::changed(!changes.is_empty())
        .with("repo", args.repo.as_str())
        .with("state", args.state.word())
        .with("sources_added", names(true))
        .with("sources_removed", names(false));
    if changes.is_empty() {
        return Ok(Decision::nothing(result));
    }
    let mode = args.mode.as_ref().map(|m| m.apply(0o644, false, 0o022)).transpose()?.unwrap_or(0o644);
    let mut actions = Vec::new();
    for (path, before, after) in &changes {
        result = result.diff(Diff {
            before_header: path.clone(),
            after_header: path.clone(),
            before: before.clone().unwrap_or_default(),
            after: after.clone(),
        });
        actions.push(put(
            path,
            Some(after).filter(|a| !a.is_empty() || path == "/etc/apt/sources.list"),
            mode,
            before.is_some(),
        ));
    }
    if !args.update_cache {
        return Ok(Decision::act(result, actions));
    }
    actions.push(apt::refresh(args.update_cache_retries, args.update_cache_retry_max_delay));
    let old: Vec<Value> = changes
        .iter()
        .map(|(path, before, _)| Value::from_pairs([("path", path.into()), ("text", before.clone().into())]))
        .collect();
    let memory = Value::from_pairs([
        ("old", Value::list(old)),
        ("mode", mode.into()),
        ("data", Value::map(result.data.clone())),
    ]);
    Ok(Decision::again(result, actions, memory))
}

fn check(args: &RepositoryArgs) -> Result<String, Stop> {
    if args.repo.trim().starts_with("ppa:") {
        return Err(Stop::fail(
            "`ppa:` is not supported: give the archive's line, `deb [signed-by=/etc/apt/keyrings/NAME.asc] https://ppa.launchpadcontent.net/OWNER/NAME/ubuntu CODENAME main`",
        ));
    }
    if args.repo.contains('\n') {
        return Err(Stop::fail("`repo` must be one line"));
    }
    if args.filename.as_ref().is_some_and(|f| f.is_empty() || (f.contains('/') && !f.starts_with('/'))) {
        return Err(Stop::fail("`filename` must be a name without a slash, or an absolute path"));
    }
    match source(&args.repo) {
        Some((source, true)) => Ok(source),
        _ => Err(Stop::fail(format!("Invalid repository string: {}; expected `deb URL SUITE COMPONENT`", args.repo))),
    }
}

/// Writes a file, or removes it.
fn put(path: &str, text: Option<&String>, mode: u32, replaces: bool) -> Action {
    let Some(text) = text else {
        return Action::new(ActionKind::Remove { path: path.to_owned(), recursive: false }, format!("remove {path}"));
    };
    let install = Install {
        path: path.to_owned(),
        content: Content::text(text),
        mode,
        owner: None,
        group: None,
        replaces,
        backup: None,
        validate: None,
        unsafe_writes: false,
    };
    Action::new(ActionKind::Install(install), format!("write {path}"))
}

/// After refreshing: done, or back to what was there before, so that a source that does not answer breaks nothing.
fn after_refresh(view: &View<'_>, memory: &Value) -> Result<Decision, Stop> {
    if let Some(message) = memory.get("failed").and_then(Value::as_str) {
        return Err(Stop::fail(message));
    }
    let Some(output) = view.outputs().iter().find(|o| !o.success()) else {
        let data = memory.get("data").and_then(Value::as_map).cloned().unwrap_or_default();
        return Ok(Decision::nothing(TaskResult { changed: true, data, ..TaskResult::default() }));
    };
    let mode = memory.get("mode").and_then(Value::as_int).and_then(|m| u32::try_from(m).ok()).unwrap_or(0o644);
    let mut actions = Vec::new();
    for old in memory.get("old").and_then(Value::as_list).unwrap_or_default() {
        let path = old.get("path").map(ToString::to_string).unwrap_or_default();
        let text = old.get("text").and_then(Value::as_str).map(str::to_owned);
        actions.push(put(&path, text.as_ref(), mode, true));
    }
    let message = format!("failed to refresh the lists of packages, the sources are as they were: {}", gist(output));
    let Stop::Fail(failure) = failed(message.clone(), output) else { return Err(Stop::fail(message)) };
    let foretold = TaskResult { failed: true, data: failure.data, ..TaskResult::default() }.msg(message.clone());
    Ok(Decision::again(foretold, actions, Value::from_pairs([("failed", message.into())])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    const LINE: &str = "deb [signed-by=/k.asc] https://u:p@apt.example.org/pub/x bookworm main";

    fn host(text: &'static str, ok: bool) -> Fake {
        Fake::new()
            .dir("/etc", 0o755)
            .dir("/etc/apt", 0o755)
            .dir("/etc/apt/sources.list.d", 0o755)
            .file("/etc/apt/sources.list.d/x.list", text, 0o644)
            .probe(move |_| Some(Output::ok(&format!("\x1e/etc/apt/sources.list.d/x.list\n{text}"))))
            .on_run(move |_, _| {
                Some(if ok { Output::ok("") } else { Output::failed(100, "E: The repository has no Release file\n") })
            })
    }

    const NAMED: &str = "/etc/apt/sources.list.d/apt_example_org_pub_x.list";

    #[test]
    fn a_source_is_added_and_the_lists_refreshed() {
        let mut host = host("deb http://other bookworm main\n", true);
        let decision = host.converge("apt_repository", json!({"repo": LINE}));
        assert_eq!(host.text(NAMED), format!("{LINE}\n"));
        assert_eq!(host.ran().len(), 1);
        assert_eq!(decision.result.data["sources_added"].to_string(), format!("['{NAMED}']"));
        host.converge("apt_repository", json!({"repo": LINE, "filename": "mine", "update_cache": false}));
        assert_eq!(host.text("/etc/apt/sources.list.d/mine.list"), format!("{LINE}\n"));
        assert_eq!(host.ran().len(), 1);
    }

    #[test]
    fn a_source_that_fails_is_taken_back() {
        let mut host = host("", false);
        let message = host.fails("apt_repository", json!({"repo": LINE}));
        assert!(message.contains("no Release file"), "{message}");
        assert!(!host.state(NAMED).exists());
    }

    #[test]
    fn what_is_there_is_left_switched_on_or_removed() {
        let mut host = host("deb  http://a  bookworm main # x\n#deb http://b bookworm main\n", true);
        host.settled("apt_repository", json!({"repo": "deb http://a bookworm main"}));
        host.converge("apt_repository", json!({"repo": "deb http://b bookworm main"}));
        assert_eq!(
            host.text("/etc/apt/sources.list.d/x.list"),
            "deb  http://a  bookworm main # x\ndeb http://b bookworm main\n"
        );
        let mut host = self::host("deb http://a bookworm main\n", true);
        host.converge("apt_repository", json!({"repo": "deb http://a bookworm main", "state": "absent"}));
        assert!(!host.state("/etc/apt/sources.list.d/x.list").exists());
        host.settled("apt_repository", json!({"repo": "deb http://c bookworm main", "state": "absent"}));
    }

    #[test]
    fn what_is_no_source_is_refused() {
        let mut host = host("", true);
        assert!(host.fails("apt_repository", json!({"repo": "ppa:a/b"})).contains("ppa.launchpadcontent.net"));
        assert!(host.fails("apt_repository", json!({"repo": "hello"})).contains("Invalid repository string"));
        assert!(host.fails("apt_repository", json!({"repo": LINE, "filename": "../x"})).contains("filename"));
        assert_eq!(
            default_name("deb http://archive.canonical.com/ubuntu hardy partner"),
            "archive_canonical_com_ubuntu"
        );
    }
}
