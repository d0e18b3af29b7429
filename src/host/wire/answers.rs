//! A tool's words as answers.

use crate::host::action::Output;
use crate::host::answer::{Answer, PathKind, PathState, PathTimes, TreeEntry, digest};
use crate::host::question::{Algorithm, CONTENT_LIMIT, Question};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// What the host said to one item.
pub(super) struct Said {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub rc: i32,
}

/// The answers to questions that were asked together.
pub(super) fn read(questions: &[Question], said: &Said) -> Vec<(Answer, Option<String>)> {
    match &questions[0] {
        Question::Path { .. } => paths(questions, said).into_iter().map(|a| (a, None)).collect(),
        Question::Content { path } => vec![(content(path, said), None)],
        Question::Tree { path, .. } => {
            let raw = digest(Algorithm::Sha256, &said.stdout);
            vec![(tree(path, &said.stdout), Some(raw))]
        }
        Question::Probe(_) => {
            let mut whole = said.stdout.clone();
            whole.extend_from_slice(format!("|{}", said.rc).as_bytes());
            let raw = digest(Algorithm::Sha256, &whole);
            let output = Output {
                rc: said.rc,
                stdout: said.stdout.clone().into(),
                stderr: said.stderr.clone().into(),
                ..Output::default()
            };
            vec![(Answer::Output(output), Some(raw))]
        }
    }
}

fn kind_of(mode: u32) -> PathKind {
    match mode & 0o170_000 {
        0o040_000 => PathKind::Directory,
        0o120_000 => PathKind::Link,
        0o010_000 => PathKind::Fifo,
        0o140_000 => PathKind::Socket,
        0o020_000 => PathKind::CharDevice,
        0o060_000 => PathKind::BlockDevice,
        _ => PathKind::File,
    }
}

/// Mode, owner and group at the start of a line of stat; the rest of the line.
fn attributes(line: &str) -> Option<(PathState, &str)> {
    let mut words = line.splitn(7, ' ');
    let mode = u32::from_str_radix(words.next()?, 16).ok()?;
    let mut state = PathState::of(kind_of(mode), mode & 0o7777);
    state.uid = words.next()?.parse().ok();
    state.owner = Some(words.next()?.to_owned());
    state.gid = words.next()?.parse().ok();
    state.group = Some(words.next()?.to_owned());
    state.size = words.next()?.parse().ok();
    Some((state, words.next()?))
}

/// Takes the name off stat's `%N`, which is `name`, or `name -> target`, quoted by some tools. None if it is another's.
fn target_after<'a>(rest: &'a str, name: &str) -> Option<Option<&'a str>> {
    if let Some(tail) = rest.strip_prefix(name) {
        return match tail.strip_prefix(" -> ") {
            Some(target) => Some(Some(target)),
            None => tail.is_empty().then_some(None),
        };
    }
    let tail = rest.strip_prefix('\'')?.strip_prefix(name)?.strip_prefix('\'')?;
    match tail.strip_prefix(" -> '") {
        Some(target) => target.strip_suffix('\'').map(Some),
        None => tail.is_empty().then_some(None),
    }
}

fn path_line(line: &str, path: &str) -> Option<PathState> {
    let (mut state, rest) = attributes(line)?;
    let mut words = rest.splitn(8, ' ');
    let mut number = || words.next()?.parse::<i64>().ok();
    let times = PathTimes {
        atime: number()?,
        mtime: number()?,
        ctime: number()?,
        inode: u64::try_from(number()?).ok()?,
        device: u64::try_from(number()?).unwrap_or(0),
        links: u64::try_from(number()?).ok()?,
        blocks: u64::try_from(number()?).ok()?,
    };
    let target = target_after(words.next()?, path)?;
    if state.kind == PathKind::Link {
        state.target = target.map(str::to_owned);
    }
    state.times = Some(times);
    Some(state)
}

/// The name and the digest in a line of `sha1sum` and its like. A name with a backslash or a line break is told with
/// escapes, and then the line begins with a backslash (coreutils, "md5sum invocation"); busybox tells it as it is.
fn sum_line(line: &str) -> Option<(Cow<'_, str>, &str)> {
    let escaped = line.strip_prefix('\\');
    let (sum, name) = escaped.unwrap_or(line).split_once("  ")?;
    if escaped.is_none() {
        return Some((Cow::Borrowed(name), sum));
    }
    let mut plain = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                other => other,
            },
            other => other,
        });
    }
    Some((Cow::Owned(plain), sum))
}

