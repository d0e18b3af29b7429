//! `django_manage`: the commands of a Django project's `manage.py`.

use super::args::Arguments;
use super::common::outputs::{failed, gist};
use super::common::text;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Certainty, Decision, Next, Output, Run, Stop, TaskResult, View};
use crate::values::Value;

crate::module_args! {
    /// What `django_manage` takes.
    pub struct DjangoArgs {
        /// The command, with further words if it takes any.
        command: String;
        /// The folder of `manage.py`.
        project_path: String, ["app_path", "chdir"];
        /// The settings' module.
        settings: Option<String>;
        /// A folder to look for modules in.
        pythonpath: Option<String>, ["python_path"];
        /// The virtual environment.
        virtualenv: Option<String>, ["virtual_env"];
        /// Applications, separated by blanks: `migrate`, `test`.
        apps: Option<String>;
        /// The cache's table: `createcachetable`.
        cache_table: Option<String>;
        /// Remove old files first: `collectstatic`.
        clear: bool = false;
        /// The database.
        database: Option<String>;
        /// Stop at the first failure: `test`.
        failfast: bool, ["fail_fast"] = false;
        /// Fixtures, separated by blanks: `loaddata`.
        fixtures: Option<String>;
        /// The class that runs tests: `test`.
        testrunner: Option<String>, ["test_runner"];
        /// Skip what is out of order: `migrate`, in very old versions.
        skip: bool = false;
        /// Run what is out of order: `migrate`, in very old versions.
        merge: bool = false;
        /// Link files instead of copying them: `collectstatic`.
        link: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["django_manage", "community.general.django_manage"],
    doc: "The commands of a Django project's manage.py.",
    args: DjangoArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

/// `$1`: the virtual environment, if any. The rest: what `manage.py` is told.
const RUN: &str = r#"venv=$1; shift
[ -f manage.py ] || { echo "there is no manage.py in $PWD" >&2; exit 66; }
if [ -n "$venv" ]; then
  [ -e "$venv/bin/activate" ] || { echo "$venv does not point to a valid virtual environment" >&2; exit 67; }
  PATH=$venv/bin:$PATH; VIRTUAL_ENV=$venv; export PATH VIRTUAL_ENV
  exec "$venv/bin/python" ./manage.py "$@"
fi
if [ -x manage.py ]; then exec ./manage.py "$@"; fi
exec python3 ./manage.py "$@"
"#;

fn plan(args: &DjangoArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let words = words(args)?;
    let verb = words[0].clone();
    let mut shown = vec!["./manage.py".to_owned()];
    shown.extend(words.iter().cloned());
    let base = TaskResult::ok()
        .with("cmd", shown)
        .with("app_path", args.project_path.as_str())
        .with("project_path", args.project_path.as_str())
        .with("virtualenv", args.virtualenv.clone())
        .with("settings", args.settings.clone())
        .with("pythonpath", args.pythonpath.clone());
    if view.memory().is_some() {
        return report(args, view, base, &verb);
    }
    let mut all = vec![args.virtualenv.as_deref().unwrap_or_default()];
    all.extend(words.iter().map(String::as_str));
    let mut run = Run::sh(RUN, &all).durable();
    run.chdir = Some(args.project_path.clone());
    // What Django prints is UTF-8; with another locale it may fail to print it.
    let run = run.env("LC_ALL", "C.UTF-8").env("PYTHONUNBUFFERED", "1");
    let mut action = Action::run(run, format!("manage.py {}", words.join(" ")));
    action.shared = verb != "collectstatic" && verb != "check" && verb != "compilemessages";
    Ok(Decision {
        result: TaskResult { changed: true, ..base }.with("out", Value::Unknown),
        certainty: Certainty::KnownAfterApply,
        actions: vec![action],
        next: Next::Report,
        saves: Vec::new(),
    })
}

/// What `manage.py` is told.
fn words(args: &DjangoArgs) -> Result<Vec<String>, Stop> {
    let mut words = text::words(&args.command).map_err(|e| Stop::fail(format!("`command`: {e}")))?;
    let Some(verb) = words.first().cloned() else { return Err(Stop::fail("`command` is empty")) };
    if !args.project_path.starts_with('/') {
        return Err(Stop::fail("`project_path` must be absolute"));
    }
    let allowed: &[&str] = match verb.as_str() {
        "createcachetable" => &["cache_table", "database"],
        "flush" => &["database"],
        "loaddata" => &["database", "fixtures"],
        "test" => &["failfast", "testrunner", "apps"],
        "migrate" => &["apps", "skip", "merge", "database"],
        "collectstatic" => &["clear", "link"],
        _ => &[],
    };
    let given = [
        ("apps", args.apps.is_some()),
        ("cache_table", args.cache_table.is_some()),
        ("clear", args.clear),
        ("database", args.database.is_some()),
        ("failfast", args.failfast),
        ("fixtures", args.fixtures.is_some()),
        ("testrunner", args.testrunner.is_some()),
        ("skip", args.skip),
        ("merge", args.merge),
        ("link", args.link),
    ];
    if let Some((name, _)) = given.iter().find(|(name, is)| *is && !allowed.contains(name)) {
        return Err(Stop::fail(format!("{name} param is incompatible with command={verb}")));
    }
    if verb == "loaddata" && args.fixtures.is_none() {
        return Err(Stop::fail("fixtures param is required for command=loaddata"));
    }
    if matches!(verb.as_str(), "flush" | "migrate" | "test" | "collectstatic")
        && !words.iter().any(|w| w == "--noinput" || w == "--no-input")
    {
        words.push("--noinput".into());
    }
    let options = [
        ("settings", &args.settings),
        ("pythonpath", &args.pythonpath),
        ("database", &args.database),
        ("testrunner", &args.testrunner),
    ];
    for (name, value) in options {
        words.extend(value.as_ref().map(|v| format!("--{name}={v}")));
    }
    let flags = [
        ("clear", args.clear),
        ("failfast", args.failfast),
        ("skip", args.skip),
        ("merge", args.merge),
        ("link", args.link),
    ];
    words.extend(flags.iter().filter(|f| f.1).map(|f| format!("--{}", f.0)));
    for list in [&args.apps, &args.fixtures].into_iter().flatten() {
        words.extend(text::words(list).map_err(|e| Stop::fail(format!("`{list}`: {e}")))?);
    }
    words.extend(args.cache_table.clone());
    Ok(words)
}

fn report(args: &DjangoArgs, view: &View<'_>, base: TaskResult, verb: &str) -> Result<Decision, Stop> {
    let output = view.outputs().last().cloned().unwrap_or_default();
    let err = output.err();
    if verb == "createcachetable" && err.contains("already exists") {
        return Ok(Decision::nothing(base.with("out", "already exists.")));
    }
    if !output.success() {
        return Err(failed(complaint(args, verb, &output), &output));
    }
    let out = output.out();
    let result = TaskResult { changed: changed(verb, &out), ..base };
    Ok(Decision::nothing(result.with("out", out)))
}

fn complaint(args: &DjangoArgs, verb: &str, output: &Output) -> String {
    let err = output.err();
    if err.contains("Unknown command:") {
        return format!("Unknown django command: {verb}");
    }
    let hint = if err.contains("No module named 'django'") && args.virtualenv.is_none() {
        "; is `virtualenv` missing?"
    } else {
        ""
    };
    format!("manage.py {verb} failed: {}{hint}", gist(output))
}

/// Whether a command changed anything, by what it says.
fn changed(verb: &str, out: &str) -> bool {
    match verb {
        "migrate" => out.lines().any(|l| l.contains("Applying") || l.contains("Migrating forwards ")),
        "flush" | "loaddata" => out.lines().any(|l| l.contains("Installed") && !l.contains("Installed 0 object")),
        "createcachetable" => !out.contains("already exists"),
        // `3 static files copied to '/srv/static', 127 unmodified.`
        "collectstatic" => out.lines().any(|l| {
            let line = l.trim();
            !line.is_empty() && !line.starts_with("0 static files") && !line.starts_with("0 static file ")
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::action::Command;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host(rc: i32, out: &'static str, err: &'static str) -> Fake {
        Fake::new().on_run(move |_, _| {
            let mut output = Output::ok(out);
            output.rc = rc;
            output.stderr = std::sync::Arc::from(err.as_bytes());
            Some(output)
        })
    }

    #[test]
    fn migrations_are_applied_or_not() {
        let mut host = host(0, "Running migrations:\n  Applying shop.0002_x... OK\n", "");
        let args = json!({"command": "migrate", "app_path": "/srv/shop", "virtualenv": "/srv/venv", "settings": "shop.settings", "apps": "shop 0002", "database": "default"});
        let decision = host.converge("community.general.django_manage", args);
        assert!(decision.result.changed);
        assert!(host.ran()[0].durable);
        assert_eq!(host.ran()[0].chdir.as_deref(), Some("/srv/shop"));
        let Command::Shell { args, .. } = &host.ran()[0].command else { panic!("no script") };
        assert_eq!(
            args[..],
            ["/srv/venv", "migrate", "--noinput", "--settings=shop.settings", "--database=default", "shop", "0002"]
        );
        let mut host = self::host(0, "  No migrations to apply.\n", "");
        assert!(
            !host.converge("django_manage", json!({"command": "migrate", "project_path": "/srv/shop"})).result.changed
        );
    }

    #[test]
    fn changed_is_read_from_what_it_says() {
        assert!(!changed("collectstatic", "\n0 static files copied to '/x', 130 unmodified.\n"));
        assert!(changed("collectstatic", "\n10 static files copied to '/x'.\n"));
        assert!(!changed("loaddata", "Installed 0 object(s) from 1 fixture(s)\n"));
        assert!(changed("loaddata", "Installed 3 object(s) from 1 fixture(s)\n"));
        assert!(!changed("check", "System check identified no issues\n"));
    }

    #[test]
    fn failures_and_wrong_arguments() {
        let mut host = host(1, "", "Unknown command: 'nope'\n");
        assert_eq!(
            host.fails("django_manage", json!({"command": "nope", "chdir": "/x"})),
            "Unknown django command: nope"
        );
        assert!(
            host.fails("django_manage", json!({"command": "migrate", "clear": true, "chdir": "/x"}))
                .contains("incompatible")
        );
        assert!(host.fails("django_manage", json!({"command": "loaddata", "chdir": "/x"})).contains("required"));
        let mut host = self::host(1, "", "table x already exists\n");
        assert!(!host.converge("django_manage", json!({"command": "createcachetable", "chdir": "/x"})).result.changed);
    }
}
