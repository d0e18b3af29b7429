//! Batches of files, run for real by every POSIX shell of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::tests::{act, answers, complete, everywhere, install, outputs, run_in};
use super::*;
use crate::host::answer::digest;
use crate::host::program::{Event, Expect, Group, Program};
use crate::host::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const HOSTILE: [&str; 9] = [
    "it's $(reboot) `x` \"quoted\"",
    "-rf",
    "two\nlines",
    "back\\slash\\n",
    ".hidden",
    "*",
    " blank ",
    "é\u{1F600}",
    "plain",
];

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn from_disk(path: &Path, bytes: &[u8]) -> Content {
    std::fs::write(path, bytes).unwrap();
    Content::File(Source {
        path: path.to_owned(),
        len: bytes.len() as u64,
        mode: 0o644,
        sha256: digest(Algorithm::Sha256, bytes),
        sha1: String::new(),
    })
}

fn folder(path: &str, mode: u32) -> Action {
    let kind = ActionKind::Directory { path: path.to_owned(), mode: Some(mode), owner: None, group: None };
    Action::new(kind, "folder")
}

/// Nothing of ours, and nothing but what is named.
fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn many_files_come_into_place_whatever_their_names() {
    everywhere(|shell, at| {
        let at = at.to_str().unwrap();
        let sources = tempfile::tempdir().unwrap();
        let deep = format!("{at}/a\nb/{}/{}", "d".repeat(90), "e".repeat(90));
        let folders = [format!("{at}/a\nb"), deep[..deep.rfind('/').unwrap()].to_owned(), deep.clone()];
        let mut actions: Vec<Action> = folders.iter().map(|f| folder(f, 0o750)).collect();
        actions.extend((0..8).map(|i| folder(&format!("{at}/-d{i}"), 0o2755)));
        let mut expected = Vec::new();
        for (i, name) in HOSTILE.iter().enumerate() {
            for (j, below) in [at, deep.as_str()].into_iter().enumerate() {
                let path = format!("{below}/{name}");
                // Of no length, of several blocks, binary.
                let bytes: Vec<u8> = (0..i * 300).map(|n| (n % 256) as u8).collect();
                let mut action = install(&path, from_disk(&sources.path().join(format!("{i}.{j}")), &bytes));
                let ActionKind::Install(install) = &mut action.kind else { panic!() };
                install.mode = if i == 3 { 0o4711 } else { 0o600 + i as u32 % 2 };
                expected.push((path, bytes, install.mode));
                actions.push(action);
            }
        }
        let signals = run_in(shell, &[Program { groups: vec![act(vec![], actions.clone())] }]);
        assert!(complete(&signals), "{shell:?}: {signals:?}");
        assert_eq!(outputs(&signals).len(), actions.len());
        assert!(outputs(&signals).iter().all(Output::success), "{shell:?}: {signals:?}");
        for (path, bytes, wanted) in &expected {
            assert_eq!(&std::fs::read(path).unwrap(), bytes, "{path:?} {shell:?}");
            assert_eq!(mode(path), *wanted, "{path:?} {shell:?}");
            assert!(std::fs::metadata(path).unwrap().mtime() > 1_000_000_000, "{path:?} {shell:?}");
        }
        assert_eq!((mode(&folders[1]), mode(&format!("{at}/-d3"))), (0o750, 0o2755), "{shell:?}");
        assert_eq!(names(&deep).len(), HOSTILE.len(), "{shell:?}: {:?}", names(&deep));
        assert_eq!(names(at).len(), HOSTILE.len() + 9, "{shell:?}: {:?}", names(at));
    });
}

