//! What of a decision is digested, and how it is named.

use super::digest::Seal;
use super::steps::{Act, Guard};
use crate::engine::watch::Decided;
use crate::host::action::Stdin;
use crate::host::program::Expect;
use crate::host::{Action, ActionKind, Answer, Content, Key, PathKind, PathState, Question};
use serde_json::{Value as Json, json};
use std::sync::atomic::Ordering;

/// A decision as it was met. It is digested only when the run is over: what is a secret may be learned later than what
/// it stands in, and digests must not depend on which host was faster.
#[derive(Debug, Clone)]
pub(super) struct Met {
    pub round: u32,
    known: bool,
    drawn: bool,
    hidden: bool,
    aim: String,
    actions: Vec<Action>,
    guard: Vec<Expect>,
}

impl Met {
    pub(super) fn new(step: &Decided<'_>) -> Self {
        Self {
            round: step.round,
            known: step.is_known(),
            drawn: step.frozen.drawn.load(Ordering::Relaxed),
            hidden: step.hidden,
            aim: aim(step),
            actions: step.decision.actions.clone(),
            guard: step.guard.iter().map(|(expect, _)| expect.clone()).collect(),
        }
    }

    /// As a plan keeps it.
    pub(super) fn act(&self, seal: &Seal) -> Act {
        let mut act = Act {
            round: self.round,
            known: self.known,
            drawn: self.drawn,
            aim: seal.text("aim", &self.aim),
            actions: actions(&self.actions, seal),
            shows: self.actions.iter().map(|a| seal.masked(&a.shows)).collect(),
            guard: self.guard.iter().map(|expect| guard(expect, seal)).collect(),
        };
        if self.hidden {
            let all: Vec<&str> = act.guard.iter().map(|g| g.digest.as_str()).collect();
            act.guard = vec![Guard { about: String::new(), digest: seal.slow(&all.join(" ")) }];
            act.aim = seal.slow(&act.aim);
            act.actions = seal.slow(&act.actions);
            act.shows = Vec::new();
        }
        act
    }
}

/// What the step is to bring about: its arguments, who acts and where.
fn aim(step: &Decided<'_>) -> String {
    let frozen = step.frozen;
    let identity = &frozen.seat.identity;
    let become_ = identity.become_.as_ref();
    json!({
        "module": &*step.task.action,
        "args": frozen.args.iter().map(|(k, v)| json!([&**k, v])).collect::<Vec<_>>(),
        "host": &*frozen.seat.host,
        "login": [json!(identity.remote_user), json!(identity.port), json!(identity.connection)],
        "become": become_.map(|b| json!([b.user, b.method, b.flags, b.exe])),
        "environment": frozen.environment,
        "timeout": frozen.timeout,
        "durable": frozen.durable,
    })
    .to_string()
}

fn actions(actions: &[Action], seal: &Seal) -> String {
    let all: Vec<Json> = actions.iter().map(|a| json!([kind(&a.kind, seal), format!("{:?}", a.on_failure)])).collect();
    seal.text("actions", &Json::from(all).to_string())
}

fn kind(kind: &ActionKind, seal: &Seal) -> Json {
    match kind {
        ActionKind::Install(install) => json!({
            "install": install.path,
            "content": content(&install.content, seal),
            "mode": install.mode,
            "owner": install.owner,
            "group": install.group,
            "replaces": install.replaces,
            "backup": install.backup,
            "validate": install.validate,
            "unsafe_writes": install.unsafe_writes,
        }),
        ActionKind::Run(run) => json!({
            "run": format!("{:?}", run.command),
            "chdir": run.chdir,
            "env": run.env,
            "stdin": match &run.stdin {
                Stdin::Empty => None,
                Stdin::Content(bytes) => Some(content(bytes, seal)),
            },
            "attach": run.attach.iter().map(|(name, bytes)| json!([name, content(bytes, seal)])).collect::<Vec<_>>(),
            "timeout": run.timeout.map(|t| t.as_secs_f64()),
            "umask": run.umask,
            "durable": run.durable,
        }),
        other => Json::from(format!("{other:?}")),
    }
}

fn content(content: &Content, seal: &Seal) -> String {
    match content {
        Content::Bytes(bytes) => seal.content(bytes),
        // Where it lies on the controller does not matter.
        Content::File(source) => format!("{} {}", source.sha256, source.len),
    }
}

