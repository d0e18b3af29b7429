//! `pip`: Python packages, in a virtual environment or in the system's Python.

mod version;

use super::args::Arguments;
use super::common::outputs::{failed, gist, with_output};
use super::common::text;
use super::registry::{FreeForm, Module, Needs};
use crate::host::key::clean;
use crate::host::{Action, Decision, Key, Output, Probe, Run, Stop, TaskResult, View};
use crate::values::Value;
use version::{Requirement, normalise};

crate::module_choices! {
    /// What should be true of the packages.
    pub enum State {
        /// Not installed.
        Absent = "absent",
        /// Installed anew, with all they need.
        ForceReinstall = "forcereinstall",
        /// Installed, in the newest version.
        Latest = "latest",
        /// Installed.
        Present = "present",
    }
}

crate::module_args! {
    /// What `pip` takes.
    pub struct PipArgs {
        /// Packages, with versions (`django>=5,<6`) or without, or URLs.
        name: Vec<String>;
        /// The version, where `name` is one package.
        version: Option<String>;
        /// A file of requirements on the host.
        requirements: Option<String>;
        /// A virtual environment; made if it is not there.
        virtualenv: Option<String>;
        /// The command that makes it; `python3 -m venv` if not given.
        virtualenv_command: Option<String>;
        /// The Python for it.
        virtualenv_python: Option<String>;
        /// Whether it sees the system's packages.
        virtualenv_site_packages: bool = false;
        /// What should be true of the packages.
        state: State = State::Present;
        /// Further options for pip.
        extra_args: Option<String>;
        /// Install from a folder or a repository, editable.
        editable: bool = false;
        /// The folder to run in.
        chdir: Option<String>;
        /// The pip program.
        executable: Option<String>;
        /// The mask for new files.
        umask: Option<String>;
        /// Change packages that belong to the system.
        break_system_packages: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["pip", "ansible.builtin.pip", "ansible.legacy.pip"],
    doc: "Python packages, in a virtual environment or in the system's Python.",
    args: PipArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

fn plan(args: &PipArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let names = check(args)?;
    if let Some(memory) = view.memory() {
        return report(args, view, memory);
    }
    let venv = args.virtualenv.as_deref().map(clean);
    let reads = match &venv {
        Some(venv) => vec![Key::below(venv)],
        None => vec![Key::Packages, Key::below("/usr/local"), Key::below(&view.whoami().home)],
    };
    let words = [venv.as_deref().unwrap_or_default(), args.executable.as_deref().unwrap_or_default()];
    let said = view.probe(Probe::new(include_str!("pip/look.sh"), &words, reads));
    let file = args.requirements.as_ref().map(|r| requirements_path(args, r, view));
    let pins = file.as_ref().map(|f| view.content(f)).transpose();
    let said = said?;
    if said.rc == 127 {
        let wanted = args.executable.as_deref().unwrap_or("pip3");
        return Err(Stop::fail(format!(
            "Unable to find {wanted} to use: install it with `apt: name=python3-pip` first, or use `virtualenv`"
        )));
    }
    let (pip, installed, there) = read(&said, venv.as_deref());
    let pinned = match (pins?, &file) {
        (Some(Some(bytes)), _) => pins_of(&String::from_utf8_lossy(&bytes)),
        // pip says itself what it can't open.
        _ => None,
    };
    let command = command(args, &pip, &names);
    let base = TaskResult::ok()
        .with("cmd", command.clone())
        .with("name", if names.is_empty() { Value::Null } else { Value::from(names.clone()) })
        .with("version", args.version.clone())
        .with("requirements", args.requirements.clone())
        .with("state", args.state.word())
        .with("virtualenv", args.virtualenv.clone());
    let nothing = there && is_settled(args, &names, &installed, pinned.as_deref());
    let only_venv = names.is_empty() && args.requirements.is_none();
    if nothing || (only_venv && there) {
        let text: String = installed.iter().map(|(n, v)| format!("{n}=={v}\n")).collect();
        return Ok(Decision::nothing(with_output(base, &text, "")));
    }
    if args.state == State::Absent && !there {
        return Ok(Decision::nothing(with_output(base, "", "")));
    }
    let keys = match &venv {
        // Packages may bring scripts and data, all below the environment; a user's cache lies in the home folder.
        Some(_) if args.editable || names.iter().any(|n| Requirement::parse(n).is_none()) => vec![Key::Anything],
        Some(venv) => vec![Key::below(venv), Key::below(&format!("{}/.cache/pip", view.whoami().home))],
        None => vec![Key::Anything],
    };
    let mut actions = Vec::new();
    if let (Some(venv), false) = (&venv, there) {
        actions.push(create(args, venv)?);
    }
    if !only_venv {
        let compare = args.state != State::Absent
            && (args.requirements.is_some() || args.editable || names.iter().any(|n| Requirement::parse(n).is_none()));
        let count = pip.len().to_string();
        let mut words = vec![if compare { "compare" } else { "plain" }, &count];
        words.extend(command.iter().map(String::as_str));
        let shows = match (&names[..], &args.requirements) {
            ([], Some(file)) => format!("pip install -r {file}"),
            (names, _) if args.state == State::Absent => format!("pip uninstall {}", names.join(" ")),
            (names, _) => format!("pip install {}", names.join(" ")),
        };
        let run = in_place(args, slotted(args, Run::sh(include_str!("pip/run.sh"), &words)));
        actions.push(Action::run(run, shows).local().writing(keys));
    }
    let memory = Value::from_pairs([
        ("data", Value::map(base.data.clone())),
        ("made", (!there && venv.is_some()).into()),
        ("pip", (!only_venv).into()),
    ]);
    let foretold = TaskResult { changed: true, ..base };
    Ok(Decision::again(foretold.with("stdout", Value::Unknown).with("stderr", Value::Unknown), actions, memory))
}

/// The packages, each with its version.
fn check(args: &PipArgs) -> Result<Vec<String>, Stop> {
    if args.name.is_empty() && args.requirements.is_none() && args.virtualenv.is_none() {
        return Err(Stop::fail("one of `name`, `requirements` and `virtualenv` is needed"));
    }
    if !args.name.is_empty() && args.requirements.is_some() {
        return Err(Stop::fail("only one of `name` and `requirements` can be given"));
    }
    if args.executable.is_some() && args.virtualenv.is_some() {
        return Err(Stop::fail("only one of `executable` and `virtualenv` can be given"));
    }
    if args.state == State::Latest && args.version.is_some() {
        return Err(Stop::fail("version is incompatible with state=latest"));
    }
    if args.version.is_some() && args.name.len() != 1 {
        return Err(Stop::fail("`version` needs exactly one `name`"));
    }
    for (name, path) in [("virtualenv", &args.virtualenv), ("chdir", &args.chdir)] {
        if path.as_ref().is_some_and(|p| !p.starts_with('/')) {
            return Err(Stop::fail(format!("`{name}` must be absolute")));
        }
    }
    // `a>=1,<2` was split at the comma when the list came as one string.
    let mut names: Vec<String> = Vec::new();
    for name in &args.name {
        match names.last_mut() {
            Some(last) if name.starts_with(['<', '>', '=', '!', '~']) => {
                last.push(',');
                last.push_str(name);
            }
            _ => names.push(name.clone()),
        }
    }
    if let Some(bad) = names.iter().find(|n| n.starts_with('-') || n.contains('\n')) {
        return Err(Stop::fail(format!("`{bad}` is no name of a package; options go to `extra_args`")));
    }
    if let (Some(version), Some(name)) = (&args.version, names.first_mut()) {
        let operator = if version.starts_with(['<', '>', '=', '!', '~']) { "" } else { "==" };
        *name = format!("{name}{operator}{version}");
    }
    Ok(names)
}

fn requirements_path(args: &PipArgs, file: &str, view: &View<'_>) -> String {
    if file.starts_with('/') {
        return clean(file);
    }
    let base = args.chdir.clone().unwrap_or_else(|| view.whoami().home.clone());
    clean(&format!("{base}/{file}"))
}

/// How pip is called, what is installed, and whether the environment is there.
fn read(said: &Output, venv: Option<&str>) -> (Vec<String>, Vec<(String, String)>, bool) {
    let text = said.out();
    let mut pip = match venv {
        Some(venv) => vec![format!("{venv}/bin/python"), "-m".into(), "pip".into()],
        None => vec!["python3".into(), "-m".into(), "pip".into()],
    };
    let mut installed = Vec::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("=pip ") {
            pip = vec![path.to_owned()];
        } else if let Some((name, version)) = line.split_once("==").filter(|(n, _)| !n.is_empty()) {
            installed.push((normalise(name), version.to_owned()));
        }
    }
    let there = !text.lines().any(|l| l == "=none");
    if !there && let Some(venv) = venv {
        pip = vec![format!("{venv}/bin/pip")];
    }
    (pip, installed, there)
}

/// The requirements of a file in which every line pins one version, and nothing else stands; none for any other.
fn pins_of(text: &str) -> Option<Vec<Requirement>> {
    let mut pins = Vec::new();
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // Hashes belong to the line before.
        if line.starts_with("--hash=") {
            continue;
        }
        let line = line.trim_end_matches('\\').split(" --hash=").next().unwrap_or_default();
        pins.push(Requirement::parse(line).filter(|r| r.is_pinned() && !r.conditional)?);
    }
    Some(pins)
}

