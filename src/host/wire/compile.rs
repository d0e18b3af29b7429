//! A program as frames for the far side.

use super::{INLINE_LIMIT, OUTPUT_LIMIT, PATHS_AT_ONCE, batch};
use crate::host::action::{Action, ActionKind, Command, Content, Install, OnFailure, Run, Stdin};
use crate::host::key::{file_name, parent};
use crate::host::program::{Act, Group, Program, Then};
use crate::host::question::{Algorithm, Probe, Question};
use crate::host::quote::{quote, quote_all};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::PathBuf;

/// A piece of what is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The first `len` bytes of a file on the controller, streamed.
    File {
        /// Where it is.
        path: PathBuf,
        /// How many bytes were promised.
        len: u64,
    },
}

/// What an item number of the far side stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slot {
    /// Questions answered together: their group, their places in it.
    Asked { group: usize, places: Vec<usize>, questions: Vec<Question> },
    /// The guard of a group.
    Guard { group: usize },
    /// An action of a group.
    Action { group: usize, index: usize, timeout: bool },
    /// So many actions of a group, done together.
    Batch { group: usize, first: usize, count: usize },
}

struct Compiler {
    id: u64,
    chunks: Vec<Chunk>,
    script: String,
    slots: Vec<Slot>,
    group: usize,
}

/// The frames of a program, and what its numbers stand for (for the [`Parser`](super::Parser)).
///
/// `id` tells programs of one shell apart.
pub fn compile(program: &Program, id: u64) -> (Vec<Chunk>, super::parse::Expected) {
    let mut compiler = Compiler { id, chunks: Vec::new(), script: String::new(), slots: Vec::new(), group: 0 };
    for (number, group) in program.groups.iter().enumerate() {
        compiler.group = number;
        match group {
            Group::Ask(questions) => compiler.ask(number, questions),
            Group::Act(act) => compiler.act(number, act),
        }
    }
    compiler.flush();
    compiler.bytes(format!("e {id}\n").into_bytes());
    (compiler.chunks, super::parse::Expected { id, slots: compiler.slots })
}

/// The frame that makes the host forget notes, to go before the next program's.
pub fn forgetting(ids: &[String], id: u64) -> Vec<u8> {
    let script = format!("wforget {}\n", quote_all(ids.iter().map(String::as_str)));
    format!("s {id} {} 0 0\n{script}", script.len()).into_bytes()
}

impl Compiler {
    fn bytes(&mut self, bytes: Vec<u8>) {
        match self.chunks.last_mut() {
            Some(Chunk::Bytes(last)) => last.extend(bytes),
            _ => self.chunks.push(Chunk::Bytes(bytes)),
        }
    }

    fn flush(&mut self) {
        if self.script.is_empty() {
            return;
        }
        let script = std::mem::take(&mut self.script);
        let header = format!("s {} {} 0 {}\n", self.id, script.len(), self.group);
        self.bytes(header.into_bytes());
        self.bytes(script.into_bytes());
    }

    /// A file frame; `path` may begin with `%/` for the far side's own folder.
    fn file(&mut self, path: &str, content: &Content, item: usize, then: Then) {
        self.begin_file(path, content.len(), item, then);
        match content {
            Content::Bytes(bytes) => self.bytes(bytes.to_vec()),
            Content::File(source) => self.chunks.push(Chunk::File { path: source.path.clone(), len: source.len }),
        }
    }

    /// The header of a file frame, for so many bytes.
    fn begin_file(&mut self, path: &str, len: u64, item: usize, then: Then) {
        self.flush();
        let stop = if then == Then::Go { 8 } else { 9 };
        let header = format!("f {} {} {len} {} {item} {stop}\n", self.id, path.len(), self.group);
        self.bytes(header.into_bytes());
        self.bytes(path.as_bytes().to_vec());
    }

    fn slot(&mut self, slot: Slot) -> usize {
        self.slots.push(slot);
        self.slots.len() - 1
    }

    fn line(&mut self, text: &str) {
        self.script.push_str(text);
        self.script.push('\n');
    }

