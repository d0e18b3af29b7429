//! `unarchive`: an archive, unpacked on the host.

use super::args::{Arguments, FromValue};
use super::common::attributes::FileAttributes;
use super::common::http::{self, Request, RequestArgs};
use super::common::{archive, paths};
use super::registry::{FreeForm, Module, Needs};
use crate::host::key::Key;
use crate::host::{
    Action, Content, Decision, Failure, ModeSpec, PathKind, PathState, Probe, Run, Stop, TaskResult, View,
};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `unarchive` takes.
    pub struct UnarchiveArgs {
        /// The archive: of the controller (in `files/` of the role, or beside the playbook), or with `remote_src` a
        /// path on the host or a URL.
        src: String;
        /// The folder, which exists.
        dest: String;
        /// `src` is on the host, or a URL.
        remote_src: Option<bool>;
        /// The reverse of `remote_src`.
        copy: Option<bool>;
        /// A path: where something is there, nothing is unpacked.
        creates: Option<String>;
        /// Tell the names of all files.
        list_files: bool = false;
        /// Keep files that are newer than the archive's.
        keep_newer: bool = false;
        /// Leave these out.
        exclude: Vec<String>;
        /// Take only these.
        include: Vec<String>;
        /// Further options for tar or unzip.
        extra_opts: Vec<String>;
        /// Check the server's certificate, where `src` is a URL.
        validate_certs: bool = true;
    } + attributes: FileAttributes
}

/// The module.
pub static MODULE: Module = Module {
    names: &["unarchive", "ansible.builtin.unarchive", "ansible.legacy.unarchive"],
    doc: "An archive, unpacked on the host.",
    args: <UnarchiveArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |map: &Map| {
        let dest = map.get("dest").and_then(Value::as_str).filter(|d| d.starts_with('/'));
        // `extra_opts` may do anything.
        match dest.filter(|_| !map.contains_key("extra_opts")) {
            Some(dest) => vec![Key::below(dest)],
            None => vec![Key::Anything],
        }
    },
};

/// `$1` is `look` (which changes nothing) or `do`. Then come the archive (`archive` and `url` are in `$WINDLASS_DIR`),
/// the folder, owner, group, mode, whether newer files are kept, how many of the words are tar's, how many of the rest
/// are options of unzip, and the words. Prints lines of `name=value`, an empty line, and when looking one line for each
/// file with its attributes, else their names.
const UNPACK: &str = r#"op=$1 src=$2 dest=$3 owner=$4 group=$5 mode=$6 newer=$7 tars=$8 opts=$9
shift 9
fail() { echo "$*" >&2; exit 1; }
case $src in
  archive) src=$WINDLASS_DIR/archive ;;
  url)
    src=$WINDLASS_DIR/fetched
    command -v curl >/dev/null 2>&1 || fail 'the host needs curl to fetch the archive (package curl)'
    curl --fail -K "$WINDLASS_DIR/curl" -o "$src" || fail 'the archive could not be fetched' ;;
esac
[ -r "$src" ] || fail "the archive $src is not there, or can't be read"
[ -s "$src" ] || fail "the archive $src is empty"
kind=tar handler=TarArchive
case $(head -c 4 <"$src" | od -An -tx1 | tr -d ' \n') in
  504b03*|504b05*) kind=zip handler=ZipArchive ;;
  1f8b*) handler=TgzArchive ;;
  425a68*) handler=TarBzipArchive; command -v bzip2 >/dev/null 2>&1 || fail 'the host needs bzip2 to unpack this archive (package bzip2)' ;;
  fd377a58) handler=TarXzArchive; command -v xz >/dev/null 2>&1 || fail 'the host needs xz to unpack this archive (package xz-utils)' ;;
  28b52ffd) handler=TarZstdArchive; command -v zstd >/dev/null 2>&1 || fail 'the host needs zstd to unpack this archive (package zstd)' ;;
esac
if [ "$kind" = zip ]; then
  command -v unzip >/dev/null 2>&1 || fail 'the host needs unzip to unpack this archive (package unzip)'
  shift "$tars"
  i=0 n=$#
  while [ "$i" -lt "$n" ]; do
    [ "$i" -ne "$opts" ] || set -- "$@" "$src"
    set -- "$@" "$1"; shift; i=$((i + 1))
  done
  [ "$n" -ne "$opts" ] || set -- "$@" "$src"