fn is_settled(args: &PipArgs, names: &[String], installed: &[(String, String)], pins: Option<&[Requirement]>) -> bool {
    let has = |r: &Requirement| installed.iter().any(|(n, v)| *n == r.name && r.fits(v));
    let parsed: Vec<_> = names.iter().map(|n| Requirement::parse(n)).collect();
    let by_name = !names.is_empty() && parsed.iter().all(Option::is_some) && !args.editable;
    match args.state {
        State::Present if by_name => parsed.iter().flatten().all(has),
        State::Present => pins.is_some_and(|p| p.iter().all(has)) && args.requirements.is_some(),
        State::Absent if by_name => !parsed.iter().flatten().any(|r| installed.iter().any(|(n, _)| *n == r.name)),
        _ => false,
    }
}

fn command(args: &PipArgs, pip: &[String], names: &[String]) -> Vec<String> {
    let mut words = pip.to_vec();
    let verb: &[&str] = match args.state {
        State::Absent => &["uninstall", "-y"],
        State::Present => &["install"],
        State::Latest => &["install", "-U"],
        State::ForceReinstall => &["install", "-U", "--force-reinstall"],
    };
    words.extend(verb.iter().map(|&v| v.to_owned()));
    words.extend(args.break_system_packages.then(|| "--break-system-packages".to_owned()));
    words.extend(args.extra_args.as_deref().and_then(|e| text::words(e).ok()).unwrap_or_default());
    for name in names {
        words.extend(args.editable.then(|| "-e".to_owned()));
        words.push(name.clone());
    }
    if let Some(file) = &args.requirements {
        words.extend(["-r".to_owned(), file.clone()]);
    }
    words
}

