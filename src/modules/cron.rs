//! `cron`: jobs and variables of crontabs. A job's name stands in a comment before it, as Ansible writes it.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::key::clean;
use crate::host::{
    Action, ActionKind, Content, Decision, Diff, Install, Key, PathKind, Probe, Run, Stop, TaskResult, View,
};

crate::module_choices! {
    /// Whether the job is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_choices! {
    /// A time by name.
    pub enum Special {
        /// Once a year.
        Annually = "annually",
        /// Once a day.
        Daily = "daily",
        /// Once an hour.
        Hourly = "hourly",
        /// Once a month.
        Monthly = "monthly",
        /// When the machine starts.
        Reboot = "reboot",
        /// Once a week.
        Weekly = "weekly",
        /// Once a year.
        Yearly = "yearly",
    }
}

crate::module_args! {
    /// What `cron` takes.
    pub struct CronArgs {
        /// What the job is called; the variable, with `env`.
        name: String;
        /// The command; the value, with `env`.
        job: Option<String>, ["value"];
        /// Whether it is there.
        state: State = State::Present;
        /// Minute.
        minute: String = "*";
        /// Hour.
        hour: String = "*";
        /// Day of the month.
        day: String, ["dom"] = "*";
        /// Month.
        month: String = "*";
        /// Day of the week.
        weekday: String, ["dow"] = "*";
        /// A time by name, in place of the five fields.
        special_time: Option<Special>;
        /// Whose crontab; with `cron_file`, who runs the job.
        user: Option<String>;
        /// A file in `/etc/cron.d`, or an absolute path.
        cron_file: Option<String>;
        /// A variable instead of a job.
        env: bool = false;
        /// With `env`: put it after this variable.
        insertafter: Option<String>;
        /// With `env`: put it before this variable.
        insertbefore: Option<String>;
        /// The job stands there as a comment.
        disabled: bool = false;
        /// Keep a copy of the crontab as it was.
        backup: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["cron", "ansible.builtin.cron", "ansible.legacy.cron"],
    doc: "Jobs and variables of crontabs.",
    args: CronArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

const MARK: &str = "#Ansible: ";

/// `$1`: whose crontab, if not one's own.
const READ: &str = r#"command -v crontab >/dev/null 2>&1 || exit 127
if [ -n "$1" ]; then out=$(crontab -u "$1" -l 2>&1; echo "$?"); else out=$(crontab -l 2>&1; echo "$?"); fi
rc=${out##*
}
out=${out%"$rc"}
case $rc:$out in
  0:*) printf '%s' "$out" ;;
  *"no crontab for"*) ;;
  *) printf '%s' "$out" >&2; exit 1 ;;
esac
exit 0
"#;

/// `$1`: whose crontab. `$2`: where to keep a copy of it. Standard input: the new one; an empty one is removed.
const WRITE: &str = r#"user=$1 copy=$2
new=$(cat; echo .); new=${new%.}
set --
[ -n "$user" ] && set -- -u "$user"
[ -n "$copy" ] && { (umask 077; crontab "$@" -l > "$copy" 2>/dev/null) || :; }
if [ -z "$new" ]; then crontab "$@" -r 2>/dev/null || :; exit 0; fi
printf '%s' "$new" | crontab "$@" -
"#;

