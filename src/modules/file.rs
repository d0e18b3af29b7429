//! `file`: folders, links, removal, and the attributes of what is there.

use super::common::attributes::FileAttributes;
use super::common::folders;
use super::registry::{FreeForm, Module, Needs};
use crate::host::key::{clean, file_name, parent};
use crate::host::{Action, ActionKind, Decision, Diff, Key, PathKind, PathState, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_choices! {
    /// What should be at the path.
    pub enum State {
        /// Nothing.
        Absent = "absent",
        /// A folder, with its parents.
        Directory = "directory",
        /// What is there, which must exist.
        File = "file",
        /// A hard link to `src`.
        Hard = "hard",
        /// A symbolic link to `src`.
        Link = "link",
        /// A file whose times are set.
        Touch = "touch",
    }
}

crate::module_args! {
    /// What `file` takes.
    pub struct FileArgs {
        /// The path.
        path: String, ["dest", "name"];
        /// What should be there; by default what is there, or `file`, or `directory` with `recurse`.
        state: Option<State>;
        /// What a link points to.
        src: Option<String>;
        /// Give the attributes to all that is below the folder, too.
        recurse: bool = false;
        /// Replace what is in the way of a link, and link to what does not exist yet.
        force: bool = false;
        /// Follow a link at `path` when setting attributes.
        follow: bool = true;
        /// `preserve`, `now`, or a time in `modification_time_format`.
        modification_time: Option<String>;
        /// As strftime(3) has it.
        modification_time_format: String = "%Y%m%d%H%M.%S";
        /// `preserve`, `now`, or a time in `access_time_format`.
        access_time: Option<String>;
        /// As strftime(3) has it.
        access_time_format: String = "%Y%m%d%H%M.%S";
    } + attributes: FileAttributes
}

/// The module.
pub static MODULE: Module = Module {
    names: &["file", "ansible.builtin.file", "ansible.legacy.file"],
    doc: "Folders, links, removal, and the attributes of what is there.",
    args: <FileArgs as super::args::Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes,
};

fn writes(map: &Map) -> Vec<Key> {
    let path = ["path", "dest", "name"].iter().find_map(|n| map.get(*n)).and_then(|v| v.as_str());
    path.map_or_else(|| vec![Key::Anything], |p| vec![Key::below(p)])
}

fn plan(args: &FileArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let path = clean(&args.path);
    if !path.starts_with('/') {
        return Err(Stop::fail(format!("`path` must be absolute, not `{}`", args.path)));
    }
    if args.recurse && args.state.is_some_and(|s| s != State::Directory) {
        return Err(Stop::fail("`recurse` needs `state: directory`"));
    }
    let now = view.path(&path);
    // What a link is to point to, and the folders above a new one, are asked in the same breath.
    if let (Some(State::Link), Some(src)) = (args.state, &args.src) {
        let _ = view.path_with(&absolute(&path, src), true, None);
    }
    if now.is_err() && args.state == Some(State::Directory) {
        let _ = folders::missing(view, &path);
    }
    let now = now?;
    let state = match (args.state, now.kind) {
        (Some(state), _) => state,
        (None, PathKind::Directory) => State::Directory,
        (None, PathKind::Link) => State::Link,
        (None, _) if args.recurse => State::Directory,
        (None, _) if args.src.is_some() => return Err(Stop::fail("`src` needs `state: link` or `state: hard`")),
        (None, _) => State::File,
    };
    let decision = match state {
        State::Absent => absent(&path, &now),
        State::Directory => directory(args, view, &path, now)?,
        State::File => existing(args, view, &path, now)?,
        State::Link => link(args, view, &path, &now)?,
        State::Hard => hard(args, view, &path, &now)?,
        State::Touch => touch(args, view, &path, now)?,
    };
    Ok(decision)
}

fn result(path: &str, before: &PathState, after: &str, changed: bool) -> TaskResult {
    let mut result = TaskResult::changed(changed).with("path", path).with("dest", path);
    if changed {
        result = result.diff(Diff {
            before_header: path.to_owned(),
            after_header: path.to_owned(),
            before: format!("state: {}\n", word(before.kind)),
            after: format!("state: {after}\n"),
        });
    }
    result
}

/// A result with what is known of what will be there: owner, group, mode and size, as far as it can be told.
fn describe(result: TaskResult, args: &FileArgs, view: &View<'_>, now: &PathState, new: &PathState) -> TaskResult {
    let (there, me) = (if now.exists() { now } else { new }, view.whoami());
    let known = |name: &str| match name {
        "root" => Some(0),
        name => (name == me.user).then_some(me.uid),
    };
    let who =
        |wanted: &Option<String>, same: Option<bool>, id: Option<u32>, name: &Option<String>, known: Option<u32>| {
            match wanted.as_ref().filter(|_| same != Some(true)) {
                None => (id, name.clone()),
                Some(wanted) => match wanted.parse::<u32>() {
                    Ok(number) => (Some(number), None),
                    Err(_) => (known, Some(wanted.clone())),
                },
            }
        };
    let (owner, group) = (&args.attributes.owner, &args.attributes.group);
    let same = |of: Option<bool>| of.filter(|_| now.exists());
    let (uid, owner) = who(
        owner,
        owner.as_deref().and_then(|o| same(now.owned_by(o))),
        there.uid,
        &there.owner,
        owner.as_deref().and_then(known),
    );
    let (gid, group) = who(
        group,
        group.as_deref().and_then(|g| same(now.grouped_by(g))),
        there.gid,
        &there.group,
        group.as_deref().filter(|g| *g == "root").map(|_| 0),
    );
    let mode = match there.kind {
        PathKind::Link => there.mode,
        _ => args.attributes.final_mode(there, there.mode).unwrap_or(there.mode),
    };
    let mut result = result.with("mode", format!("{mode:04o}"));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            result.data.insert(name.into(), value);
        }
    };
    put("uid", uid.map(|n| Value::from(i64::from(n))));
    put("gid", gid.map(|n| Value::from(i64::from(n))));
    put("owner", owner.map(Value::from));
    put("group", group.map(Value::from));
    put("size", there.size.and_then(|n| i64::try_from(n).ok()).map(Value::from));
    result
}

