//! The far side, run for real by every POSIX shell of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::host::answer::digest;
use crate::host::program::{Act, Event, Expect, Group, Program, Then};
use crate::host::*;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

fn shells() -> Vec<Vec<&'static str>> {
    let mut shells = vec![vec!["/bin/sh"]];
    for (path, words) in [
        ("/bin/dash", vec!["/bin/dash"]),
        ("/bin/bash", vec!["/bin/bash"]),
        ("/bin/busybox", vec!["/bin/busybox", "sh"]),
        ("/bin/ksh", vec!["/bin/ksh"]),
    ] {
        if Path::new(path).exists() {
            shells.push(words);
        }
    }
    shells
}

/// Runs programs in one shell, one after the other, and gives all that it signals.
pub(super) fn run_in(shell: &[&str], programs: &[Program]) -> Vec<Signal> {
    let mut parser = Parser::new("0123abcd");
    let mut input = b"some profile's noise is not for us\n".to_vec();
    input.extend(greeting("0123abcd", None).into_bytes());
    for (i, program) in programs.iter().enumerate() {
        let (chunks, expected) = compile(program, i as u64 + 1);
        parser.expect(expected);
        for chunk in chunks {
            match chunk {
                Chunk::Bytes(bytes) => input.extend(bytes),
                Chunk::File { path, .. } => input.extend(std::fs::read(path).unwrap()),
            }
        }
    }
    input.extend(b"q\n");
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .arg("-c")
        .arg(format!("echo Welcome!; {FAR_SIDE}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let mut signals = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut buffer = [0; 777];
    loop {
        let n = stdout.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        signals.extend(parser.feed(&buffer[..n], 5));
    }
    feeder.join().unwrap().unwrap();
    child.wait().unwrap();
    assert!(matches!(signals.first(), Some(Signal::Hello(_))), "{shell:?} said: {signals:?}");
    assert!(parser.noise().contains("Welcome!"));
    signals.remove(0);
    signals
}

pub(super) fn everywhere(check: impl Fn(&[&str], &Path)) {
    for shell in shells() {
        let folder = tempfile::tempdir().unwrap();
        check(&shell, folder.path());
    }
}

pub(super) fn act(guard: Vec<Expect>, actions: Vec<Action>) -> Group {
    Group::Act(Act { guard, actions, then: Then::Stop, nonce: "feed".into(), notes: vec![] })
}

/// In the order of the questions, whichever was answered first.
pub(super) fn answers(signals: &[Signal]) -> Vec<Answer> {
    let mut answers: Vec<(usize, usize, Answer)> = signals
        .iter()
        .filter_map(|s| match s {
            Signal::Event(Event::Answered { group, index, answer, .. }) => Some((*group, *index, answer.clone())),
            _ => None,
        })
        .collect();
    answers.sort_by_key(|(group, index, _)| (*group, *index));
    answers.into_iter().map(|(_, _, answer)| answer).collect()
}

pub(super) fn outputs(signals: &[Signal]) -> Vec<Output> {
    signals
        .iter()
        .filter_map(|s| match s {
            Signal::Event(Event::Done { output, .. }) => Some(output.clone()),
            _ => None,
        })
        .collect()
}

pub(super) fn complete(signals: &[Signal]) -> bool {
    matches!(signals.last(), Some(Signal::Event(Event::End { complete: true })))
}

pub(super) fn install(path: &str, content: Content) -> Action {
    Action::new(
        ActionKind::Install(Install {
            path: path.to_owned(),
            content,
            mode: 0o640,
            owner: None,
            group: None,
            replaces: false,
            backup: None,
            validate: None,
            unsafe_writes: false,
        }),
        "install",
    )
}

#[test]
fn paths_are_answered_together_and_in_order() {
    everywhere(|shell, folder| {
        let f = folder.to_str().unwrap();
        std::fs::write(folder.join("it's a \"file\"; $(reboot)"), "abc").unwrap();
        std::os::unix::fs::symlink("no where", folder.join("link")).unwrap();
        let paths = [
            format!("{f}/missing"),
            format!("{f}/it's a \"file\"; $(reboot)"),
            f.to_owned(),
            format!("{f}/link"),
            format!("{f}/missing/deeper"),
            "/".to_owned(),
        ];
        let questions = paths
            .iter()
            .map(|p| Question::Path { path: p.clone(), follow: false, digest: Some(Algorithm::Sha256) })
            .collect();
        let signals = run_in(shell, &[Program { groups: vec![Group::Ask(questions)] }]);
        let states: Vec<PathState> = answers(&signals)
            .into_iter()
            .map(|a| match a {
                Answer::Path(state) => state,
                other => panic!("{other:?}"),
            })
            .collect();
        let kinds: Vec<_> = states.iter().map(|s| s.kind).collect();
        use PathKind::{Absent, Directory, File, Link};
        assert_eq!(kinds, [Absent, File, Directory, Link, Absent, Directory], "{shell:?}");
        assert_eq!(states[1].size, Some(3));
        assert_eq!(states[1].digest.as_deref(), Some(digest(Algorithm::Sha256, b"abc").as_str()));
        assert_eq!(states[3].target.as_deref(), Some("no where"));
        assert!(complete(&signals));
    });
}

#[test]
fn places_are_resolved_even_where_links_lead_into_themselves() {
    everywhere(|shell, folder| {
        let f = std::fs::canonicalize(folder).unwrap();
        let f = f.to_str().unwrap();
        std::fs::create_dir(folder.join("d")).unwrap();
        std::os::unix::fs::symlink("d", folder.join("l")).unwrap();
        std::os::unix::fs::symlink("loop/x", folder.join("loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("dangling")).unwrap();
        let ask = |name: &str, follow| Question::Path { path: format!("{f}/{name}"), follow, digest: None };
        let questions = vec![
            ask("l/x", false),
            ask("l/a/b", false),
            ask("loop/y/z", false),
            ask("dangling/x", false),
            ask("l", false),
            ask("d", false),
        ];
        let followed = vec![ask("l", true), ask("l/x", true), ask("loop", true), ask("dangling", true)];
        let signals = run_in(shell, &[Program { groups: vec![Group::Ask(questions), Group::Ask(followed)] }]);
        let reals: Vec<_> = answers(&signals)
            .into_iter()
            .map(|a| match a {
                Answer::Path(state) => state.real.map(|r| r.replace(f, "")),
                Answer::Refused(_) => Some("refused".to_owned()),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = ["/d/x", "/d/a/b", "x", "x", "/l", "/d", "/d", "/d/x", "refused", "x"];
        let expected: Vec<_> = expected.iter().map(|e| (*e != "x").then(|| (*e).to_owned())).collect();
        let mut reals = reals;
        if reals[2].as_deref() == Some("refused") {
            reals[2] = None;
        }
        assert_eq!(reals, expected, "{shell:?}");
    });
}

#[test]
fn a_name_with_a_newline_is_one_name() {
    everywhere(|shell, folder| {
        let path = format!("{}/two\nlines", folder.to_str().unwrap());
        std::fs::write(&path, "x").unwrap();
        let other = format!("{}/plain", folder.to_str().unwrap());
        let signals = run_in(
            shell,
            &[Program {
                groups: vec![Group::Ask(vec![Question::path(&other), Question::path(&path), Question::path(&other)])],
            }],
        );
        let kinds: Vec<_> = answers(&signals)
            .iter()
            .map(|a| match a {
                Answer::Path(s) => s.kind,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, [PathKind::Absent, PathKind::File, PathKind::Absent], "{shell:?}");
    });
}

/// The tools of coreutils tell such names with escapes.
#[test]
fn digests_of_several_files_are_told_apart_whatever_their_names_hold() {
    everywhere(|shell, folder| {
        let names = ["plain", "back\\slash\\n", "\\", "two  blanks", "*a"];
        let asked = |name: &&str| {
            let path = format!("{}/{name}", folder.to_str().unwrap());
            std::fs::write(&path, name).unwrap();
            Question::Path { path, follow: false, digest: Some(Algorithm::Sha1) }
        };
        let asked: Vec<_> = names.iter().map(asked).collect();
        let signals = run_in(shell, &[Program { groups: vec![Group::Ask(asked)] }]);
        for (name, answer) in names.iter().zip(answers(&signals)) {
            let Answer::Path(state) = answer else { panic!("{answer:?}") };
            let wanted = crate::host::answer::digest(Algorithm::Sha1, name.as_bytes());
            assert_eq!(state.digest.as_ref(), Some(&wanted), "{name:?} {shell:?}");
        }
    });
}

#[test]
fn a_name_may_hold_what_separates_the_parts_of_an_answer() {
    everywhere(|shell, folder| {
        let path = format!("{}/a\n=b\n=\nc", folder.to_str().unwrap());
        std::fs::write(&path, "x").unwrap();
        let asked = Question::Path { path: path.clone(), follow: false, digest: Some(Algorithm::Sha1) };
        let tree = Question::Tree { path: folder.to_str().unwrap().to_owned(), digest: Some(Algorithm::Sha1) };
        let signals = run_in(shell, &[Program { groups: vec![Group::Ask(vec![asked, tree])] }]);
        let sum = Some("11f6ad8ec52a2984abaafd7c3b516503785c2072");
        match &answers(&signals)[..] {
            [Answer::Path(state), Answer::Tree(Some(entries))] => {
                assert_eq!((state.kind, state.digest.as_deref()), (PathKind::File, sum), "{shell:?}");
                assert!(state.real.as_deref().is_some_and(|real| real.ends_with("a\n=b\n=\nc")), "{state:?}");
                let entry = entries.iter().find(|e| e.name == "a\n=b\n=\nc");
                assert_eq!(entry.and_then(|e| e.state.digest.as_deref()), sum, "{shell:?}: {entries:?}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn contents_come_back_byte_for_byte() {
    everywhere(|shell, folder| {
        let bytes: Vec<u8> = (0..=255u8).chain(*b"\n@0123abc d 0 0\n\n\n").collect();
        std::fs::write(folder.join("x"), &bytes).unwrap();
        let ask = |name: &str| Question::Content { path: folder.join(name).to_str().unwrap().to_owned() };
        let signals = run_in(shell, &[Program { groups: vec![Group::Ask(vec![ask("x"), ask("missing"), ask(".")])] }]);
        let answers = answers(&signals);
        assert_eq!(answers[0], Answer::Content(Some(Arc::from(bytes.as_slice()))), "{shell:?}");
        assert_eq!(answers[1], Answer::Content(None));
        assert!(matches!(&answers[2], Answer::Refused(why) if why.contains("folder")));
    });
}

#[test]
fn files_are_installed_small_large_and_binary() {
    everywhere(|shell, folder| {
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let hostile = "it's $(reboot) `x` \\ \"quoted\"\n\n";
        let large = vec![b'x'; 200_000];
        let binary: Vec<u8> = (0..=255).collect();
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), &large).unwrap();
        let from = Source {
            path: source.path().to_owned(),
            len: large.len() as u64,
            mode: 0o644,
            sha256: digest(Algorithm::Sha256, &large),
            sha1: String::new(),
        };
        let program = Program {
            groups: vec![
                act(vec![], vec![install(&at("small"), Content::text(hostile))]),
                act(vec![], vec![install(&at("large"), Content::File(from))]),
                act(vec![], vec![install(&at("binary"), Content::Bytes(binary.clone().into()))]),
                act(vec![], vec![install(&at("empty"), Content::text(""))]),
            ],
        };
        let signals = run_in(shell, &[program]);
        assert!(complete(&signals), "{shell:?}: {signals:?}");
        assert_eq!(std::fs::read_to_string(at("small")).unwrap(), hostile);
        assert_eq!(std::fs::read(at("large")).unwrap(), large);
        assert_eq!(std::fs::read(at("binary")).unwrap(), binary);
        assert_eq!(std::fs::read(at("empty")).unwrap(), b"");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(at("small")).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 4, "nothing is left beside them");
    });
}

#[test]
fn a_failed_install_leaves_the_old_file_and_the_stream_in_step() {
    everywhere(|shell, folder| {
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        std::fs::write(at("kept"), "old").unwrap();
        let mut refused = install(&at("kept"), Content::text("new"));
        if let ActionKind::Install(install) = &mut refused.kind {
            install.replaces = true;
            install.validate = Some("grep -q old %s".into());
        }
        let no_folder = install(&at("none/x"), Content::Bytes(vec![0; 100_000].into()));
        let program = |action: &Action| Program { groups: vec![act(vec![], vec![action.clone()])] };
        let after = Program { groups: vec![Group::Ask(vec![Question::path("/")])] };
        let signals = run_in(shell, &[program(&refused), program(&no_folder), after]);
        let outputs = outputs(&signals);
        assert!(!outputs[0].success() && !outputs[1].success(), "{shell:?}: {outputs:?}");
        assert_eq!(std::fs::read_to_string(at("kept")).unwrap(), "old");
        assert_eq!(answers(&signals).len(), 1, "the next program is understood");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    });
}

#[test]
fn commands_have_their_own_world() {
    everywhere(|shell, folder| {
        let f = folder.to_str().unwrap();
        let mut first = Run::sh("readonly PATH; cd /; cat; echo \"$1|$A\"; echo err >&2; umask; exit 3", &["it's"])
            .env("A", "a 'b'")
            .stdin("in\0put\n");
        first.umask = Some(0o77);
        let mut second = Run::argv(["pwd"]);
        second.chdir = Some(f.to_owned());
        let broken = Run::sh("if then (", &[]);
        let fed = Run::argv(["cat"]);
        let missing = Run::argv(["no-such-command-here"]);
        let run = |r: Run| act(vec![], vec![Action::run(r, "run").tolerant()]);
        let program = Program {
            groups: vec![run(first), run(second), run(broken), run(fed), run(missing), run(Run::sh("kill -9 $$", &[]))],
        };
        let signals = run_in(shell, &[program]);
        let outputs = outputs(&signals);
        assert_eq!(outputs[0].rc, 3, "{shell:?}");
        assert_eq!(outputs[0].out(), "in\0put\nit's|a 'b'\n0077\n");
        assert_eq!(outputs[0].err(), "err\n");
        assert_eq!(outputs[1].out(), format!("{f}\n"));
        assert_ne!(outputs[2].rc, 0);
        assert_eq!((outputs[3].rc, outputs[3].out().as_str()), (0, ""), "standard input is empty");
        assert_eq!(outputs[4].rc, 127);
        assert_eq!(outputs[5].rc, 137);
        assert!(complete(&signals), "{shell:?}");
    });
}

#[test]
fn a_child_in_the_background_does_not_hold_an_action() {
    everywhere(|shell, _| {
        let start = std::time::Instant::now();
        let run = |script: &str| act(vec![], vec![Action::run(Run::sh(script, &[]), "run")]);
        let program = Program { groups: vec![run("(sleep 3; echo late) & echo now"), run("echo next")] };
        let signals = run_in(shell, &[program]);
        let outputs = outputs(&signals);
        assert_eq!(outputs[0].out(), "now\n", "{shell:?}");
        assert_eq!(outputs[1].out(), "next\n");
        assert!(start.elapsed().as_secs() < 3);
    });
}

#[test]
fn a_guard_stops_the_program_before_it_acts() {
    everywhere(|shell, folder| {
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        std::fs::write(at("a"), "one").unwrap();
        let questions = vec![
            Question::Path { path: at("a"), follow: true, digest: Some(Algorithm::Sha1) },
            Question::path(&at("missing")),
            Question::Content { path: at("a") },
            Question::Tree { path: folder.to_str().unwrap().into(), digest: Some(Algorithm::Sha256) },
            Question::Probe(Probe::new("cat; echo \"$1\"; exit 4", &["x y"], vec![])),
            Question::path(folder.to_str().unwrap()),
        ];
        let asked = run_in(shell, &[Program { groups: vec![Group::Ask(questions.clone())] }]);
        let mut expects: Vec<(usize, Expect)> = asked
            .iter()
            .filter_map(|s| match s {
                Signal::Event(Event::Answered { index, answer, raw, .. }) => Some((
                    *index,
                    Expect { question: questions[*index].clone(), answer: answer.clone(), raw: raw.clone() },
                )),
                _ => None,
            })
            .collect();
        expects.sort_by_key(|(index, _)| *index);
        let expects: Vec<Expect> = expects.into_iter().map(|(_, expect)| expect).collect();
        assert_eq!(expects.len(), questions.len());
        let holds = Program { groups: vec![act(expects.clone(), vec![install(&at("b"), Content::text("done"))])] };
        let signals = run_in(shell, &[holds]);
        assert!(complete(&signals), "{shell:?}: {signals:?}");
        assert!(folder.join("b").exists());
        std::fs::remove_file(at("b")).unwrap();
        std::fs::write(at("a"), "two").unwrap();
        for (i, expect) in expects.iter().enumerate() {
            let program =
                Program { groups: vec![act(vec![expect.clone()], vec![install(&at("b"), Content::text("x"))])] };
            let signals = run_in(shell, &[program]);
            let changed = matches!(i, 0 | 2 | 3);
            assert_eq!(!complete(&signals), changed, "{shell:?}: {expect:?}: {signals:?}");
            assert_eq!(signals.contains(&Signal::Event(Event::Mismatch { group: 0 })), changed);
            assert_eq!(folder.join("b").exists(), !changed);
            let _ = std::fs::remove_file(at("b"));
        }
    });
}

#[test]
fn a_failure_stops_the_program_or_only_its_group() {
    everywhere(|shell, folder| {
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let fail = Action::run(Run::argv(["false"]), "fail");
        let go = |actions| Group::Act(Act { guard: vec![], actions, then: Then::Go, nonce: "n".into(), notes: vec![] });
        let big = Content::Bytes(vec![0; 100_000].into());
        let program = Program {
            groups: vec![
                go(vec![fail.clone(), install(&at("a"), Content::text("a"))]),
                go(vec![fail.clone(), install(&at("b"), big.clone())]),
                act(vec![], vec![install(&at("c"), Content::text("c"))]),
                act(vec![], vec![fail.clone(), install(&at("d"), big)]),
                act(vec![], vec![install(&at("e"), Content::text("e"))]),
            ],
        };
        let after = Program { groups: vec![act(vec![], vec![install(&at("f"), Content::text("f"))])] };
        let signals = run_in(shell, &[program, after]);
        let there: Vec<_> = ["a", "b", "c", "d", "e", "f"].into_iter().filter(|n| folder.join(n).exists()).collect();
        assert_eq!(there, ["c", "f"], "{shell:?}");
        assert!(signals.contains(&Signal::Event(Event::End { complete: false })));
        assert!(complete(&signals));
    });
}

#[test]
fn primitive_actions_do_what_they_say() {
    everywhere(|shell, folder| {
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let a = |kind| Action::new(kind, "act");
        let program = Program {
            groups: vec![act(
                vec![],
                vec![
                    a(ActionKind::Directory { path: at("d e"), mode: Some(0o2750), owner: None, group: None }),
                    a(ActionKind::Touch { path: at("d e/f"), atime: None, mtime: Some(Some(1000)) }),
                    a(ActionKind::Attributes {
                        path: at("d e/f"),
                        follow: true,
                        mode: Some(0o600),
                        owner: None,
                        group: None,
                    }),
                    a(ActionKind::Link { path: at("l"), target: "d e/f".into(), hard: false }),
                    a(ActionKind::Link { path: at("l"), target: "-n".into(), hard: false }),
                    a(ActionKind::Link { path: at("h"), target: at("d e/f"), hard: true }),
                    a(ActionKind::Touch { path: at("gone"), atime: None, mtime: None }),
                    a(ActionKind::Remove { path: at("gone"), recursive: false }),
                    a(ActionKind::Directory { path: at("g"), mode: None, owner: None, group: None }),
                    a(ActionKind::Touch { path: at("g/x"), atime: None, mtime: None }),
                    a(ActionKind::Remove { path: at("g"), recursive: true }),
                ],
            )],
        };
        let signals = run_in(shell, &[program]);
        assert!(complete(&signals), "{shell:?}: {signals:?}");
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(at("d e")).unwrap().mode() & 0o7777, 0o2750);
        let f = std::fs::metadata(at("d e/f")).unwrap();
        assert_eq!((f.mode() & 0o7777, f.mtime(), f.nlink()), (0o600, 1000, 2));
        assert_eq!(std::fs::read_link(at("l")).unwrap().to_str(), Some("-n"));
        assert!(!folder.join("gone").exists() && !folder.join("g").exists());
    });
}

#[test]
fn a_tree_is_listed_with_its_digests() {
    everywhere(|shell, folder| {
        std::fs::create_dir(folder.join("sub")).unwrap();
        std::fs::write(folder.join("sub/a b\nc"), "x").unwrap();
        std::os::unix::fs::symlink("target", folder.join("link")).unwrap();
        let question = Question::Tree { path: folder.to_str().unwrap().into(), digest: Some(Algorithm::Sha256) };
        let missing = Question::Tree { path: "/no/such/folder".into(), digest: None };
        let signals = run_in(shell, &[Program { groups: vec![Group::Ask(vec![question, missing])] }]);
        let answers = answers(&signals);
        if shell.contains(&"/bin/busybox") && matches!(answers[0], Answer::Refused(_)) {
            return;
        }
        let Answer::Tree(Some(entries)) = &answers[0] else { panic!("{shell:?}: {answers:?}") };
        let names: Vec<_> = entries.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["link", "sub", "sub/a b\nc"]);
        assert_eq!(entries[0].state.target.as_deref(), Some("target"));
        assert_eq!(entries[2].state.digest.as_deref(), Some(digest(Algorithm::Sha256, b"x").as_str()));
        assert_eq!(answers[1], Answer::Tree(None));
    });
}

#[test]
fn a_time_limit_ends_the_command_and_its_children() {
    everywhere(|shell, _| {
        let mut run = Run::sh("sleep 30 & wait", &[]);
        run.timeout = Some(std::time::Duration::from_millis(300));
        let start = std::time::Instant::now();
        let signals = run_in(shell, &[Program { groups: vec![act(vec![], vec![Action::run(run, "run").tolerant()])] }]);
        assert!(outputs(&signals)[0].timed_out, "{shell:?}: {signals:?}");
        assert!(start.elapsed().as_secs() < 10);
    });
}

#[test]
fn a_durable_command_reports_like_any_other() {
    everywhere(|shell, folder| {
        let marker = folder.join("ran").to_str().unwrap().to_owned();
        let run = Run::sh("cat; echo out; echo err >&2; echo x >>\"$1\"; exit 5", &[&marker]).stdin("in\n").durable();
        let signals = run_in(shell, &[Program { groups: vec![act(vec![], vec![Action::run(run, "run").tolerant()])] }]);
        let output = &outputs(&signals)[0];
        assert_eq!((output.rc, output.out().as_str(), output.err().as_str()), (5, "in\nout\n", "err\n"), "{shell:?}");
        assert_eq!(std::fs::read_to_string(&marker).unwrap(), "x\n");
    });
}

#[test]
fn the_stream_may_come_in_any_pieces() {
    let program = Program { groups: vec![Group::Ask(vec![Question::Content { path: "/x".into() }])] };
    let (_, expected) = compile(&program, 1);
    let text = "noise\n@n0 W\nuid=0(root) gid=0(root) groups=0(root)\n/root\n/tmp/x\n\n\n@n0 .\n\n@n0 a 0\nf@n0 @\n\n@n\n@n0 d 0 0\n\n@n0 E 1 0\n\n@n0 .\n";
    for size in 1..text.len() {
        let mut parser = Parser::new("n0");
        parser.expect(expected.clone());
        let signals: Vec<_> = text.as_bytes().chunks(size).flat_map(|c| parser.feed(c, 0)).collect();
        assert_eq!(signals.len(), 3, "in pieces of {size}: {signals:?}");
        assert_eq!(answers(&signals), [Answer::Content(Some(Arc::from(&b"@n0 @\n\n@n"[..])))]);
    }
}
