//! Copying from one place of a host to another: `copy` with `remote_src`.

use super::attributes::FileAttributes;
use super::folders;
use super::put::{self, SendAttributes};
use super::text;
use crate::host::key::{Key, file_name, parent};
use crate::host::{
    Action, ActionKind, Algorithm, Decision, ModeSpec, PathKind, PathState, Run, Stop, TaskResult, View,
};

/// What `copy` asks for here.
pub struct Copying<'a> {
    /// The source, absolute and clean.
    pub src: String,
    /// Only what is in the source folder, not the folder itself: it is written with a `/` at its end.
    pub inside: bool,
    /// The target, absolute and clean.
    pub dest: String,
    /// The target is a folder: it is written with a `/` at its end.
    pub folder: bool,
    /// Write behind a link at the target.
    pub follow: bool,
    /// Replace what is there.
    pub force: bool,
    /// Keep a copy of what was there.
    pub backup: bool,
    /// A command that must accept the new file.
    pub validate: Option<&'a str>,
    /// The SHA-1 that the source must have.
    pub checksum: Option<&'a str>,
    /// Permission bits of new folders.
    pub directory_mode: Option<u32>,
    /// Owner, group, mode.
    pub attributes: &'a SendAttributes,
}

/// `$1` source, `$2` target, `$3` mode, `$4` owner, `$5` group, `$6` backup (each of the last three may be empty),
/// then the words of the validation, whose `%s` is the new file.
const COPY: &str = r#"src=$1 dest=$2 mode=$3 owner=$4 group=$5 backup=$6
shift 6
umask 077
tmp=$(mktemp "${dest%/*}/.windlass.XXXXXXXX") || exit 1
trap 'rm -f "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
cp -- "$src" "$tmp" && touch -r "$src" -- "$tmp" || exit 1
[ -z "$owner" ] || chown -- "$owner" "$tmp" || exit 1
[ -z "$group" ] || chgrp -- "$group" "$tmp" || exit 1
chmod -- "$mode" "$tmp" || exit 1
if [ "$#" -gt 0 ]; then
  n=$#
  while [ "$n" -gt 0 ]; do
    word=$1; shift; n=$((n - 1))
    case $word in *%s*) word=${word%%%s*}$tmp${word#*%s} ;; esac
    set -- "$@" "$word"
  done
  "$@" >&2 || { echo "failed to validate: the command ended with status $?" >&2; exit 1; }
fi
[ -z "$backup" ] || cp -p -- "$dest" "$backup" || exit 1
if [ -h "$dest" ] && [ -d "$dest" ]; then rm -f -- "$dest"; fi
mv -f -- "$tmp" "$dest"
"#;

/// Copies a file or a folder of the host.
///
/// # Errors
/// As [`View::ask`], and failures for what can't be copied.
pub fn copy(view: &View<'_>, c: &Copying<'_>) -> Result<Decision, Stop> {
    put::check_validate(c.validate)?;
    let source = view.path_with(&c.src, true, Some(Algorithm::Sha256));
    let sha1 = view.path_with(&c.src, true, Some(Algorithm::Sha1));
    let look = |path: &str| (view.path(path), view.path_with(path, true, Some(Algorithm::Sha256)));
    let inner = format!("{}/{}", c.dest.trim_end_matches('/'), file_name(&c.src));
    let (at_dest, at_inner) = (look(&c.dest), look(&inner));
    let above = view.path_with(parent(&c.dest).unwrap_or("/"), true, None);
    let source = source?;
    match source.kind {
        PathKind::Absent => return Err(Stop::fail(format!("the source {} is not on the host", c.src))),
        PathKind::Directory => return copy_folder(view, c, &inner),
        PathKind::File => {}
        _ => return Err(Stop::fail(format!("can't copy {}: it is neither a file nor a folder", c.src))),
    }
    let sha1 = sha1?.digest.unwrap_or_default();
    if c.checksum.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&sha1)) {
        return Err(Stop::fail(format!("{} does not have the expected checksum: its SHA-1 is {sha1}", c.src)));
    }
    let mut actions = Vec::new();
    let (dest_now, dest_behind) = (at_dest.0?, at_dest.1?);
    let into = c.folder || dest_behind.kind == PathKind::Directory;
    let (path, now, behind) = if into {
        if !dest_behind.exists() {
            actions.extend(new_folders(view, c, &c.dest)?);
        }
        (inner, at_inner.0?, at_inner.1?)
    } else {
        if above?.kind != PathKind::Directory {
            return Err(Stop::fail(format!("the folder of {} does not exist; create it first", c.dest)));
        }
        (c.dest.clone(), dest_now, dest_behind)
    };
    let (path, now) = match now.kind {
        PathKind::Link if c.follow => (behind.real.clone().unwrap_or(path), behind),
        PathKind::Link => (path, now),
        _ => (path, behind),
    };
    if now.kind == PathKind::Directory {
        return Err(Stop::fail(format!("{path} is a folder; a file can't take its place")));
    }
    if now.exists() && !c.force {
        let result = TaskResult::ok().msg("file already exists").with("src", &c.src).with("dest", path);
        return Ok(Decision::nothing(result));
    }
    let attributes = c.attributes.of(source.mode);
    let same = now.kind == PathKind::File && now.digest.is_some() && now.digest == source.digest;
    let mut result = TaskResult::ok().with("src", &c.src).with("checksum", sha1);
    let mode;
    if same {
        actions.extend(attributes.change(&path, &now, false)?);
        mode = attributes.final_mode(&now, source.mode)?;
    } else {
        // What replaces a file brings its source's mode along, unless one is asked for.
        mode = attributes.final_mode(&PathState::absent(), source.mode)?;
        let (action, backup) = copy_file(view, &c.src, &path, &now, mode, &attributes, c)?;
        if let Some(backup) = backup {
            result = result.with("backup_file", backup);
        }
        actions.push(action);
    }
    let after = put::After { now: &now, attributes: &attributes, mode, size: source.size.unwrap_or(0) };
    result = put::describe(result, view, &path, &after);
    result.changed = !actions.is_empty();
    Ok(Decision::act(result, actions))
}

