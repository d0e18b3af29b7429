//! Putting a file in place: what `copy`, `template` and the editing modules share.

use super::attributes::FileAttributes;
use super::folders;
use crate::host::key::parent;
use crate::host::{
    Action, ActionKind, Algorithm, Content, Decision, Diff, Install, ModeSpec, PathKind, PathState, Stop, TaskResult,
    View,
};
use crate::modules::args::FromValue;
use crate::values::Value;

/// The largest content that a diff shows, in bytes.
pub const DIFF_LIMIT: u64 = 1 << 20;

/// A mode to give to a file that is sent: one of its own, or that of its source.
#[derive(Debug, Clone, PartialEq)]
pub enum SendMode {
    /// This one.
    Spec(ModeSpec),
    /// The source's.
    Preserve,
}

impl FromValue for SendMode {
    const KIND: &'static str = "a file mode, or `preserve`";

    fn from_value(value: &Value) -> Result<Self, String> {
        if value.as_str() == Some("preserve") {
            return Ok(Self::Preserve);
        }
        ModeSpec::from_value(value).map(Self::Spec)
    }
}

crate::module_args! {
    /// Attributes for modules that send files.
    pub struct SendAttributes {
        /// Owner, by name or number.
        owner: Option<String>;
        /// Group, by name or number.
        group: Option<String>;
        /// Permission bits: octal as a quoted string, symbolic (`u=rw,go=r`), or `preserve` for those of the source.
        mode: Option<SendMode>;
        /// Write into the target where it can't be renamed over, such as a mount point. Never by default: a reader may
        /// then see half a file.
        unsafe_writes: bool = false;
    }
}

impl SendAttributes {
    /// The attributes of one file, whose source has these permission bits.
    pub fn of(&self, source_mode: u32) -> FileAttributes {
        FileAttributes {
            owner: self.owner.clone(),
            group: self.group.clone(),
            mode: self.mode.as_ref().map(|m| match m {
                SendMode::Spec(spec) => spec.clone(),
                SendMode::Preserve => ModeSpec::Octal(source_mode & 0o7777),
            }),
            unsafe_writes: self.unsafe_writes,
        }
    }
}

/// How a file is put in place.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// Owner, group, mode.
    pub attributes: &'a FileAttributes,
    /// Keep a copy of what was there.
    pub backup: bool,
    /// A command that must accept the new file (`%s`).
    pub validate: Option<&'a str>,
}

/// The action that puts `content` at `path`, where `now` is what a rename would replace (a link is replaced, not
/// followed), and where the former content is kept.
///
/// # Errors
/// A failure where `validate` or the mode can't be used, or a folder is in the way.
pub fn install(
    view: &View<'_>,
    path: &str,
    now: &PathState,
    content: Content,
    how: How<'_>,
) -> Result<(Action, Option<String>), Stop> {
    if now.kind == PathKind::Directory {
        return Err(Stop::fail(format!("{path} is a folder; name the file in it")));
    }
    check_validate(how.validate)?;
    let is_file = now.kind == PathKind::File;
    let before = if is_file { now.clone() } else { PathState::absent() };
    let mode = how.attributes.final_mode(&before, 0o644)?;
    let backup = (how.backup && is_file).then(|| backup_name(view, path));
    let verb = if now.exists() { "replace" } else { "create" };
    let shows = format!("{verb} {path} ({} bytes, mode {mode:04o})", content.len());
    let install = Install {
        path: path.to_owned(),
        content,
        mode,
        owner: how.attributes.owner.clone(),
        group: how.attributes.group.clone(),
        replaces: is_file,
        backup: backup.clone(),
        validate: how.validate.map(str::to_owned),
        unsafe_writes: how.attributes.unsafe_writes,
    };
    Ok((Action::new(ActionKind::Install(install), shows), backup))
}

/// # Errors
/// A failure where there is no place for the file's name in `validate`.
pub fn check_validate(validate: Option<&str>) -> Result<(), Stop> {
    match validate {
        Some(command) if !command.contains("%s") => {
            Err(Stop::fail(format!("`validate` must contain %s, where the new file's name goes: {command}")))
        }
        _ => Ok(()),
    }
}

