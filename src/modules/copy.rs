//! `copy`: files and folders from the controller, or from elsewhere on the host.

use super::args::Arguments;
use super::common::put::{self, How, SendAttributes, Sending, Target};
use super::common::remote_copy::{self, Copying, folder_bits};
use super::common::{folders, paths, text};
use super::registry::{FreeForm, Module, Needs};
use crate::host::answer::digest;
use crate::host::key::file_name;
use crate::host::{
    Action, ActionKind, Algorithm, Content, Decision, Key, ModeSpec, PathKind, PathState, Source, Stop, TaskResult,
    View,
};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `copy` takes.
    pub struct CopyArgs {
        /// A file or folder of the controller (in `files/` of the role, or beside the playbook); with a `/` at the end
        /// of a folder's name, only what is in it.
        src: Option<String>;
        /// The text itself; a list or mapping is written as JSON.
        content: Option<Value>;
        /// Where it goes; a `/` at the end makes it a folder.
        dest: String;
        /// Keep a copy of the former file.
        backup: bool = false;
        /// Replace a file that is there.
        force: bool = true;
        /// Write behind a link at `dest`, instead of replacing it.
        follow: bool = false;
        /// `src` is on the host.
        remote_src: bool = false;
        /// Permission bits of folders that are made.
        directory_mode: Option<ModeSpec>;
        /// A command that must accept the new file, whose name is put for `%s`.
        validate: Option<String>;
        /// The SHA-1 that the file must have.
        checksum: Option<String>;
    } + attributes: SendAttributes
}

/// The module.
pub static MODULE: Module = Module {
    names: &["copy", "ansible.builtin.copy", "ansible.legacy.copy"],
    doc: "Files and folders from the controller, or from elsewhere on the host.",
    args: <CopyArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes,
};

/// What is at or below `dest`, unless a link leads elsewhere or a validating command does what it likes.
pub(super) fn writes(map: &Map) -> Vec<Key> {
    let given = |name: &str| map.get(name).filter(|v| !matches!(v, Value::Null | Value::Omit));
    match given("dest").and_then(Value::as_str) {
        Some(dest) if dest.starts_with('/') && given("validate").is_none() && given("follow").is_none() => {
            let mut keys = vec![Key::below(dest)];
            // Missing folders on the way, and the backup beside it.
            keys.extend(crate::host::key::parent(&crate::host::key::clean(dest)).map(Key::below));
            keys
        }
        _ => vec![Key::Anything],
    }
}

fn plan(args: &CopyArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let dest = paths::absolute(view, "dest", &args.dest)?;
    put::check_validate(args.validate.as_deref())?;
    let directory_mode = folder_bits(args.directory_mode.as_ref())?;
    let (src, content) = match (&args.src, &args.content) {
        (Some(_), Some(_)) => return Err(Stop::fail("`src` and `content` exclude each other")),
        (None, None) => return Err(Stop::fail("`src` or `content` is required")),
        (src, content) => (src.as_deref(), content.as_ref()),
    };
    let target = |attributes| Target {
        dest: dest.clone(),
        folder: args.dest.ends_with('/'),
        follow: args.follow,
        force: args.force,
        directory_mode,
        how: How { attributes, backup: args.backup, validate: args.validate.as_deref() },
    };
    if let Some(content) = content {
        if args.remote_src {
            return Err(Stop::fail("`content` is no file of the host: leave `remote_src` out"));
        }
        let text = written(content)?;
        let attributes = args.attributes.of(0o644);
        let sha1 = digest(Algorithm::Sha1, text.as_bytes());
        check(args, &sha1)?;
        let sending = Sending {
            name: None,
            content: Content::text(&text),
            sha256: digest(Algorithm::Sha256, text.as_bytes()),
            sha1,
            text: &|| Some(text.as_bytes().to_vec()),
            header: "(content)",
            src: None,
        };
        return put::send(view, &target(&attributes), sending);
    }
    let src = src.unwrap_or_default();
    if args.remote_src {
        let copying = Copying {
            src: paths::absolute(view, "src", src)?,
            inside: src.ends_with('/'),
            dest: dest.clone(),
            folder: args.dest.ends_with('/'),
            follow: args.follow,
            force: args.force,
            backup: args.backup,
            validate: args.validate.as_deref(),
            checksum: args.checksum.as_deref(),
            directory_mode,
            attributes: &args.attributes,
        };
        return remote_copy::copy(view, &copying);
    }
    if view.controller().is_folder("files", src) {
        return folder(args, view, src, &dest, directory_mode);
    }
    let source = view.controller().source("files", src).map_err(Stop::fail)?;
    check(args, &source.sha1)?;
    let attributes = args.attributes.of(source.mode);
    let sending = Sending {
        name: Some(file_name(src)),
        sha256: source.sha256.clone(),
        sha1: source.sha1.clone(),
        text: &|| view.controller().read("files", src).ok(),
        header: src,
        src: Some(src.to_owned()),
        content: Content::File(source),
    };
    put::send(view, &target(&attributes), sending)
}