#[test]
fn what_is_replaced_keeps_what_was_not_asked_for() {
    everywhere(|shell, at| {
        let at = at.to_str().unwrap();
        let root = std::fs::metadata(at).unwrap().uid() == 0;
        let mut actions = Vec::new();
        for (i, name) in HOSTILE.iter().enumerate() {
            let path = format!("{at}/{name}");
            std::fs::write(&path, "old").unwrap();
            if root {
                std::os::unix::fs::chown(&path, Some(4321), Some(1234)).unwrap();
            }
            let mut action = install(&path, Content::text(&format!("new {i}")));
            let ActionKind::Install(install) = &mut action.kind else { panic!() };
            install.replaces = true;
            actions.push(action);
        }
        let signals = run_in(shell, &[Program { groups: vec![act(vec![], actions)] }]);
        assert!(complete(&signals), "{shell:?}: {signals:?}");
        let kept = names(at);
        assert_eq!(kept.len(), HOSTILE.len(), "{shell:?}: {kept:?}");
        for (i, name) in HOSTILE.iter().enumerate() {
            let path = format!("{at}/{name}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("new {i}"), "{shell:?}");
            assert_eq!(mode(&path), 0o640, "{shell:?}");
            let meta = std::fs::metadata(&path).unwrap();
            // The cp of busybox has no way to keep them.
            assert!(!root || shell[0].ends_with("busybox") || (meta.uid(), meta.gid()) == (4321, 1234), "{shell:?}");
        }
        let attributes = HOSTILE.iter().map(|name| {
            let path = format!("{at}/{name}");
            let kind = ActionKind::Attributes { path, follow: false, mode: Some(0o444), owner: None, group: None };
            Action::new(kind, "attributes")
        });
        let signals = run_in(shell, &[Program { groups: vec![act(vec![], attributes.collect())] }]);
        assert!(complete(&signals) && outputs(&signals).len() == HOSTILE.len(), "{shell:?}: {signals:?}");
        assert!(HOSTILE.iter().all(|name| mode(&format!("{at}/{name}")) == 0o444), "{shell:?}");
    });
}

#[test]
fn a_failed_batch_says_why_and_leaves_nothing_behind() {
    everywhere(|shell, at| {
        let at = at.to_str().unwrap();
        let sources = tempfile::tempdir().unwrap();
        let batch = |spoil: &dyn Fn(usize, &mut Install)| -> Vec<Action> {
            let one = |i: usize| {
                let bytes = format!("content {i}");
                let content = from_disk(&sources.path().join(i.to_string()), bytes.as_bytes());
                let mut action = install(&format!("{at}/f{i}"), content);
                let ActionKind::Install(install) = &mut action.kind else { panic!() };
                spoil(i, install);
                action
            };
            (0..9).map(one).collect()
        };
        let changed = batch(&|i, install| {
            if let (5, Content::File(source)) = (i, &mut install.content) {
                source.sha256 = "0".repeat(64);
            }
        });
        let ownerless = batch(&|_, install| install.owner = Some("nobody-has-this-name".into()));
        let good = batch(&|_, _| {});
        let program = |actions: &[Action]| Program { groups: vec![act(vec![], actions.to_vec())] };
        for (actions, why) in [(&changed, "arrived damaged"), (&ownerless, "nobody-has-this-name")] {
            let signals = run_in(shell, &[program(actions), Program { groups: vec![] }]);
            let outputs = outputs(&signals);
            assert_eq!(outputs.len(), 1, "{shell:?}: {signals:?}");
            assert!(outputs[0].err().contains(why), "{shell:?}: {signals:?}");
            assert!(signals.iter().any(|s| matches!(s, Signal::Event(Event::End { complete: false }))), "{signals:?}");
            assert_eq!(names(at), Vec::<String>::new(), "{shell:?}");
        }
        std::fs::create_dir(format!("{at}/f3")).unwrap();
        let signals = run_in(shell, &[program(&good)]);
        assert!(!complete(&signals), "{shell:?}: {signals:?}");
        assert!(outputs(&signals)[0].err().contains("f3"), "{shell:?}: {signals:?}");
        assert!(names(at).iter().all(|n| n.starts_with('f')), "{shell:?}: {:?}", names(at));
    });
}

#[test]
fn a_guard_on_what_can_not_be_looked_at_holds_until_it_can() {
    everywhere(|shell, at| {
        let at = at.to_str().unwrap();
        let link = format!("{at}/loop");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        let question = Question::Path { path: link.clone(), follow: true, digest: None };
        let answer = match &answers(&run_in(shell, &[Program { groups: vec![Group::Ask(vec![question.clone()])] }]))[..]
        {
            [refused @ Answer::Refused(_)] => refused.clone(),
            other => panic!("{shell:?}: {other:?}"),
        };
        let guard = Expect { question, answer, raw: None };
        let program = || Program {
            groups: vec![act(vec![guard.clone()], vec![install(&format!("{at}/x"), Content::text("x"))])],
        };
        assert!(complete(&run_in(shell, &[program()])), "{shell:?}");
        std::fs::remove_file(&link).unwrap();
        std::fs::write(&link, "").unwrap();
        let signals = run_in(shell, &[program()]);
        assert!(
            signals.iter().any(|s| matches!(s, Signal::Event(Event::Mismatch { group: 0 }))),
            "{shell:?}: {signals:?}"
        );
    });
}