else
  tar --version 2>/dev/null | grep -q GNU || fail 'the host needs GNU tar to unpack this archive (package tar)'
  i=0 n=$#
  while [ "$i" -lt "$n" ]; do
    if [ "$i" -lt "$tars" ]; then set -- "$@" "$1"; fi
    shift; i=$((i + 1))
  done
fi
names() {
  if [ "$kind" = zip ]; then
    j=0
    while [ "$j" -lt "$opts" ]; do shift; j=$((j + 1)); done
    unzip -Z1 "$@"
  else tar --list --quoting-style=literal --force-local --file="$src" -C "$dest" "$@"; fi
}
list=$(names "$@") || fail "can't list the files of the archive $src"
[ -n "$list" ] || fail "the archive $src holds no files"
unpacked=yes
if [ "$kind" = zip ]; then
  printf '%s\n' "$list" | while IFS= read -r name; do
    case $name in
      */) [ -d "$dest/$name" ] || exit 1 ;;
      *) [ -f "$dest/$name" ] || exit 1
        pattern=$(printf '%s\n' "$name" | sed 's/[][*?\\]/\\&/g')
        unzip -p "$src" "$pattern" | cmp -s - "$dest/$name" || exit 1 ;;
    esac
  done || unpacked=no
else
  what='Mod time differs|Warning: Cannot stat: No such file or directory|Symlink differs|Contents differ|Size differs|File type differs'
  [ -n "$mode" ] || what="$what|Mode differs"
  if [ "$(id -u)" = 0 ]; then
    [ -n "$owner" ] || what="$what|Uid differs"
    [ -n "$group" ] || what="$what|Gid differs"
  fi
  # With --strip-components, tar also looks for the names that become empty.
  if tar --diff --force-local --file="$src" -C "$dest" "$@" 2>&1 | grep -v ': : Warning' | grep -Eq ": ($what)"; then unpacked=no; fi
