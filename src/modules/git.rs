//! `git`: a working copy of a repository, at a branch, a tag or a commit.

use super::args::Arguments;
use super::common::outputs::{failed, gist};
use super::registry::{FreeForm, Module, Needs};
use crate::host::key::clean;
use crate::host::{Action, Decision, Diff, Key, Probe, Run, Stop, TaskResult, View, quote};
use crate::values::Value;

crate::module_args! {
    /// What `git` takes.
    pub struct GitArgs {
        /// The repository's URL.
        repo: String, ["name"];
        /// The working copy.
        dest: String;
        /// A branch, a tag or a commit; `HEAD` is the remote's default branch.
        version: String = "HEAD";
        /// The remote's name.
        remote: String = "origin";
        /// A further thing to fetch.
        refspec: Option<String>;
        /// How many commits to fetch.
        depth: Option<i64>;
        /// Make the copy if there is none.
        clone: bool = true;
        /// Bring the copy up to date.
        update: bool = true;
        /// Throw away local changes.
        force: bool = false;
        /// A repository without a working copy.
        bare: bool = false;
        /// Fetch submodules, too.
        recursive: bool = true;
        /// Bring submodules to the newest commit of the branch that `.gitmodules` names.
        track_submodules: bool = false;
        /// Clone only the history of the wanted branch.
        single_branch: bool = false;
        /// A repository on the host to borrow objects from.
        reference: Option<String>;
        /// Where the repository itself lies, apart from the working copy.
        separate_git_dir: Option<String>;
        /// Accept any host key of a host not known yet.
        accept_hostkey: bool = false;
        /// Accept the host key of a host not known yet, and keep it.
        accept_newhostkey: bool = false;
        /// A private SSH key on the host.
        key_file: Option<String>;
        /// Further options for ssh.
        ssh_opts: Option<String>;
        /// The git program.
        executable: Option<String>;
        /// The mask for the copy's files.
        umask: Option<String>;
        /// Check the signature of what is checked out.
        verify_commit: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["git", "ansible.builtin.git", "ansible.legacy.git"],
    doc: "A working copy of a repository, at a branch, a tag or a commit.",
    args: GitArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |map| match map.get("dest").and_then(Value::as_str) {
        Some(dest) if !map.contains_key("separate_git_dir") => vec![Key::below(dest)],
        _ => vec![Key::Anything],
    },
};

/// What `look.sh` said.
#[derive(Debug, Default)]
struct Seen {
    there: bool,
    broken: Option<String>,
    head: String,
    branch: String,
    url: String,
    local: String,
    dirty: bool,
    submodules: bool,
    submodules_differ: bool,
    unreachable: Option<String>,
    refs: Vec<(String, String)>,
    default_branch: String,
}

impl Seen {
    fn read(text: &str) -> Self {
        let mut seen = Self::default();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "=there" => seen.there = true,
                "=broken" => seen.broken = Some(rest.to_owned()),
                "=head" => rest.clone_into(&mut seen.head),
                "=branch" => rest.clone_into(&mut seen.branch),
                "=url" => rest.clone_into(&mut seen.url),
                "=local" => rest.clone_into(&mut seen.local),
                "=dirty" => seen.dirty = true,
                "=submodules" => seen.submodules = true,
                "=submodules-differ" => seen.submodules_differ = true,
                "=unreachable" => seen.unreachable = Some(rest.trim().to_owned()),
                "=ref" => {
                    if let Some((id, name)) = rest.split_once('\t') {
                        match id.strip_prefix("ref: refs/heads/") {
                            Some(branch) => branch.clone_into(&mut seen.default_branch),
                            None => seen.refs.push((name.to_owned(), id.to_owned())),
                        }
                    }
                }
                _ => {}
            }
        }
        seen
    }

    fn remote(&self, name: &str) -> Option<&str> {
        self.refs.iter().find(|r| r.0 == name).map(|r| r.1.as_str())
    }
}

