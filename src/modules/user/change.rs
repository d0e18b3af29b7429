//! The commands that make an account what is asked for.

use super::{Details, UpdatePassword, UserArgs};
use crate::host::{Action, Key, Run, Stop, View};
use crate::modules::common::accounts::{self, Group, User};

/// What the account will be. A number is none where only apply will tell.
pub(super) struct After {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub comment: String,
    pub home: String,
    pub shell: String,
}

/// Collects commands.
pub(super) struct Change<'a, 'v> {
    pub args: &'a UserArgs,
    pub view: &'a View<'v>,
    pub details: Details,
    pub group: Option<Group>,
    pub groups: Vec<(String, u32)>,
    pub own_group: Option<Group>,
    pub actions: Vec<Action>,
}

/// A command that writes accounts.
pub(super) fn run(words: Vec<String>, shows: String, keys: Vec<Key>) -> Action {
    Action::run(Run::argv(words), shows).local().writing(keys)
}

/// Whether a text can be what crypt(5) makes; `!` and `*` mean that there is no password.
pub(super) fn looks_hashed(password: &str) -> bool {
    let bare = password.trim_start_matches('!');
    bare.is_empty() || bare.chars().all(|c| c == '*') || bare.starts_with('$') || (bare.len() == 13 && bare.is_ascii())
}

impl Change<'_, '_> {
    fn keys(&self, home: &str) -> Vec<Key> {
        let mail = format!("/var/mail/{}", self.args.name);
        let paths = ["/etc/subuid", "/etc/subgid", "/etc/.pwd.lock", mail.as_str()];
        paths.into_iter().map(Key::path).chain([Key::Accounts, Key::below(home)]).collect()
    }

    fn expiry(&self) -> Option<String> {
        let at = self.args.expires?;
        if at < 0.0 {
            return Some(String::new());
        }
        let time = jiff::Timestamp::from_second(at as i64).ok()?;
        Some(time.strftime("%Y-%m-%d").to_string())
    }

    /// A new account.
    pub fn create(&mut self) -> Result<After, Stop> {
        let args = self.args;
        let mut words = vec!["useradd".to_owned()];
        let mut put = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
        if let Some(uid) = args.uid {
            put("-u", &uid.to_string());
        }
        if let Some(group) = &self.group {
            put("-g", &group.name);
        }
        if !self.groups.is_empty() {
            put("-G", &self.groups.iter().map(|g| g.0.as_str()).collect::<Vec<_>>().join(","));
        }
        if let Some(comment) = &args.comment {
            put("-c", comment);
        }
        if let Some(home) = &args.home {
            put("-d", home);
        }
        if let Some(shell) = &args.shell {
            put("-s", shell);
        }
        if let Some(expiry) = self.expiry() {
            put("-e", &expiry);
        }
        if let Some(min) = args.uid_min {
            put("-K", &format!("UID_MIN={min}"));
        }
        if let Some(max) = args.uid_max {
            put("-K", &format!("UID_MAX={max}"));
        }
        if let Some(umask) = args.umask.as_ref().filter(|_| args.create_home) {
            put("-K", &format!("UMASK={umask}"));
        }
        if let Some(skeleton) = args.skeleton.as_ref().filter(|_| args.create_home) {
            put("-k", skeleton);
        }
        let mut flag = |on: bool, text: &str| words.extend(on.then(|| text.to_owned()));
        flag(args.uid.is_some() && args.non_unique, "-o");
        // A group of the same name is there: useradd would refuse to make it.
        flag(self.group.is_none() && self.own_group.is_some(), "-N");
        flag(args.system, "-r");
        flag(true, if args.create_home { "-m" } else { "-M" });
        words.push(args.name.clone());

        let base = self.details.preset("HOME", "/home");
        let after = After {
            uid: args.uid.and_then(|u| u32::try_from(u).ok()),
            gid: self.group.as_ref().map(|g| g.gid),
            comment: args.comment.clone().unwrap_or_default(),
            home: args.home.clone().unwrap_or_else(|| format!("{base}/{}", args.name)),
            shell: args.shell.clone().unwrap_or_else(|| self.details.preset("SHELL", "/bin/sh")),
        };
        let mut action = run(words, format!("create user {}", args.name), self.keys(&after.home));
        if let Some(uid) = after.uid {
            // A group of its own usually gets the same number; if not, the guard on the host finds out.
            let user = User {
                name: args.name.clone(),
                uid,
                gid: after.gid.unwrap_or(uid),
                comment: after.comment.clone(),
                home: after.home.clone(),
                shell: after.shell.clone(),
            };
            for local in [false, true] {
                action = action.predict(accounts::user_question(&args.name, local), accounts::user_answer(Some(&user)));
            }
        }
        self.actions.push(action);
        if let Some(password) = &args.password {
            let locked = args.password_lock == Some(true) && !password.starts_with('!');
            self.password(&if locked { format!("!{password}") } else { password.clone() });
        } else if args.password_lock == Some(true) {
            self.lock(true);
        }
        Ok(after)
    }

    /// The hash goes through standard input, where no process list shows it.
    fn password(&mut self, hash: &str) {
        let run = Run::argv(["chpasswd", "-e"]).stdin(&format!("{}:{hash}\n", self.args.name));
        let shows = format!("set the password of {}", self.args.name);
        self.actions.push(Action::run(run, shows).local().writing(vec![Key::Accounts]));
    }

    fn lock(&mut self, lock: bool) {
        let (flag, word) = if lock { ("-L", "lock") } else { ("-U", "unlock") };
        let words = ["usermod", flag, &self.args.name].map(str::to_owned).to_vec();
        self.actions.push(run(words, format!("{word} the password of {}", self.args.name), vec![Key::Accounts]));
    }

