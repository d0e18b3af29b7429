//! `get_url`: a file that the host fetches.

use super::args::{Arguments, FromValue};
use super::common::attributes::FileAttributes;
use super::common::http::{self, Request, RequestArgs};
use super::common::{paths, put};
use super::registry::{FreeForm, Module, Needs};
use super::stat::Checksum;
use crate::host::key::{Key, parent};
use crate::host::{Action, Content, Decision, Failure, PathKind, PathState, Probe, Run, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `get_url` takes.
    pub struct GetArgs {
        /// What to fetch.
        url: String;
        /// Where it goes; into a folder, under the name that the server or the URL gives.
        dest: String;
        /// `ALGORITHM:DIGEST`, or `ALGORITHM:URL` of a list of digests.
        checksum: Option<String>;
        /// Fetch it although a file is there, and replace that where it differs.
        force: bool = false;
        /// Keep a copy of the former file.
        backup: bool = false;
        /// How long the server may be silent, in seconds.
        timeout: i64 = 10i64;
        /// A folder on the host to fetch into first; by default that of `dest`.
        tmp_dest: Option<String>;
    } + request: RequestArgs
}

/// The module.
pub static MODULE: Module = Module {
    names: &["get_url", "ansible.builtin.get_url", "ansible.legacy.get_url"],
    doc: "A file that the host fetches.",
    args: <GetArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::copy::writes,
};

/// Whether the server has something newer than the file `$1`: prints the status of a HEAD request, if there is curl.
/// The request comes on standard input.
const NEWER: &str = r#"command -v curl >/dev/null 2>&1 || exit 0
curl -K - -I -o /dev/null -z "$1" -w '%{http_code}' 2>/dev/null || :"#;

/// Fetches. `$WINDLASS_DIR` holds the request (`curl`, `wget`, `url`) and that of the digests (`sums.…`).
const FETCH: &str = r#"dest=$1 folder=$2 name=$3 since=$4 tool=$5 sum=$6 mode=$7 owner=$8 group=$9
shift 9
backup=$1 scratch=$2
umask 077
at=${dest%/*}/
[ "$folder" = no ] || at=${dest%/}/
tmp= final=
trap 'rm -f "$tmp" "$final"' EXIT
trap 'exit 1' HUP INT TERM
tmp=$(mktemp "${scratch:-$at}/.windlass.XXXXXXXX") || exit 1
fetch() {
  if command -v curl >/dev/null 2>&1; then
    if [ "$3" = yes ]; then set -- "$1" "$2" -z "$dest"; else set -- "$1" "$2"; fi
    request=$1 into=$2
    shift 2
    code=$(curl -K "$WINDLASS_DIR/${request}curl" -D "$WINDLASS_DIR/headers" -o "$into" -w '%{http_code}' "$@") || return 1
  elif command -v wget >/dev/null 2>&1; then
    wget --config="$WINDLASS_DIR/${1}wget" -q -S -O "$2" -i "$WINDLASS_DIR/${1}url" 2>"$WINDLASS_DIR/headers"
    got=$?
    code=$(sed -n 's/^ *HTTP\/[0-9.]* *\([0-9][0-9]*\).*/\1/p' "$WINDLASS_DIR/headers" | tail -n 1)
    if [ -z "$code" ] && [ "$got" -ne 0 ]; then cat "$WINDLASS_DIR/headers" >&2; return 1; fi
  else
    echo "the host needs curl or wget to fetch files (package curl)" >&2
    return 1
  fi
  case ${code:-000} in
    200|226|250|304|000) return 0 ;;
  esac
  echo "status=$code"
  echo "the server answered with status $code" >&2
  return 2
}
if [ "$sum" = url ]; then
  fetch sums. "$WINDLASS_DIR/sums" no || { echo "the list of checksums could not be fetched" >&2; exit 1; }
  sum=$(NAME="$name" awk '
    { sub(/\r$/, "") }
    done { next }
    NF == 1 { single = $1; next }
    /\) ?= / { if (index($0, "(" ENVIRON["NAME"] ")")) { print $NF; done = 1 } next }
    { file = $0; sub(/^[^ \t]+[ \t]+[*]?([.]\/)?/, "", file); if (file == ENVIRON["NAME"]) { print $1; done = 1 } }
    END { if (!done && NR == 1 && single != "") print single }' "$WINDLASS_DIR/sums" | tr 'A-F' 'a-f')
  [ -n "$sum" ] || { echo "the list of checksums does not name the file $name" >&2; exit 1; }
fi
fetch "" "$tmp" "$since" || exit 1
if [ "${code:-}" = 304 ]; then echo status=304; echo changed=no; exit 0; fi
if [ "$folder" = yes ]; then
  told=$(sed -n 's/^ *[Cc]ontent-[Dd]isposition:.*filename="\{0,1\}\([^";]*\).*/\1/p' "$WINDLASS_DIR/headers" 2>/dev/null | tail -n 1 | tr -d '\r')
  told=${told##*/}
  case $told in ''|.|..) ;; *) name=$told ;; esac
  dest=$at$name
