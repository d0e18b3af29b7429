//! `apt`: packages of Debian and Ubuntu.
//!
//! It looks again after refreshing the lists of packages, then installs or removes in one go, and reports what apt said.

mod decide;
mod status;

use super::common::outputs::{failed, gist, with_output};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Decision, Diff, Key, Output, Probe, Run, Stop, TaskResult, View};
use crate::values::Value;

crate::module_choices! {
    /// What should be true of the packages.
    pub enum State {
        /// Not installed.
        Absent = "absent" | "removed",
        /// What is needed to build them is installed.
        BuildDep = "build-dep",
        /// Broken dependencies are mended.
        Fixed = "fixed",
        /// Installed, in the newest version.
        Latest = "latest",
        /// Installed.
        Present = "present" | "installed",
    }
}

/// How to upgrade the whole system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// Not at all.
    No,
    /// `apt-get upgrade --with-new-pkgs`
    Safe,
    /// `apt-get dist-upgrade`
    Full,
}

impl super::args::FromValue for Upgrade {
    const KIND: &'static str = "one of some words";
    const CHOICES: &'static [&'static str] = &["dist", "full", "no", "safe", "yes"];

    fn from_value(value: &Value) -> Result<Self, String> {
        // Unquoted, `yes` and `no` come as booleans.
        match String::from_value(value)?.to_lowercase().as_str() {
            "no" | "false" => Ok(Self::No),
            "yes" | "true" | "safe" => Ok(Self::Safe),
            "dist" | "full" => Ok(Self::Full),
            other => Err(format!("one of {}, not `{other}`", Self::CHOICES.join(", "))),
        }
    }
}