    /// An account that is there.
    pub fn modify(&mut self, now: &User) -> Result<After, Stop> {
        let args = self.args;
        let mut words: Vec<String> = Vec::new();
        let mut what: Vec<String> = Vec::new();
        let mut after = User { ..now.clone() };
        if let Some(uid) = args.uid.and_then(|u| u32::try_from(u).ok()).filter(|u| *u != now.uid) {
            words.extend(["-u".to_owned(), uid.to_string()]);
            words.extend(args.non_unique.then(|| "-o".to_owned()));
            what.push(format!("uid {} -> {uid}", now.uid));
            after.uid = uid;
        }
        if let Some(group) = self.group.as_ref().filter(|g| g.gid != now.gid) {
            words.extend(["-g".to_owned(), group.name.clone()]);
            what.push(format!("group -> {}", group.name));
            after.gid = group.gid;
        }
        self.modify_groups(now, &mut words, &mut what);
        let mut set = |flag: &str, name: &str, wanted: &Option<String>, field: &mut String| {
            if let Some(wanted) = wanted.as_ref().filter(|w| *w != field) {
                words.extend([flag.to_owned(), wanted.clone()]);
                what.push(format!("{name} {field} -> {wanted}"));
                field.clone_from(wanted);
                return true;
            }
            false
        };
        set("-c", "comment", &args.comment, &mut after.comment);
        let moved = set("-d", "home", &args.home, &mut after.home) && args.move_home;
        set("-s", "shell", &args.shell, &mut after.shell);
        words.extend(moved.then(|| "-m".to_owned()));
        if let Some(expiry) = self.expiry() {
            let wanted = args.expires.filter(|e| *e >= 0.0).map(|e| (e / 86400.0).floor() as i64);
            // Without root's eyes on the shadow file nothing can be compared.
            if !self.details.days.is_empty() && self.details.day(5).filter(|d| *d >= 0) != wanted {
                words.extend(["-e".to_owned(), expiry.clone()]);
                what.push(if expiry.is_empty() { "no expiry".into() } else { format!("expires {expiry}") });
            }
        }
        if !words.is_empty() {
            words.insert(0, "usermod".into());
            words.push(args.name.clone());
            let mut keys = self.keys(&after.home);
            keys.push(Key::below(&now.home));
            let mut action = run(words, format!("change user {}: {}", args.name, what.join(", ")), keys);
            for local in [false, true] {
                action =
                    action.predict(accounts::user_question(&args.name, local), accounts::user_answer(Some(&after)));
            }
            self.actions.push(action);
        }
        self.modify_password()?;
        Ok(After {
            uid: Some(after.uid),
            gid: Some(after.gid),
            comment: after.comment,
            home: after.home,
            shell: after.shell,
        })
    }

    fn modify_groups(&self, now: &User, words: &mut Vec<String>, what: &mut Vec<String>) {
        if self.args.groups.is_none() {
            return;
        }
        let primary = self.group.as_ref().map_or(now.gid, |g| g.gid);
        let have: Vec<&str> = self.details.groups.iter().filter(|g| g.1 != primary).map(|g| g.0.as_str()).collect();
        let want: Vec<&str> = self.groups.iter().filter(|g| g.1 != primary).map(|g| g.0.as_str()).collect();
        let added: Vec<&str> = want.iter().filter(|w| !have.contains(w)).copied().collect();
        let lost: Vec<&str> = have.iter().filter(|h| !want.contains(h)).copied().collect();
        if self.args.append && !added.is_empty() {
            words.extend(["-a".to_owned(), "-G".to_owned(), added.join(",")]);
        } else if !(self.args.append || added.is_empty() && lost.is_empty()) {
            words.extend(["-G".to_owned(), want.join(",")]);
            what.extend(lost.iter().map(|g| format!("out of group {g}")));
        }
        what.extend(added.iter().map(|g| format!("into group {g}")));
    }

    fn modify_password(&mut self) -> Result<(), Stop> {
        let args = self.args;
        let needs_shadow = (args.password.is_some() && args.update_password == UpdatePassword::Always)
            || args.password_lock.is_some()
            || args.expires.is_some();
        if needs_shadow && self.details.locked.is_none() {
            return Err(Stop::fail(format!(
                "the password of {} can't be looked at as {}: set `become: true`",
                args.name,
                self.view.whoami().user
            )));
        }
        if let Some(password) = args.password.as_ref().filter(|_| args.update_password == UpdatePassword::Always)
            && self.details.same_password == Some(false)
        {
            let locked = args.password_lock.unwrap_or(false) && !password.starts_with('!');
            self.password(&if locked { format!("!{password}") } else { password.clone() });
            if args.password_lock == Some(true) || password.starts_with('!') {
                return Ok(());
            }
            self.details.locked = Some(false);
        }
        match (args.password_lock, self.details.locked) {
            (Some(true), Some(false)) => self.lock(true),
            (Some(false), Some(true)) => self.lock(false),
            _ => {}
        }
        Ok(())
    }

    /// How long passwords live.
    pub fn lifetimes(&mut self, exists: bool) {
        let args = self.args;
        let wanted = [
            ("-m", args.password_expire_min, 1),
            ("-M", args.password_expire_max, 2),
            ("-W", args.password_expire_warn, 3),
            ("-I", args.password_expire_account_disable, 4),
        ];
        let mut words = vec!["chage".to_owned()];
        for (flag, days, at) in wanted {
            if let Some(days) = days.filter(|d| !exists || self.details.day(at) != Some(*d)) {
                words.extend([flag.to_owned(), days.to_string()]);
            }
        }
        if words.len() > 1 {
            words.push(args.name.clone());
            let shows = format!("change how long passwords of {} live", args.name);
            self.actions.push(run(words, shows, vec![Key::Accounts]));
        }
    }
}