/// What is made of a kind by whoever works: its group is left open, since a folder may hand down its own.
fn made(view: &View<'_>, kind: PathKind, mode: u32, size: Option<u64>) -> PathState {
    let mut state = PathState::of(kind, mode);
    (state.uid, state.owner) = (Some(view.whoami().uid), Some(view.whoami().user.clone()));
    state.size = size;
    state
}

fn word(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Absent => "absent",
        PathKind::Directory => "directory",
        PathKind::Link => "link",
        _ => "file",
    }
}

fn absent(path: &str, now: &PathState) -> Decision {
    if !now.exists() {
        return Decision::nothing(TaskResult::ok().with("path", path).with("state", "absent"));
    }
    let recursive = now.kind == PathKind::Directory;
    let action = Action::new(ActionKind::Remove { path: path.to_owned(), recursive }, format!("remove {path}"));
    Decision::act(result(path, now, "absent", true).with("state", "absent"), vec![action])
}

/// What a link at `path` leads to, where links are followed; else what is at `path`.
fn followed(args: &FileArgs, view: &View<'_>, path: &str, now: PathState) -> Result<(String, PathState), Stop> {
    if now.kind != PathKind::Link || !args.follow {
        return Ok((path.to_owned(), now));
    }
    let behind = view.path_with(path, true, None)?;
    let real = behind.real.clone().unwrap_or_else(|| path.to_owned());
    Ok((real, behind))
}

fn directory(args: &FileArgs, view: &View<'_>, path: &str, now: PathState) -> Result<Decision, Stop> {
    let before = now.clone();
    let (path, now) = followed(args, view, path, now)?;
    let mut actions = Vec::new();
    if !now.exists() {
        for missing in folders::missing(view, &path)? {
            let mode = args.attributes.mode.as_ref().map(|m| m.apply(0o755, true, 0o022)).transpose()?;
            actions.push(Action::new(
                ActionKind::Directory {
                    path: missing.clone(),
                    mode,
                    owner: args.attributes.owner.clone(),
                    group: args.attributes.group.clone(),
                },
                format!("create folder {missing}"),
            ));
        }
    } else if now.kind != PathKind::Directory {
        return Err(Stop::fail(format!("{path} already exists as a {}", word(now.kind))));
    } else {
        actions.extend(args.attributes.change(&path, &now, true)?);
        if args.recurse {
            let entries = view.tree(&path, None)?;
            for entry in entries.iter().flat_map(|e| e.iter()) {
                let below = format!("{path}/{}", entry.name);
                actions.extend(args.attributes.change(&below, &entry.state, false)?);
            }
        }
    }
    let changed = !actions.is_empty();
    let done = result(&path, &before, "directory", changed).with("state", "directory");
    let new = made(view, PathKind::Directory, 0o755, None);
    Ok(Decision::act(describe(done, args, view, &now, &new), actions))
}

