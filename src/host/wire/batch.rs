//! Many files in one go: neighbouring actions of one kind that a few processes on the host do together.
//!
//! Files travel as one archive. They are unpacked into folders of ours beside their places, one for each mode and
//! owner, their digests are compared, and then they are renamed into place. So what is done to each is what a single
//! `Install` does, and no name of theirs is in a script's text.

use super::compile::{Chunk, owned};
use crate::host::action::{Action, ActionKind, Content, Install, OnFailure};
use crate::host::answer::digest;
use crate::host::key::{file_name, parent};
use crate::host::question::Algorithm;
use crate::host::quote::{quote, quote_all};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::mem::discriminant;
use std::ops::Range;

/// Fewer than this cost less one by one.
const FEWEST: usize = 8;
/// The most in one batch: their names have to fit into one argument list.
const MOST: usize = 4000;
/// The most bytes of names in one batch, for the same reason.
const NAMES: usize = 256 << 10;
/// The most bytes of contents in one batch: the archive lies in the far side's own folder for a moment.
const CONTENTS: u64 = 4 << 20;
/// A larger file is streamed to its place by itself.
const LARGEST: u64 = 1 << 20;

/// A step's actions in the pieces in which they are done, in order.
pub(super) fn pieces(actions: &[Action]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < actions.len() {
        let end = at + run(&actions[at..]);
        if end - at >= FEWEST {
            out.push(at..end);
        } else {
            out.extend((at..end).map(|i| i..i + 1));
        }
        at = end;
    }
    out
}

/// How many of the first actions can be done together; at least one.
fn run(actions: &[Action]) -> usize {
    let Some(first) = actions.first().filter(|a| fits(a)) else { return 1 };
    let (mut names, mut contents) = (0, 0);
    let mut paths = HashSet::new();
    let together = actions.iter().take(MOST).take_while(|action| {
        let path = action.kind.path().unwrap_or_default();
        names += path.len();
        if let ActionKind::Install(install) = &action.kind {
            contents += install.content.len();
        }
        discriminant(&action.kind) == discriminant(&first.kind)
            && fits(action)
            && paths.insert(path)
            && names <= NAMES
            && contents <= CONTENTS
    });
    together.count().max(1)
}

fn fits(action: &Action) -> bool {
    action.on_failure == OnFailure::Stop
        && match &action.kind {
            ActionKind::Install(install) => {
                install.backup.is_none()
                    && install.validate.is_none()
                    && !install.unsafe_writes
                    && install.content.len() <= LARGEST
            }
            ActionKind::Directory { .. } | ActionKind::Attributes { .. } => true,
            _ => false,
        }
}

/// What is done to folders, or to attributes: neighbours that are to become the same are named in one call.
pub(super) fn attributes(actions: &[Action]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < actions.len() {
        let Some(same) = likeness(&actions[at].kind) else { break };
        let alike = actions[at..].iter().take_while(|a| likeness(&a.kind).as_ref() == Some(&same)).count();
        let paths = quote_all(actions[at..at + alike].iter().filter_map(|a| a.kind.path()));
        at += alike;
        let Likeness { made, follow, mode, owner } = same;
        let owner = (!owner.is_empty()).then(|| quote(&owner));
        if made {
            let mode = mode.unwrap_or(0o755);
            parts.push(format!("mkdir -m {mode:04o} -- {paths}"));
            parts.extend(owner.map(|owner| format!("wowns {owner} {paths}")));
            // mkdir(1) -m drops the set-group bit that a folder inherits, and chown may drop others.
            if mode & 0o7000 != 0 {
                parts.push(format!("chmod {mode:04o} -- {paths}"));
            }
        } else {
            parts.extend(owner.map(|owner| format!("chown{} {owner} -- {paths}", if follow { "" } else { " -h" })));
            parts.extend(mode.map(|mode| format!("wmodes {mode:04o} {} {paths}", if follow { "f" } else { "''" })));
        }
    }
    parts.join(" && ")
}

#[derive(PartialEq)]
struct Likeness {
    made: bool,
    follow: bool,
    mode: Option<u32>,
    owner: String,
}

fn likeness(kind: &ActionKind) -> Option<Likeness> {
    match kind {
        ActionKind::Directory { mode, owner, group, .. } => {
            let owner = owned(owner.as_deref(), group.as_deref());
            Some(Likeness { made: true, follow: false, mode: *mode, owner })
        }
        ActionKind::Attributes { follow, mode, owner, group, .. } => {
            let owner = owned(owner.as_deref(), group.as_deref());
            Some(Likeness { made: false, follow: *follow, mode: *mode, owner })
        }
        _ => None,
    }
}

/// Files of one batch as an archive, and what is done with it.
pub(super) struct Packed {
    /// The archive: its bytes in order.
    pub chunks: Vec<Chunk>,
    /// What unpacks `"$D/t{item}"`, and puts all in place.
    pub script: String,
}

impl Packed {
    /// Bytes of the archive.
    pub fn len(&self) -> u64 {
        self.chunks
            .iter()
            .map(|c| match c {
                Chunk::Bytes(bytes) => bytes.len() as u64,
                Chunk::File { len, .. } => *len,
            })
            .sum()
    }
}