    /// Questions about paths that are of one kind are answered together, wherever they stand in the group.
    fn ask(&mut self, group: usize, questions: &[Question]) {
        if group > 0 {
            self.line("wg");
        }
        let mut taken = vec![false; questions.len()];
        for at in 0..questions.len() {
            if taken[at] {
                continue;
            }
            let places: Vec<usize> = match kind_of_path(&questions[at]) {
                None => vec![at],
                kind => (at..questions.len())
                    .filter(|&i| !taken[i] && kind_of_path(&questions[i]) == kind)
                    .take(PATHS_AT_ONCE)
                    .collect(),
            };
            for &place in &places {
                taken[place] = true;
            }
            let together: Vec<Question> = places.iter().map(|&i| questions[i].clone()).collect();
            let item = self.slot(Slot::Asked { group, places, questions: together.clone() });
            let text = match &together[0] {
                Question::Path { follow, digest, .. } => {
                    let paths = together.iter().filter_map(Question::subject);
                    format!("wp {item} {} {} {}", follow_flag(*follow), tool(*digest), quote_all(paths))
                }
                Question::Content { path } => format!("wc_ {item} {}", quote(path)),
                Question::Tree { path, digest } => {
                    format!("wm a {item}; wtree {} {} 2>\"$D/e{item}\"; we {item} 0", quote(path), tool(*digest))
                }
                Question::Probe(probe) => {
                    format!("wm a {item}\n{} 2>\"$D/e{item}\"\nwe {item} $?", probe_text(probe))
                }
            };
            self.line(&text);
        }
    }

