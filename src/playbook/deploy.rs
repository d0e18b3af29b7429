//! `deploy:` in a play: what it takes, checked before any host is touched.

use super::load::{Loader, Site};
use super::role::RoleRequest;
use super::tree_roles::RoleUse;
use crate::host::{Decision, Key, Stop};
use crate::modules::args::Arguments;
use crate::modules::{FreeForm, Module, Needs};
use crate::source::{Diagnostic, Entry, Kind, Node, Span};
use crate::values::{Map, Value};
use std::sync::Arc;

crate::module_choices! {
    /// How a host goes from one release to the next.
    pub enum Strategy {
        /// Both run side by side; nginx's upstream, a link, is renamed.
        BlueGreen = "blue_green",
        /// The old one stops, the new one starts; the balancer leaves the host out meanwhile.
        Restart = "restart",
    }
}

crate::module_choices! {
    /// What migrations that old code can't live with lead to.
    pub enum Unsafe { Refuse = "refuse", Allow = "allow", Defer = "defer" }
}

crate::module_choices! {
    /// When the database is copied.
    pub enum Backup { Auto = "auto", Always = "always" | "true", Never = "never" | "false" }
}

crate::module_choices! {
    /// What installs requirements.
    pub enum Installer { Auto = "auto", Uv = "uv", Pip = "pip" }
}

crate::module_choices! {
    /// Who fetches a repository.
    pub enum Fetch { Controller = "controller", Host = "host" }
}

crate::module_choices! {
    /// What stands before the hosts, where they must be left out of it for a while.
    pub enum BalancerKind { Nginx = "nginx", Haproxy = "haproxy" }
}

crate::module_args! {
    /// What `deploy` takes. Where a variable is named, its value counts if the key is not given.
    pub struct DeployArgs {
        /// The application: of its units and folders. Variable: `django_app_name`.
        app: String;
        /// A folder (what git or `.windlassignore` ignores stays out) or an archive on this side. Variable: `django_app_source`.
        source: Option<String>;
        /// A repository, by its address. Variable: `django_app_git_repo`.
        git: Option<String>;
        /// Branch, tag or commit. Variable: `django_app_git_version`.
        r#ref: Option<String>, ["version"];
        /// Take submodules as well.
        submodules: bool = false;
        /// A private key on this side for the repository.
        git_key_file: Option<String>;
        /// Who fetches the repository: this side, once, or each host.
        fetch: Fetch = Fetch::Controller;
        /// The folder in the source that holds `manage.py`. Variable: `django_app_project_dir`.
        project_dir: String = ".";
        /// The folder of releases. Variable: `django_app_root`.
        root: String;
        /// The user that the application runs as. Variable: `django_app_user`.
        user: String;
        /// The Python of virtual environments. Variable: `django_app_python`.
        python: String = "python3";
        /// Requirements files; else `uv.lock`, `poetry.lock`, `requirements.txt` or `pyproject.toml`, the first that is there.
        requirements: Vec<String>;
        /// What installs them; `auto` is uv where the host has it.
        installer: Installer = Installer::Auto;
        /// More arguments for pip.
        pip_args: Vec<String>;
        /// Variables for pip and uv (an index with a password). Variable: `django_app_build_env`.
        build_env: Map = Map::new();
        /// How a host goes from one release to the next.
        strategy: Strategy = Strategy::BlueGreen;
        /// Hosts at once, as numbers or shares: the last repeats. By default one, then all others.
        batch: Option<Value>;
        /// How many hosts may be out of reach, as a number or a share.
        max_unreachable: Value = Value::Int(0);
        /// The path that answers 200 when the application is well. Variable: `django_app_health_path`.
        health_path: String = "/healthz/";
        /// The host name to ask it by. Variable: the first of `django_app_domains`.
        health_host: Option<String>;
        /// Seconds that a release gets until it is healthy.
        health_timeout: i64 = 60;
        /// Seconds for which it must stay healthy before it is switched to.
        healthy_for: f64 = 3.0;
        /// Good answers in a row.
        health_successes: i64 = 3;
        /// The host names that nginx serves. Variable: `django_app_domains`.
        domains: Vec<String>;
        /// After the switch, ask nginx on the host as a visitor would.
        front: bool = true;
        /// Its port.
        front_port: i64 = 443;
        /// Whether it speaks TLS there.
        front_tls: bool = true;
        /// Seconds that the old instance gets to end its requests; WebSockets are cut then.
        drain: i64 = 60;
        /// Releases that stay on a host.
        keep_releases: i64 = 5;
        /// Copy the database: `auto` does before migrations.
        backup: Backup = Backup::Auto;
        /// Copies that are kept.
        keep_backups: i64 = 10;
        /// Days that they are kept.
        backup_days: i64 = 30;
        /// Apply migrations.
        migrate: bool = true;
        /// Seconds that a migration waits for a lock before it lets others pass and tries again.
        lock_timeout: f64 = 3.0;
        /// Seconds that one statement of a migration may take; 0 for no limit.
        statement_timeout: f64 = 0.0;
        /// How often it is tried.
        migrate_tries: i64 = 5;
        /// What migrations lead to that the old code can't live with.
        unsafe_migrations: Unsafe = Unsafe::Refuse;
        /// Refuse a release whose models have changes without a migration.
        check_migrations: bool = true;
        /// The level at which `check --deploy` fails. Variable: `django_app_check_level`.
        check_level: String = "ERROR";
        /// Collect static files.
        collectstatic: bool = true;
        /// Commands in the new release before static files are collected (`npm run build`).
        before_collect: Option<Value>;
        /// Commands in the new release before the first switch (`manage.py compress`), on one host.
        before_switch: Option<Value>;
        /// Commands after the last switch, on one host.
        after_switch: Option<Value>;
        /// Seconds that a Celery worker gets to end its tasks. Variable: `django_app_celery_grace`.
        worker_wait: i64 = 600;
        /// Seconds for which errors are counted after the switch; 0 for none.
        watch: i64 = 0;
        /// The share of answers 5xx, in percent, at which everything returns.
        watch_limit: f64 = 2.0;
        /// nginx's access log.
        watch_log: String = "/var/log/nginx/access.log";
        /// An address that is told how it ended (POST, JSON).
        notify: Option<String>;
        /// Hosts that balance (a pattern): where a host has to leave, it is taken out there first.
        balancer: Option<String>;
        /// What balances there.
        balancer_kind: BalancerKind = BalancerKind::Nginx;
        /// nginx: the folder with a link for each host, or the file with `server` lines; HAProxy: its runtime socket.
        balancer_path: Option<String>;
        /// HAProxy's backend.
        balancer_backend: Option<String>;
        /// Seconds of silence after which the owner of a lock counts as dead.
        lock_expires: i64 = 120;
        /// Megabytes that must be free besides the release itself.
        min_free_mb: i64 = 200;
    }
}