fn new_folders(view: &View<'_>, c: &Copying<'_>, path: &str) -> Result<Vec<Action>, Stop> {
    let (owner, group) = (c.attributes.owner.as_deref(), c.attributes.group.as_deref());
    Ok(folders::missing(view, path)?.iter().map(|f| folders::make(f, c.directory_mode, owner, group)).collect())
}

fn copy_file(
    view: &View<'_>,
    src: &str,
    path: &str,
    now: &PathState,
    mode: u32,
    attributes: &FileAttributes,
    c: &Copying<'_>,
) -> Result<(Action, Option<String>), Stop> {
    let backup = (c.backup && now.kind == PathKind::File).then(|| put::backup_name(view, path));
    let kept = |wanted: &Option<String>, number: Option<u32>| {
        wanted.clone().or_else(|| number.filter(|_| now.kind == PathKind::File).map(|n| n.to_string()))
    };
    let owner = kept(&attributes.owner, now.uid).unwrap_or_default();
    let group = kept(&attributes.group, now.gid).unwrap_or_default();
    let validate = c
        .validate
        .map(text::words)
        .transpose()
        .map_err(|e| Stop::fail(format!("can't split the command line of `validate`: {e}")))?;
    let mode = format!("{mode:04o}");
    let mut args = vec![src, path, &mode, &owner, &group, backup.as_deref().unwrap_or_default()];
    args.extend(validate.iter().flatten().map(String::as_str));
    let action = Action::run(Run::sh(COPY, &args), format!("copy {src} to {path}"));
    let action = if c.validate.is_some() {
        action
    } else {
        let mut keys = vec![Key::path(path)];
        keys.extend(backup.as_deref().map(Key::path));
        action.writing(keys)
    };
    Ok((action.local(), backup))
}

fn copy_folder(view: &View<'_>, c: &Copying<'_>, inner: &str) -> Result<Decision, Stop> {
    let root = if c.inside { c.dest.as_str() } else { inner };
    let from = view.tree(&c.src, Some(Algorithm::Sha256));
    let to = view.tree(root, Some(Algorithm::Sha256));
    let at_root = view.path_with(root, true, None);
    let missing = folders::missing(view, root);
    let (from, at_root) = (from?, at_root?);
    if at_root.exists() && at_root.kind != PathKind::Directory {
        return Err(Stop::fail(format!("can't copy the folder {} to {root}: a file is there", c.src)));
    }
    let (to, missing) = (to?, missing?);
    let (owner, group) = (c.attributes.owner.as_deref(), c.attributes.group.as_deref());
    let mut actions: Vec<Action> = missing.iter().map(|f| folders::make(f, c.directory_mode, owner, group)).collect();
    let absent = PathState::absent();
    for entry in from.iter().flat_map(|e| e.iter()) {
        let (src, path) = (format!("{}/{}", c.src, entry.name), format!("{root}/{}", entry.name));
        let now = to.iter().flat_map(|e| e.iter()).find(|e| e.name == entry.name).map_or(&absent, |e| &e.state);
        let attributes = c.attributes.of(entry.state.mode);
        let blocked = |what: &str| Stop::fail(format!("can't copy {what} {src}: {path} is something else"));
        match entry.state.kind {
            PathKind::Directory if !now.exists() => {
                let mode = c.directory_mode.or(Some(entry.state.mode));
                actions.push(folders::make(&path, mode, owner, group));
            }
            PathKind::Directory if now.kind == PathKind::Directory => {}
            PathKind::Directory => return Err(blocked("the folder")),
            PathKind::Link => {
                let target = entry.state.target.clone().unwrap_or_default();
                if now.kind == PathKind::Directory {
                    return Err(blocked("the link"));
                }
                if now.target.as_deref() != Some(&target) && (c.force || !now.exists()) {
                    let shows = format!("link {path} -> {target}");
                    actions.push(Action::new(ActionKind::Link { path, target, hard: false }, shows));
                }
            }
            PathKind::File => {
                if now.kind == PathKind::Directory {
                    return Err(blocked("the file"));
                }
                if now.exists() && !c.force {
                    continue;
                }
                if now.kind == PathKind::File && now.digest == entry.state.digest {
                    actions.extend(attributes.change(&path, now, false)?);
                } else {
                    let mode = attributes.final_mode(&absent, entry.state.mode)?;
                    actions.push(copy_file(view, &src, &path, now, mode, &attributes, c)?.0);
                }
            }
            _ => return Err(Stop::fail(format!("can't copy {src}: it is neither a file nor a folder nor a link"))),
        }
    }
    let result =
        TaskResult::changed(!actions.is_empty()).with("src", &c.src).with("dest", &c.dest).with("state", "directory");
    Ok(Decision::act(result, actions))
}

/// The permission bits of new folders.
///
/// # Errors
/// When a symbolic mode can't be read.
pub fn folder_bits(mode: Option<&ModeSpec>) -> Result<Option<u32>, Stop> {
    Ok(mode.map(|m| m.apply(0o755, true, 0o022)).transpose()?)
}