    fn act(&mut self, group: usize, act: &Act) {
        let pieces = batch::pieces(&act.actions);
        let single = pieces.iter().filter(|p| p.len() == 1).map(|p| (p.start, at_hand(&act.actions[p.start])));
        let mut single: Vec<(usize, Cow<'_, Action>)> = single.collect();
        let packs =
            |p: &std::ops::Range<usize>| p.len() > 1 && matches!(act.actions[p.start].kind, ActionKind::Install(_));
        let alone = single.iter().any(|(_, a)| has_file(a)) || pieces.iter().any(packs);
        single.reverse();
        if alone {
            self.flush();
        }
        self.line("wg");
        // How this group gives up: a group of its own frames tells the loop, others leave their `while`.
        let give_up = match (act.then, alone) {
            (Then::Stop, _) => "exit 9",
            (Then::Go, true) => "exit 8",
            (Then::Go, false) => "break",
        };
        if !alone {
            self.line("while :; do");
        }
        if !act.guard.is_empty() {
            let item = self.slot(Slot::Guard { group });
            for expect in &act.guard {
                let test = super::guard::guard_text(expect);
                self.line(&format!("{test} || {{ wm g {item}; exit 9; }}"));
            }
        }
        for note in &act.notes {
            self.line(&format!("wnote {} {}", quote(&note.id), quote(&note.text)));
        }
        for piece in pieces {
            if piece.len() > 1 {
                self.batch(piece.start, &act.actions[piece], act, give_up);
                continue;
            }
            let Some((index, action)) = single.pop() else { continue };
            let timeout = matches!(&action.kind, ActionKind::Run(run) if run.timeout.is_some());
            let item = self.slot(Slot::Action { group, index, timeout });
            let give_up = if action.on_failure == OnFailure::Continue { ":" } else { give_up };
            let mark = mark(self.id, group, index);
            self.action(item, &mark, &action, act, give_up);
        }
        if alone {
            self.flush();
        } else {
            self.line("break; done");
        }
    }

    /// Actions that are done together; they are the group's from the place `first` on.
    fn batch(&mut self, first: usize, actions: &[Action], act: &Act, give_up: &str) {
        let item = self.slot(Slot::Batch { group: self.group, first, count: actions.len() });
        let text = if matches!(actions.first().map(|a| &a.kind), Some(ActionKind::Install(_))) {
            let packed = batch::pack(actions, item, &act.nonce);
            self.begin_file(&format!("%/t{item}"), packed.len(), item, act.then);
            for chunk in packed.chunks {
                match chunk {
                    Chunk::Bytes(bytes) => self.bytes(bytes),
                    file @ Chunk::File { .. } => self.chunks.push(file),
                }
            }
            packed.script
        } else {
            batch::attributes(actions)
        };
        self.line(&format!("wm b {item}; {{ {text}; }} 2>\"$D/e{item}\"; r=$?; we {item} $r; [ $r = 0 ] || {give_up}"));
    }

    fn action(&mut self, item: usize, mark: &str, action: &Action, act: &Act, give_up: &str) {
        match &action.kind {
            ActionKind::Install(install) => self.install(item, install, act, give_up),
            ActionKind::Run(run) => self.run(item, mark, run, act, give_up),
            other => {
                let text = primitive(other, &act.nonce);
                self.line(&format!(
                    "wm b {item}; {{ {text}; }} 2>\"$D/e{item}\"; r=$?; we {item} $r; [ $r = 0 ] || {give_up}"
                ));
            }
        }
    }

    fn install(&mut self, item: usize, install: &Install, act: &Act, give_up: &str) {
        let temp = temporary(&install.path, &act.nonce);
        let quoted = quote(&temp);
        let text = inline(&install.content);
        if text.is_none() {
            self.file(&temp, &install.content, item, act.then);
        }
        let owner = match (&install.owner, &install.group) {
            (None, None) => String::new(),
            (owner, group) => owned(owner.as_deref(), group.as_deref()),
        };
        let mut line = format!("wm b {item}; {{ ");
        if let Some(text) = text {
            let _ = write!(line, "wtext {quoted} {} && ", quote(&text));
        } else if let Content::File(source) = &install.content {
            let _ = write!(line, "wsame {quoted} {} && ", source.sha256);
        }
        if let Some(command) = &install.validate {
            let command = quote(&command.replace("%s", "\"$1\""));
            let _ = write!(line, "wval() {{ sh -c {command} sh \"$1\" </dev/null >&2; }} && ");
        }
        let _ = write!(
            line,
            "winst {} {quoted} {:04o} {} {} {} {} {}; }} 2>\"$D/e{item}\"; r=$?; we {item} $r; [ $r = 0 ] || {give_up}",
            quote(&install.path),
            install.mode,
            quote(&owner),
            quote(if install.replaces { "r" } else { "" }),
            quote(install.backup.as_deref().unwrap_or_default()),
            quote(if install.unsafe_writes { "u" } else { "" }),
            quote(if install.validate.is_some() { "v" } else { "" }),
        );
        self.line(&line);
    }

    fn run(&mut self, item: usize, mark: &str, run: &Run, act: &Act, give_up: &str) {
        let mut before = String::new();
        let mut words = Vec::new();
        if let Some(limit) = run.timeout {
            words.push(format!("${{WT:+timeout -k 5 {}}}", limit.as_secs_f64().max(0.1)));
        }
        if !run.attach.is_empty() {
            self.line(&format!("mkdir -m 700 \"$D/a{item}\""));
        }
        match &run.command {
            Command::Argv(argv) => words.push(quote_all(argv.iter().map(String::as_str))),
            Command::Shell { script, shell, args } => {
                // As a file: an argument list has a limit, and can be seen by others.
                let script = format!("{script}\n");
                if u64::try_from(script.len()).unwrap_or(u64::MAX) <= INLINE_LIMIT && !script.contains('\0') {
                    let _ = write!(before, "wput s{item} {}; ", quote(&script));
                } else {
                    self.file(&format!("%/s{item}"), &Content::text(&script), item, act.then);
                }
                let shell = shell.as_deref().unwrap_or("/bin/sh");
                words.push(format!("{} \"$D/s{item}\"", quote(shell)));
                words.push(quote_all(args.iter().map(String::as_str)));
            }
        }
        for (name, content) in &run.attach {
            let path = format!("a{item}/{}", file_name(name));
            match inline(content) {
                Some(text) => {
                    let _ = write!(before, "wput {} {}; ", quote(&path), quote(&text));
                }
                None => self.file(&format!("%/{path}"), content, item, act.then),
            }
        }
        let (feed, input) = match &run.stdin {
            Stdin::Empty => (String::new(), "</dev/null".to_owned()),
            Stdin::Content(content) => match inline(content) {
                Some(text) => (format!("printf %s {} | ", quote(&text)), String::new()),
                None => {
                    self.file(&format!("%/i{item}"), content, item, act.then);
                    (String::new(), format!("<\"$D/i{item}\""))
                }
            },
        };
        let mut setup = String::new();
        if let Some(dir) = &run.chdir {
            let _ = write!(setup, "cd -- {} || exit 1; ", quote(dir));
        } else {
            setup.push_str("cd 2>/dev/null || cd /; ");
        }
        for (name, value) in &run.env {
            let _ = write!(setup, "export {name}={}; ", quote(value));
        }
        if !run.attach.is_empty() {
            let _ = write!(setup, "export WINDLASS_DIR=\"$D/a{item}\"; ");
        }
        if let Some(umask) = run.umask {
            let _ = write!(setup, "umask {umask:04o}; ");
        }
        let words = words.join(" ");
        let call = if run.durable {
            // Where it is kept, and which work it is: secrets may be in the environment, so the second stays out of
            // all argument lists.
            let digest = |text: String| super::super::answer::digest(Algorithm::Sha256, text.as_bytes());
            let place = match &run.slot {
                Some(slot) => digest(slot.clone()),
                None => digest(format!("{:?}", (&run.command, &run.chdir))),
            };
            let work = digest(format!("{:?}", (&run.command, &run.chdir, &run.env, &run.stdin)));
            let once = if run.once { "once" } else { "''" };
            format!("wdur {item} {} {} {once} {mark} {words}", &place[..24], &work[..24])
        } else {
            format!("exec setsid sh -c 'echo $$ \"$1\" >\"$0\"; shift; exec \"$@\"' \"$D/pid\" {mark} {words}")
        };
        let late = if run.timeout.is_some() && !run.durable { "case $r in 124|137) wlate ;; esac; " } else { "" };
        let outputs = if run.durable { String::new() } else { format!(" >\"$D/o{item}\" 2>\"$D/e{item}\"") };
        let run = format!("{feed}( {setup}{call} ){outputs} {input}; r=$?; {late}wo {item} $r");
        // A script that could not be kept would be an empty one, which always succeeds.
        let run = if before.is_empty() {
            format!("wm b {item}; {run}")
        } else {
            format!("B=; {before}wm b {item}; if [ -n \"$B\" ]; then r=1; wnone {item}; else {run}; fi")
        };
        self.line(&format!("{run}; [ $r = 0 ] || {give_up}"));
        const { assert!(OUTPUT_LIMIT == 8_388_608, "far.sh names the same limit") };
    }
}

/// What two questions about paths share that one call of the host's tool can answer; none for a name that would be
/// taken for two lines.
fn kind_of_path(question: &Question) -> Option<(bool, Option<Algorithm>)> {
    match question {
        Question::Path { path, follow, digest } if !path.contains('\n') => Some((*follow, *digest)),
        _ => None,
    }
}

/// What tells the running command of a program from those before and after it, for [`stopping`](super::stopping).
pub(super) fn mark(program: u64, group: usize, index: usize) -> String {
    format!("{program}.{group}.{index}")
}

/// The same with a small text file of this side read: it needs no frame of its own, and the host no digest. One that
/// has changed since it was looked at stays as it is, and the host will find that out.
fn at_hand(action: &Action) -> Cow<'_, Action> {
    let ActionKind::Install(install @ Install { content: Content::File(source), .. }) = &action.kind else {
        return Cow::Borrowed(action);
    };
    if source.len > INLINE_LIMIT {
        return Cow::Borrowed(action);
    }
    let bytes = std::fs::read(&source.path).unwrap_or_default();
    let same = super::super::answer::digest(Algorithm::Sha256, &bytes) == source.sha256;
    let content = Content::Bytes(bytes.into());
    if !same || inline(&content).is_none() {
        return Cow::Borrowed(action);
    }
    Cow::Owned(Action { kind: ActionKind::Install(Install { content, ..install.clone() }), ..action.clone() })
}