/// Stands in for a module, so that arguments are checked and told as everywhere. It is in no list and never runs.
static DEPLOY: Module = Module {
    names: &["deploy"],
    doc: "A release of a Django application, brought to all hosts without dropping a request.",
    args: <DeployArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |_, _| -> Result<Decision, Stop> { Err(Stop::fail("`deploy` is no task: write it beside `hosts`")) },
    writes: |_: &Map| vec![Key::Anything],
};

/// Why there is no strategy `reload`: a server that is told to reload onto a release it can't start ends, and nothing
/// serves; and its old workers import what they have not imported yet from the new files.
const RELOAD: &str = "use `strategy: blue_green`, which needs no second port and no restart of nginx, or `restart` where two \
                      instances don't fit on a host; docs/deploy-strategies.md says why";

/// `deploy:` of a play.
#[derive(Debug, Clone)]
pub struct DeployCall {
    /// Where it stands.
    pub span: Span,
    /// What it says, to be rendered for each host.
    pub args: Vec<Entry>,
}

/// The role that lays an application out on its hosts, and whose variables are the defaults of `deploy`.
pub const ROLE: &str = "django_app";

impl Loader<'_> {
    /// Reads `deploy:`, with the role that comes before it.
    pub fn deploy(&mut self, node: &Node, site: &Site) -> Option<(Arc<DeployCall>, Arc<RoleUse>)> {
        let args = match &node.kind {
            Kind::Map(entries) => entries.clone(),
            Kind::Null => Vec::new(),
            _ => {
                let text = format!("`deploy` is a mapping, and this is {}", node.describe());
                self.report(
                    Diagnostic::error("wrong-type", text, &node.span).help("write `source: …` or `git: …` below it"),
                );
                return None;
            }
        };
        if let Some(entry) = args.iter().find(|e| &*e.key == "strategy" && e.value.as_str() == Some("reload")) {
            let text = "a release can't be brought by reloading the server";
            self.report(Diagnostic::error("reload", text, &entry.value.span).help(RELOAD));
            return None;
        }
        self.check_args(&DEPLOY, &args);
        let has = |name: &str| args.iter().find(|e| &*e.key == name);
        if let (Some(first), Some(second)) = (has("source"), has("git")) {
            self.report(
                Diagnostic::error("two-sources", "`source` and `git` exclude each other", &second.key_span)
                    .also(&first.key_span, "given here first")
                    .help("keep one of them"),
            );
        }
        let mut request = RoleRequest { public: true, ..RoleRequest::new(&Node::string(ROLE, node.span.clone())) };
        // The deploy installs releases, also the first one, and starts what the configuration changed.
        let deploys = Node::new(Kind::Bool(true), node.span.clone());
        request.params.insert("django_app_deploys".into(), Arc::new(deploys));
        let used = self.role_use(&request, site)?;
        Some((Arc::new(DeployCall { span: node.span.clone(), args }), used))
    }
}