fn existing(args: &FileArgs, view: &View<'_>, path: &str, now: PathState) -> Result<Decision, Stop> {
    let before = now.clone();
    let (path, now) = followed(args, view, path, now)?;
    match now.kind {
        PathKind::Absent => {
            return Err(Stop::fail(format!(
                "file ({path}) is absent, cannot continue; `state: touch` would create it"
            )));
        }
        PathKind::Directory => {
            return Err(Stop::fail(format!("file ({path}) is directory, cannot continue")));
        }
        _ => {}
    }
    let action = args.attributes.change(&path, &now, true)?;
    let done = result(&path, &before, "file", action.is_some()).with("state", "file");
    Ok(Decision::act(describe(done, args, view, &now, &now), action.into_iter().collect()))
}

fn link(args: &FileArgs, view: &View<'_>, path: &str, now: &PathState) -> Result<Decision, Stop> {
    let target = match (&args.src, now.kind) {
        (Some(src), _) => src.clone(),
        (None, PathKind::Link) => now.target.clone().unwrap_or_default(),
        (None, _) => return Err(Stop::fail("`src` is required to create a link")),
    };
    // Into an existing folder, as `ln -s` would.
    let (path, now) = if now.kind == PathKind::Directory && !args.force {
        let inner = format!("{path}/{}", file_name(&target));
        let state = view.path(&inner)?;
        (inner, state)
    } else {
        (path.to_owned(), now.clone())
    };
    let absolute = absolute(&path, &target);
    if !args.force && !view.path_with(&absolute, true, None)?.exists() {
        return Err(Stop::fail(format!(
            "src file does not exist, use \"force: true\" if you want to link anyway: {absolute}"
        )));
    }
    let mut actions = Vec::new();
    if now.kind != PathKind::Link || now.target.as_deref() != Some(&target) {
        match now.kind {
            PathKind::Absent | PathKind::Link => {}
            PathKind::Directory => {
                let empty = view.tree(&path, None)?.is_none_or(|entries| entries.is_empty());
                if !empty {
                    return Err(Stop::fail(format!("the folder {path} is not empty, refusing to convert it")));
                }
                actions.push(Action::new(
                    ActionKind::Remove { path: path.clone(), recursive: true },
                    format!("remove {path}"),
                ));
            }
            _ if args.force => {}
            _ => {
                return Err(Stop::fail(format!(
                    "refusing to convert from file to symlink for {path}; `force: true` does it"
                )));
            }
        }
        actions.push(Action::new(
            ActionKind::Link { path: path.clone(), target: target.clone(), hard: false },
            format!("link {path} -> {target}"),
        ));
    }
    if (args.attributes.owner.is_some() || args.attributes.group.is_some() || args.attributes.mode.is_some())
        && actions.is_empty()
    {
        let (behind_path, behind) = if args.follow {
            let behind = view.path_with(&path, true, None)?;
            (behind.real.clone().unwrap_or_else(|| path.clone()), behind)
        } else {
            (path.clone(), now.clone())
        };
        if behind.exists() {
            actions.extend(args.attributes.change(&behind_path, &behind, args.follow)?);
        }
    }
    let changed = !actions.is_empty();
    let new = made(view, PathKind::Link, 0o777, Some(target.len() as u64));
    let stays = now.kind == PathKind::Link && now.target.as_deref() == Some(&target);
    let there = if stays { &now } else { &new };
    let done = result(&path, &now, "link", changed).with("src", target.as_str()).with("state", "link");
    // What is asked for is given to what the link leads to; the result tells of the link.
    let plain = FileArgs {
        attributes: FileAttributes { owner: None, group: None, mode: None, ..args.attributes.clone() },
        ..args.clone()
    };
    Ok(Decision::act(describe(done, &plain, view, there, there), actions))
}