fi
if [ -n "$tool" ]; then
  is=$("$tool" <"$tmp") || exit 1
  is=${is%% *}
  if [ "$is" != "$sum" ]; then
    echo "the checksum of what was fetched is $is, not $sum; nothing was changed" >&2
    exit 1
  fi
fi
sha1=$(sha1sum <"$tmp"); sha1=${sha1%% *}
if [ -d "$dest" ]; then echo "$dest is a folder" >&2; exit 1; fi
changed=yes
if [ -f "$dest" ] && cmp -s "$tmp" "$dest"; then changed=no; fi
if [ "$changed" = yes ]; then
  final=$(mktemp "$at.windlass.XXXXXXXX") || exit 1
  if [ -z "$scratch" ]; then mv -f -- "$tmp" "$final"; else cat <"$tmp" >"$final"; fi || exit 1
  [ -z "$owner" ] || chown -- "$owner" "$final" || exit 1
  [ -z "$group" ] || chgrp -- "$group" "$final" || exit 1
  chmod -- "$mode" "$final" || exit 1
  if [ -n "$backup" ] && [ -f "$dest" ]; then cp -p -- "$dest" "$backup" || exit 1; echo "backup=$backup"; fi
  mv -f -- "$final" "$dest" || exit 1
fi
echo "status=${code:-}"
echo "changed=$changed"
echo "sha1=$sha1"
echo "size=$(wc -c <"$dest" | tr -d ' ')"
echo "dest=$dest"
"#;

enum Sum {
    Digest(Checksum, String),
    List(Checksum, String),
}

fn checksum(text: &str) -> Result<Sum, Stop> {
    let (name, rest) = text
        .split_once(':')
        .ok_or_else(|| Stop::fail(format!("`checksum` must be ALGORITHM:DIGEST or ALGORITHM:URL, not `{text}`")))?;
    let algorithm =
        Checksum::from_value(&Value::from(name)).map_err(|e| Stop::fail(format!("`checksum` must be {e}")))?;
    if rest.contains("://") {
        return Ok(Sum::List(algorithm, rest.to_owned()));
    }
    let digest: String = rest.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    if digest.is_empty() || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Stop::fail(format!("`checksum` holds no hexadecimal digest: `{text}`")));
    }
    Ok(Sum::Digest(algorithm, digest))
}

fn plan(args: &GetArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let dest = paths::absolute(view, "dest", &args.dest)?;
    let sum = args.checksum.as_deref().filter(|c| !c.is_empty()).map(checksum).transpose()?;
    let request = |url| Request {
        url,
        args: &args.request,
        method: None,
        headers: Vec::new(),
        follow: true,
        timeout: args.timeout,
        ca_path: None,
        unix_socket: None,
    };
    let main = request(&args.url);
    main.check()?;
    if view.memory().is_some() {
        return report(args, view, &dest);
    }
    let name = http::file_name(&args.url);
    let inner = format!("{}/{name}", dest.trim_end_matches('/'));
    let algorithm = match &sum {
        Some(Sum::Digest(algorithm, _)) => Some(algorithm.algorithm()),
        _ => None,
    };
    let at_dest = view.path_with(&dest, true, algorithm);
    let at_inner = view.path_with(&inner, true, algorithm);
    let above = view.path_with(parent(&dest).unwrap_or("/"), true, None);
    let conditional = sum.is_none() && !args.force;
    let newer = conditional.then(|| {
        let config = main.curl()?;
        let probe = Probe::new(NEWER, &[&dest], vec![Key::Volatile, Key::path(&dest)]);
        view.probe(Probe { stdin: Some(config), ..probe })
    });
    let at_dest = at_dest?;
    let folder = at_dest.kind == PathKind::Directory;
    if !folder && (args.dest.ends_with('/') || above?.kind != PathKind::Directory) {
        let missing = if args.dest.ends_with('/') { &dest } else { parent(&dest).unwrap_or("/") };
        return Err(Stop::fail(format!("the folder {missing} does not exist; create it first")));
    }
    let (path, now) = if folder { (inner, at_inner?) } else { (at_dest.real.clone().unwrap_or(dest.clone()), at_dest) };
    // What is fetched anew gets its attributes with the fetch.
    let attributes = if now.exists() { args.request.attributes.change(&path, &now, true)? } else { None };

    let settled = match &sum {
        Some(Sum::Digest(_, digest)) => !args.force && now.digest.as_deref() == Some(digest),
        _ => false,
    };
    // Into a folder, Ansible fetches every time and compares.
    let unmodified = match newer {
        Some(output) if !folder && now.kind == PathKind::File => output?.out().trim() == "304",
        _ => false,
    };
    if settled || unmodified {
        let changed = attributes.is_some();
        let msg = if changed { "file already exists but file attributes changed" } else { "file already exists" };
        let mut result = described(args, view, &path, &now, &args.request.attributes)?.msg(msg);
        if unmodified {
            result = result.with("status_code", 304);
        }
        result.changed = changed;
        return Ok(Decision::act(result, attributes.into_iter().collect()));
    }

    let since = if conditional && !folder && now.kind == PathKind::File { "yes" } else { "no" };
    let (tool, digest, list) = match &sum {
        None => ("", "", None),
        Some(Sum::Digest(algorithm, digest)) => (algorithm.algorithm().tool(), digest.as_str(), None),
        Some(Sum::List(algorithm, url)) => (algorithm.algorithm().tool(), "url", Some(url.as_str())),
    };
    let is_file = now.kind == PathKind::File;
    let before = if is_file { now.clone() } else { PathState::absent() };
    let mode = args.request.attributes.final_mode(&before, 0o644)?;
    let kept = |wanted: &Option<String>, number: Option<u32>| {
        wanted.clone().or_else(|| number.filter(|_| is_file).map(|n| n.to_string())).unwrap_or_default()
    };
    let backup = if args.backup && is_file { put::backup_name(view, &path) } else { String::new() };
    let scratch = args.tmp_dest.as_deref().map(|d| paths::absolute(view, "tmp_dest", d)).transpose()?;
    let words = [
        if folder { dest.as_str() } else { path.as_str() },
        if folder { "yes" } else { "no" },
        name,
        since,
        tool,
        digest,
        &format!("{mode:04o}"),
        &kept(&args.request.attributes.owner, now.uid),
        &kept(&args.request.attributes.group, now.gid),
        &backup,
        scratch.as_deref().unwrap_or_default(),
    ];
    let mut run = Run::sh(FETCH, &words);
    run.attach = attached("", &main)?;
    if let Some(url) = list {
        run.attach.extend(attached("sums.", &request(url))?);
    }
    let mut keys = vec![Key::path(&path)];
    if folder {
        keys = vec![Key::below(&dest)];
    }
    keys.extend(Some(&backup).filter(|b| !b.is_empty()).map(|b| Key::path(b)));
    let fetch = Action::run(run, format!("fetch {} to {path}", http::masked(&args.url))).writing(keys).local();
    let foretold = TaskResult::changed(true)
        .with("url", http::masked(&args.url))
        .with("dest", path)
        .with("status_code", Value::Unknown)
        .with("checksum_src", Value::Unknown);
    Ok(Decision::report(foretold, [fetch].into_iter().chain(attributes).collect()))
}