/// What is wanted: its kind, the branch if it is one, and the commit if that is known.
struct Target {
    kind: &'static str,
    branch: String,
    commit: Option<String>,
}

fn target(args: &GitArgs, seen: &Seen) -> Target {
    let version = &args.version;
    if version == "HEAD" {
        let commit = seen.remote("HEAD").map(str::to_owned);
        // A remote with a detached HEAD has no default branch.
        let kind = if seen.default_branch.is_empty() { "commit" } else { "head" };
        return Target { kind, branch: seen.default_branch.clone(), commit };
    }
    if let Some(commit) = seen.remote(&format!("refs/heads/{version}")) {
        return Target { kind: "branch", branch: version.clone(), commit: Some(commit.to_owned()) };
    }
    let tag = format!("refs/tags/{version}");
    let commit = seen.remote(&format!("{tag}^{{}}")).or_else(|| seen.remote(&tag)).map(str::to_owned);
    let commit = commit.or_else(|| is_commit(version).then(|| version.to_lowercase()));
    let commit = commit.or_else(|| (seen.local.starts_with(&version.to_lowercase())).then(|| seen.local.clone()));
    Target { kind: "commit", branch: String::new(), commit }
}

/// Whether a text is a whole commit's name.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// How git calls ssh. `looks`: nothing may be written to the known hosts.
fn ssh(args: &GitArgs, looks: bool) -> String {
    let mut words = vec!["ssh".to_owned(), "-o".into(), "BatchMode=yes".into()];
    if let Some(key) = &args.key_file {
        words.extend(["-i".to_owned(), quote(key), "-o".into(), "IdentitiesOnly=yes".into()]);
    }
    if args.accept_hostkey || args.accept_newhostkey {
        words.extend(["-o".to_owned(), "StrictHostKeyChecking=accept-new".into()]);
        if looks {
            // New keys go to the first file; those known already are still checked.
            let files = "UserKnownHostsFile=/dev/null ~/.ssh/known_hosts ~/.ssh/known_hosts2";
            words.extend(["-o".to_owned(), quote(files), "-o".into(), "UpdateHostKeys=no".into()]);
        }
    }
    words.extend(args.ssh_opts.clone());
    words.join(" ")
}

fn look(args: &GitArgs, dest: &str, ask: &str) -> Probe {
    let bare = if args.bare { "yes" } else { "no" };
    let ssh = ssh(args, true);
    let git = args.executable.as_deref().unwrap_or_default();
    let words = [dest, &args.repo, &args.version, &args.remote, bare, &ssh, git, ask];
    let mut reads = vec![Key::below(dest)];
    if ask != "never" {
        reads.push(Key::Volatile);
    }
    Probe::new(include_str!("git/look.sh"), &words, reads)
}