fn plan(args: &CronArgs, view: &View<'_>) -> Result<Decision, Stop> {
    check(args)?;
    let file = args.cron_file.as_ref().map(|f| if f.starts_with('/') { clean(f) } else { format!("/etc/cron.d/{f}") });
    let user = args.user.clone().filter(|_| file.is_none()).filter(|u| *u != view.whoami().user);
    let (before, there) = match &file {
        Some(path) => {
            let content = view.content(path)?;
            (content.as_ref().map(|c| String::from_utf8_lossy(c).into_owned()).unwrap_or_default(), content.is_some())
        }
        None => {
            let reads = vec![Key::Named("cron", user.clone().unwrap_or_else(|| view.whoami().user.clone()))];
            let said = view.probe(Probe::new(READ, &[user.as_deref().unwrap_or_default()], reads))?;
            match said.rc {
                0 => {}
                127 => return Err(Stop::fail("the host has no crontab: install it with `apt: name=cron` first")),
                _ => return Err(Stop::fail(format!("Unable to read crontab: {}", said.err().trim()))),
            }
            (said.out(), true)
        }
    };
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    if args.env {
        variable(args, &mut lines)?
    } else {
        job(args, &mut lines)?
    }
    let mut after = lines.join("\n");
    if !after.is_empty() {
        after.push('\n');
    }
    // cron reads no last line without an end; apart from that, what is the same is not written again.
    let changed = after.trim_end_matches('\n') != before.trim_end_matches('\n');
    let (jobs, envs) = names(&lines);
    let mut result = TaskResult::changed(changed).with("jobs", jobs).with("envs", envs);
    if !changed {
        return Ok(Decision::nothing(result));
    }
    let named =
        file.clone().unwrap_or_else(|| format!("crontab of {}", args.user.as_deref().unwrap_or(&view.whoami().user)));
    result = result.diff(Diff {
        before_header: named.clone(),
        after_header: named.clone(),
        before: before.clone(),
        after: after.clone(),
    });
    let mut actions = Vec::new();
    let copy = args.backup.then(|| match &file {
        Some(path) => format!("{path}.{}~", view.nonce()),
        None => format!("/tmp/crontab.{}", view.nonce()),
    });
    if let Some(copy) = copy.as_ref().filter(|_| there) {
        result = result.with("backup_file", copy.as_str());
    }
    match &file {
        Some(path) => actions.extend(install(args, view, path, &after, copy.filter(|_| there))?),
        None => {
            let user = user.as_deref().unwrap_or_default();
            let run = Run::sh(WRITE, &[user, copy.as_deref().unwrap_or_default()]).stdin(&after);
            let whose = args.user.clone().unwrap_or_else(|| view.whoami().user.clone());
            let mut keys =
                vec![Key::Named("cron", whose.clone()), Key::path(&format!("/var/spool/cron/crontabs/{whose}"))];
            keys.extend(copy.as_deref().map(Key::path));
            let verb = if args.state == State::Present { "set" } else { "remove" };
            actions.push(Action::run(run, format!("{verb} {} in the {named}", args.name)).local().writing(keys));
        }
    }
    Ok(Decision::act(result, actions))
}

fn install(
    args: &CronArgs,
    view: &View<'_>,
    path: &str,
    after: &str,
    backup: Option<String>,
) -> Result<Vec<Action>, Stop> {
    let now = view.path_with(path, true, None)?;
    let path = now.real.clone().filter(|_| now.exists()).unwrap_or_else(|| path.to_owned());
    if args.state == State::Absent && after.trim().is_empty() && backup.is_none() {
        let kind = ActionKind::Remove { path: path.clone(), recursive: false };
        return Ok(vec![Action::new(kind, format!("remove {path}"))]);
    }
    let install = Install {
        path: path.clone(),
        content: Content::text(after),
        mode: if now.exists() { now.mode } else { 0o644 },
        owner: None,
        group: None,
        replaces: now.kind == PathKind::File,
        backup,
        validate: None,
        unsafe_writes: false,
    };
    Ok(vec![Action::new(ActionKind::Install(install), format!("write {path}"))])
}

fn check(args: &CronArgs) -> Result<(), Stop> {
    let texts = [&args.minute, &args.hour, &args.day, &args.month, &args.weekday, &args.name];
    let more = [&args.job, &args.user, &args.cron_file, &args.insertafter, &args.insertbefore];
    if texts.into_iter().chain(more.into_iter().flatten()).any(|t| t.contains(['\n', '\0'])) {
        return Err(Stop::fail("no argument of `cron` may contain a line break: a job is one line"));
    }
    if args.state == State::Present && args.job.is_none() {
        return Err(Stop::fail("You must specify 'job' to install a new cron job or variable"));
    }
    if args.name.trim().is_empty() {
        return Err(Stop::fail("`name` is empty"));
    }
    let timed = [&args.minute, &args.hour, &args.day, &args.month, &args.weekday].iter().any(|t| *t != "*");
    if args.special_time.is_some() && timed {
        return Err(Stop::fail("You must specify time and date fields or special time."));
    }
    if [&args.minute, &args.hour, &args.day, &args.month, &args.weekday].iter().any(|t| t.is_empty() || t.contains(' '))
    {
        return Err(Stop::fail("a field of the time must not be empty or contain blanks"));
    }
    if args.cron_file.is_some() && args.user.is_none() && !args.env && args.state == State::Present {
        return Err(Stop::fail("To use cron_file=... parameter you must specify user=... as well"));
    }
    if (args.insertafter.is_some() || args.insertbefore.is_some()) && !(args.env && args.state == State::Present) {
        return Err(Stop::fail("Insertafter and insertbefore parameters are valid only with env=yes"));
    }
    if args.insertafter.is_some() && args.insertbefore.is_some() {
        return Err(Stop::fail("only one of `insertafter` and `insertbefore` can be given"));
    }
    if args.cron_file.as_ref().is_some_and(|f| !f.starts_with('/') && f.contains('/')) {
        return Err(Stop::fail("`cron_file` must be a name without a slash, or an absolute path"));
    }
    Ok(())
}