fn has_file(action: &Action) -> bool {
    match &action.kind {
        ActionKind::Install(install) => inline(&install.content).is_none(),
        ActionKind::Run(run) => {
            run.attach.iter().any(|(_, c)| inline(c).is_none())
                || matches!(&run.stdin, Stdin::Content(c) if inline(c).is_none())
                || matches!(&run.command, Command::Shell { script, .. } if script.len() as u64 >= INLINE_LIMIT)
        }
        _ => false,
    }
}

/// The text of a content that can travel inside the program.
fn inline(content: &Content) -> Option<String> {
    match content {
        Content::Bytes(bytes) if content.len() <= INLINE_LIMIT && !bytes.contains(&0) => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        _ => None,
    }
}

/// A name beside `path` for what is not yet in place. Names have a limit of 255 bytes.
pub(super) fn temporary(path: &str, nonce: &str) -> String {
    let folder = parent(path).unwrap_or("/").trim_end_matches('/');
    let name: String = file_name(path).chars().take(40).collect();
    format!("{folder}/.{name}.windlass-{nonce}")
}

pub(super) fn follow_flag(follow: bool) -> &'static str {
    if follow { "-L" } else { "''" }
}

pub(super) fn tool(digest: Option<Algorithm>) -> &'static str {
    digest.map_or("''", Algorithm::tool)
}

