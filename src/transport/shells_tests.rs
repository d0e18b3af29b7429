//! Real shells on this machine, in every POSIX shell that is there, behind a `sudo` of the tests' own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::host::program::{Act, Then};
use crate::host::{Action, Output, Run};
use crate::transport::session::Method;
use crate::transport::{ConnectContext, Target};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A machine whose privileges are raised by a program of ours: it notes each call, puts `bin` before the tools of the
/// system, and starts another shell.
struct Rig {
    folder: tempfile::TempDir,
    shells: Shells,
    place: Arc<Place>,
    session: Session,
}

impl Rig {
    async fn new(shell: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        let sudo = format!(
            "#!/bin/sh\necho call >>{root}/calls\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nPATH={root}/bin:$PATH\nexport PATH\nexec {shell} \"$@\"\n"
        );
        program(&folder.path().join("sudo"), &sudo);
        let privilege = Privilege {
            user: "somebody".into(),
            method: Method::Sudo,
            flags: Vec::new(),
            exe: Some(format!("{root}/sudo")),
            password: None,
        };
        let context = ConnectContext::new(folder.path().to_owned(), "nobody");
        let link = Arc::new(Link::connect(&Target::local("here"), &context).await.unwrap());
        let session = Session::open(&link, "here", Some(&privilege), None).await.unwrap();
        let place =
            Place { host: "here".into(), link, privilege: Some(privilege), folder: session.folder().to_owned() };
        Self { folder, shells: Shells::default(), place: Arc::new(place), session }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs scripts, each a group of its own, and stops them once `marker` is there.
    async fn stopped(&mut self, how: Stopping, marker: &str, runs: Vec<Run>) -> (Vec<Output>, bool, Vec<String>) {
        let marker = self.path(marker);
        let shells = self.shells.clone();
        let stop = tokio::spawn(async move {
            while !Path::new(&marker).exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            shells.stop(how).await
        });
        let (outputs, complete, _) = self.run(runs).await.unwrap();
        (outputs, complete, stop.await.unwrap())
    }

    async fn run(&mut self, runs: Vec<Run>) -> Result<(Vec<Output>, bool, bool), SessionError> {
        let act = |run| Act {
            guard: Vec::new(),
            actions: vec![Action::run(run, "run")],
            then: Then::Stop,
            nonce: "feed".into(),
            notes: Vec::new(),
        };
        let program = Program { groups: runs.into_iter().map(|run| Group::Act(act(run))).collect() };
        let (mut outputs, mut whole, mut joined) = (Vec::new(), false, false);
        self.shells
            .run(&mut self.session, &self.place, &program, |signal| match signal {
                Signal::Event(Event::Done { output, .. }) => outputs.push(output),
                Signal::Event(Event::End { complete }) => whole = complete,
                Signal::Joined { .. } => joined = true,
                _ => {}
            })
            .await?;
        Ok((outputs, whole, joined))
    }

    fn calls(&self) -> usize {
        std::fs::read_to_string(self.path("calls")).unwrap().lines().count()
    }
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn all_shells() -> Vec<&'static str> {
    let known = ["/bin/dash", "/bin/bash", "/bin/busybox"];
    let there = known.into_iter().filter(|path| Path::new(path).exists());
    let shells: Vec<_> = there.map(|path| if path.ends_with("busybox") { "/bin/busybox sh" } else { path }).collect();
    if shells.is_empty() { vec!["/bin/sh"] } else { shells }
}

/// How many processes there are with these words in their arguments.
fn running(words: &str) -> usize {
    let alive = |pid: &std::fs::DirEntry| {
        std::fs::read(pid.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == words)
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(alive).count()
}

#[tokio::test]
async fn soon_ends_the_program_before_its_next_group() {
    for shell in all_shells() {
        let mut rig = Rig::new(shell).await;
        let (one, two) = (rig.path("one"), rig.path("two"));
        let runs = vec![Run::sh(": >\"$1\"; sleep 1; echo end", &[&one]), Run::sh(": >\"$1\"", &[&two])];
        let (outputs, complete, said) = rig.stopped(Stopping::Soon, "one", runs).await;
        assert_eq!((outputs.len(), complete, said), (1, false, Vec::<String>::new()), "{shell}");
        assert_eq!((outputs[0].rc, outputs[0].out().as_str()), (0, "end\n"), "what runs comes to its end");
        assert!(!Path::new(&two).exists());
        assert_eq!(rig.calls(), 2, "{shell}: the second shell has the same privilege");
        // What was said counts for that program only.
        assert!(rig.run(vec![Run::sh("true", &[])]).await.unwrap().1);
    }
}

#[tokio::test]
async fn now_ends_the_command_with_all_its_children() {
    for (n, shell) in all_shells().into_iter().enumerate() {
        let mut rig = Rig::new(shell).await;
        let (one, two, sleep) = (rig.path("one"), rig.path("two"), format!("86.{}{n}", std::process::id()));
        // One ignores TERM, one has a process group of its own, as `timeout` in a script makes one.
        let script =
            "sh -c 'trap \"\" TERM; sleep '$2' & sleep '$2'; sleep '$2 & timeout 99 sleep $2 & : >\"$1\"; wait";
        let runs = vec![Run::sh(script, &[&one, &sleep]), Run::sh(": >\"$1\"", &[&two])];
        let begun = Instant::now();
        let (outputs, complete, said) = rig.stopped(Stopping::Now, "one", runs).await;
        assert!(!complete && said.is_empty(), "{shell}: {said:?}");
        assert_ne!(outputs[0].rc, 0);
        assert!(!Path::new(&two).exists());
        assert!(begun.elapsed() < STOP_WITHIN, "{shell}: {:?}", begun.elapsed());
        assert_eq!(running(&format!("sleep {sleep}")), 0, "{shell}");
    }
}

#[tokio::test]
async fn now_leaves_a_durable_command_to_the_next_run() {
    for shell in all_shells() {
        let mut rig = Rig::new(shell).await;
        let (one, two) = (rig.path("one"), rig.path("two"));
        let long = || Run::sh("echo >>\"$1\"; sleep 2; echo end", &[&one]).durable();
        let runs = vec![long(), Run::sh(": >\"$1\"", &[&two])];
        let begun = Instant::now();
        let (outputs, complete, said) = rig.stopped(Stopping::Now, "one", runs).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{shell}");
        assert!(!complete && said.len() == 1 && said[0].contains("the next run waits for it"), "{said:?}");
        assert_eq!((outputs[0].rc, Path::new(&two).exists()), (130, false));
        let (outputs, _, joined) = rig.run(vec![long()]).await.unwrap();
        assert_eq!((joined, outputs[0].out().as_str()), (true, "end\n"), "{shell}");
        assert_eq!(std::fs::read_to_string(&one).unwrap(), "\n", "it ran once");
    }
}

#[tokio::test]
async fn a_limit_that_the_host_does_not_keep_is_kept_from_here() {
    for (n, shell) in all_shells().into_iter().enumerate() {
        let mut rig = Rig::new(shell).await;
        std::fs::create_dir(rig.path("bin")).unwrap();
        // A `timeout` that hangs.
        program(&rig.folder.path().join("bin/timeout"), "#!/bin/sh\nshift 3\nexec \"$@\"\n");
        rig.shells.list(|list| list.grace = Duration::from_millis(300));
        let sleep = format!("87.{}{n}", std::process::id());
        let limited = |run: Run| Run { timeout: Some(Duration::from_millis(200)), ..run };
        for run in [Run::argv(["sleep", &sleep]), Run::argv(["sleep", &sleep]).durable()] {
            let (outputs, complete, _) = rig.run(vec![limited(run), Run::sh("true", &[])]).await.unwrap();
            assert!(outputs[0].timed_out && outputs[0].rc != 0 && !complete, "{shell}: {outputs:?}");
            assert_eq!(running(&format!("sleep {sleep}")), 0, "{shell}");
        }
        assert_eq!(rig.calls(), 3, "{shell}");
    }
}

#[tokio::test]
async fn a_limit_ends_children_that_outlive_their_parent() {
    for (n, shell) in all_shells().into_iter().enumerate() {
        let mut rig = Rig::new(shell).await;
        let sleep = format!("88.{}{n}", std::process::id());
        let script = "sh -c 'trap \"\" TERM; sleep '$1 & exec sleep $1";
        for durable in [false, true] {
            let run = Run { timeout: Some(Duration::from_millis(300)), durable, ..Run::sh(script, &[&sleep]) };
            let (outputs, ..) = rig.run(vec![run]).await.unwrap();
            assert!(outputs[0].timed_out, "{shell}: {outputs:?}");
            assert_eq!(running(&format!("sleep {sleep}")), 0, "{shell} {durable}");
        }
        assert_eq!(rig.calls(), 1, "{shell}: the host does it alone");
    }
}

#[test]
fn what_can_not_be_stopped_is_told_with_its_host() {
    let lost = SessionError::Lost { host: "web1".into(), message: "web1: no route".into() };
    let told = |how, stopped| sentence("web1", how, stopped).unwrap_or_default();
    assert_eq!(told(Stopping::Soon, Some(Ok(Left::Nothing))), "");
    assert!(told(Stopping::Soon, None).contains("web1: no answer within 10 s; what it was told to do goes on"));
    assert!(told(Stopping::Now, Some(Err(lost))).contains("no route; what runs there goes on"));
    assert!(told(Stopping::Now, Some(Ok(Left::Processes))).contains("web1: some of what runs there"));
}