/// An answer: by what a guard on the host compares, so that what the host would let pass is no difference here.
fn guard(expect: &Expect, seal: &Seal) -> Guard {
    let text = match &expect.answer {
        Answer::Path(state) => path(state),
        Answer::Content(None) => "nothing".to_owned(),
        Answer::Content(Some(bytes)) => seal.content(bytes),
        other => match (&expect.raw, other) {
            (Some(raw), _) => raw.clone(),
            (None, Answer::Output(output)) => format!("{} {}", output.rc, output.out()),
            (None, Answer::Tree(Some(entries))) => {
                entries.iter().flat_map(|e| [e.name.clone(), path(&e.state)]).collect::<Vec<_>>().join("\0")
            }
            (None, other) => format!("{other:?}"),
        },
    };
    Guard { about: seal.masked(&about(&expect.question)), digest: seal.text("answer", &text) }
}

fn path(state: &PathState) -> String {
    let size = state.size.filter(|_| state.kind == PathKind::File);
    let mode = (state.kind != PathKind::Link).then_some(state.mode);
    json!([
        format!("{:?}", state.kind),
        mode,
        state.uid,
        state.owner,
        state.gid,
        state.group,
        size,
        state.target,
        state.digest
    ])
    .to_string()
}

/// What a question is about, for people.
fn about(question: &Question) -> String {
    match question {
        Question::Path { path, .. } => path.clone(),
        Question::Content { path } => format!("the content of {path}"),
        Question::Tree { path, .. } => format!("what is below {path}"),
        Question::Probe(probe) => {
            let keys: Vec<String> = probe.reads.iter().map(key).collect();
            if keys.is_empty() { "the state of the host".to_owned() } else { keys.join(" and ") }
        }
    }
}

fn key(key: &Key) -> String {
    match key {
        Key::Path(path) => path.clone(),
        Key::Below(path) => format!("what is below {path}"),
        Key::Accounts => "the accounts".to_owned(),
        Key::Packages => "the packages".to_owned(),
        Key::Units => "the units".to_owned(),
        Key::Named(kind, name) if name.is_empty() => format!("the state of {kind}"),
        Key::Named(kind, name) => format!("the state of {kind} {name}"),
        Key::Volatile => "what runs".to_owned(),
        Key::Anything => "the state of the host".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::host::Probe;
    use crate::values::Redactor;
    use std::sync::Arc;

    fn seal() -> Seal {
        let redactor = Arc::new(Redactor::new());
        redactor.add("hunter22");
        Seal::new(redactor).unwrap()
    }

    #[test]
    fn a_guard_differs_by_what_the_host_would_compare() {
        let seal = seal();
        let of = |state: PathState| {
            guard(&Expect { question: Question::path("/x"), answer: Answer::Path(state), raw: None }, &seal)
        };
        let file = PathState { size: Some(3), digest: Some("aa".into()), ..PathState::of(PathKind::File, 0o644) };
        let timed = PathState {
            times: Some(crate::host::answer::PathTimes { atime: 5, ..Default::default() }),
            ..file.clone()
        };
        assert_eq!(of(file.clone()), of(timed), "when it was read does not matter");
        assert_ne!(of(file.clone()), of(PathState { digest: Some("bb".into()), ..file.clone() }));
        assert_ne!(of(file.clone()), of(PathState { mode: 0o600, ..file }));
        let folder = PathState { size: Some(4096), ..PathState::of(PathKind::Directory, 0o755) };
        assert_eq!(of(folder.clone()), of(PathState { size: Some(8192), ..folder }));
    }

    #[test]
    fn things_are_named_and_secrets_are_not() {
        let seal = seal();
        let probe = Question::Probe(Probe::new("x", &["hunter22"], vec![Key::Packages, Key::path("/etc/hunter22")]));
        let told = guard(&Expect { question: probe, answer: Answer::Output(Default::default()), raw: None }, &seal);
        assert_eq!(told.about, "the packages and /etc/********");
    }

    #[test]
    fn actions_differ_by_content_and_not_by_where_it_lies() {
        let seal = seal();
        let put = |path: &str, sha256: &str| {
            let source = crate::host::Source {
                path: path.into(),
                len: 1,
                mode: 0o644,
                sha256: sha256.into(),
                sha1: String::new(),
            };
            let install = crate::host::Install {
                path: "/x".into(),
                content: Content::File(source),
                mode: 0o644,
                owner: None,
                group: None,
                replaces: false,
                backup: None,
                validate: None,
                unsafe_writes: false,
            };
            actions(&[Action::new(ActionKind::Install(install), "create /x")], &seal)
        };
        assert_eq!(put("/home/a/x", "aa"), put("/ci/x", "aa"));
        assert_ne!(put("/home/a/x", "aa"), put("/home/a/x", "bb"));
    }
}