/// Where a link at `path` to `target` leads.
fn absolute(path: &str, target: &str) -> String {
    if target.starts_with('/') { clean(target) } else { clean(&format!("{}/{target}", parent(path).unwrap_or("/"))) }
}

fn hard(args: &FileArgs, view: &View<'_>, path: &str, now: &PathState) -> Result<Decision, Stop> {
    let Some(src) = &args.src else {
        return Err(Stop::fail("`src` is required to create a hard link"));
    };
    let src = clean(src);
    let source = view.path(&src)?;
    if !source.exists() {
        return Err(Stop::fail(format!("src does not exist: {src}")));
    }
    let same = match (&source.times, &now.times) {
        (Some(a), Some(b)) => now.exists() && a.inode == b.inode && a.device == b.device,
        _ => false,
    };
    let mut actions = Vec::new();
    if !same {
        if now.exists() && !args.force {
            return Err(Stop::fail(format!(
                "cannot link, {path} exists and is something else; `force: true` replaces it"
            )));
        }
        actions.push(Action::new(
            ActionKind::Link { path: path.to_owned(), target: src.clone(), hard: true },
            format!("hard link {path} to {src}"),
        ));
    } else {
        actions.extend(args.attributes.change(path, now, true)?);
    }
    let changed = !actions.is_empty();
    let done = result(path, now, "hard", changed).with("src", src).with("state", "hard");
    Ok(Decision::act(describe(done, args, view, &source, &source), actions))
}

fn touch(args: &FileArgs, view: &View<'_>, path: &str, now: PathState) -> Result<Decision, Stop> {
    let before = now.clone();
    let (path, now) = followed(args, view, path, now)?;
    let time = |wanted: &Option<String>, format: &str, current: Option<i64>| -> Result<Option<Option<i64>>, Stop> {
        match wanted.as_deref() {
            Some("preserve") => Ok(None),
            None | Some("now") => Ok(Some(None)),
            Some(text) => {
                let at = parse_time(text, format)?;
                Ok((current != Some(at)).then_some(Some(at)))
            }
        }
    };
    let mtime = time(&args.modification_time, &args.modification_time_format, now.times.as_ref().map(|t| t.mtime))?;
    let atime = time(&args.access_time, &args.access_time_format, now.times.as_ref().map(|t| t.atime))?;
    let mut actions = Vec::new();
    if !now.exists() || mtime.is_some() || atime.is_some() {
        let mut touch = Action::new(ActionKind::Touch { path: path.clone(), atime, mtime }, format!("touch {path}"));
        if before.kind == PathKind::Link && !now.exists() {
            // The file comes up wherever the link leads.
            touch.writes.push(Key::below("/"));
        }
        actions.push(touch);
    }
    if now.exists() {
        actions.extend(args.attributes.change(&path, &now, true)?);
    } else {
        actions.extend(args.attributes.set(&path, &PathState::of(PathKind::File, 0o644))?);
    }
    let changed = !actions.is_empty();
    let state = if now.kind == PathKind::Directory { "directory" } else { "file" };
    let done = result(&path, &before, "touch", changed).with("state", state);
    let new = made(view, PathKind::File, 0o644, Some(0));
    Ok(Decision::act(describe(done, args, view, &now, &new), actions))
}