/// A job's line.
fn line(args: &CronArgs) -> String {
    let off = if args.disabled { "#" } else { "" };
    let job = args.job.as_deref().unwrap_or_default();
    let who = args.user.as_ref().filter(|_| args.cron_file.is_some()).map(|u| format!("{u} ")).unwrap_or_default();
    match args.special_time {
        Some(special) => format!("{off}@{} {who}{job}", special.word()),
        None => {
            format!("{off}{} {} {} {} {} {who}{job}", args.minute, args.hour, args.day, args.month, args.weekday)
        }
    }
}

fn job(args: &CronArgs, lines: &mut Vec<String>) -> Result<(), Stop> {
    let mark = format!("{MARK}{}", args.name);
    let at = lines.iter().position(|l| *l == mark);
    match (args.state, at) {
        (State::Absent, None) => {}
        (State::Absent, Some(at)) => {
            let end = (at + 2).min(lines.len());
            lines.drain(at..end);
        }
        (State::Present, Some(at)) => {
            let wanted = line(args);
            match lines.get_mut(at + 1) {
                Some(line) => *line = wanted,
                None => lines.push(wanted),
            }
        }
        (State::Present, None) => {
            let wanted = line(args);
            // A job that somebody has written by hand gets its name.
            match lines.iter().position(|l| *l == wanted).filter(|at| *at == 0 || !lines[at - 1].starts_with(MARK)) {
                Some(at) => lines.insert(at, mark),
                None => lines.extend([mark, wanted]),
            }
        }
    }
    Ok(())
}

/// Whether a line sets a variable.
fn sets(line: &str, name: &str) -> bool {
    line.split_once('=').is_some_and(|(n, _)| n.trim() == name)
}

fn variable(args: &CronArgs, lines: &mut Vec<String>) -> Result<(), Stop> {
    if !args.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Stop::fail("Invalid name for environment variable"));
    }
    let at = lines.iter().position(|l| sets(l, &args.name));
    if args.state == State::Absent {
        if let Some(at) = at {
            lines.remove(at);
        }
        return Ok(());
    }
    let wanted = format!("{}=\"{}\"", args.name, args.job.as_deref().unwrap_or_default());
    if let Some(at) = at {
        lines[at] = wanted;
        return Ok(());
    }
    let place = match (&args.insertafter, &args.insertbefore) {
        (Some(other), _) => Some((other, 1)),
        (_, Some(other)) => Some((other, 0)),
        _ => None,
    };
    match place {
        None => lines.insert(0, wanted),
        Some((other, after)) => {
            let at = lines
                .iter()
                .position(|l| sets(l, other))
                .ok_or_else(|| Stop::fail(format!("Variable named '{other}' not found.")))?;
            lines.insert(at + after, wanted);
        }
    }
    Ok(())
}