fn check(args: &CopyArgs, sha1: &str) -> Result<(), Stop> {
    match &args.checksum {
        Some(wanted) if !wanted.eq_ignore_ascii_case(sha1) => {
            Err(Stop::fail(format!("the source does not have the expected checksum {wanted}: its SHA-1 is {sha1}")))
        }
        _ => Ok(()),
    }
}

/// The text of `content`.
fn written(content: &Value) -> Result<String, Stop> {
    Ok(match content {
        Value::List(_) | Value::Map(_) => text::json(content)?,
        other => other.to_string(),
    })
}

fn folder(
    args: &CopyArgs,
    view: &View<'_>,
    src: &str,
    dest: &str,
    directory_mode: Option<u32>,
) -> Result<Decision, Stop> {
    if args.checksum.is_some() {
        return Err(Stop::fail("`checksum` is for a single file, and `src` is a folder"));
    }
    let sources = view.controller().source_tree("files", src).map_err(Stop::fail)?;
    let root = match (src.ends_with('/'), dest) {
        (true, _) => dest.to_owned(),
        (false, "/") => format!("/{}", file_name(src)),
        (false, _) => format!("{dest}/{}", file_name(src)),
    };
    // A link to a folder is as good as the folder; then the tree behind it counts.
    let at_root = view.path_with(&root, true, None);
    let tree = view.tree(&root, Some(Algorithm::Sha256));
    let missing = folders::missing(view, &root);
    let at_root = at_root?;
    if at_root.exists() && at_root.kind != PathKind::Directory {
        return Err(Stop::fail(format!("can't copy the folder {src} to {root}: a file is there")));
    }
    let real = at_root.real.clone().filter(|_| at_root.exists()).unwrap_or_else(|| root.clone());
    let tree = if real == root { tree? } else { view.tree(&real, Some(Algorithm::Sha256))? };
    let (owner, group) = (args.attributes.owner.as_deref(), args.attributes.group.as_deref());
    let make = |path: &str| folders::make(path, directory_mode, owner, group);
    // Folders, then contents, then attributes: neighbours of one kind are done together on the host.
    let mut actions: Vec<Action> = missing?.iter().map(|f| make(f)).collect();
    let (mut contents, mut attributes) = (Vec::new(), Vec::new());
    let mut result = TaskResult::ok().with("src", src).with("dest", dest).with("state", "directory");
    let absent = PathState::absent();
    let known: std::collections::HashMap<&str, &PathState> =
        tree.iter().flat_map(|t| t.iter()).map(|e| (e.name.as_str(), &e.state)).collect();
    for (name, source) in sources {
        let path = format!("{}/{name}", real.trim_end_matches('/'));
        let now = known.get(name.as_str()).copied().unwrap_or(&absent);
        match source {
            None if now.kind == PathKind::Directory => {}
            None if !now.exists() => actions.push(make(&path)),
            None => return Err(Stop::fail(format!("can't make the folder {path}: something else is there"))),
            Some(source) => {
                let (action, diff) = one(args, view, &path, now, source)?;
                if let Some(action) = action {
                    let list =
                        if matches!(action.kind, ActionKind::Install(_)) { &mut contents } else { &mut attributes };
                    list.push(action);
                }
                result.diff.extend(diff);
            }
        }
    }
    actions.append(&mut contents);
    actions.append(&mut attributes);
    result.changed = !actions.is_empty();
    Ok(Decision::act(result, actions))
}

/// One file of a folder.
fn one(
    args: &CopyArgs,
    view: &View<'_>,
    path: &str,
    now: &PathState,
    source: Source,
) -> Result<(Option<Action>, Option<crate::host::Diff>), Stop> {
    let attributes = args.attributes.of(source.mode);
    if now.exists() && !args.force {
        return Ok((None, None));
    }
    if now.kind == PathKind::File && now.digest.as_deref() == Some(&source.sha256) {
        return Ok((attributes.change(path, now, false)?, None));
    }
    if now.kind == PathKind::Link && args.follow {
        return Err(Stop::fail(format!(
            "{path} is a link, and links inside a folder are not followed: copy that file by itself"
        )));
    }
    // Only what is new is shown: the former content of many files would be as many questions.
    let text = (view.wants_diff() && source.len <= put::DIFF_LIMIT && !now.exists())
        .then(|| view.controller().read("files", &source.path.to_string_lossy()).ok())
        .flatten();
    let before = text.as_ref().map(|_| &b""[..]);
    let diff = view.wants_diff().then(|| put::text_diff(path, &source.path.to_string_lossy(), before, text.as_deref()));
    let how = How { attributes: &attributes, backup: args.backup, validate: args.validate.as_deref() };
    let (action, _) = put::install(view, path, now, Content::File(source), how)?;
    Ok((Some(action), diff))
}

#[cfg(test)]
mod tests {
    use crate::host::{ActionKind, PathKind};
    use crate::modules::testing::Fake;
    use crate::values::Value;
    use serde_json::json;

    fn host() -> Fake {
        Fake::new().dir("/srv", 0o755).source("a.txt", "alpha\n").source("site/x", "1").source("site/sub/y", "2")
    }

