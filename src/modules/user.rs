//! `user`: accounts of people and of services.

mod change;

use super::args::Arguments;
use super::common::accounts::{self, User};
use super::common::outputs::{failed, gist};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Decision, Key, Output, Probe, Question, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_choices! {
    /// Whether the account is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_choices! {
    /// When the password is set.
    pub enum UpdatePassword {
        /// Whenever it differs.
        Always = "always",
        /// Only when the account is made.
        OnCreate = "on_create",
    }
}

crate::module_args! {
    /// What `user` takes.
    pub struct UserArgs {
        /// Login name.
        name: String, ["user"];
        /// Whether it is there.
        state: State = State::Present;
        /// Number.
        uid: Option<i64>;
        /// Lowest number for a new account.
        uid_min: Option<i64>;
        /// Highest number for a new account.
        uid_max: Option<i64>;
        /// Allow a number that another account has.
        non_unique: bool = false;
        /// Full name (GECOS).
        comment: Option<String>;
        /// Primary group, by name or number.
        group: Option<String>;
        /// Further groups; an empty list takes it out of all.
        groups: Option<Vec<String>>;
        /// Add to `groups` instead of setting them.
        append: bool = false;
        /// Login shell.
        shell: Option<String>;
        /// Home folder.
        home: Option<String>;
        /// What a new home holds.
        skeleton: Option<String>;
        /// Mask of a new home's mode.
        umask: Option<String>;
        /// Make the home folder.
        create_home: bool, ["createhome"] = true;
        /// Move the home folder's content when `home` changes.
        move_home: bool = false;
        /// A service's account, with a low number.
        system: bool = false;
        /// The password's hash, as crypt(5) has it; never the password itself.
        password: Option<String>;
        /// When the password is set.
        update_password: UpdatePassword = UpdatePassword::Always;
        /// Lock or unlock the password.
        password_lock: Option<bool>;
        /// Longest age of a password, in days.
        password_expire_max: Option<i64>;
        /// Shortest age of a password, in days.
        password_expire_min: Option<i64>;
        /// Days of warning before it expires.
        password_expire_warn: Option<i64>;
        /// Days after expiry until the account is closed.
        password_expire_account_disable: Option<i64>;
        /// When the account ends, seconds since 1970; negative for never.
        expires: Option<f64>;
        /// With `state: absent`: remove the home folder and mail.
        remove: bool = false;
        /// With `state: absent`: remove files of other users, too, and the account though it is logged in.
        force: bool = false;
        /// Look only at the host's own accounts, not at those of a directory.
        local: bool = false;
        /// Make an SSH key for the account.
        generate_ssh_key: bool = false;
        /// Its bits.
        ssh_key_bits: Option<i64>;
        /// Its kind.
        ssh_key_type: String = "rsa";
        /// Its file, below the home folder if not absolute.
        ssh_key_file: Option<String>;
        /// Its comment.
        ssh_key_comment: Option<String>;
        /// Its passphrase.
        ssh_key_passphrase: Option<String>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["user", "ansible.builtin.user", "ansible.legacy.user"],
    doc: "Accounts of people and of services.",
    args: UserArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

/// What is known beside the line of `passwd`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Details {
    /// Groups it is a member of, without its primary one, with their numbers.
    pub groups: Vec<(String, u32)>,
    /// Whether the password is locked; none if it can't be told.
    pub locked: Option<bool>,
    /// Whether the password is the one that is wanted.
    pub same_password: Option<bool>,
    /// The shadow file's days: changed, min, max, warn, inactive, expire.
    pub days: Vec<Option<i64>>,
    /// What useradd takes where nothing is said.
    pub defaults: Map,
}

impl Details {
    fn read(output: &Output) -> Self {
        let mut details = Self::default();
        for line in output.out().lines() {
            if let Some(member) = line.strip_prefix("=member ") {
                details.groups.extend(member.rsplit_once(' ').and_then(|(n, g)| Some((n.to_owned(), g.parse().ok()?))));
            } else if let Some(shadow) = line.strip_prefix("=shadow ") {
                let words: Vec<&str> = shadow.splitn(3, ' ').collect();
                if let [lock, same, days] = words[..] {
                    details.locked = Some(lock == "locked");
                    details.same_password = Some(same == "same");
                    details.days = days.split(':').map(|d| d.parse().ok()).collect();
                }
            } else if let Some((name, value)) = line.strip_prefix("=default ").and_then(|d| d.split_once('=')) {
                details.defaults.insert(name.into(), value.into());
            }
        }
        details
    }

    fn day(&self, at: usize) -> Option<i64> {
        self.days.get(at).copied().flatten()
    }

    fn preset(&self, name: &str, otherwise: &str) -> String {
        self.defaults.get(name).map_or_else(|| otherwise.to_owned(), ToString::to_string)
    }
}

fn plan(args: &UserArgs, view: &View<'_>) -> Result<Decision, Stop> {
    check(args)?;
    if let Some(memory) = view.memory() {
        return after_acting(args, view, memory);
    }
    let now = accounts::user(view, &args.name, args.local);
    let details = Probe {
        script: include_str!("user/state.sh"),
        args: vec![args.name.clone()],
        stdin: Some(format!("{}\n", args.password.as_deref().unwrap_or_default())),
        reads: vec![Key::Accounts, Key::path("/etc/default/useradd")],
    };
    let details = view.probe(details);
    let group = args.group.as_ref().map(|g| accounts::group(view, g, false));
    let groups: Vec<_> = args.groups.iter().flatten().map(|g| (g, accounts::group(view, g, false))).collect();
    let own = accounts::group(view, &args.name, args.local);
    let (now, details) = (now?, details?);
    if details.out().contains("=none useradd") {
        return Err(Stop::fail("the host has no useradd: install the package passwd"));
    }
    let details = Details::read(&details);
    let group = match group.transpose()? {
        Some(None) => {
            return Err(Stop::fail(format!("Group {} does not exist", args.group.as_deref().unwrap_or_default())));
        }
        Some(found) => found,
        None => None,
    };
    let mut wanted = Vec::new();
    for (name, found) in groups {
        if args.state == State::Present {
            let found = found?.ok_or_else(|| Stop::fail(format!("Group {name} does not exist")))?;
            wanted.push((found.name, found.gid));
        }
    }
    if args.state == State::Absent {
        return Ok(absent(args, now.as_ref()));
    }
    let own = own?;
    let mut change = change::Change { args, view, details, group, groups: wanted, own_group: own, actions: Vec::new() };
    let after = match &now {
        None => change.create()?,
        Some(user) => change.modify(user)?,
    };
    change.lifetimes(now.is_some());
    present(args, view, now.as_ref(), after, change.actions)
}

fn check(args: &UserArgs) -> Result<(), Stop> {
    let name = &args.name;
    if name.is_empty() || name.starts_with('-') || name.contains([':', '/', '\n', ' ', ',']) || name.len() > 32 {
        return Err(Stop::fail(format!("`{name}` is no login name")));
    }
    let fields = [("comment", &args.comment), ("home", &args.home), ("shell", &args.shell)];
    for (field, value) in fields {
        if value.as_ref().is_some_and(|v| v.contains([':', '\n'])) {
            return Err(Stop::fail(format!("`{field}` must not contain a colon or a line break")));
        }
    }
    if args.password.as_ref().is_some_and(|p| p.contains([':', '\n'])) {
        return Err(Stop::fail(
            "`password` must be a hash as crypt(5) has it (`{{ 'secret' | password_hash('sha512') }}`), which holds no colon and no line break",
        ));
    }
    if args.append && args.groups.is_none() {
        return Err(Stop::fail("`append` is set, but no `groups` are given"));
    }
    if args.umask.as_ref().is_some_and(|u| u.is_empty() || !u.bytes().all(|b| (b'0'..=b'7').contains(&b))) {
        return Err(Stop::fail("`umask` must be octal, such as \"077\""));
    }
    if args.uid.is_some_and(|u| u32::try_from(u).is_err()) {
        return Err(Stop::fail("`uid` must be a number from 0 to 4294967295"));
    }
    Ok(())
}

fn absent(args: &UserArgs, now: Option<&User>) -> Decision {
    let result = TaskResult::ok().with("name", args.name.as_str()).with("state", "absent");
    let Some(now) = now else { return Decision::nothing(result) };
    let mut words = vec!["userdel".to_owned()];
    words.extend(args.force.then(|| "-f".to_owned()));
    words.extend(args.remove.then(|| "-r".to_owned()));
    words.push(args.name.clone());
    let mut keys = vec![
        Key::Accounts,
        Key::path("/etc/subuid"),
        Key::path("/etc/subgid"),
        Key::path(&format!("/var/spool/cron/crontabs/{}", args.name)),
    ];
    if args.remove {
        keys.extend([Key::below(&now.home), Key::path(&format!("/var/mail/{}", args.name))]);
    }
    let mut action = change::run(words, format!("remove user {}", args.name), keys);
    for local in [false, true] {
        action = action.predict(accounts::user_question(&args.name, local), accounts::user_answer(None));
    }
    let result = TaskResult { changed: true, ..result }.with("force", args.force).with("remove", args.remove);
    Decision::act(result, vec![action])
}

/// The account's result fields, the home folder and the key, once it is as asked.
fn present(
    args: &UserArgs,
    view: &View<'_>,
    now: Option<&User>,
    after: change::After,
    mut actions: Vec<Action>,
) -> Result<Decision, Stop> {
    let number = |n: Option<u32>| n.map_or(Value::Unknown, Value::from);
    let mut result = TaskResult::ok()
        .with("name", args.name.as_str())
        .with("state", "present")
        .with("uid", number(after.uid))
        .with("group", number(after.gid))
        .with("comment", after.comment.as_str())
        .with("home", after.home.as_str())
        .with("shell", after.shell.as_str());
    if now.is_none() {
        result = result.with("system", args.system).with("create_home", args.create_home);
    } else {
        result = result.with("append", args.append).with("move_home", args.move_home);
    }
    if let Some(groups) = &args.groups {
        result = result.with("groups", groups.join(","));
    }
    if let Some(password) = &args.password {
        result = result.with("password", "NOT_LOGGING_PASSWORD");
        if !change::looks_hashed(password) {
            let warning = "`password` does not look like a hash (crypt(5)): nobody will be able to log in with it";
            result = result.with("warnings", vec![warning]);
        }
    }
    let home = after.home.starts_with('/').then(|| view.path_with(&after.home, true, None));
    let key_file = key_file(args, &after.home);
    let key = args.generate_ssh_key.then(|| view.probe(key_probe(&key_file)));
    if let Some(existing) = now
        && args.create_home
        && (after.home == existing.home || !args.move_home)
        && home.transpose()?.is_some_and(|h| !h.exists())
    {
        let skeleton = args.skeleton.as_deref().unwrap_or("/etc/skel");
        let umask = args.umask.as_deref().unwrap_or_default();
        let (uid, gid) = (existing.uid, after.gid.unwrap_or(existing.gid));
        let (uid, gid) = (after.uid.unwrap_or(uid).to_string(), gid.to_string());
        let words = [after.home.as_str(), skeleton, umask, &uid, &gid];
        let run = crate::host::Run::sh(include_str!("user/home.sh"), &words);
        let keys = vec![Key::below(&after.home)];
        actions.push(Action::run(run, format!("create home folder {}", after.home)).local().writing(keys));
    }
    result.changed = !actions.is_empty();
    if let Some(key) = key {
        let key = key?.out();
        if key.contains("=there") && !args.force {
            return Ok(Decision::act(with_key(result, &key, &key_file), actions));
        }
        let kind = args.ssh_key_type.as_str();
        let bits = args.ssh_key_bits.map(|b| b.to_string()).unwrap_or_default();
        let comment = args.ssh_key_comment.as_deref().unwrap_or_default();
        let words = [args.name.as_str(), &after.home, &key_file, kind, &bits, comment];
        let mut run = crate::host::Run::sh(include_str!("user/keygen.sh"), &words);
        if let Some(passphrase) = &args.ssh_key_passphrase {
            run = run.env("WINDLASS_PASSPHRASE", passphrase);
        }
        let folder = crate::host::key::parent(&key_file).unwrap_or("/").to_owned();
        actions
            .push(Action::run(run, format!("make an SSH key {key_file}")).local().writing(vec![Key::below(&folder)]));
        result.changed = true;
        let foretold = result.with("ssh_key_file", key_file.as_str()).with("ssh_public_key", Value::Unknown);
        return Ok(again(foretold.with("ssh_fingerprint", Value::Unknown), actions, &key_file));
    }
    if after.uid.is_none() || after.gid.is_none() {
        return Ok(again(result, actions, ""));
    }
    Ok(Decision::act(result, actions))
}

/// Look again, for numbers that useradd chose and for a key that was made.
fn again(foretold: TaskResult, actions: Vec<Action>, key_file: &str) -> Decision {
    let memory = Value::from_pairs([("file", key_file.into()), ("data", Value::map(foretold.data.clone()))]);
    Decision::again(foretold, actions, memory)
}

fn key_file(args: &UserArgs, home: &str) -> String {
    let file = args.ssh_key_file.clone().unwrap_or_else(|| format!(".ssh/id_{}", args.ssh_key_type));
    if file.starts_with('/') { file } else { format!("{home}/{file}") }
}

fn key_probe(file: &str) -> Probe {
    let reads = vec![Key::path(file), Key::path(&format!("{file}.pub"))];
    Probe::new(include_str!("user/key.sh"), &[file], reads)
}

fn with_key(result: TaskResult, said: &str, file: &str) -> TaskResult {
    let line = |name: &str| said.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    result
        .with("ssh_key_file", file)
        .with("ssh_fingerprint", line("=fingerprint "))
        .with("ssh_public_key", line("=public "))
}

/// The second round: the account is there, and so is its key.
fn after_acting(args: &UserArgs, view: &View<'_>, memory: &Value) -> Result<Decision, Stop> {
    if let Some(output) = view.outputs().iter().find(|o| !o.success()) {
        return Err(failed(gist(output), output));
    }
    let file = memory.get("file").and_then(Value::as_str).unwrap_or_default();
    let user = accounts::user(view, &args.name, args.local);
    let key = (!file.is_empty()).then(|| view.probe(key_probe(file)));
    let mut result = TaskResult::changed(true);
    result.data = memory.get("data").and_then(Value::as_map).cloned().unwrap_or_default();
    if let Some(user) = user? {
        result = result.with("uid", user.uid).with("group", user.gid).with("home", user.home).with("shell", user.shell);
    }
    if let Some(key) = key {
        result = with_key(result, &key?.out(), file);
    }
    Ok(Decision::nothing(result))
}

/// The question that says whether an account is there, for others to foretell.
pub fn question(name: &str) -> Question {
    accounts::user_question(name, false)
}

#[cfg(test)]
mod tests;