/// Packs the files of a batch.
pub(super) fn pack(actions: &[Action], item: usize, nonce: &str) -> Packed {
    let mut stages: BTreeMap<(&str, u32, String, bool), String> = BTreeMap::new();
    let mut chunks = Vec::new();
    let mut digests = Vec::new();
    let installs = actions.iter().filter_map(|a| match &a.kind {
        ActionKind::Install(install) => Some(install),
        _ => None,
    });
    for install in installs {
        let folder = parent(&install.path).unwrap_or("/").trim_end_matches('/');
        let owner = owned(install.owner.as_deref(), install.group.as_deref());
        let number = stages.len();
        let stage = stages
            .entry((folder, install.mode, owner, install.replaces))
            .or_insert_with(|| format!("{folder}/.windlass-{nonce}-{item}.{number}"));
        digests.push(sha256(&install.content));
        entry(&mut chunks, &format!("{stage}/{}", file_name(&install.path)), install);
    }
    // Two empty blocks end an archive.
    chunks.push(Chunk::Bytes(vec![0; 1024]));
    digests.sort_unstable();
    let sum = digest(Algorithm::Sha256, digests.iter().map(|d| format!("{d}\n")).collect::<String>().as_bytes());
    let all = quote_all(stages.values().map(String::as_str));
    let mut script = format!("{{ wunpack \"$D/t{item}\" {sum} {all}");
    for ((folder, mode, owner, replaces), stage) in &stages {
        let keep = if *replaces { "r" } else { "''" };
        let folder = if folder.is_empty() { "/" } else { folder };
        let _ = write!(script, " && wplace {} {} {mode:04o} {} {keep}", quote(stage), quote(folder), quote(owner));
    }
    let _ = write!(script, " && rmdir -- {all}; }} || {{ rm -rf -- \"$D/t{item}\" {all}; false; }}");
    Packed { chunks, script }
}

fn sha256(content: &Content) -> String {
    match content {
        Content::Bytes(bytes) => digest(Algorithm::Sha256, bytes),
        Content::File(source) => source.sha256.clone(),
    }
}

/// One file of the archive, in the format that all tar programs read; a long name by GNU's extension.
fn entry(chunks: &mut Vec<Chunk>, path: &str, install: &Install) {
    let name = path.trim_start_matches('/').as_bytes();
    if name.len() > 100 {
        let mut long = name.to_vec();
        long.push(0);
        chunks.push(Chunk::Bytes(header(b"././@LongLink", long.len() as u64, 0, b'L')));
        let padding = padding(long.len() as u64);
        long.extend(padding);
        chunks.push(Chunk::Bytes(long));
    }
    let len = install.content.len();
    chunks.push(Chunk::Bytes(header(&name[..name.len().min(100)], len, install.mode, b'0')));
    match &install.content {
        Content::Bytes(bytes) => chunks.push(Chunk::Bytes(bytes.to_vec())),
        Content::File(source) => chunks.push(Chunk::File { path: source.path.clone(), len }),
    }
    chunks.push(Chunk::Bytes(padding(len)));
}

fn padding(len: u64) -> Vec<u8> {
    vec![0; usize::try_from(len.next_multiple_of(512) - len).unwrap_or(0)]
}

/// A header of POSIX 1988 (`ustar`): owner and time are left to the host.
fn header(name: &[u8], len: u64, mode: u32, kind: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{len:011o}").as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, len: usize) -> Action {
        let install = Install {
            path: path.into(),
            content: Content::Bytes(vec![b'x'; len].into()),
            mode: 0o644,
            owner: None,
            group: None,
            replaces: false,
            backup: None,
            validate: None,
            unsafe_writes: false,
        };
        Action::new(ActionKind::Install(install), "install")
    }

    fn folder(path: &str) -> Action {
        let kind = ActionKind::Directory { path: path.into(), mode: None, owner: None, group: None };
        Action::new(kind, "folder")
    }

    #[test]
    fn neighbours_of_one_kind_are_done_together() {
        let mut actions: Vec<Action> = (0..9).map(|i| folder(&format!("/d{i}"))).collect();
        actions.extend((0..20).map(|i| file(&format!("/f{i}"), 10)));
        actions.push(file("/large", 2 << 20));
        actions.extend((0..3).map(|i| file(&format!("/g{i}"), 10)));
        assert_eq!(pieces(&actions), [0..9, 9..29, 29..30, 30..31, 31..32, 32..33]);
        assert!(pieces(&[]).is_empty());
    }

    #[test]
    fn what_is_in_flight_is_bounded_and_no_path_comes_twice() {
        let many: Vec<Action> = (0..20).map(|i| file(&format!("/f{i}"), 1 << 19)).collect();
        assert_eq!(pieces(&many), [0..8, 8..16, 16..17, 17..18, 18..19, 19..20]);
        let twice: Vec<Action> = (0..20).map(|i| file(&format!("/f{}", i % 10), 1)).collect();
        assert_eq!(pieces(&twice), [0..10, 10..20]);
        let mut tolerated: Vec<Action> = (0..20).map(|i| file(&format!("/f{i}"), 1)).collect();
        tolerated[4] = tolerated[4].clone().tolerant();
        assert_eq!(pieces(&tolerated), [0..1, 1..2, 2..3, 3..4, 4..5, 5..20]);
    }

    #[test]
    fn names_are_no_part_of_the_script() {
        let actions: Vec<Action> = (0..9).map(|i| file(&format!("/srv/$(reboot){i}"), 1)).collect();
        let packed = pack(&actions, 7, "feed");
        assert!(!packed.script.contains("reboot"), "{}", packed.script);
        assert!(packed.script.contains("/srv/.windlass-feed-7.0"), "{}", packed.script);
        assert_eq!(packed.len(), 9 * 1024 + 1024);
    }
}