fn attached(prefix: &str, request: &Request<'_>) -> Result<Vec<(String, Content)>, Stop> {
    Ok(vec![
        (format!("{prefix}curl"), Content::text(&request.curl()?)),
        (format!("{prefix}wget"), Content::text(&request.wget()?)),
        (format!("{prefix}url"), Content::text(&format!("{}\n", request.url))),
    ])
}

fn described(
    args: &GetArgs,
    view: &View<'_>,
    path: &str,
    now: &PathState,
    attributes: &FileAttributes,
) -> Result<TaskResult, Stop> {
    let mode = attributes.final_mode(now, 0o644)?;
    let after = put::After { now, attributes, mode, size: now.size.unwrap_or(0) };
    Ok(put::describe(TaskResult::ok().with("url", http::masked(&args.url)), view, path, &after))
}

fn report(args: &GetArgs, view: &View<'_>, dest: &str) -> Result<Decision, Stop> {
    let mut data = Map::new();
    data.insert("url".into(), http::masked(&args.url).into());
    data.insert("dest".into(), dest.into());
    let fail = |message: String, data: Map| Err(Stop::Fail(Box::new(Failure { message, data })));
    let Some(output) = view.outputs().first() else {
        return fail("nothing was fetched".to_owned(), data);
    };
    let said = http::said(&output.out());
    let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|v| !v.is_empty());
    let status = text("status").and_then(|s| s.parse::<i64>().ok());
    data.insert("elapsed".into(), (output.took / 1_000_000).into());
    data.insert("status_code".into(), status.into());
    if !output.success() {
        let why = output.err();
        return fail(format!("Request failed: {}", why.trim()), data);
    }
    if let Some(failed) = view.outputs().get(1).filter(|o| !o.success()) {
        return fail(format!("the file was fetched, and its attributes not set: {}", failed.err().trim()), data);
    }
    let changed = text("changed") == Some("yes");
    if let Some(path) = text("dest") {
        data.insert("dest".into(), path.into());
    }
    for (name, field) in [("checksum_src", "sha1"), ("checksum_dest", "sha1"), ("backup_file", "backup")] {
        if let Some(value) = text(field) {
            data.insert(name.into(), value.into());
        }
    }
    if let Some(size) = text("size").and_then(|s| s.parse::<i64>().ok()) {
        data.insert("size".into(), size.into());
    }
    data.insert("state".into(), "file".into());
    let mut result = TaskResult::changed(changed || view.outputs().len() > 1);
    result.data = data;
    Ok(Decision::nothing(result))
}

#[cfg(test)]
#[path = "get_url_tests.rs"]
mod tests;