/// One at a time in an environment: an earlier run may still be making or filling it.
fn slotted(args: &PipArgs, run: Run) -> Run {
    run.durable_on(&format!("pip {}", args.virtualenv.as_deref().map(clean).unwrap_or_default()))
}

fn in_place(args: &PipArgs, mut run: Run) -> Run {
    run.chdir.clone_from(&args.chdir);
    run.umask = args.umask.as_ref().and_then(|u| u32::from_str_radix(u.trim_start_matches("0o"), 8).ok());
    run.env("LC_ALL", "C.UTF-8")
}

/// Makes the virtual environment.
fn create(args: &PipArgs, venv: &str) -> Result<Action, Stop> {
    let python = args.virtualenv_python.as_deref();
    let mut words = match &args.virtualenv_command {
        Some(command) => text::words(command).map_err(|e| Stop::fail(format!("`virtualenv_command`: {e}")))?,
        None => vec![python.unwrap_or("python3").to_owned(), "-m".into(), "venv".into()],
    };
    let is_venv = words.iter().any(|w| w == "venv" || w.ends_with("pyvenv"));
    words.extend(args.virtualenv_site_packages.then(|| "--system-site-packages".to_owned()));
    if let (Some(python), false) = (python, is_venv) {
        words.push(format!("-p{python}"));
    } else if python.is_some() && args.virtualenv_command.is_some() {
        return Err(Stop::fail(
            "virtualenv_python should not be used when using the venv module: name the Python in `virtualenv_command`",
        ));
    }
    words.push(venv.to_owned());
    let run = in_place(args, slotted(args, Run::argv(words)));
    Ok(Action::run(run, format!("create the virtual environment {venv}")).local().writing(vec![Key::below(venv)]))
}

fn report(args: &PipArgs, view: &View<'_>, memory: &Value) -> Result<Decision, Stop> {
    let flag = |name: &str| memory.get(name).and_then(Value::as_bool).unwrap_or(false);
    let (mut out, mut err) = (String::new(), String::new());
    for output in view.outputs() {
        out.push_str(&output.out());
        err.push_str(&output.err());
        if !output.success() {
            let hint = if output.err().contains("externally-managed-environment") {
                "; use `virtualenv`, or `break_system_packages: true`"
            } else if output.out().contains("ensurepip is not available") {
                "; install it with `apt: name=python3-venv` first"
            } else {
                ""
            };
            return Err(failed(format!("pip failed: {}{hint}", gist(output)), output));
        }
    }
    let compared = out.lines().any(|l| l == "=changed");
    let out = out.replace("\n=changed\n", "");
    let word = if args.state == State::Absent { "Successfully uninstalled" } else { "Successfully installed" };
    let by_words = (args.requirements.is_none() || args.state == State::Absent) && out.contains(word);
    let mut result = TaskResult::changed(flag("made") || (flag("pip") && (compared || by_words)));
    result.data = memory.get("data").and_then(Value::as_map).cloned().unwrap_or_default();
    Ok(Decision::nothing(with_output(result, &out, &err)))
}