/// Where the former content of `path` goes: a name that no other step takes.
pub fn backup_name(view: &View<'_>, path: &str) -> String {
    let time = jiff::Timestamp::from_second(view.now())
        .map(|t| t.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d@%H:%M:%S").to_string())
        .unwrap_or_default();
    let nonce = view.nonce();
    format!("{path}.{}.{time}~", nonce.get(..8).unwrap_or(nonce))
}

/// The fields that describe a file in a result, as it will be.
pub fn describe(result: TaskResult, view: &View<'_>, path: &str, after: &After<'_>) -> TaskResult {
    let mut result = result.with("dest", path).with("state", "file").with("mode", format!("{:04o}", after.mode));
    let (now, attributes) = (after.now, after.attributes);
    let kept = now.kind == PathKind::File;
    let who = view.whoami();
    let own = if kept { (now.owner.clone(), now.uid) } else { (Some(who.user.clone()), Some(who.uid)) };
    let grp = if kept { (now.group.clone(), now.gid) } else { (Some(who.group.clone()), Some(who.gid)) };
    let fields = [("owner", "uid", &attributes.owner, own), ("group", "gid", &attributes.group, grp)];
    for (name_field, number_field, wanted, (name, number)) in fields {
        let same =
            wanted.as_deref().is_none_or(|w| name.as_deref() == Some(w) || number.is_some_and(|n| n.to_string() == w));
        // Of an account that was not looked up, only what the playbook says is known.
        let (name, number) = match wanted.as_deref() {
            Some(w) if !same => match w.parse::<u32>() {
                Ok(n) => (None, Some(n)),
                Err(_) => (Some(w.to_owned()), None),
            },
            _ => (name, number),
        };
        if let Some(name) = name {
            result = result.with(name_field, name);
        }
        if let Some(number) = number {
            result = result.with(number_field, number);
        }
    }
    result.with("size", after.size)
}

/// What [`describe`] needs to know.
#[derive(Debug, Clone, Copy)]
pub struct After<'a> {
    /// What was there.
    pub now: &'a PathState,
    /// What is asked for.
    pub attributes: &'a FileAttributes,
    /// Permission bits as they will be.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
}

/// A file that a module sends, and what is known of it.
pub struct Sending<'a> {
    /// Its last name, for a target that is a folder; none for text given in the playbook.
    pub name: Option<&'a str>,
    /// Its bytes.
    pub content: Content,
    /// Digest, for the comparison.
    pub sha256: String,
    /// Digest, for the result.
    pub sha1: String,
    /// Its text, for a diff; called only where one is shown.
    pub text: &'a dyn Fn() -> Option<Vec<u8>>,
    /// What it is called in a diff.
    pub header: &'a str,
    /// The result's `src`.
    pub src: Option<String>,
}

/// Where a file is sent, and how.
pub struct Target<'a> {
    /// The target as the playbook names it, absolute and clean.
    pub dest: String,
    /// It is a folder, since it is written with a `/` at its end: made where it is missing.
    pub folder: bool,
    /// Write behind a link, instead of replacing it.
    pub follow: bool,
    /// Replace what is there.
    pub force: bool,
    /// Permission bits of folders that are made.
    pub directory_mode: Option<u32>,
    /// Attributes, backup, validation.
    pub how: How<'a>,
}