fn paths(questions: &[Question], said: &Said) -> Vec<Answer> {
    let text = String::from_utf8_lossy(&said.stdout);
    // No name holds a NUL, and no name that is told begins with `=`.
    let mut sections = text.split("\0=");
    let (stats, reals, digests) =
        (sections.next().unwrap_or_default(), sections.next().unwrap_or_default(), sections.next().unwrap_or_default());
    let errors = String::from_utf8_lossy(&said.stderr);
    let reals = really(questions, reals);
    let sums: HashMap<Cow<'_, str>, &str> = digests.lines().filter_map(sum_line).collect();
    let alone = questions.len() == 1;
    let mut lines = stats.lines().peekable();
    questions
        .iter()
        .enumerate()
        .map(|(i, question)| {
            let Question::Path { path, follow, .. } = question else {
                return Answer::Refused("asked together with another kind of question".to_owned());
            };
            let found = if alone {
                path_line(stats.strip_suffix('\n').unwrap_or(stats), path)
            } else {
                // Lines come in the order of the paths; a path without a line is not there.
                let state = lines.peek().and_then(|line| path_line(line, path));
                if state.is_some() {
                    lines.next();
                }
                state
            };
            let real = reals.get(i).cloned().flatten();
            match found {
                Some(mut state) => {
                    state.real = real;
                    if state.kind == PathKind::File || *follow {
                        let sum = if alone { sums.values().next() } else { sums.get(path.as_str()) };
                        state.digest = sum.map(|s| (*s).to_owned());
                    }
                    Answer::Path(state)
                }
                None => refused(&errors, path).unwrap_or_else(|| {
                    let mut state = PathState::absent();
                    state.real = real;
                    Answer::Path(state)
                }),
            }
        })
        .collect()
}

/// Where paths really are: the host resolves what exists of each, and says how many parts at its end do not.
fn really(questions: &[Question], text: &str) -> Vec<Option<String>> {
    let (missing, folders) = text.trim_start_matches('\n').split_once('\n').unwrap_or_default();
    let missing: Vec<&str> = missing.split_whitespace().collect();
    let wanted = missing.iter().filter(|n| **n != "x").count();
    let folders: Vec<&str> = folders.split_terminator('\0').collect();
    if missing.len() != questions.len() || folders.len() != wanted {
        return Vec::new();
    }
    let mut folders = folders.into_iter();
    missing
        .iter()
        .zip(questions)
        .map(|(missing, question)| {
            let missing: usize = missing.parse().ok()?;
            let folder = folders.next()?.trim_end_matches('/');
            let path = question.subject()?;
            let mut rest: Vec<&str> = path.rsplit('/').take(missing).filter(|p| !p.is_empty()).collect();
            rest.reverse();
            let mut real = folder.to_owned();
            for part in rest {
                real.push('/');
                real.push_str(part);
            }
            Some(if real.is_empty() { "/".to_owned() } else { real })
        })
        .collect()
}

/// An error of stat that is not "there is no such file".
fn refused(errors: &str, path: &str) -> Option<Answer> {
    errors
        .lines()
        .filter(|line| line.contains(path))
        .find(|line| !line.ends_with("No such file or directory") && !line.ends_with("Not a directory"))
        .map(|line| Answer::Refused(format!("can't look at {path}: {}", line.rsplit(": ").next().unwrap_or(line))))
}

fn content(path: &str, said: &Said) -> Answer {
    match said.stdout.first() {
        Some(b'f') if said.stdout.len() - 1 > CONTENT_LIMIT => {
            Answer::Refused(format!("can't read {path}: it is larger than {} MiB", CONTENT_LIMIT >> 20))
        }
        Some(b'f') if !said.stderr.is_empty() => {
            Answer::Refused(format!("can't read {path}: {}", String::from_utf8_lossy(&said.stderr).trim()))
        }
        Some(b'f') => Answer::Content(Some(Arc::from(&said.stdout[1..]))),
        Some(b'!') => Answer::Refused(format!("can't read {path}: {}", String::from_utf8_lossy(&said.stdout[1..]))),
        _ => Answer::Content(None),
    }
}

fn tree(path: &str, stdout: &[u8]) -> Answer {
    if stdout.first() != Some(&b'd') {
        return Answer::Tree(None);
    }
    let text = String::from_utf8_lossy(&stdout[1..]);
    let (listing, digests) = text.split_once("\0=\n").unwrap_or((&text, ""));
    let prefix = format!("{}/", path.trim_end_matches('/'));
    let mut sums: HashMap<&str, &str> = HashMap::new();
    for record in digests.split('\0') {
        if let Some((sum, name)) = record.split_once("  ") {
            sums.insert(name, sum);
        }
    }
    let mut entries = Vec::new();
    for record in listing.split('\0').filter(|r| !r.trim().is_empty()) {
        let Some((mut state, rest)) = attributes(record) else {
            return Answer::Refused(format!("can't list {path}: {}", record.lines().next().unwrap_or_default()));
        };
        let mut name = rest;
        if state.kind == PathKind::Link
            && let Some((link, target)) = rest.split_once(" -> ")
        {
            name = link;
            state.target = Some(target.to_owned());
        }
        state.digest = sums.get(name).map(|s| (*s).to_owned());
        let Some(below) = name.strip_prefix(&prefix) else {
            return Answer::Refused(format!("can't list {path}: {name} is not below it"));
        };
        entries.push(TreeEntry { name: below.to_owned(), state });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Answer::Tree(Some(Arc::new(entries)))
}
