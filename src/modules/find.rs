//! `find`: the files below folders that meet some conditions.

use super::args::Arguments;
use super::common::paths;
use super::common::regex::{Over, Pattern};
use super::registry::{FreeForm, Module, Needs};
use super::stat::{Checksum, numbers};
use crate::host::answer::PathTimes;
use crate::host::key::{Key, file_name};
use crate::host::{Decision, PathKind, PathState, Probe, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_choices! {
    /// What to find.
    pub enum FileType {
        /// Anything.
        Any = "any",
        /// Folders.
        Directory = "directory",
        /// Regular files.
        File = "file",
        /// Symbolic links.
        Link = "link",
    }
}

crate::module_choices! {
    /// Which time the age is counted from.
    pub enum Stamp {
        /// Last access.
        Access = "atime",
        /// Last change of the inode.
        Change = "ctime",
        /// Last change of the content.
        Modification = "mtime",
    }
}

crate::module_args! {
    /// What `find` takes.
    pub struct FindArgs {
        /// The folders.
        paths: Vec<String>, ["path", "name"];
        /// What names must match one of: shell patterns, or regular expressions with `use_regex`.
        patterns: Vec<String>, ["pattern"];
        /// What names must match none of.
        excludes: Vec<String>, ["exclude"];
        /// `patterns` and `excludes` are regular expressions, matched from a name's beginning.
        use_regex: bool = false;
        /// What to find.
        file_type: FileType = FileType::File;
        /// Below folders in the folders, too.
        recurse: bool = false;
        /// How deep.
        depth: Option<i64>;
        /// Follow links to folders.
        follow: bool = false;
        /// Also what begins with a dot.
        hidden: bool = false;
        /// At least so old (`3600`, `2d`, `1w`); with a minus, at most.
        age: Option<String>;
        /// Which time that is counted from.
        age_stamp: Stamp = Stamp::Modification;
        /// At least so large (`1024`, `10m`); with a minus, at most.
        size: Option<String>;
        /// Tell the digest of each file.
        get_checksum: bool = false;
        /// By this algorithm.
        checksum_algorithm: Checksum, ["checksum", "checksum_algo"] = Checksum::Sha1;
        /// So many at most.
        limit: Option<i64>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["find", "ansible.builtin.find", "ansible.legacy.find"],
    doc: "The files below folders that meet some conditions.",
    args: <FindArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_: &Map| Vec::<Key>::new(),
};

/// `$1` how deep (empty: no limit), `$2` whether to follow links, then the folders. What is found comes back with a NUL
/// behind it, since a name may hold anything else.
const LIST: &str = r#"deep=$1 follow=$2
shift 2
for folder; do
  if [ ! -d "$folder" ]; then printf '!%s\0' "$folder"; continue; fi
  folder=${folder%/}/
  set -- "$folder" -mindepth 1
  [ -z "$deep" ] || set -- "$@" -maxdepth "$deep"
  if [ "$follow" = yes ]; then links=-L; else links=-P; fi
  find "$links" "$@" -print0 2>/dev/null |
    xargs -0 stat --printf '%f %s %u %U %g %G %X %Y %Z %i %d %h %b|%n\0' -- 2>/dev/null
done
exit 0"#;

fn plan(args: &FindArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if args.paths.is_empty() {
        return Err(Stop::fail("argument `paths` is required"));
    }
    let folders = args.paths.iter().map(|p| paths::absolute(view, "paths", p)).collect::<Result<Vec<_>, _>>()?;
    let patterns = compiled(&args.patterns, args.use_regex)?;
    let excludes = compiled(&args.excludes, args.use_regex)?;
    let age = args.age.as_deref().map(|a| amount("age", a, &AGES)).transpose()?;
    let size = args.size.as_deref().map(|s| amount("size", s, &SIZES)).transpose()?;
    let deep = match (args.recurse, args.depth) {
        (false, _) => "1".to_owned(),
        (true, Some(depth)) if depth > 0 => depth.to_string(),
        (true, _) => String::new(),
    };
    let mut words = vec![deep.as_str(), if args.follow { "yes" } else { "no" }];
    words.extend(folders.iter().map(String::as_str));
    let reads = folders.iter().map(|f| Key::below(f)).collect();
    let output = view.probe(Probe::new(LIST, &words, reads))?.out();

    let (mut found, mut examined, mut skipped) = (Vec::new(), 0_usize, Map::new());
    for line in output.split('\0') {
        if let Some(folder) = line.strip_prefix('!') {
            skipped.insert(folder.into(), Value::from(format!("'{folder}' is not a directory")));
            continue;
        }
        let Some((path, state)) = parse(line) else { continue };
        examined += 1;
        let name = file_name(&path);
        let kind = match args.file_type {
            FileType::Any => true,
            FileType::Directory => state.kind == PathKind::Directory,
            FileType::File => state.kind == PathKind::File,
            FileType::Link => state.kind == PathKind::Link,
        };
        let times = state.times.clone().unwrap_or_default();
        let stamp = match args.age_stamp {
            Stamp::Access => times.atime,
            Stamp::Change => times.ctime,
            Stamp::Modification => times.mtime,
        };
        let fits = |wanted: Option<i64>, is: i64| wanted.is_none_or(|w| if w >= 0 { is >= w } else { is <= -w });
        if kind
            && (args.hidden || !name.starts_with('.'))
            && (patterns.is_empty() || any(&patterns, name)?)
            && !any(&excludes, name)?
            && fits(age, view.now() - stamp)
            && fits(size, i64::try_from(state.size.unwrap_or(0)).unwrap_or(i64::MAX))
        {
            found.push((path, state));
        }
    }
    if let Some(limit) = args.limit.and_then(|l| usize::try_from(l).ok()) {
        found.truncate(limit);
    }
    let algorithm = args.checksum_algorithm.algorithm();
    let digests: Vec<_> = found
        .iter()
        .map(|(path, state)| {
            let wanted = args.get_checksum && state.kind == PathKind::File;
            wanted.then(|| view.path_with(path, true, Some(algorithm)))
        })
        .collect();
    let mut files = Vec::new();
    for ((path, state), digest) in found.iter().zip(digests) {
        let mut file = numbers(path, state);
        file.shift_remove("exists");
        if let Some(digest) = digest.transpose()?.and_then(|s| s.digest) {
            file.insert("checksum".into(), digest.into());
        }
        files.push(Value::map(file));
    }
    let msg = if skipped.is_empty() { "All paths examined" } else { "Not all paths examined, check skipped_paths" };
    let result = TaskResult::ok()
        .msg(msg)
        .with("matched", files.len())
        .with("examined", examined)
        .with("skipped_paths", skipped)
        .with("files", files);
    Ok(Decision::nothing(result))
}

fn compiled(patterns: &[String], regex: bool) -> Result<Vec<Pattern>, Stop> {
    patterns
        .iter()
        .map(|p| {
            let source = if regex { format!("\\A(?:{p})") } else { glob(p) };
            Ok(Pattern::new(&source, Over::Text, false, true)?)
        })
        .collect()
}

/// A shell pattern as a regular expression: `*`, `?`, `[…]`, `[!…]`.
fn glob(pattern: &str) -> String {
    let mut out = String::from("\\A(?:");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let body = rest.strip_prefix('!').unwrap_or(rest);
                match body.char_indices().skip(1).find(|(_, c)| *c == ']') {
                    Some((end, _)) => {
                        let not = if body.len() < rest.len() { "^" } else { "" };
                        let set = body[..end].replace('\\', "\\\\");
                        let first = if not.is_empty() && set.starts_with('^') { "\\" } else { "" };
                        out.extend(["[", not, first, &set, "]"]);
                        rest = &body[end + 1..];
                    }
                    None => out.push_str("\\["),
                }
            }
            c if c.is_alphanumeric() || c == '_' || !c.is_ascii() => out.push(c),
            c => out.extend(['\\', c]),
        }
    }
    out.push_str(")\\Z");
    out
}