fi
there() {
  printf '%s\n' "$list" | while IFS= read -r name; do
    name=${name#/}
    if [ -h "$dest/$name" ]; then [ "$1" = files ] || printf './%s\n' "$name"
    elif [ -e "$dest/$name" ]; then printf './%s\n' "$name"; fi
  done | tr '\n' '\0'
}
echo "handler=$handler"
if [ "$op" = look ]; then
  echo "unpacked=$unpacked"
  echo
  if [ -n "$owner$group$mode" ]; then
    cd "$dest" && there all | xargs -0 stat -c '%a %u %U %g %G %F|%n' --
  else printf '%s\n' "$list"; fi
  exit 0
fi
changed=no
if [ "$unpacked" = no ]; then
  changed=yes
  if [ "$kind" = zip ]; then
    if [ "$newer" = yes ]; then how=-uo; else how=-o; fi
    unzip -q "$how" -d "$dest" "$@" >&2 || [ $? -eq 1 ] || fail "failed to unpack $src to $dest"
  else
    if [ "$newer" = yes ]; then set -- --keep-newer-files "$@"; fi
    tar --extract --force-local --file="$src" -C "$dest" "$@" >&2 || fail "failed to unpack $src to $dest"
  fi
fi
if [ -n "$owner$group$mode" ]; then
  cd "$dest" || exit 1
  set -e
  did=$(
    if [ -n "$owner" ]; then there all | xargs -0 chown -ch -- "$owner"; fi
    if [ -n "$group" ]; then there all | xargs -0 chgrp -ch -- "$group"; fi
    if [ -n "$mode" ]; then there files | xargs -0 chmod -c -- "$mode"; fi
  )
  [ -z "$did" ] || changed=yes
fi
echo "changed=$changed"
echo
printf '%s\n' "$list"
"#;

fn plan(args: &UnarchiveArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let remote = match (args.remote_src, args.copy) {
        (Some(_), Some(_)) => return Err(Stop::fail("`copy` and `remote_src` exclude each other")),
        (remote, copy) => remote.or(copy.map(|c| !c)).unwrap_or(false),
    };
    if !args.include.is_empty() && !args.exclude.is_empty() {
        return Err(Stop::fail("`include` and `exclude` exclude each other"));
    }
    let dest = paths::absolute(view, "dest", &args.dest)?;
    let url = args.src.contains("://");
    if url && !remote {
        return Err(Stop::fail("a URL as `src` needs `remote_src: true`"));
    }
    if view.memory().is_some() {
        return report(args, view, &dest);
    }
    let src = if remote && !url { Some(paths::absolute(view, "src", &args.src)?) } else { None };
    let at_dest = view.path_with(&dest, true, None);
    let creates = args.creates.as_deref().map(|c| paths::absolute(view, "creates", c)).transpose()?;
    let created = creates.as_deref().map(|c| view.path(c));
    let looked = src.as_deref().map(|src| look(args, view, src, &dest));
    if let Some(path) = creates
        && created.transpose()?.is_some_and(|s| s.exists())
    {
        let mut result = TaskResult::ok().msg(format!("skipped, since {path} exists"));
        result.skipped = true;
        return Ok(Decision::nothing(result));
    }
    if at_dest?.kind != PathKind::Directory {
        return Err(Stop::fail(format!("`dest` must be an existing folder, and {dest} is none")));
    }
    if let Some(Some(settled)) = looked.transpose()? {
        return Ok(Decision::nothing(settled));
    }
    let (name, attach) = if let Some(src) = &src {
        (src.as_str(), Vec::new())
    } else if url {
        let request_args =
            RequestArgs::from_map(&Map::from_iter([("validate_certs".into(), Value::Bool(args.validate_certs))]))?;
        let request = Request {
            url: &args.src,
            args: &request_args,
            method: None,
            headers: Vec::new(),
            follow: true,
            timeout: 60,
            ca_path: None,
            unix_socket: None,
        };
        ("url", vec![("curl".to_owned(), Content::text(&request.curl()?))])
    } else {
        let source = view.controller().source("files", &args.src).map_err(Stop::fail)?;
        if let Some(settled) = compare(args, view, source.len, &dest)? {
            return Ok(Decision::nothing(settled));
        }
        ("archive", vec![("archive".to_owned(), Content::File(source))])
    };
    let words = words(args, "do", name, &dest);
    let mut run = Run::sh(UNPACK, &words.iter().map(String::as_str).collect::<Vec<_>>());
    run.attach = attach;
    let mut action = Action::run(run, format!("unpack {} into {dest}", http::masked(&args.src))).local().tolerant();
    if args.extra_opts.is_empty() {
        action = action.writing(vec![Key::below(&dest)]);
    }
    let foretold = TaskResult::changed(true)
        .with("src", http::masked(&args.src))
        .with("dest", dest)
        .with("handler", Value::Unknown);
    Ok(Decision::report(foretold, vec![action]))
}

/// The arguments of the script.
fn words(args: &UnarchiveArgs, op: &str, src: &str, dest: &str) -> Vec<String> {
    let mode = match &args.attributes.mode {
        None => String::new(),
        Some(ModeSpec::Octal(mode)) => format!("{mode:04o}"),
        Some(ModeSpec::Symbolic(text)) => text.clone(),
    };
    let mut tar = Vec::new();
    if !args.extra_opts.is_empty() {
        tar.push("--show-transformed-names".to_owned());
        tar.extend(args.extra_opts.iter().cloned());
    }
    tar.extend(args.exclude.iter().map(|e| format!("--exclude={}", e.trim_end_matches('/'))));
    tar.extend(args.include.iter().cloned());
    let text = |o: &Option<String>| o.clone().unwrap_or_default();
    let mut words = vec![
        op.to_owned(),
        src.to_owned(),
        dest.to_owned(),
        text(&args.attributes.owner),
        text(&args.attributes.group),
        mode,
        if args.keep_newer { "yes" } else { "no" }.to_owned(),
        tar.len().to_string(),
        args.extra_opts.len().to_string(),
    ];
    words.extend(tar);
    words.extend(args.extra_opts.iter().cloned());
    words.extend(args.include.iter().cloned());
    if !args.exclude.is_empty() {
        words.push("-x".to_owned());
        words.extend(args.exclude.iter().cloned());
    }
    words
}

/// The result, where the archive of the host is unpacked already.
fn look(args: &UnarchiveArgs, view: &View<'_>, src: &str, dest: &str) -> Result<Option<TaskResult>, Stop> {
    let words = words(args, "look", src, dest);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = view.probe(Probe::new(UNPACK, &words, vec![Key::path(src), Key::below(dest)]))?;
    if !output.success() {
        return Err(Stop::fail(output.err().trim().to_owned()));
    }
    let text = output.out();
    let said = http::said(&text);
    if said.get("unpacked").and_then(Value::as_str) != Some("yes") {
        return Ok(None);
    }
    let lines = text.split_once("\n\n").map(|(_, l)| l).unwrap_or_default().lines();
    let attributes = &args.attributes;
    let mut names = Vec::new();
    for line in lines {
        if attributes.owner.is_none() && attributes.group.is_none() && attributes.mode.is_none() {
            names.push(line.to_owned());
            continue;
        }
        let Some((name, state)) = parse(line) else { continue };
        if attributes.change(&name, &state, false)?.is_some() {
            return Ok(None);
        }
        names.push(name.trim_start_matches("./").to_owned());
    }
    Ok(Some(fields(args, TaskResult::ok(), dest, said.get("handler"), names)))
}

/// The result, where an archive of the controller is unpacked already, as far as that can be told without sending it.
fn compare(args: &UnarchiveArgs, view: &View<'_>, len: u64, dest: &str) -> Result<Option<TaskResult>, Stop> {
    let plain = args.extra_opts.is_empty() && args.include.is_empty() && args.exclude.is_empty() && !args.keep_newer;
    if !plain || len > archive::READ_LIMIT {
        return Ok(None);
    }
    let bytes = view.controller().read("files", &args.src).map_err(Stop::fail)?;
    let Some(entries) = archive::entries(&bytes) else { return Ok(None) };
    if entries.is_empty() || !archive::is_unpacked(view, &entries, dest, &args.attributes)? {
        return Ok(None);
    }
    let handler = Value::from(archive::handler(&bytes));
    let names = entries.into_iter().map(|e| e.name).collect();
    Ok(Some(fields(args, TaskResult::ok(), dest, Some(&handler), names)))
}

/// One line of `stat -c '%a %u %U %g %G %F|%n'`.
fn parse(line: &str) -> Option<(String, PathState)> {
    let (left, name) = line.split_once('|')?;
    let mut words = left.splitn(6, ' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let uid = words.next()?.parse().ok()?;
    let owner = words.next()?.to_owned();
    let gid = words.next()?.parse().ok()?;
    let group = words.next()?.to_owned();
    let kind = match words.next()? {
        "directory" => PathKind::Directory,
        "symbolic link" => PathKind::Link,
        _ => PathKind::File,
    };
    let mut state = PathState::of(kind, mode);
    (state.uid, state.owner, state.gid, state.group) = (Some(uid), Some(owner), Some(gid), Some(group));
    Some((name.to_owned(), state))
}

fn fields(
    args: &UnarchiveArgs,
    result: TaskResult,
    dest: &str,
    handler: Option<&Value>,
    names: Vec<String>,
) -> TaskResult {
    let result = result
        .with("src", http::masked(&args.src))
        .with("dest", dest)
        .with("handler", handler.cloned().unwrap_or_default());
    if args.list_files { result.with("files", names) } else { result }
}

fn report(args: &UnarchiveArgs, view: &View<'_>, dest: &str) -> Result<Decision, Stop> {
    let Some(output) = view.outputs().first() else {
        return Err(Stop::fail("nothing was unpacked"));
    };
    if !output.success() {
        let mut failure = Failure { message: output.err().trim().to_owned(), data: Map::new() };
        failure.data = fields(args, TaskResult::ok(), dest, None, Vec::new()).data;
        failure.data.insert("rc".into(), output.rc.into());
        return Err(Stop::Fail(Box::new(failure)));
    }
    let text = output.out();
    let said = http::said(&text);
    let names = text.split_once("\n\n").map(|(_, l)| l.lines().map(str::to_owned).collect()).unwrap_or_default();
    let changed = bool::from_value(said.get("changed").unwrap_or(&Value::Null))?;
    Ok(Decision::nothing(fields(args, TaskResult::changed(changed), dest, said.get("handler"), names)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Output;
    use crate::modules::command::argv_of;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host(looks: &'static str) -> Fake {
        Fake::new()
            .dir("/srv", 0o755)
            .source("a.tgz", "x")
            .probe(move |_| Some(Output::ok(looks)))
            .on_run(|_, _| Some(Output::ok("handler=TgzArchive\nchanged=yes\n\nd/\nd/x\n")))
    }

    #[test]
    fn an_archive_of_the_controller_is_sent_along() {
        let mut host = host("");
        let args = json!({"src": "a.tgz", "dest": "/srv", "list_files": true, "exclude": ["d/y/"], "mode": "u=rwX"});
        let result = host.converge("unarchive", args).result;
        assert!(result.changed);
        assert_eq!(result.data["handler"], Value::from("TgzArchive"));
        assert_eq!(result.data["files"], Value::from(vec!["d/", "d/x"]));
        let words = argv_of(&host.ran()[0]);
        assert_eq!(&words[..3], ["do", "archive", "/srv"]);
        assert_eq!(&words[5..], ["u=rwX", "no", "1", "0", "--exclude=d/y", "-x", "d/y/"]);
        assert_eq!(host.ran()[0].attach[0].0, "archive");
    }

    #[test]
    fn what_is_unpacked_already_is_not_sent() {
        let bytes = archive::tests::sample("1");
        let text = String::from_utf8(bytes).unwrap_or_default();
        let unpacked = |content: &str, mode| {
            Fake::new()
                .dir("/srv", 0o755)
                .dir("/srv/d", 0o755)
                .file("/srv/d/x", content, mode)
                .link("/srv/d/l", "x")
                .source("a.tar", &text)
                .on_run(|_, _| Some(Output::ok("handler=TarArchive\nchanged=yes\n\nd/\n")))
        };
        let args = json!({"src": "a.tar", "dest": "/srv", "list_files": true});
        let mut host = unpacked("1", 0o640);
        host.settled("unarchive", args.clone());
        let result = host.plan("unarchive", args.clone()).result;
        assert_eq!(result.data["files"], Value::from(vec!["d/", "d/x", "d/l"]));
        assert_eq!(result.data["handler"], Value::from("TarArchive"));
        assert!(unpacked("2", 0o640).converge("unarchive", args.clone()).result.changed, "another content");
        assert!(unpacked("1", 0o600).converge("unarchive", args).result.changed, "another mode");
        let args = json!({"src": "a.tar", "dest": "/srv", "mode": "u=rwX,g=rX,o="});
        assert!(unpacked("1", 0o640).converge("unarchive", args).result.changed, "the folder has another mode");
    }

    #[test]
    fn one_of_the_host_is_looked_at_first() {
        let args = json!({"src": "/srv/a.tgz", "dest": "/srv", "remote_src": true});
        host("handler=TgzArchive\nunpacked=yes\n\nd/x\n").settled("unarchive", args.clone());
        assert!(host("handler=TgzArchive\nunpacked=no\n\nd/x\n").converge("unarchive", args.clone()).result.changed);
        let said = "handler=TgzArchive\nunpacked=yes\n\n644 0 root 0 root regular file|./d/x\n777 0 root 0 root symbolic link|./l\n";
        let with = |mode: &str| {
            let mut args = args.clone();
            args["mode"] = json!(mode);
            args
        };
        host(said).settled("unarchive", with("0644"));
        assert!(host(said).converge("unarchive", with("0600")).result.changed);
    }

    #[test]
    fn it_is_left_out_and_told() {
        let mut host = host("").file("/srv/done", "", 0o644);
        assert!(host.plan("unarchive", json!({"src": "a.tgz", "dest": "/srv", "creates": "/srv/done"})).result.skipped);
        for (args, what) in [
            (json!({"src": "a.tgz", "dest": "/no"}), "existing folder"),
            (json!({"src": "http://h/a.tgz", "dest": "/srv"}), "remote_src"),
            (json!({"src": "a.tgz", "dest": "/srv", "include": ["a"], "exclude": ["b"]}), "exclude each other"),
            (json!({"src": "none", "dest": "/srv"}), "could not find"),
        ] {
            let message = host.fails("unarchive", args);
            assert!(message.contains(what), "{message}");
        }
    }
}
