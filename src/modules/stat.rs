//! `stat`: what is at a path.

use super::args::Arguments;
use super::common::paths;
use super::registry::{FreeForm, Module, Needs};
use crate::host::answer::PathTimes;
use crate::host::{Algorithm, Certainty, Decision, Key, Output, PathKind, PathState, Probe, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_choices! {
    /// The algorithm of a checksum.
    pub enum Checksum {
        /// MD5.
        Md5 = "md5",
        /// SHA-1.
        Sha1 = "sha1",
        /// SHA-224.
        Sha224 = "sha224",
        /// SHA-256.
        Sha256 = "sha256",
        /// SHA-384.
        Sha384 = "sha384",
        /// SHA-512.
        Sha512 = "sha512",
    }
}

impl Checksum {
    /// The host's name for it.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Md5 => Algorithm::Md5,
            Self::Sha1 => Algorithm::Sha1,
            Self::Sha224 => Algorithm::Sha224,
            Self::Sha256 => Algorithm::Sha256,
            Self::Sha384 => Algorithm::Sha384,
            Self::Sha512 => Algorithm::Sha512,
        }
    }
}

crate::module_args! {
    /// What `stat` takes.
    pub struct StatArgs {
        /// The path.
        path: String, ["dest", "name"];
        /// Look behind a link.
        follow: bool = false;
        /// Tell the digest of a file's content.
        get_checksum: bool = true;
        /// By this algorithm.
        checksum_algorithm: Checksum, ["checksum", "checksum_algo"] = Checksum::Sha1;
        /// Tell the content's type, where the host has the tool `file`.
        get_mime: bool, ["mime", "mime_type", "mime-type"] = true;
        /// Tell the file system's attributes, where the host has the tool `lsattr`.
        get_attributes: bool, ["attr", "attributes"] = true;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["stat", "ansible.builtin.stat", "ansible.legacy.stat"],
    doc: "What is at a path.",
    args: <StatArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_: &Map| Vec::<Key>::new(),
};

/// `$1` the path, `$2` whether to tell the type, `$3` whether to tell attributes, `$4` whether to look behind a link.
const EXTRA: &str = r#"say() { if [ "$1" "$2" ]; then echo yes; else echo no; fi; }
say -r "$1"; say -w "$1"; say -x "$1"
mime=
if [ "$2" = yes ] && command -v file >/dev/null 2>&1; then
  mime=$(file -b --mime-type --mime-encoding -- "$1" 2>/dev/null) || mime=
fi
printf '%s\n' "$mime" | head -n 1
attributes=
if [ "$3" = yes ] && command -v lsattr >/dev/null 2>&1; then
  attributes=$(lsattr -vd -- "$1" 2>/dev/null) || attributes=
fi
printf '%s\n' "$attributes" | head -n 1
if [ "$4" = yes ]; then links=-L; else links=; fi
stat $links -c '%u %U %g %G %s %X %Y %Z %i %d %h %b' -- "$1" 2>/dev/null || :"#;

fn plan(args: &StatArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let path = paths::absolute(view, "path", &args.path)?;
    let state = view.path_with(&path, args.follow, None);
    let behind = view.path_with(&path, true, None);
    let algorithm = args.checksum_algorithm.algorithm();
    let checksum = args.get_checksum.then(|| view.path_with(&path, args.follow, Some(algorithm)));
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let probe = Probe::new(
        EXTRA,
        &[&path, word(args.get_mime), word(args.get_attributes), word(args.follow)],
        vec![Key::path(&path), Key::Accounts],
    );
    let extra = view.probe(probe);
    let mut state = state?;
    if !state.exists() {
        let stat = Value::from_pairs([("exists", Value::Bool(false))]);
        return Ok(Decision::nothing(TaskResult::ok().with("stat", stat)));
    }
    let extra = match extra {
        Ok(output) => Some(output),
        Err(Stop::Unknown(_)) => None,
        Err(other) => return Err(other),
    };
    // What an earlier step made is known only in part; the host itself knows the rest, once it is there.
    if let Some(line) = extra.as_ref().and_then(|e| e.out().lines().nth(5).map(str::to_owned)) {
        complete(&mut state, &line);
    }
    let mut stat = numbers(&args.path, &state);
    if state.kind == PathKind::Link {
        let real = behind?.real.filter(|r| *r != path);
        stat.insert("lnk_source".into(), known(real));
        stat.insert("lnk_target".into(), known(state.target.clone()));
    }
    if state.kind == PathKind::File
        && let Some(asked) = checksum
    {
        match asked {
            Ok(with_digest) => {
                stat.insert("checksum".into(), known(with_digest.digest));
            }
            Err(Stop::Unknown(_)) => {
                stat.insert("checksum".into(), Value::Unknown);
            }
            Err(Stop::Pause) => return Err(Stop::Pause),
            // The content can't be read: there is no checksum to tell.
            Err(Stop::Fail(_)) => {}
        }
    }
    extras(args, extra.as_ref(), &mut stat);
    let stat = Value::map(stat);
    let certainty = if stat.has_unknown() { Certainty::KnownAfterApply } else { Certainty::Exact };
    Ok(Decision { certainty, ..Decision::nothing(TaskResult::ok().with("stat", stat)) })
}

/// Fills in what is not known of a state from a line of `stat -c '%u %U %g %G %s %X %Y %Z %i %d %h %b'`.
fn complete(state: &mut PathState, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let [uid, owner, gid, group, size, rest @ ..] = words.as_slice() else { return };
    let numbers: Vec<i64> = rest.iter().filter_map(|w| w.parse().ok()).collect();
    let [atime, mtime, ctime, inode, device, links, blocks] = numbers[..] else { return };
    state.uid = state.uid.or(uid.parse().ok());
    state.owner.get_or_insert_with(|| (*owner).to_owned());
    state.gid = state.gid.or(gid.parse().ok());
    state.group.get_or_insert_with(|| (*group).to_owned());
    state.size = state.size.or(size.parse().ok());
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    state.times.get_or_insert(PathTimes {
        atime,
        mtime,
        ctime,
        inode: count(inode),
        device: count(device),
        links: count(links),
        blocks: count(blocks),
    });
}

/// A field that is known, or known only after apply.
fn known<T: Into<Value>>(field: Option<T>) -> Value {
    field.map_or(Value::Unknown, Into::into)
}

pub(super) fn numbers(path: &str, state: &PathState) -> Map {
    let mut stat = Map::new();
    let mut put = |name: &str, value: Value| stat.insert(name.into(), value);
    put("exists", true.into());
    put("path", path.into());
    put("mode", format!("{:04o}", state.mode).into());
    for (name, kind) in [
        ("isdir", PathKind::Directory),
        ("ischr", PathKind::CharDevice),
        ("isblk", PathKind::BlockDevice),
        ("isreg", PathKind::File),
        ("isfifo", PathKind::Fifo),
        ("islnk", PathKind::Link),
        ("issock", PathKind::Socket),
    ] {
        put(name, (state.kind == kind).into());
    }
    put("uid", known(state.uid));
    put("gid", known(state.gid));
    put("size", known(state.size));
    let times = state.times.as_ref();
    put("inode", known(times.map(|t| t.inode)));
    put("dev", known(times.map(|t| t.device)));
    put("nlink", known(times.map(|t| t.links)));
    put("blocks", known(times.map(|t| t.blocks)));
    let seconds = |time: fn(&crate::host::answer::PathTimes) -> i64| known(times.map(|t| time(t) as f64));
    put("atime", seconds(|t| t.atime));
    put("mtime", seconds(|t| t.mtime));
    put("ctime", seconds(|t| t.ctime));
    for (name, bit) in [
        ("wusr", 0o200),
        ("rusr", 0o400),
        ("xusr", 0o100),
        ("wgrp", 0o020),
        ("rgrp", 0o040),
        ("xgrp", 0o010),
        ("woth", 0o002),
        ("roth", 0o004),
        ("xoth", 0o001),
        ("isuid", 0o4000),
        ("isgid", 0o2000),
    ] {
        put(name, (state.mode & bit != 0).into());
    }
    // A number without an account has no name to tell.
    for (name, owner) in [("pw_name", &state.owner), ("gr_name", &state.group)] {
        if owner.as_deref() != Some("UNKNOWN") {
            put(name, known(owner.clone()));
        }
    }
    stat
}

/// The names of the attributes that lsattr(1) shows as letters, from chattr(1).
const ATTRIBUTES: [(char, &str); 20] = [
    ('A', "noatime"),
    ('a', "append"),
    ('c', "compressed"),
    ('C', "nocow"),
    ('d', "nodump"),
    ('D', "dirsync"),
    ('e', "extents"),
    ('E', "encrypted"),
    ('h', "blocksize"),
    ('i', "immutable"),
    ('I', "indexed"),
    ('j', "journalled"),
    ('N', "inline"),
    ('s', "zero"),
    ('S', "synchronous"),
    ('t', "notail"),
    ('T', "blockroot"),
    ('u', "undelete"),
    ('X', "compressedraw"),
    ('Z', "compresseddirty"),
];

/// What the probe told, or that it is not known.
fn extras(args: &StatArgs, output: Option<&Output>, stat: &mut Map) {
    let text = output.map(Output::out);
    let line = |i: usize| text.as_deref().map(|t| t.lines().nth(i).unwrap_or_default());
    for (i, name) in ["readable", "writeable", "executable"].into_iter().enumerate() {
        stat.insert(name.into(), known(line(i).map(|l| l == "yes")));
    }
    if args.get_mime {
        let mut parts = line(3).map(|l| l.split_once("; charset=").unwrap_or(("unknown", "unknown")));
        if let Some((kind, _)) = &mut parts
            && !kind.contains('/')
        {
            parts = Some(("unknown", "unknown"));
        }
        stat.insert("mimetype".into(), known(parts.map(|p| p.0)));
        stat.insert("charset".into(), known(parts.map(|p| p.1)));
    }
    if args.get_attributes {
        let words = line(4).map(|l| l.split_whitespace().collect::<Vec<_>>());
        let flags = words.as_ref().map(|w| w.get(1).copied().unwrap_or_default().replace('-', ""));
        let version = words.map(|w| w.first().map_or(Value::Null, |&v| v.into()));
        let names = flags.as_ref().map(|f| {
            f.chars()
                .filter_map(|c| ATTRIBUTES.iter().find(|(letter, _)| *letter == c))
                .map(|(_, name)| Value::from(*name))
                .collect::<Vec<_>>()
        });
        stat.insert("version".into(), known(version));
        stat.insert("attributes".into(), known(names));
        stat.insert("attr_flags".into(), known(flags));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host() -> Fake {
        Fake::new().dir("/srv", 0o2755).file("/srv/a", "abc", 0o4640).link("/srv/l", "a").probe(|_| {
            Some(Output::ok("yes\nno\nno\ntext/plain; charset=us-ascii\n77 ----i---------e------- /srv/a\n"))
        })
    }

    fn stat(host: &mut Fake, args: serde_json::Value) -> Map {
        let result = host.plan("stat", args).result;
        assert!(!result.changed);
        result.data["stat"].as_map().cloned().unwrap_or_default()
    }

    #[test]
    fn a_file_in_full() {
        let mut host = host();
        let stat = stat(&mut host, json!({"path": "/srv/a"}));
        assert_eq!(host.rounds(), 1);
        for (name, value) in [
            ("exists", Value::from(true)),
            ("mode", "4640".into()),
            ("isreg", true.into()),
            ("isdir", false.into()),
            ("isuid", true.into()),
            ("rgrp", true.into()),
            ("wgrp", false.into()),
            ("size", 3.into()),
            ("uid", 0.into()),
            ("pw_name", "root".into()),
            ("checksum", "a9993e364706816aba3e25717850c26c9cd0d89d".into()),
            ("readable", true.into()),
            ("executable", false.into()),
            ("mimetype", "text/plain".into()),
            ("charset", "us-ascii".into()),
            ("version", "77".into()),
            ("attr_flags", "ie".into()),
            ("attributes", vec!["immutable", "extents"].into()),
            ("mtime", 1000.0.into()),
        ] {
            assert_eq!(stat[name], value, "{name}");
        }
    }

    #[test]
    fn gaps_are_filled_from_the_host() {
        let mut state = PathState::of(PathKind::File, 0o644);
        state.owner = Some("www".into());
        complete(&mut state, "33 www-data 34 staff 5 1 2 3 4 6 7 8");
        assert_eq!((state.uid, state.owner.as_deref(), state.gid), (Some(33), Some("www"), Some(34)));
        assert_eq!(state.times.map(|t| (t.mtime, t.inode, t.links)), Some((2, 4, 7)));
        let mut empty = PathState::of(PathKind::File, 0o644);
        complete(&mut empty, "");
        assert_eq!(empty, PathState::of(PathKind::File, 0o644));
    }

    #[test]
    fn nothing_a_folder_and_a_link() {
        let mut host = host();
        assert_eq!(Value::map(stat(&mut host, json!({"path": "/srv/x"}))).to_string(), "{'exists': False}");
        let folder = stat(&mut host, json!({"path": "/srv", "get_mime": false}));
        assert_eq!(folder["isdir"], Value::from(true));
        assert_eq!(folder["mode"], Value::from("2755"));
        assert!(!folder.contains_key("checksum") && !folder.contains_key("mimetype"));
        let link = stat(&mut host, json!({"path": "/srv/l"}));
        assert_eq!(link["islnk"], Value::from(true));
        assert_eq!(link["lnk_target"], Value::from("a"));
        assert_eq!(link["lnk_source"], Value::from("/srv/a"));
        let behind = stat(&mut host, json!({"path": "/srv/l", "follow": true, "checksum_algorithm": "md5"}));
        assert_eq!(behind["isreg"], Value::from(true));
        assert_eq!(behind["checksum"], Value::from("900150983cd24fb0d6963f7d28e17f72"));
    }
}