fn any(patterns: &[Pattern], name: &str) -> Result<bool, Stop> {
    for pattern in patterns {
        if pattern.find(name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

const AGES: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
const SIZES: [(char, i64); 5] = [('b', 1), ('k', 1 << 10), ('m', 1 << 20), ('g', 1 << 30), ('t', 1 << 40)];

/// A number with a unit.
fn amount(argument: &str, text: &str, units: &[(char, i64)]) -> Result<i64, Stop> {
    let lower = text.trim().to_ascii_lowercase();
    let unit = lower.chars().last().and_then(|c| units.iter().find(|(u, _)| *u == c));
    let digits = if unit.is_some() { &lower[..lower.len() - 1] } else { &lower };
    digits.parse::<i64>().ok().and_then(|n| n.checked_mul(unit.map_or(1, |u| u.1))).ok_or_else(|| {
        let words: Vec<String> = units.iter().map(|(u, _)| u.to_string()).collect();
        Stop::fail(format!("`{argument}` must be a number with one of {} behind it, not `{text}`", words.join(", ")))
    })
}

/// One entry of the listing.
fn parse(line: &str) -> Option<(String, PathState)> {
    let (left, path) = line.split_once('|')?;
    let mut words = left.split(' ');
    let raw = u32::from_str_radix(words.next()?, 16).ok()?;
    // The file type's bits, from inode(7).
    let kind = match raw >> 12 {
        0o14 => PathKind::Socket,
        0o12 => PathKind::Link,
        0o10 => PathKind::File,
        0o6 => PathKind::BlockDevice,
        0o4 => PathKind::Directory,
        0o2 => PathKind::CharDevice,
        0o1 => PathKind::Fifo,
        _ => return None,
    };
    let mut state = PathState::of(kind, raw & 0o7777);
    state.size = words.next()?.parse().ok();
    state.uid = words.next()?.parse().ok();
    state.owner = words.next().map(str::to_owned);
    state.gid = words.next()?.parse().ok();
    state.group = words.next().map(str::to_owned);
    let mut number = || words.next()?.parse::<i64>().ok();
    let (atime, mtime, ctime) = (number()?, number()?, number()?);
    let mut count = || number().and_then(|n| u64::try_from(n).ok());
    let (inode, device, links, blocks) = (count()?, count()?, count()?, count()?);
    state.times = Some(PathTimes { atime, mtime, ctime, inode, device, links, blocks });
    Some((crate::host::key::clean(path), state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    // The fake's time is 1700000000.
    const LINES: &str = "81a4 10 0 root 0 root 1 1699999000 3 7 8 1 0|/log/a.log\0\
        8180 5000 0 root 0 root 1 1600000000 3 7 8 1 0|/log/b b.log\0\
        81a4 1 0 root 0 root 1 1699999000 3 7 8 1 0|/log/.c.log\0\
        41ed 4096 0 root 0 root 1 1699999000 3 7 8 2 0|/log/d\0\
        !/none\0";

    fn found(args: serde_json::Value) -> String {
        let mut all = json!({"paths": "/log,/none"});
        all.as_object_mut().into_iter().for_each(|all| all.extend(args.as_object().cloned().unwrap_or_default()));
        let mut host =
            Fake::new().dir("/log", 0o755).file("/log/a.log", "abc", 0o644).probe(|_| Some(Output::ok(LINES)));
        let result = host.plan("find", all).result;
        assert_eq!(result.data["skipped_paths"].to_string(), "{'/none': \"'/none' is not a directory\"}");
        let files = result.data["files"].as_list().unwrap_or_default().to_vec();
        assert_eq!(result.data["matched"], Value::from(files.len()));
        files
            .iter()
            .map(|f| file_name(&f.get("path").cloned().unwrap_or_default().to_string()).to_owned())
            .collect::<Vec<_>>()
            .join(",")
    }

    #[test]
    fn conditions_hold_together() {
        assert_eq!(found(json!({})), "a.log,b b.log");
        assert_eq!(found(json!({"hidden": true, "limit": 3})), "a.log,b b.log,.c.log");
        assert_eq!(found(json!({"file_type": "directory"})), "d");
        assert_eq!(found(json!({"file_type": "any", "excludes": "*.log"})), "d");
        assert_eq!(found(json!({"patterns": ["[!a]*.log", "x"]})), "b b.log");
        assert_eq!(found(json!({"patterns": "^a.*g$", "use_regex": true})), "a.log");
        assert_eq!(found(json!({"age": "1w"})), "b b.log");
        assert_eq!(found(json!({"age": "-1h"})), "a.log");
        assert_eq!(found(json!({"size": "1k"})), "b b.log");
        assert_eq!(found(json!({"size": "-10b"})), "a.log");
    }

    #[test]
    fn a_file_is_described_and_bad_arguments_told() {
        let mut host = Fake::new().file("/log/a.log", "abc", 0o644).probe(|_| Some(Output::ok(LINES)));
        let result = host.plan("find", json!({"paths": "/log", "patterns": "a*", "get_checksum": true})).result;
        let file = result.data["files"].as_list().and_then(|f| f.first().cloned()).unwrap_or_default();
        assert_eq!(file.get("mode"), Some(&Value::from("0644")));
        assert_eq!(file.get("checksum"), Some(&Value::from("a9993e364706816aba3e25717850c26c9cd0d89d")));
        assert!(host.fails("find", json!({})).contains("required"));
        assert!(host.fails("find", json!({"paths": "/log", "age": "2y"})).contains("`age`"));
        assert!(host.fails("find", json!({"paths": "log"})).contains("absolute"));
    }
}
