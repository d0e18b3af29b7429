//! `authorized_key`: the SSH keys with which an account can be logged in to.

use super::args::Arguments;
use super::common::accounts;
use super::registry::{FreeForm, Module, Needs};
use crate::host::key::{clean, parent};
use crate::host::{Action, ActionKind, Content, Decision, Diff, Install, PathKind, PathState, Stop, TaskResult, View};

crate::module_choices! {
    /// Whether the keys are there.
    pub enum State {
        /// They are not.
        Absent = "absent",
        /// They are.
        Present = "present",
    }
}

crate::module_args! {
    /// What `authorized_key` takes.
    pub struct AuthorizedKeyArgs {
        /// The account.
        user: String;
        /// Keys, one a line.
        key: String;
        /// Whether they are there.
        state: State = State::Present;
        /// Remove all other keys.
        exclusive: bool = false;
        /// Options for the keys (`no-pty,from="10.0.0.1"`), in place of those that stand with them.
        key_options: Option<String>;
        /// The keys' comment, in place of the one that stands with them.
        comment: Option<String>;
        /// Make the file's folder, and give it to the account.
        manage_dir: bool = true;
        /// The file; `.ssh/authorized_keys` in the account's home folder if not given.
        path: Option<String>;
        /// Follow the file if it is a link, instead of replacing it.
        follow: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["authorized_key", "ansible.posix.authorized_key"],
    doc: "The SSH keys with which an account can be logged in to.",
    args: AuthorizedKeyArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    options: String,
    kind: String,
    key: String,
    comment: String,
}

impl Line {
    fn text(&self) -> String {
        [&self.options, &self.kind, &self.key, &self.comment]
            .into_iter()
            .filter(|p| !p.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// The kinds of keys of sshd(8).
fn is_kind(word: &str) -> bool {
    let bare = word.strip_suffix("-cert-v01@openssh.com").unwrap_or(word);
    matches!(
        bare,
        "ssh-ed25519"
            | "ssh-rsa"
            | "ssh-dss"
            | "ecdsa-sha2-nistp256"
            | "ecdsa-sha2-nistp384"
            | "ecdsa-sha2-nistp521"
            | "sk-ssh-ed25519@openssh.com"
            | "sk-ecdsa-sha2-nistp256@openssh.com"
            | "sk-ssh-ed25519"
            | "sk-ecdsa-sha2-nistp256"
    )
}

/// Words separated by blanks that are not inside double quotes.
fn words(line: &str) -> Vec<&str> {
    let (mut out, mut start, mut quoted, mut escaped) = (Vec::new(), None, false, false);
    for (i, c) in line.char_indices() {
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        if c.is_whitespace() && !quoted {
            if let Some(at) = start.take() {
                out.push(&line[at..i]);
            }
        } else if start.is_none() {
            start = Some(i);
        }
    }
    out.extend(start.map(|at| &line[at..]));
    out
}

/// A key, or none for a comment, an empty line and what sshd would not understand.
fn parse(line: &str) -> Option<Line> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let words = words(line);
    let at = words.iter().position(|w| is_kind(w))?;
    let key = words.get(at + 1)?;
    let body = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    if at > 1 || !body || key.len() < 16 {
        return None;
    }
    Some(Line {
        options: words[..at].join(" "),
        kind: words[at].to_owned(),
        key: (*key).to_owned(),
        comment: words[at + 2..].join(" "),
    })
}

fn wanted(args: &AuthorizedKeyArgs) -> Result<Vec<Line>, Stop> {
    let text = args.key.trim();
    if ["http://", "https://"].iter().any(|p| text.starts_with(p)) {
        return Err(Stop::fail(
            "`key` is a URL: keys are not fetched here; give their text, such as `{{ lookup('ansible.builtin.url', …, split_lines=false) }}`",
        ));
    }
    if args.key_options.as_ref().is_some_and(|o| o.contains('\n'))
        || args.comment.as_ref().is_some_and(|c| c.contains('\n'))
    {
        return Err(Stop::fail("`key_options` and `comment` must not contain a line break"));
    }
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut parsed = parse(line).ok_or_else(|| {
            let shown: String = line.chars().take(40).collect();
            Stop::fail(format!("invalid key specified: {shown}…; expected `ssh-ed25519 AAAA… comment`"))
        })?;
        if let Some(options) = &args.key_options {
            parsed.options.clone_from(options);
        }
        if let Some(comment) = &args.comment {
            parsed.comment.clone_from(comment);
        }
        lines.retain(|l| l.key != parsed.key);
        lines.push(parsed);
    }
    if lines.is_empty() && !args.exclusive {
        return Err(Stop::fail("`key` holds no key"));
    }
    Ok(lines)
}

/// The file's text with the keys as asked; nothing else in it changes.
fn rewrite(args: &AuthorizedKeyArgs, text: &str, wanted: &[Line]) -> String {
    let mut out = String::new();
    let mut put = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    let mut done: Vec<&str> = Vec::new();
    for line in text.lines() {
        let here = parse(line);
        let asked = here.as_ref().and_then(|h| wanted.iter().find(|w| w.key == h.key));
        match (args.state, here, asked) {
            (State::Absent, Some(_), Some(_)) => {}
            (State::Present, Some(here), Some(asked)) => {
                if !done.contains(&asked.key.as_str()) {
                    done.push(&asked.key);
                    put(&if here == *asked { line.to_owned() } else { asked.text() });
                }
            }
            (State::Present, _, None) if args.exclusive => {}
            _ => put(line),
        }
    }
    if args.state == State::Present {
        for line in wanted.iter().filter(|w| !done.contains(&w.key.as_str())) {
            put(&line.text());
        }
    }
    out
}

fn plan(args: &AuthorizedKeyArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let wanted = wanted(args)?;
    if args.path.as_ref().is_some_and(|p| !p.starts_with('/')) {
        return Err(Stop::fail("`path` must be absolute"));
    }
    let user = accounts::user(view, &args.user, false)?.ok_or_else(|| {
        Stop::fail(format!("Failed to lookup user {}: there is no such account on the host", args.user))
    })?;
    let path = clean(&args.path.clone().unwrap_or_else(|| format!("{}/.ssh/authorized_keys", user.home)));
    let folder = parent(&path).unwrap_or("/").to_owned();
    let (now, at, content) = (view.path(&path), view.path_with(&folder, true, None), view.content(&path));
    let (now, at, content) = (now?, at?, content?);
    if now.kind == PathKind::Directory {
        return Err(Stop::fail(format!("{path} is a folder")));
    }
    let before = content.map(|c| String::from_utf8_lossy(&c).into_owned()).unwrap_or_default();
    let after = rewrite(args, &before, &wanted);
    let result = TaskResult::ok()
        .with("user", args.user.as_str())
        .with("key", args.key.as_str())
        .with("keyfile", path.as_str())
        .with("state", args.state.word())
        .with("exclusive", args.exclusive)
        .with("key_options", args.key_options.clone())
        .with("comment", args.comment.clone())
        .with("manage_dir", args.manage_dir)
        .with("path", args.path.clone());
    // A missing line break at the end alone is no reason to write.
    if before.trim_end_matches('\n') == after.trim_end_matches('\n') {
        return Ok(Decision::nothing(result));
    }
    let (owner, group) = (user.uid.to_string(), user.gid.to_string());
    let mut actions = Vec::new();
    if args.manage_dir {
        actions.extend(own_folder(&folder, &at, &owner, &group)?);
    } else if !at.exists() {
        return Err(Stop::fail(format!("{folder} does not exist, and `manage_dir` is false: create it first")));
    }
    let (target, state) = match (args.follow, &now.kind) {
        (true, PathKind::Link) => {
            let behind = view.path_with(&path, true, None)?;
            (behind.real.clone().unwrap_or_else(|| path.clone()), behind)
        }
        _ => (path.clone(), now),
    };
    actions.push(Action::new(
        ActionKind::Install(Install {
            path: target,
            content: Content::text(&after),
            mode: 0o600,
            owner: Some(owner),
            group: Some(group),
            replaces: state.kind == PathKind::File,
            backup: None,
            validate: None,
            unsafe_writes: false,
        }),
        format!("write {} of {}", path, args.user),
    ));
    let diff = Diff { before_header: path.clone(), after_header: path, before, after };
    Ok(Decision::act(TaskResult { changed: true, ..result }.diff(diff), actions))
}

/// sshd refuses keys in a folder that others can write.
fn own_folder(folder: &str, now: &PathState, owner: &str, group: &str) -> Result<Option<Action>, Stop> {
    match now.kind {
        PathKind::Absent => Ok(Some(Action::new(
            ActionKind::Directory {
                path: folder.to_owned(),
                mode: Some(0o700),
                owner: Some(owner.to_owned()),
                group: Some(group.to_owned()),
            },
            format!("create folder {folder}"),
        ))),
        PathKind::Directory => {
            let owner = (now.owned_by(owner) != Some(true)).then(|| owner.to_owned());
            let group = (now.grouped_by(group) != Some(true)).then(|| group.to_owned());
            let mode = (now.mode != 0o700).then_some(0o700);
            let needed = owner.is_some() || group.is_some() || mode.is_some();
            let kind = ActionKind::Attributes { path: folder.to_owned(), follow: true, mode, owner, group };
            Ok(needed.then(|| Action::new(kind, format!("change {folder}: mode 0700 and its owner"))))
        }
        _ => Err(Stop::fail(format!("{folder} is not a folder"))),
    }
}

#[cfg(test)]
mod tests {

    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA a@laptop";
    const B: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB b@laptop";

    fn host() -> Fake {
        Fake::new().dir("/home", 0o755).dir("/home/deploy", 0o755).probe(|p| {
            Some(Output::ok(if p.args[1] == "deploy" { "deploy:x:1001:1001::/home/deploy:/bin/sh\n" } else { "" }))
        })
    }

    const FILE: &str = "/home/deploy/.ssh/authorized_keys";

    #[test]
    fn keys_are_added_once() {
        let mut host = host();
        let args = json!({"user": "deploy", "key": format!("{A}\n# a comment\n{B}\n")});
        let decision = host.converge("authorized_key", args.clone());
        assert_eq!(host.text(FILE), format!("{A}\n{B}\n"));
        assert_eq!(decision.actions.len(), 2);
        assert_eq!(host.state("/home/deploy/.ssh").mode, 0o700);
        assert_eq!(host.state(FILE).mode, 0o600);
        assert_eq!(host.state(FILE).uid, Some(1001));
        assert_eq!(host.rounds(), 2);
        host.settled("ansible.posix.authorized_key", args);
    }

    #[test]
    fn options_and_comments_replace() {
        let text = format!("# mine\nno-pty,command=\"echo \\\"a b\\\"\" {A}\n{B}\n");
        let mut host = host().dir("/home/deploy/.ssh", 0o700).file(FILE, &text, 0o600);
        host.settled("authorized_key", json!({"user": "deploy", "key": B}));
        let args = json!({"user": "deploy", "key": A, "key_options": "from=\"10.0.0.1, x\"", "comment": "new one"});
        host.converge("authorized_key", args.clone());
        assert_eq!(
            host.text(FILE),
            format!("# mine\nfrom=\"10.0.0.1, x\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA new one\n{B}\n")
        );
        host.settled("authorized_key", args);
    }

    #[test]
    fn exclusive_and_absent() {
        let text = format!("# mine\n{A}\n{B}\n");
        let mut host = host().dir("/home/deploy/.ssh", 0o700).file(FILE, &text, 0o600);
        host.converge("authorized_key", json!({"user": "deploy", "key": A, "state": "absent"}));
        assert_eq!(host.text(FILE), format!("# mine\n{B}\n"));
        host.settled("authorized_key", json!({"user": "deploy", "key": A, "state": "absent"}));
        host.converge("authorized_key", json!({"user": "deploy", "key": A, "exclusive": true}));
        assert_eq!(host.text(FILE), format!("{A}\n"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut host = host();
        assert!(host.fails("authorized_key", json!({"user": "deploy", "key": "hello"})).contains("invalid key"));
        assert!(host.fails("authorized_key", json!({"user": "deploy", "key": "https://x/y.keys"})).contains("URL"));
        assert!(host.fails("authorized_key", json!({"user": "nobody2", "key": A})).contains("nobody2"));
        assert!(
            host.fails("authorized_key", json!({"user": "deploy", "key": A, "comment": "a\nssh-rsa x"}))
                .contains("line break")
        );
    }
}
