//! `fetch`: brings a file of the host to the controller.

use super::args::Arguments;
use super::common::paths;
use super::registry::{FreeForm, Module, Needs};
use crate::host::answer::digest;
use crate::host::key::clean;
use crate::host::question::CONTENT_LIMIT;
use crate::host::view::Save;
use crate::host::{Algorithm, Decision, Failure, Key, PathKind, Stop, TaskResult, View};
use crate::values::{Map, Value};
use std::path::{Path, PathBuf};

crate::module_args! {
    /// What `fetch` takes.
    pub struct FetchArgs {
        /// The file on the host; a link is followed. At most 16 MiB.
        src: String;
        /// The folder on the controller in which it is kept as `HOST/PATH`; relative to the playbook.
        dest: String;
        /// `dest` is the file itself, or a folder if it ends with `/`.
        flat: bool = false;
        /// Fail where the file is not there.
        fail_on_missing: bool = true;
        /// Compare digests after bringing it.
        validate_checksum: bool = true;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["fetch", "ansible.builtin.fetch", "ansible.legacy.fetch"],
    doc: "Brings a file of the host, of at most 16 MiB, to the controller.",
    args: <FetchArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan,
    writes: |_: &Map| Vec::<Key>::new(),
};

fn plan(map: &Map, view: &View<'_>) -> Result<Decision, Stop> {
    let args = FetchArgs::from_map(map).map_err(Stop::fail)?;
    let source = paths::absolute(view, "src", &args.src)?;
    let state = view.path_with(&source, true, Some(Algorithm::Sha1))?;
    let problem = match state.kind {
        PathKind::File => None,
        PathKind::Absent => Some("the remote file does not exist, not transferring"),
        PathKind::Directory => Some("remote file is a directory, fetch cannot work on directories"),
        _ => Some("the remote file is no regular file, and can't be fetched"),
    };
    if let Some(problem) = problem {
        if args.fail_on_missing {
            let data = [("file".into(), Value::str(source.as_str()))].into_iter().collect();
            return Err(Stop::Fail(Box::new(Failure { message: format!("{problem}: {source}"), data })));
        }
        let result = TaskResult::ok().msg(format!("{problem}, ignored")).with("file", source);
        return Ok(Decision::nothing(result));
    }
    let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let dest = destination(&args, &source, &text("_host"), Path::new(&text("_folder")), view)?;
    let shown = dest.to_string_lossy().into_owned();
    let here = view.controller().read("", &shown).ok();
    let before = here.as_deref().map(|bytes| digest(Algorithm::Sha1, bytes));
    if let (Some(here), Some(sum)) = (&here, &state.digest)
        && before.as_ref() == Some(sum)
    {
        let result = TaskResult::ok()
            .with("file", source)
            .with("dest", shown)
            .with("checksum", sum.as_str())
            .with("md5sum", digest(Algorithm::Md5, here));
        return Ok(Decision::nothing(result));
    }
    if let Some(size) = state.size.filter(|size| *size > CONTENT_LIMIT as u64) {
        return Err(Stop::fail(format!(
            "{source} has {size} bytes; `fetch` brings files of at most {} MiB: split it on the host, or copy it with \
             `command: scp …` and `delegate_to: localhost`",
            CONTENT_LIMIT >> 20
        )));
    }
    let content = view.content(&source)?.ok_or_else(|| Stop::fail(format!("{source} has just gone")))?;
    let sum = digest(Algorithm::Sha1, &content);
    if args.validate_checksum
        && let Some(told) = state.digest.as_ref().filter(|told| **told != sum)
    {
        return Err(Stop::fail(format!(
            "checksum mismatch: {source} was {told}, and came as {sum}; it is being written"
        )));
    }
    let result = TaskResult::changed(true)
        .with("dest", shown.as_str())
        .with("checksum", sum.as_str())
        .with("md5sum", digest(Algorithm::Md5, &content))
        .with("remote_checksum", state.digest.as_deref().unwrap_or(&sum))
        .with("remote_md5sum", Value::Null);
    let mut decision = Decision::nothing(result);
    decision.saves.push(Save { path: dest, bytes: content, shows: format!("fetch {source} to {shown}") });
    Ok(decision)
}

/// Where on the controller the file is kept.
fn destination(args: &FetchArgs, source: &str, host: &str, folder: &Path, view: &View<'_>) -> Result<PathBuf, Stop> {
    let is_folder = |path: &Path| view.controller().is_folder("", &path.to_string_lossy());
    let base = folder.join(&args.dest);
    let path = if !args.flat {
        if host.is_empty() || host.contains('/') || host == ".." {
            return Err(Stop::fail(format!("the host's name `{host}` is no name for a folder: use `flat`")));
        }
        PathBuf::from(format!("{}/{host}{source}", base.display()))
    } else if args.dest.ends_with('/') {
        base.join(source.rsplit('/').next().unwrap_or(source))
    } else if is_folder(&base) {
        return Err(Stop::fail(format!(
            "dest is an existing directory, use a trailing slash if you want to fetch src into that directory: {}",
            base.display()
        )));
    } else {
        base
    };
    let path = PathBuf::from(clean(&path.to_string_lossy()));
    if is_folder(&path) {
        return Err(Stop::fail(format!("{} is a folder, and would have to be the file", path.display())));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn brings_what_differs_and_only_that() {
        let args = json!({"src": "/etc/a", "dest": "/keep/", "flat": true});
        let decision = Fake::new().file("/etc/a", "new", 0o600).plan("fetch", args.clone());
        assert!(decision.result.changed);
        assert_eq!(decision.saves.len(), 1);
        assert_eq!(decision.saves[0].path.to_str(), Some("/keep/a"));
        assert_eq!(&*decision.saves[0].bytes, b"new");
        let decision = Fake::new().file("/etc/a", "new", 0o600).source("/keep/a", "new").plan("fetch", args);
        assert!(!decision.result.changed && decision.saves.is_empty());
    }

    #[test]
    fn what_is_missing_fails_or_is_passed_over() {
        let mut host = Fake::new().dir("/d", 0o755);
        let args = |src: &str, fail: bool| json!({"src": src, "dest": "/k", "flat": true, "fail_on_missing": fail});
        assert!(host.fails("fetch", args("/nope", true)).contains("does not exist"));
        assert!(host.fails("fetch", args("/d", true)).contains("directory"));
        let passed = host.plan("fetch", args("/nope", false));
        assert!(!passed.result.changed && passed.saves.is_empty());
        assert!(passed.result.msg.unwrap().contains("ignored"));
    }
}