/// The names of jobs and variables.
fn names(lines: &[String]) -> (Vec<String>, Vec<String>) {
    let jobs = lines.iter().filter_map(|l| l.strip_prefix(MARK).map(str::to_owned)).collect();
    let is_name = |n: &str| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let envs =
        lines.iter().filter_map(|l| l.split_once('=').map(|(n, _)| n.trim()).filter(|n| is_name(n)).map(str::to_owned));
    (jobs, envs.collect())
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::host::action::{Content, Stdin};
    use crate::modules::testing::Fake;
    use serde_json::json;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn host(text: &str) -> (Fake, Rc<RefCell<String>>) {
        let tab = Rc::new(RefCell::new(text.to_owned()));
        let (seen, done, out) = (tab.clone(), tab.clone(), tab);
        let host = Fake::new()
            .dir("/etc", 0o755)
            .dir("/etc/cron.d", 0o755)
            .probe(move |_| Some(Output::ok(&seen.borrow())))
            .on_run(move |run, _| {
                if let Stdin::Content(Content::Bytes(bytes)) = &run.stdin {
                    *done.borrow_mut() = String::from_utf8_lossy(bytes).into_owned();
                }
                Some(Output::ok(""))
            });
        (host, out)
    }

    #[test]
    fn a_job_of_a_crontab() {
        let (mut host, tab) = host("# mine\n0 1 * * * other\n");
        let args = json!({"name": "clear sessions", "minute": "5", "hour": "*/2", "job": "cd /srv && echo '100%' > $X", "user": "app"});
        let decision = host.converge("cron", args.clone());
        assert_eq!(
            *tab.borrow(),
            "# mine\n0 1 * * * other\n#Ansible: clear sessions\n5 */2 * * * cd /srv && echo '100%' > $X\n"
        );
        assert_eq!(decision.result.data["jobs"].to_string(), "['clear sessions']");
        assert_eq!(host.rounds(), 1);
        host.settled("cron", args);
        host.converge(
            "cron",
            json!({"name": "clear sessions", "special_time": "daily", "job": "x", "disabled": true, "user": "app"}),
        );
        assert!(tab.borrow().ends_with("#Ansible: clear sessions\n#@daily x\n"));
        host.converge("cron", json!({"name": "clear sessions", "state": "absent", "user": "app"}));
        assert_eq!(*tab.borrow(), "# mine\n0 1 * * * other\n");
        host.settled("cron", json!({"name": "clear sessions", "state": "absent", "user": "app"}));
    }

    #[test]
    fn a_file_in_cron_d() {
        let (mut host, _) = host("");
        let args =
            json!({"name": "backup", "cron_file": "shop", "user": "postgres", "minute": 0, "hour": 3, "job": "dump"});
        host.converge("cron", args.clone());
        assert_eq!(host.text("/etc/cron.d/shop"), "#Ansible: backup\n0 3 * * * postgres dump\n");
        host.settled("cron", args);
        host.converge(
            "cron",
            json!({"name": "MAILTO", "env": true, "job": "ops@example.org", "cron_file": "shop", "user": "postgres"}),
        );
        assert!(host.text("/etc/cron.d/shop").starts_with("MAILTO=\"ops@example.org\"\n#Ansible"));
        host.converge("cron", json!({"name": "MAILTO", "env": true, "state": "absent", "cron_file": "shop"}));
        host.converge("cron", json!({"name": "backup", "state": "absent", "cron_file": "shop"}));
        assert!(!host.state("/etc/cron.d/shop").exists());
    }

    #[test]
    fn variables_have_their_place() {
        let (mut host, tab) = host("PATH=/bin\nA=\"1\"\n");
        host.converge("cron", json!({"name": "B", "env": true, "value": "2", "insertafter": "PATH"}));
        assert_eq!(*tab.borrow(), "PATH=/bin\nB=\"2\"\nA=\"1\"\n");
        assert!(
            host.fails("cron", json!({"name": "C", "env": true, "job": "x", "insertafter": "Z"}))
                .contains("'Z' not found")
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (mut host, _) = host("");
        assert!(host.fails("cron", json!({"name": "x"})).contains("'job'"));
        assert!(host.fails("cron", json!({"name": "x", "job": "a\n* * * * * b"})).contains("line break"));
        assert!(host.fails("cron", json!({"name": "x", "job": "a", "cron_file": "f"})).contains("user"));
        assert!(
            host.fails("cron", json!({"name": "x", "job": "a", "special_time": "daily", "hour": "1"}))
                .contains("special time")
        );
        let mut host = Fake::new().probe(|_| Some(Output::failed(127, "")));
        assert!(host.fails("cron", json!({"name": "x", "job": "a"})).contains("name=cron"));
    }
}