pub(super) fn probe_text(probe: &Probe) -> String {
    let args = quote_all(probe.args.iter().map(String::as_str));
    let (feed, input) = match &probe.stdin {
        Some(text) => (format!("printf %s {} | ", quote(text)), ""),
        None => (String::new(), " </dev/null"),
    };
    format!("{feed}( set -- {args}\n{}\n){input}", probe.script.trim_end())
}

/// Owner and group as chown takes them; empty for none.
pub(super) fn owned(owner: Option<&str>, group: Option<&str>) -> String {
    match (owner, group) {
        (Some(owner), Some(group)) => format!("{owner}:{group}"),
        (Some(owner), None) => owner.to_owned(),
        (None, Some(group)) => format!(":{group}"),
        (None, None) => String::new(),
    }
}

fn primitive(kind: &ActionKind, nonce: &str) -> String {
    match kind {
        ActionKind::Directory { path, mode, owner, group } => {
            let path = quote(path);
            let mut text = format!("mkdir -m {:04o} -- {path}", mode.unwrap_or(0o755));
            if owner.is_some() || group.is_some() {
                let who = quote(&owned(owner.as_deref(), group.as_deref()));
                let _ = write!(text, " && wown {who} {path}");
            }
            // mkdir(1) -m drops the set-group bit that a folder inherits, and chown may drop others.
            if mode.is_some_and(|m| m & 0o7000 != 0) {
                let _ = write!(text, " && chmod {:04o} {path}", mode.unwrap_or(0o755));
            }
            text
        }
        ActionKind::Attributes { path, follow, mode, owner, group } => {
            let quoted = quote(path);
            let mut parts = Vec::new();
            if owner.is_some() || group.is_some() {
                let flag = if *follow { "" } else { "-h " };
                parts.push(format!("chown {flag}{} {quoted}", quote(&owned(owner.as_deref(), group.as_deref()))));
            }
            if let Some(mode) = mode {
                let guard = if *follow { String::new() } else { format!("[ -L {quoted} ] || ") };
                parts.push(format!("{{ {guard}chmod {mode:04o} {quoted}; }}"));
            }
            parts.join(" && ")
        }
        ActionKind::Link { path, target, hard } => format!(
            "wlink {} {} {} {}",
            if *hard { "h" } else { "s" },
            quote(target),
            quote(path),
            quote(&temporary(path, nonce))
        ),
        ActionKind::Remove { path, recursive } => {
            if *recursive {
                format!("rm -rf -- {}", quote(path))
            } else {
                format!("rm -f -- {}", quote(path))
            }
        }
        ActionKind::Touch { path, atime, mtime } => {
            let quoted = quote(path);
            // Not by `:`, whose failure to write would end the shell.
            let mut text = format!("{{ [ -e {quoted} ] || true >{quoted}; }} && ");
            for (flag, time) in [("-a", atime), ("-m", mtime)] {
                match time {
                    Some(Some(at)) => {
                        let _ = write!(text, "touch -c {flag} -d @{at} -- {quoted} && ");
                    }
                    Some(None) => {
                        let _ = write!(text, "touch -c {flag} -- {quoted} && ");
                    }
                    None => {}
                }
            }
            text.push(':');
            text
        }
        ActionKind::Install(_) | ActionKind::Run(_) => String::new(),
    }
}