    #[test]
    fn content_is_written_once() {
        let mut host = host();
        let args = json!({"content": "hello\n", "dest": "/srv/h", "mode": "0600"});
        let decision = host.converge("copy", args.clone());
        assert_eq!(host.text("/srv/h"), "hello\n");
        assert_eq!(host.state("/srv/h").mode, 0o600);
        assert_eq!(decision.result.data["mode"], Value::from("0600"));
        assert_eq!(decision.result.data["size"], Value::from(6));
        assert_eq!(decision.result.data["checksum"], Value::from("f572d396fae9206628714fb2ce00f72e94f2258f"));
        assert_eq!(host.rounds(), 1);
        host.settled("copy", args);
        host.converge("copy", json!({"content": {"a": [1, true, null, "é"]}, "dest": "/srv/j"}));
        assert_eq!(host.text("/srv/j"), r#"{"a": [1, true, null, "\u00e9"]}"#);
    }

    #[test]
    fn a_file_goes_into_a_folder_that_is_made() {
        let mut host = host();
        let args = json!({"src": "a.txt", "dest": "/srv/n/m/", "owner": "www-data", "directory_mode": "0750"});
        let decision = host.converge("copy", args.clone());
        assert_eq!(host.text("/srv/n/m/a.txt"), "alpha\n");
        assert_eq!(host.state("/srv/n/m").mode, 0o750);
        assert_eq!(host.state("/srv/n/m/a.txt").owner.as_deref(), Some("www-data"));
        assert_eq!(decision.result.data["owner"], Value::from("www-data"));
        host.settled("copy", args);
        host.settled("copy", json!({"src": "a.txt", "dest": "/srv/n/m"}));
    }

    #[test]
    fn what_is_there_may_be_kept_or_backed_up() {
        let mut host = host().file("/srv/a", "old", 0o640);
        host.settled("copy", json!({"src": "a.txt", "dest": "/srv/a", "force": false}));
        let decision = host.converge("copy", json!({"src": "a.txt", "dest": "/srv/a", "backup": true}));
        assert_eq!(host.text(&decision.result.data["backup_file"].to_string()), "old");
        assert_eq!(host.state("/srv/a").mode, 0o640);
        let only_mode = host.converge("copy", json!({"src": "a.txt", "dest": "/srv/a", "mode": "preserve"}));
        assert!(matches!(&only_mode.actions[0].kind, ActionKind::Attributes { mode: Some(0o644), .. }));
    }

    #[test]
    fn a_folder_is_compared_in_one_question() {
        let mut host = host();
        let args = json!({"src": "site/", "dest": "/srv/www"});
        host.converge("copy", args.clone());
        assert_eq!((host.text("/srv/www/x"), host.text("/srv/www/sub/y")), ("1".into(), "2".into()));
        assert_eq!(host.rounds(), 1);
        host.settled("copy", args);
        let again = host.converge("copy", json!({"src": "site", "dest": "/srv/www"}));
        assert_eq!(host.text("/srv/www/site/sub/y"), "2");
        assert_eq!(again.actions.len(), 4);
    }

    #[test]
    fn on_the_host_only_what_differs_is_copied() {
        let mut host = host().file("/srv/a", "1", 0o755).on_run(|run, files| {
            let args = crate::modules::command::argv_of(run);
            let text = files.text(&args[0])?;
            files.put(&args[1], &text, u32::from_str_radix(&args[2], 8).ok()?);
            Some(crate::host::Output::ok(""))
        });
        let args = json!({"src": "/srv/a", "dest": "/srv/b", "remote_src": true});
        host.converge("copy", args.clone());
        assert_eq!((host.text("/srv/b"), host.state("/srv/b").mode), ("1".into(), 0o755));
        host.settled("copy", args);
        assert!(
            host.fails("copy", json!({"src": "/srv/none", "dest": "/srv/b", "remote_src": true}))
                .contains("not on the host")
        );
        let tree = json!({"src": "/srv/", "dest": "/opt", "remote_src": true});
        host.converge("copy", tree.clone());
        assert_eq!(host.text("/opt/b"), "1");
        host.settled("copy", tree);
    }

    #[test]
    fn hostile_names_stay_names() {
        let mut host = host();
        let name = "/srv/a b;$(reboot)'\n`x`";
        host.converge("copy", json!({"content": "x", "dest": name}));
        assert_eq!(host.state(name).kind, PathKind::File);
        host.settled("copy", json!({"content": "x", "dest": name}));
    }

    #[test]
    fn what_cannot_be_is_told() {
        let mut host = host();
        assert!(host.fails("copy", json!({"dest": "/srv/a"})).contains("is required"));
        assert!(host.fails("copy", json!({"dest": "/srv", "content": "x"})).contains("is a folder"));
        assert!(host.fails("copy", json!({"dest": "/srv/a", "src": "none"})).contains("could not find"));
        assert!(host.fails("copy", json!({"dest": "/no/a", "src": "a.txt"})).contains("does not exist"));
        assert!(host.fails("copy", json!({"dest": "/srv/a", "src": "a.txt", "checksum": "00"})).contains("checksum"));
    }
}