#[cfg(test)]
mod tests {
    use crate::host::action::Command;
    use crate::host::{Output, Run};
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn words(run: &Run) -> Vec<String> {
        match &run.command {
            Command::Shell { args, .. } => args.clone(),
            Command::Argv(words) => words.clone(),
        }
    }

    fn host(said: &'static str, out: &'static str) -> Fake {
        Fake::new().dir("/srv", 0o755).probe(move |_| Some(Output::ok(said))).on_run(move |_, _| Some(Output::ok(out)))
    }

    const VENV: &str = "=pip /srv/venv/bin/pip\nDjango==5.1.3\nzope_interface==6.0\n";

    #[test]
    fn what_is_there_is_left_alone() {
        let mut host = host(VENV, "");
        host.settled("pip", json!({"name": ["django>=5,<6", "zope.interface"], "virtualenv": "/srv/venv"}));
        host.settled("pip", json!({"name": "django>=5,<6", "virtualenv": "/srv/venv"}));
        host.settled("pip", json!({"name": "Django", "version": "5.1.3", "virtualenv": "/srv/venv"}));
        host.settled("pip", json!({"name": "gunicorn", "state": "absent", "virtualenv": "/srv/venv"}));
        host.settled("pip", json!({"virtualenv": "/srv/venv"}));
        assert_eq!(host.rounds(), 1);
    }

    #[test]
    fn an_environment_is_made_and_filled() {
        let mut host = host("=none\n", "Successfully installed Django-5.2\n");
        let decision = host.converge(
            "pip",
            json!({"name": "Django", "version": ">=5", "virtualenv": "/srv/venv", "extra_args": "--no-cache-dir -i 'https://x/$(y)'"}),
        );
        assert!(decision.result.changed);
        assert_eq!(words(&host.ran()[0]), ["python3", "-m", "venv", "/srv/venv"]);
        assert_eq!(
            words(&host.ran()[1]),
            ["plain", "1", "/srv/venv/bin/pip", "install", "--no-cache-dir", "-i", "https://x/$(y)", "Django>=5"]
        );
        assert_eq!(decision.result.data["name"].to_string(), "['Django>=5']");
    }

    #[test]
    fn requirements_that_are_all_pinned_and_there_need_no_pip() {
        let file = "# made by hand\nDjango==5.1.3 \\\n    --hash=sha256:abc\nzope-interface==6.0  # x\n";
        let mut host =
            host(VENV, "\n=changed\n").file("/srv/r.txt", file, 0o644).file("/srv/open.txt", "Django>=5\n", 0o644);
        host.settled("pip", json!({"requirements": "/srv/r.txt", "virtualenv": "/srv/venv"}));
        let decision =
            host.converge("pip", json!({"requirements": "open.txt", "chdir": "/srv", "virtualenv": "/srv/venv"}));
        assert!(decision.result.changed, "pip decides, since nothing is pinned");
        assert_eq!(words(&host.ran()[0])[0], "compare");
        let mut same =
            self::host(VENV, "Requirement already satisfied: Django\n").file("/srv/open.txt", "Django>=5\n", 0o644);
        let decision = same.converge("pip", json!({"requirements": "/srv/open.txt", "virtualenv": "/srv/venv"}));
        assert!(!decision.result.changed);
        assert_eq!(decision.result.data["stdout"].to_string(), "Requirement already satisfied: Django\n");
    }

    #[test]
    fn other_states() {
        let mut host = host(VENV, "Successfully uninstalled Django-5.1.3\n");
        assert!(
            host.converge("pip", json!({"name": "django", "state": "absent", "virtualenv": "/srv/venv"}))
                .result
                .changed
        );
        assert_eq!(words(&host.ran()[0])[2..], ["/srv/venv/bin/pip", "uninstall", "-y", "django"]);
        assert!(
            !host
                .converge("pip", json!({"name": "django", "state": "latest", "virtualenv": "/srv/venv"}))
                .result
                .changed
        );
        assert!(host.fails("pip", json!({"name": "--index-url=x"})).contains("no name of a package"));
        assert!(host.fails("pip", json!({"name": ["a", "b"], "version": "1"})).contains("exactly one"));
        assert!(host.fails("pip", json!({})).contains("is needed"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut host = Fake::new().probe(|_| Some(Output::failed(127, "")));
        assert!(host.fails("pip", json!({"name": "django"})).contains("python3-pip"));
        let mut host = Fake::new()
            .probe(|_| Some(Output::ok("=pip /usr/bin/pip3\n")))
            .on_run(|_, _| Some(Output::failed(1, "error: externally-managed-environment\n")));
        assert!(host.fails("pip", json!({"name": "django"})).contains("break_system_packages"));
    }
}