/// A URL without the password that may stand in it.
fn shown(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
        Some((scheme, (user, rest))) if user.contains(':') && !user.contains('/') => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

fn plan(args: &GitArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let dest = clean(&args.dest);
    check(args, &dest)?;
    if let Some(memory) = view.memory() {
        return report(view, memory);
    }
    // A whole commit that is checked out already needs no remote.
    let ask = if args.update { "always" } else { "absent" };
    let said = view.probe(look(args, &dest, ask))?;
    if said.rc == 127 {
        return Err(Stop::fail("the host has no git: install it with `apt: name=git` first"));
    }
    let seen = Seen::read(&said.out());
    if let Some(why) = &seen.broken {
        return Err(Stop::fail(format!("{dest} is no repository that git would use: {why}")));
    }
    if seen.there && !args.update {
        let head = seen.head.as_str();
        return Ok(Decision::nothing(result(head, Some(head)).with("remote_url_changed", false)));
    }
    let whole_and_there = is_commit(&args.version) && seen.there && seen.local.eq_ignore_ascii_case(&args.version);
    if let Some(why) = seen.unreachable.as_ref().filter(|_| !whole_and_there) {
        return Err(Stop::fail(format!("{} can't be reached from the host: {why}", shown(&args.repo))));
    }
    let target = target(args, &seen);
    let url_changed = seen.there && same_url(&seen.url) != same_url(&args.repo);
    let before = if seen.there { Value::from(seen.head.as_str()) } else { Value::Null };
    let after = target.commit.clone().map_or(Value::Unknown, Value::from);
    if target.commit.is_none()
        && args.version != "HEAD"
        && !args.version.bytes().all(|b| b.is_ascii_hexdigit())
        && args.refspec.is_none()
        && seen.local.is_empty()
    {
        return Err(Stop::fail(format!("{} has no branch, tag or commit `{}`", shown(&args.repo), args.version)));
    }
    if seen.dirty && !args.force {
        return Err(Stop::fail(format!(
            "Local modifications exist in the destination: {dest}; `force: true` throws them away"
        )));
    }
    let mut done = TaskResult::changed(true)
        .with("before", before)
        .with("after", after.clone())
        .with("remote_url_changed", url_changed);
    if !seen.there && !args.clone {
        return Ok(Decision::nothing(done));
    }
    // A bare repository has no working copy that could be elsewhere.
    let here = if args.bare && args.version != "HEAD" { &seen.local } else { &seen.head };
    let moved = !seen.there || target.commit.as_deref() != Some(here.as_str());
    let other_branch = !args.bare && target.kind != "commit" && seen.branch != target.branch;
    let modules = args.recursive && (seen.submodules_differ || (seen.submodules && args.track_submodules));
    if !(moved || url_changed || seen.dirty || other_branch || modules) {
        done.changed = false;
        return Ok(Decision::nothing(done));
    }
    // Being on another branch at the same commit is put right, but is no change.
    done.changed = moved || url_changed || seen.dirty || seen.submodules_differ;
    if moved && seen.there {
        done = done.diff(Diff {
            before_header: dest.clone(),
            after_header: dest.clone(),
            before: format!("{}\n", seen.head),
            after: format!("{after}\n"),
        });
    }
    let action = action(args, &dest, &target, url_changed, seen.there);
    let submodules = args.recursive && !args.bare && (seen.submodules || !seen.there || moved);
    if target.commit.is_some() && !args.track_submodules && !(submodules && seen.submodules) {
        return Ok(Decision::act(done, vec![action]));
    }
    let memory = Value::from_pairs([
        ("changed", done.changed.into()),
        ("data", Value::map(done.data.clone())),
        ("dest", dest.as_str().into()),
    ]);
    Ok(Decision::again(done, vec![action], memory))
}

fn check(args: &GitArgs, dest: &str) -> Result<(), Stop> {
    if !dest.starts_with('/') {
        return Err(Stop::fail(format!("`dest` must be absolute, not `{}`", args.dest)));
    }
    for (name, value) in [("repo", &args.repo), ("version", &args.version), ("remote", &args.remote)] {
        if value.is_empty() || value.starts_with('-') {
            return Err(Stop::fail(format!("`{name}` must not be empty or begin with a dash")));
        }
    }
    if args.depth.is_some_and(|d| d < 1) {
        return Err(Stop::fail("`depth` must be at least 1"));
    }
    if args.separate_git_dir.is_some() && args.bare {
        return Err(Stop::fail("only one of `separate_git_dir` and `bare` can be given"));
    }
    Ok(())
}

fn same_url(url: &str) -> &str {
    url.trim_end_matches('/')
}

fn result(before: &str, after: Option<&str>) -> TaskResult {
    TaskResult::ok().with("before", before).with("after", after.map_or(Value::Unknown, Value::from))
}

fn action(args: &GitArgs, dest: &str, target: &Target, url_changed: bool, there: bool) -> Action {
    let flags = [
        (args.bare, "bare"),
        (args.recursive, "recursive"),
        (args.track_submodules, "track"),
        (args.force, "force"),
        (args.single_branch, "single"),
        (args.verify_commit, "verify"),
        (url_changed, "set-url"),
    ];
    let options = flags.iter().filter(|f| f.0).map(|f| f.1).collect::<Vec<_>>().join(" ");
    let depth = args.depth.map(|d| d.to_string()).unwrap_or_default();
    let version = match (&target.commit, args.version.as_str()) {
        (Some(commit), "HEAD") => commit.as_str(),
        (_, version) => version,
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (refspec, reference, apart, git) =
        (text(&args.refspec), text(&args.reference), text(&args.separate_git_dir), text(&args.executable));
    let words = [
        dest,
        &args.repo,
        version,
        target.kind,
        &target.branch,
        &args.remote,
        &depth,
        &options,
        &refspec,
        &reference,
        &apart,
        &git,
    ];
    let mut run = Run::sh(include_str!("git/sync.sh"), &words)
        .durable_on(&format!("git {dest}"))
        .env("GIT_SSH_COMMAND", &ssh(args, false));
    run.umask = args.umask.as_ref().and_then(|u| u32::from_str_radix(u.trim_start_matches("0o"), 8).ok());
    let shows = if there {
        format!("bring {dest} to {}", args.version)
    } else {
        format!("clone {} to {dest} at {}", shown(&args.repo), args.version)
    };
    let mut keys = vec![Key::below(dest)];
    keys.extend(args.separate_git_dir.as_deref().map(Key::below));
    if args.accept_hostkey || args.accept_newhostkey {
        keys.push(Key::Named("known_hosts", String::new()));
    }
    // Parents that are made on the way.
    let mut up = dest;
    while let Some(parent) = crate::host::key::parent(up).filter(|p| *p != "/" && !there) {
        keys.push(Key::path(parent));
        up = parent;
    }
    Action::run(run, shows).local().writing(keys)
}

/// The second round: which commit it is now, and whether submodules moved.
fn report(view: &View<'_>, memory: &Value) -> Result<Decision, Stop> {
    let output = view.outputs().last().cloned().unwrap_or_default();
    if !output.success() {
        return Err(failed(format!("git failed: {}", gist(&output)), &output));
    }
    let out = output.out();
    let modules = out.lines().any(|l| l == "=submodules-changed");
    let mut result = TaskResult::changed(memory.get("changed").and_then(Value::as_bool).unwrap_or(true) || modules);
    result.data = memory.get("data").and_then(Value::as_map).cloned().unwrap_or_default();
    if let Some(after) = out.lines().find_map(|l| l.strip_prefix("=after ")) {
        result = result.with("after", after);
    }
    Ok(Decision::nothing(result.with("submodules_changed", modules)))
}

#[cfg(test)]
mod tests {
    use crate::host::action::Command;
    use crate::host::{Output, Run};
    use crate::modules::testing::Fake;
    use serde_json::json;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";
    const URL: &str = "https://example.org/shop.git";

    fn words(run: &Run) -> Vec<String> {
        match &run.command {
            Command::Shell { args, .. } => args.clone(),
            Command::Argv(words) => words.clone(),
        }
    }

    fn host(local: String, remote: String) -> Fake {
        Fake::new()
            .probe(move |_| Some(Output::ok(&format!("{local}{remote}"))))
            .on_run(|_, _| Some(Output::ok(&format!("=after {NEW}\n"))))
    }

    fn copy(head: &str, branch: &str, more: &str) -> String {
        format!("=there\n=head {head}\n=branch {branch}\n=url {URL}\n=local {head}\n{more}")
    }

    fn remote() -> String {
        format!(
            "=ref ref: refs/heads/main\tHEAD\n=ref {NEW}\tHEAD\n=ref {NEW}\trefs/heads/main\n=ref {OLD}\trefs/tags/v1\n=ref {NEW}\trefs/tags/v1^{{}}\n"
        )
    }

    #[test]
    fn a_new_copy() {
        let mut host = host(String::new(), remote());
        let decision = host.converge("git", json!({"repo": URL, "dest": "/srv/shop", "depth": 1}));
        assert_eq!(host.rounds(), 1);
        assert!(decision.result.changed);
        assert_eq!(decision.result.data["before"].to_string(), "None");
        assert_eq!(decision.result.data["after"].to_string(), NEW);
        let words = words(&host.ran()[0]);
        assert_eq!(words[..8], ["/srv/shop", URL, NEW, "head", "main", "origin", "1", "recursive"]);
        assert!(host.ran()[0].durable);
        let decision = host.converge("git", json!({"repo": URL, "dest": "/srv/shop", "clone": false}));
        assert!(decision.result.changed && decision.actions.is_empty());
    }

    #[test]
    fn up_to_date_is_left_alone() {
        let mut host = host(copy(NEW, "main", ""), remote());
        host.settled("git", json!({"repo": URL, "dest": "/srv/shop"}));
        host.settled("git", json!({"repo": URL, "dest": "/srv/shop", "version": "main"}));
        host.settled("git", json!({"repo": URL, "dest": "/srv/shop", "version": "v1"}));
        host.settled("git", json!({"repo": URL, "dest": "/srv/shop", "version": NEW}));
        host.settled("git", json!({"repo": URL, "dest": "/srv/shop", "version": "2222222"}));
    }

    #[test]
    fn what_moved_is_fetched() {
        let mut host = host(copy(OLD, "main", ""), remote());
        let decision = host.converge("git", json!({"repo": URL, "dest": "/srv/shop", "version": "main"}));
        assert_eq!(decision.result.data["before"].to_string(), OLD);
        assert_eq!(decision.result.data["after"].to_string(), NEW);
        host.settled("git", json!({"repo": URL, "dest": "/srv/shop", "update": false}));
        let decision = host.converge("git", json!({"repo": "https://example.org/other", "dest": "/srv/shop"}));
        assert_eq!(decision.result.data["remote_url_changed"].to_string(), "True");
        let decision = host.converge("git", json!({"repo": URL, "dest": "/srv/shop", "version": "abc1234"}));
        assert_eq!(decision.result.data["after"].to_string(), NEW, "a short name is looked up afterwards");
    }

    #[test]
    fn local_changes_need_force() {
        let mut host = host(copy(NEW, "main", "=dirty\n"), remote());
        assert!(host.fails("git", json!({"repo": URL, "dest": "/srv/shop"})).contains("Local modifications exist"));
        assert!(host.converge("git", json!({"repo": URL, "dest": "/srv/shop", "force": true})).result.changed);
    }

    #[test]
    fn failures_say_what_is_wrong() {
        let mut host = host(String::new(), "=unreachable Permission denied (publickey)\n".into());
        let message = host.fails("git", json!({"repo": "https://u:secret@example.org/x", "dest": "/srv/x"}));
        assert!(message.contains("Permission denied") && !message.contains("secret"), "{message}");
        let mut host = self::host(String::new(), remote());
        assert!(
            host.fails("git", json!({"repo": URL, "dest": "/x", "version": "nonesuch"})).contains("no branch, tag")
        );
        assert!(host.fails("git", json!({"repo": "--upload-pack=x", "dest": "/x"})).contains("dash"));
    }

    #[test]
    fn ssh_is_told_and_hostile_keys_are_quoted() {
        let mut host = host(String::new(), remote());
        host.converge(
            "git",
            json!({"repo": "git@x:y", "dest": "/srv/x", "key_file": "/k e y;reboot", "accept_newhostkey": true}),
        );
        let env = &host.ran()[0].env;
        assert_eq!(
            env[0].1,
            "ssh -o BatchMode=yes -i '/k e y;reboot' -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new"
        );
    }
}