crate::module_args! {
    /// What `apt` takes.
    pub struct AptArgs {
        /// Packages: names, `name=version` (with `*`), `name/release`, patterns such as `php8*`.
        name: Vec<String>, ["package", "pkg"];
        /// What should be true of them.
        state: State = State::Present;
        /// Refresh the lists of packages first.
        update_cache: Option<bool>, ["update-cache"];
        /// For how many seconds the lists of packages are good; brings `update_cache` with it.
        cache_valid_time: i64 = 0;
        /// How often to try again where the lists can't be refreshed.
        update_cache_retries: i64 = 5;
        /// The longest pause between those tries, in seconds.
        update_cache_retry_max_delay: i64 = 12;
        /// Upgrade the whole system: `yes` or `safe`, `full` or `dist`.
        upgrade: Upgrade = Upgrade::No;
        /// Remove configuration files with the packages.
        purge: bool = false;
        /// Remove packages that nothing needs any more.
        autoremove: bool = false;
        /// Remove files of packages that can't be downloaded any more.
        autoclean: bool = false;
        /// Remove all downloaded files of packages.
        clean: bool = false;
        /// The release to take packages from.
        default_release: Option<String>, ["default-release"];
        /// Install what packages recommend; apt's own setting if not given.
        install_recommends: Option<bool>, ["install-recommends"];
        /// Accept packages without signatures, older versions and changes of held packages.
        force: bool = false;
        /// Accepted; `apt-get` is always what is used.
        force_apt_get: bool = false;
        /// Options for dpkg, separated by commas.
        dpkg_options: String = "force-confdef,force-confold";
        /// Accept packages without signatures.
        allow_unauthenticated: bool, ["allow-unauthenticated"] = false;
        /// Accept older versions than those installed.
        allow_downgrade: bool, ["allow-downgrade", "allow_downgrades", "allow-downgrades"] = false;
        /// Change packages that are held.
        allow_change_held_packages: bool = false;
        /// Only upgrade what is installed.
        only_upgrade: bool = false;
        /// Fail where something would have to be removed.
        fail_on_autoremove: bool = false;
        /// What `policy-rc.d` answers while packages are installed: 101 keeps services from starting.
        policy_rc_d: Option<i64>;
        /// The longest wait for another apt, and for a first boot that is not finished, in seconds.
        lock_timeout: i64 = 60;
        /// A `.deb` file: a path on the host, or a URL.
        deb: Option<String>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["apt", "ansible.builtin.apt", "ansible.legacy.apt"],
    doc: "Packages of Debian and Ubuntu.",
    args: <AptArgs as super::args::Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| vec![Key::Packages],
};

/// What was found out in earlier rounds.
#[derive(Debug, Clone, Default)]
struct Memory {
    /// `refresh` or `act`.
    stage: String,
    /// When the lists were brought up to date, before a refresh.
    stamp: i64,
    /// Whether they were refreshed.
    refreshed: bool,
    /// Sentences about waiting.
    warnings: Vec<Value>,
    /// What the decision was for.
    what: String,
}

impl Memory {
    fn read(value: Option<&Value>) -> Self {
        let text = |name: &str| value.and_then(|v| v.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            stage: text("stage"),
            stamp: value.and_then(|v| v.get("stamp")).and_then(Value::as_int).unwrap_or(0),
            refreshed: value.and_then(|v| v.get("refreshed")).and_then(Value::as_bool).unwrap_or(false),
            warnings: value.and_then(|v| v.get("warnings")).and_then(Value::as_list).unwrap_or_default().to_vec(),
            what: text("what"),
        }
    }

    fn value(&self) -> Value {
        Value::from_pairs([
            ("stage", self.stage.as_str().into()),
            ("stamp", self.stamp.into()),
            ("refreshed", self.refreshed.into()),
            ("warnings", Value::list(self.warnings.clone())),
            ("what", self.what.as_str().into()),
        ])
    }

    fn heed(&mut self, output: &Output) {
        let text = format!("{}\n{}", output.err(), output.out());
        self.warnings.extend(text.lines().filter_map(|l| {
            l.strip_prefix("windlass: ")
                .map(str::to_owned)
                .or_else(|| l.starts_with("Waiting for cache lock").then(|| l.to_owned()))
                .map(Value::from)
        }));
    }
}

/// What is done by one command of apt.
pub(crate) struct Step {
    /// What it is for: `install`, `remove`, `upgrade`…
    pub what: &'static str,
    /// The command.
    pub argv: Vec<String>,
    /// One line for a plan.
    pub shows: String,
    /// What a diff says.
    pub diff: String,
}

/// The decision for these arguments; `package` uses it, too.
///
/// # Errors
/// As [`View::ask`], and failures that name the package.
pub fn plan(args: &AptArgs, view: &View<'_>) -> Result<Decision, Stop> {
    check(args)?;
    let mut memory = Memory::read(view.memory());
    if memory.stage == "act" {
        return report(view, &memory);
    }
    let refresh = args.update_cache.unwrap_or(args.cache_valid_time > 0);
    let stamp = refresh.then(|| view.probe(stamp_probe(args.cache_valid_time)));
    let step = decide::step(args, view);
    let stamp = stamp.transpose()?.map(|o| read_stamp(&o.out()));
    match (&stamp, memory.stage.as_str()) {
        (Some((false, at)), "") => {
            let memory = Memory { stage: "refresh".into(), stamp: *at, ..Memory::default() };
            let foretold = foretell_refresh(args, &step);
            let mut words = vec!["apt-get".to_owned(), "update".to_owned()];
            words.extend(lock_option(args));
            let action = action(args, words, args.update_cache_retries, "refresh the lists of packages");
            return Ok(Decision::again(foretold, vec![action], memory.value()));
        }
        (_, "refresh") => {
            let output = view.outputs().first().cloned().unwrap_or_default();
            memory.heed(&output);
            if !output.success() {
                let message = format!("Failed to update apt cache: {}", gist(&output));
                return Err(failed(message, &output));
            }
            memory.refreshed = stamp.as_ref().is_some_and(|(_, at)| *at != memory.stamp);
        }
        _ => {}
    }
    let at = stamp.as_ref().map_or(0, |(_, at)| *at);
    let cache = |result: TaskResult| {
        let result = result.with("cache_updated", memory.refreshed).with("cache_update_time", at);
        if memory.warnings.is_empty() { result } else { result.with("warnings", Value::list(memory.warnings.clone())) }
    };
    let Some(step) = step? else {
        // Refreshing alone is a change; before packages that are there already it is not.
        let alone = args.name.is_empty()
            && args.deb.is_none()
            && args.upgrade == Upgrade::No
            && !args.autoremove
            && !args.autoclean
            && !args.clean
            && args.state != State::Fixed;
        return Ok(Decision::nothing(cache(TaskResult::changed(alone && memory.refreshed))));
    };
    if view.whoami().uid != 0 {
        return Err(Stop::fail(format!(
            "only root can {}, and this runs as {}: set `become: true`",
            step.shows,
            view.whoami().user
        )));
    }
    let foretold = with_diff(cache(TaskResult::changed(true)), &step.diff)
        .with("stdout", Value::Unknown)
        .with("stdout_lines", Value::Unknown)
        .with("stderr", Value::Unknown)
        .with("stderr_lines", Value::Unknown);
    memory.what = step.what.to_owned();
    memory.stage = "act".into();
    memory.stamp = at;
    let action = match step.what {
        "deb" => deb_action(args, step),
        _ => action(args, step.argv, 0, &step.shows),
    };
    Ok(Decision::again(foretold, vec![action], memory.value()))
}

fn check(args: &AptArgs) -> Result<(), Stop> {
    let alone = [!args.name.is_empty(), args.deb.is_some(), args.upgrade != Upgrade::No];
    if alone.iter().filter(|a| **a).count() > 1 {
        return Err(Stop::fail("only one of `name`, `deb` and `upgrade` can be given"));
    }
    let nothing = !alone.iter().any(|a| *a)
        && args.update_cache.is_none()
        && args.cache_valid_time == 0
        && !(args.autoremove || args.autoclean || args.clean || args.state == State::Fixed);
    if nothing {
        return Err(Stop::fail(
            "one of `name`, `deb`, `upgrade`, `update_cache`, `autoremove`, `autoclean` and `clean` is needed",
        ));
    }
    if args.lock_timeout < 0 || args.cache_valid_time < 0 {
        return Err(Stop::fail("`lock_timeout` and `cache_valid_time` must not be negative"));
    }
    for name in &args.name {
        let odd = |c: char| !(c.is_ascii_alphanumeric() || "+-.:=~*?[]!/_^@".contains(c));
        if name.starts_with('-') || name.contains(odd) {
            return Err(Stop::fail(format!("`{name}` is no name of a package")));
        }
    }
    Ok(())
}

fn stamp_probe(valid: i64) -> Probe {
    Probe::new(include_str!("apt/stamp.sh"), &[&valid.to_string()], vec![Key::Packages])
}

fn read_stamp(text: &str) -> (bool, i64) {
    let mut words = text.split_whitespace();
    let fresh = words.next() == Some("fresh");
    (fresh, words.next().and_then(|w| w.parse().ok()).unwrap_or(0))
}

fn lock_option(args: &AptArgs) -> [String; 2] {
    ["-o".into(), format!("DPkg::Lock::Timeout={}", args.lock_timeout)]
}

/// What the whole step comes to, as far as it can be told before the lists are refreshed.
fn foretell_refresh(args: &AptArgs, step: &Result<Option<Step>, Stop>) -> TaskResult {
    let changed = match step {
        Ok(Some(_)) | Err(_) => true,
        Ok(None) => args.name.is_empty() && args.deb.is_none() && args.upgrade == Upgrade::No,
    };
    let result = TaskResult::changed(changed).with("cache_updated", true).with("cache_update_time", Value::Unknown);
    match step {
        Ok(Some(step)) => with_diff(result, &step.diff),
        _ => result,
    }
}

fn with_diff(result: TaskResult, after: &str) -> TaskResult {
    if after.is_empty() {
        return result;
    }
    result.diff(Diff {
        before_header: "packages".into(),
        after_header: "packages".into(),
        before: String::new(),
        after: after.to_owned(),
    })
}

fn action(args: &AptArgs, argv: Vec<String>, retries: i64, shows: &str) -> Action {
    let (limit, tries) = (args.lock_timeout.to_string(), retries.max(0).to_string());
    let longest = args.update_cache_retry_max_delay.max(1).to_string();
    let policy = args.policy_rc_d.map(|p| p.to_string()).unwrap_or_default();
    let mut words = vec![limit.as_str(), &tries, &longest, &policy];
    words.extend(argv.iter().map(String::as_str));
    // Lists can be refreshed while packages are installed; all else is one at a time.
    let run = Run::sh(include_str!("apt/run.sh"), &words);
    let run = environment(if argv.iter().any(|w| w == "update") { run.durable() } else { run.durable_on("apt") });
    Action::run(run, shows).local().writing(vec![Key::Packages])
}

/// Refreshes the lists of packages; for modules that change where packages come from.
pub fn refresh(retries: i64, longest: i64) -> Action {
    let words = ["60", &retries.max(0).to_string(), &longest.max(1).to_string(), ""].map(str::to_owned);
    let command = ["apt-get", "update", "-o", "DPkg::Lock::Timeout=60"];
    let words: Vec<&str> = words.iter().map(String::as_str).chain(command).collect();
    let run = environment(Run::sh(include_str!("apt/run.sh"), &words).durable());
    Action::run(run, "refresh the lists of packages").local().writing(vec![Key::Packages])
}

/// apt asks nobody, and its messages are those that are looked for.
fn environment(run: Run) -> Run {
    run.env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBIAN_PRIORITY", "critical")
        .env("APT_LISTCHANGES_FRONTEND", "none")
        .env("NEEDRESTART_MODE", "l")
        .env("LANG", "C")
        .env("LC_ALL", "C")
}

fn deb_action(args: &AptArgs, step: Step) -> Action {
    let older = if args.allow_downgrade || args.force { "yes" } else { "no" };
    let mut words = vec!["sh".to_owned(), "-c".to_owned(), include_str!("apt/deb.sh").to_owned(), "sh".to_owned()];
    words.extend([args.deb.clone().unwrap_or_default(), "install".to_owned(), older.to_owned()]);
    words.extend(step.argv);
    action(args, words, 0, &step.shows)
}

fn report(view: &View<'_>, memory: &Memory) -> Result<Decision, Stop> {
    let output = view.outputs().last().cloned().unwrap_or_default();
    let mut memory = memory.clone();
    memory.heed(&output);
    let (out, err) = (output.out(), output.err());
    if !output.success() {
        let message = match (memory.what.as_str(), output.rc) {
            ("deb", 2) => format!("the package could not be fetched: {}", gist(&output)),
            ("deb", 5) => format!(
                "a newer version is installed ({}); `allow_downgrade: true` puts the older one in",
                out.lines().find_map(|l| l.strip_prefix("=newer ")).unwrap_or_default()
            ),
            (what, _) => format!("apt-get {what} failed: {}", gist(&output)),
        };
        return Err(failed(message, &output));
    }
    let changed = match memory.what.as_str() {
        "deb" => out.lines().any(|l| l.starts_with("=new ")),
        "autoclean" => out.lines().any(|l| l.starts_with("Del ")),
        "clean" => true,
        // It was needed when this run looked; an earlier run, still at work then, may have done it.
        _ => !status::nothing_done(&out) || err.contains("windlass: an apt of an earlier run came first"),
    };
    let mut result =
        TaskResult::changed(changed).with("cache_updated", memory.refreshed).with("cache_update_time", memory.stamp);
    if !memory.warnings.is_empty() {
        result = result.with("warnings", Value::list(memory.warnings.clone()));
    }
    if memory.what == "upgrade" {
        result = result.msg(out.clone());
    }
    let result = with_diff(with_output(result, &out, &err), &status::summary(&out));
    Ok(Decision::nothing(result))
}

#[cfg(test)]
mod tests;