fn parse_time(text: &str, format: &str) -> Result<i64, Stop> {
    let wrong = |error: jiff::Error| Stop::fail(format!("`{text}` is not a time in the format `{format}`: {error}"));
    let broken_down = jiff::fmt::strtime::parse(format, text).map_err(wrong)?;
    let datetime = broken_down.to_datetime().map_err(wrong)?;
    let zoned = datetime.to_zoned(jiff::tz::TimeZone::UTC).map_err(wrong)?;
    Ok(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use crate::host::{ActionKind, PathKind};
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn results_tell_what_is_there() {
        let mut host = Fake::new().file("/f", "abc", 0o640).link("/l", "/f");
        let fields = |result: &crate::host::TaskResult| {
            let of = |name: &str| result.data.get(name).map(ToString::to_string).unwrap_or_default();
            ["state", "mode", "owner", "uid", "group", "gid", "size"].map(of).join(" ")
        };
        let is = host.plan("file", json!({"path": "/f"})).result;
        assert_eq!(fields(&is), "file 0640 root 0 root 0 3");
        let other = host.plan("file", json!({"path": "/f", "mode": "u+x", "owner": "web", "group": "33"})).result;
        assert_eq!(fields(&other), "file 0740 web   33 3");
        let new = host.plan("file", json!({"path": "/d", "state": "directory"})).result;
        assert_eq!(fields(&new), "directory 0755 root 0   ");
        let link = host.plan("file", json!({"path": "/n", "src": "/f", "state": "link", "mode": "0600"})).result;
        assert_eq!(fields(&link), "link 0777 root 0   2");
        let touched = host.plan("file", json!({"path": "/t", "state": "touch", "mode": "0600"})).result;
        assert_eq!(fields(&touched), "file 0600 root 0   0");
    }

    #[test]
    fn a_folder_is_made_with_its_parents_once() {
        let mut host = Fake::new().dir("/srv", 0o755);
        let decision = host.converge("file", json!({"path": "/srv/a/b", "state": "directory", "mode": "0750"}));
        assert!(decision.result.changed);
        assert_eq!(decision.actions.len(), 2);
        assert_eq!(host.state("/srv/a/b").mode, 0o750);
        assert_eq!(host.rounds(), 1, "the folder and the whole chain of its parents are asked in one batch");
        host.settled("file", json!({"path": "/srv/a/b", "state": "directory", "mode": "0750"}));
    }

    #[test]
    fn attributes_are_changed_only_where_they_differ() {
        let mut host = Fake::new().dir("/srv", 0o755).file("/srv/x", "hello", 0o600);
        let decision = host.converge("file", json!({"path": "/srv/x", "mode": "0644", "owner": "root"}));
        assert!(matches!(
            &decision.actions[..],
            [a] if matches!(&a.kind, ActionKind::Attributes { mode: Some(0o644), owner: None, .. })
        ));
        host.settled("file", json!({"path": "/srv/x", "mode": "u=rw,go=r", "owner": "0"}));
    }

    #[test]
    fn a_missing_file_is_an_error_unless_touched() {
        let mut host = Fake::new().dir("/srv", 0o755);
        assert!(host.fails("file", json!({"path": "/srv/x"})).contains("absent"));
        host.converge("file", json!({"path": "/srv/x", "state": "touch", "modification_time": "preserve", "access_time": "preserve", "mode": "0600"}));
        assert_eq!(host.state("/srv/x").mode, 0o600);
        host.settled("file", json!({"path": "/srv/x", "state": "touch", "modification_time": "preserve", "access_time": "preserve", "mode": "0600"}));
    }

    #[test]
    fn links_are_made_replaced_and_removed() {
        let mut host = Fake::new().dir("/srv", 0o755).file("/srv/a", "a", 0o644).file("/srv/b", "b", 0o644);
        host.converge("file", json!({"src": "/srv/a", "dest": "/srv/l", "state": "link"}));
        assert_eq!(host.state("/srv/l").target.as_deref(), Some("/srv/a"));
        host.settled("file", json!({"src": "/srv/a", "dest": "/srv/l", "state": "link"}));
        host.converge("file", json!({"src": "/srv/b", "dest": "/srv/l", "state": "link"}));
        assert_eq!(host.state("/srv/l").target.as_deref(), Some("/srv/b"));
        assert!(host.fails("file", json!({"src": "/srv/b", "dest": "/srv/a", "state": "link"})).contains("refusing"));
        assert!(
            host.fails("file", json!({"src": "/srv/none", "dest": "/srv/m", "state": "link"}))
                .contains("does not exist")
        );
        host.converge("file", json!({"path": "/srv/l", "state": "absent"}));
        assert_eq!(host.state("/srv/l").kind, PathKind::Absent);
        assert_eq!(host.state("/srv/b").kind, PathKind::File);
        host.settled("file", json!({"path": "/srv/l", "state": "absent"}));
    }

    #[test]
    fn below_a_folder_only_what_differs_is_touched() {
        let mut host =
            Fake::new().dir("/srv", 0o755).dir("/srv/a", 0o755).file("/srv/a/x", "", 0o755).file("/srv/a/y", "", 0o600);
        let decision =
            host.converge("file", json!({"path": "/srv/a", "state": "directory", "recurse": true, "mode": "0755"}));
        assert_eq!(decision.actions.len(), 1);
        host.settled("file", json!({"path": "/srv/a", "state": "directory", "recurse": true, "mode": "0755"}));
    }
}