/// Sends one file, unless it is there.
///
/// # Errors
/// As [`View::ask`], and failures for targets that can't be.
pub fn send(view: &View<'_>, target: &Target<'_>, sending: Sending<'_>) -> Result<Decision, Stop> {
    let dest = target.dest.as_str();
    let look = |path: &str| (view.path(path), view.path_with(path, true, Some(Algorithm::Sha256)));
    // Whether the target is a folder shows only with the answer: the file in it is asked about at once.
    let inner = sending.name.map(|n| if dest == "/" { format!("/{n}") } else { format!("{dest}/{n}") });
    let at_dest = look(dest);
    let at_inner = inner.as_deref().map(look);
    let above = view.path_with(parent(dest).unwrap_or("/"), true, None);
    let (dest_now, dest_behind) = (at_dest.0?, at_dest.1?);

    let mut actions = Vec::new();
    let (path, now, behind) = if target.folder || dest_behind.kind == PathKind::Directory {
        let (Some(inner), Some(at_inner)) = (inner, at_inner) else {
            return Err(Stop::fail(format!("{dest} is a folder: `content` needs the name of a file")));
        };
        if dest_behind.kind != PathKind::Directory {
            for folder in folders::missing(view, dest)? {
                let (owner, group) = (target.how.attributes.owner.as_deref(), target.how.attributes.group.as_deref());
                actions.push(folders::make(&folder, target.directory_mode, owner, group));
            }
        }
        (inner, at_inner.0?, at_inner.1?)
    } else {
        let above = above?;
        if above.kind != PathKind::Directory {
            let above = parent(dest).unwrap_or("/");
            return Err(Stop::fail(format!(
                "the folder {above} does not exist; create it first (`file: path={above} state=directory`)"
            )));
        }
        (dest.to_owned(), dest_now, dest_behind)
    };
    let (path, now) = match now.kind {
        PathKind::Link if target.follow => (behind.real.clone().unwrap_or(path), behind),
        PathKind::Link => (path, now),
        _ => (path, behind),
    };
    if now.kind == PathKind::Directory {
        return Err(Stop::fail(format!("{path} is a folder; a file can't take its place")));
    }

    let size = sending.content.len();
    if now.exists() && !target.force {
        let result = TaskResult::ok().msg("file already exists").with("dest", path.as_str()).with("src", sending.src);
        return Ok(Decision::nothing(result));
    }
    let mode = target.how.attributes.final_mode(if now.kind == PathKind::File { &now } else { &ABSENT }, 0o644)?;
    let after = After { now: &now, attributes: target.how.attributes, mode, size };
    let mut result = describe(TaskResult::ok(), view, &path, &after).with("checksum", sending.sha1.as_str());
    if let Some(src) = &sending.src {
        result = result.with("src", src.as_str());
    }
    let same = now.kind == PathKind::File && now.digest.as_deref() == Some(&sending.sha256);
    if same {
        actions.extend(target.how.attributes.change(&path, &now, false)?);
    } else {
        if let Some(diff) = diff(view, &path, &now, &sending)? {
            result = result.diff(diff);
        }
        let (action, backup) = install(view, &path, &now, sending.content, target.how)?;
        if let Some(backup) = backup {
            result = result.with("backup_file", backup);
        }
        actions.push(action);
    }
    result.changed = !actions.is_empty();
    Ok(Decision::act(result, actions))
}

static ABSENT: PathState = PathState {
    kind: PathKind::Absent,
    mode: 0,
    uid: None,
    owner: None,
    gid: None,
    group: None,
    size: None,
    target: None,
    real: None,
    digest: None,
    times: None,
};

fn diff(view: &View<'_>, path: &str, now: &PathState, sending: &Sending<'_>) -> Result<Option<Diff>, Stop> {
    if !view.wants_diff() {
        return Ok(None);
    }
    let too_large = |size: u64| size > DIFF_LIMIT;
    let was_file = now.kind == PathKind::File;
    let (before, after) = if too_large(sending.content.len()) || (was_file && now.size.is_none_or(too_large)) {
        (None, None)
    } else {
        let before = if was_file { view.content(path)?.map(|b| b.to_vec()) } else { Some(Vec::new()) };
        (before, (sending.text)())
    };
    Ok(Some(text_diff(path, sending.header, before.as_deref(), after.as_deref())))
}

/// A diff of two contents, or of a remark where one of them is no text.
pub fn text_diff(before_header: &str, after_header: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Diff {
    let (before, after) = match (text_of(before), text_of(after)) {
        (Some(before), Some(after)) => (before.to_owned(), after.to_owned()),
        _ => ("(binary or large content)\n".to_owned(), "(other binary or large content)\n".to_owned()),
    };
    Diff { before_header: before_header.to_owned(), after_header: after_header.to_owned(), before, after }
}

fn text_of(bytes: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(bytes?).ok().filter(|text| !text.contains('\0'))
}
