//! What a play's `deploy:` says, rendered; and what each host is to do.

use crate::engine::deploy::{Deploy, DeployHost};
use crate::modules::args::{Arguments, FromValue};
use crate::playbook::deploy::{BalancerKind, DeployArgs, Strategy};
use crate::source::Diagnostic;
use crate::values::{EvalError, Lookup, Map, Value};
use serde_json::{Map as JsonMap, json};

/// Where a key's value comes from if it is not given.
const VARIABLES: &[(&str, &str)] = &[
    ("app", "django_app_name"),
    ("source", "django_app_source"),
    ("git", "django_app_git_repo"),
    ("ref", "django_app_git_version"),
    ("project_dir", "django_app_project_dir"),
    ("root", "django_app_root"),
    ("user", "django_app_user"),
    ("python", "django_app_python"),
    ("build_env", "django_app_build_env"),
    ("health_path", "django_app_health_path"),
    ("domains", "django_app_domains"),
    ("check_level", "django_app_check_level"),
    ("worker_wait", "django_app_celery_grace"),
];

/// What one host does for the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duties {
    /// Serves the web.
    pub web: bool,
    /// Runs Celery's workers.
    pub worker: bool,
    /// Runs Celery's scheduler.
    pub beat: bool,
}

/// A play's deploy, rendered.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What it says.
    pub args: DeployArgs,
    /// Of each host, in the order of the play.
    pub duties: Vec<Duties>,
    /// What the balancer calls each host: its address (nginx), its name in the backend (HAProxy).
    pub members: Vec<String>,
}

impl Spec {
    /// Renders a play's deploy.
    ///
    /// # Errors
    /// What is wrong, where it stands.
    pub fn render(deploy: &Deploy) -> Result<Self, Diagnostic> {
        let wrong = |text: String| Diagnostic::error("deploy", text, &deploy.call.span);
        let first = deploy.hosts.iter().find(|h| h.chosen).or(deploy.hosts.first());
        let Some(first) = first else { return Err(wrong("this deploy has no hosts".to_owned())) };
        let args = arguments(deploy, first)?;
        if args.app.is_empty() {
            return Err(wrong("which application is not said".to_owned())
                .help("write `app: NAME`, or set django_app_name in the inventory"));
        }
        if !args.app.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b)) {
            return Err(wrong(format!("`{}` can't name an application", args.app))
                .help("use small letters, digits, `_` and `-`"));
        }
        let mut duties = Vec::new();
        for host in &deploy.hosts {
            let own = arguments(deploy, host)?;
            for (what, mine, theirs) in
                [("app", &args.app, &own.app), ("root", &args.root, &own.root), ("user", &args.user, &own.user)]
            {
                if mine != theirs {
                    return Err(wrong(format!(
                        "`{what}` is `{mine}` on {} and `{theirs}` on {}",
                        first.name, host.name
                    ))
                    .help("a deploy is of one application: use a play for each"));
                }
            }
            duties.push(duty(deploy, host)?);
        }
        let named = |place: &usize| deploy.hosts[*place].name.to_string();
        let beats: Vec<usize> = (0..duties.len()).filter(|&p| duties[p].beat).collect();
        if beats.len() > 1 {
            let names: Vec<String> = beats.iter().map(named).collect();
            return Err(wrong(format!("{} would each run Celery's scheduler", names.join(" and ")))
                .help("every task would be sent by each of them: set django_app_celery_beat: true on one host only"));
        }
        let mut members = Vec::new();
        for host in &deploy.hosts {
            members.push(member(deploy, host, &args)?);
        }
        let spec = Self { args, duties, members };
        spec.balance().map_err(|(text, help)| wrong(text).help(help))?;
        Ok(spec)
    }

    /// What is wrong about leaving the balancer, and what to do.
    fn balance(&self) -> Result<(), (String, &'static str)> {
        let a = &self.args;
        if a.balancer.is_none() || a.strategy != Strategy::Restart {
            return Ok(());
        }
        if a.balancer_path.is_none() {
            let help = match a.balancer_kind {
                BalancerKind::Nginx => {
                    "set balancer_path to a folder on it with a link for each host, or to the file with the `server` lines of the upstream"
                }
                BalancerKind::Haproxy => "set balancer_path to its `stats socket`, which needs `level admin`",
            };
            return Err(("how the balancer is told is not said".to_owned(), help));
        }
        if a.balancer_kind == BalancerKind::Haproxy && a.balancer_backend.is_none() {
            return Err(("the backend of HAProxy is not said".to_owned(), "set balancer_backend to its name"));
        }
        let web: Vec<usize> = (0..self.duties.len()).filter(|&p| self.duties[p].web).collect();
        let batches = self.batches(&web).map_err(|text| (text, "see `batch` in docs/deploy.md"))?;
        if web.len() > 1 && batches.iter().any(|b| b.len() == web.len()) {
            let text = "`batch` would take all hosts out of the balancer at once".to_owned();
            return Err((text, "set batch to 1, or to a share such as 50%"));
        }
        Ok(())
    }

    /// What every operation on a host is told.
    pub fn common(&self, token: Option<&str>, by: &str) -> JsonMap<String, serde_json::Value> {
        let a = &self.args;
        let mut all = JsonMap::new();
        let value = json!({
            "app": a.app, "root": a.root, "user": a.user, "project_dir": a.project_dir, "python": a.python, "by": by,
            "path": a.health_path, "host": self.health_host(), "domains": a.domains,
            "front": a.front, "front_port": a.front_port, "front_tls": a.front_tls,
            "secrets": a.build_env.values().map(ToString::to_string).filter(|v| v.len() > 8).collect::<Vec<_>>(),
        });
        if let serde_json::Value::Object(map) = value {
            all.extend(map);
        }
        if let Some(token) = token {
            all.insert("token".into(), token.into());
        }
        all
    }

    /// The host name that the application is asked by.
    pub fn health_host(&self) -> &str {
        self.args.health_host.as_deref().or(self.args.domains.first().map(String::as_str)).unwrap_or("localhost")
    }

    /// Batches of places of hosts that serve the web: sizes repeat the last one. By default one host, then all others.
    ///
    /// # Errors
    /// A size that is none.
    pub fn batches(&self, hosts: &[usize]) -> Result<Vec<Vec<usize>>, String> {
        let sizes: Vec<Value> = match &self.args.batch {
            None => vec![Value::Int(1), Value::from("100%")],
            Some(Value::List(items)) => items.iter().cloned().collect(),
            Some(one) => vec![one.clone()],
        };
        let mut out = Vec::new();
        let mut rest = hosts;
        let mut at = 0;
        while !rest.is_empty() {
            let size = sizes.get(at.min(sizes.len().saturating_sub(1))).map(ToString::to_string).unwrap_or_default();
            let take = share(&size, hosts.len())?.clamp(1, rest.len());
            out.push(rest[..take].to_vec());
            rest = &rest[take..];
            at += 1;
        }
        Ok(out)
    }

    /// How many hosts may be out of reach.
    ///
    /// # Errors
    /// A number that is none.
    pub fn may_be_lost(&self, hosts: usize) -> Result<usize, String> {
        share(&self.args.max_unreachable.to_string(), hosts)
    }

    /// Commands of a hook.
    ///
    /// # Errors
    /// What is no command.
    pub fn commands(value: Option<&Value>) -> Result<Vec<String>, String> {
        match value {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Str(text)) => Ok(vec![text.to_string()]),
            Some(Value::List(items)) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| format!("a command is a text, not {}", item.describe()))
                })
                .collect(),
            Some(other) => Err(format!("commands are a list of texts, not {}", other.describe())),
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "hosts are few, and a share is not negative"
)]
fn share(text: &str, of: usize) -> Result<usize, String> {
    let wrong = || format!("`{text}` is neither a number nor a share such as 25%");
    match text.trim().strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(wrong());
            }
            Ok((of as f64 * percent / 100.0).ceil() as usize)
        }
        None => text.trim().parse().map_err(|_| wrong()),
    }
}

/// A variable of a host, rendered.
fn variable(deploy: &Deploy, host: &DeployHost, name: &str) -> Result<Option<Value>, Diagnostic> {
    let value = match host.scope.get(name) {
        Lookup::Data(value) => value,
        Lookup::Template(node) => {
            deploy.templar.render_node(&node, &host.scope).map_err(|error| failed(deploy, name, error))?
        }
        _ => return Ok(None),
    };
    Ok(Some(value).filter(|v| !matches!(v, Value::Null | Value::Omit)))
}

fn failed(deploy: &Deploy, name: &str, error: EvalError) -> Diagnostic {
    match error {
        EvalError::Failed(problem) => *problem,
        EvalError::Wait => {
            Diagnostic::error("deploy", format!("`{name}` needs a value that is not known yet"), &deploy.call.span)
        }
    }
}

fn arguments(deploy: &Deploy, host: &DeployHost) -> Result<DeployArgs, Diagnostic> {
    let mut map = Map::new();
    let given = |name: &str| deploy.call.args.iter().find(|e| &*e.key == name || name == "ref" && &*e.key == "version");
    for spec in DeployArgs::specs() {
        if let Some(entry) = given(spec.name) {
            let value =
                deploy.templar.render_node(&entry.value, &host.scope).map_err(|e| failed(deploy, spec.name, e))?;
            map.insert(spec.name.into(), value);
        } else if let Some((_, name)) = VARIABLES.iter().find(|(key, _)| *key == spec.name) {
            // A source said here is not mixed with one of the variables.
            let other = matches!(spec.name, "source" | "git") && (given("source").is_some() || given("git").is_some());
            if other {
                continue;
            }
            let found = variable(deploy, host, name)?;
            if let Some(value) = found.filter(|v| !matches!(v, Value::Str(text) if text.is_empty())) {
                map.insert(spec.name.into(), value);
            }
        }
    }
    DeployArgs::from_map(&map).map_err(|text| {
        Diagnostic::error("deploy", text.replace("argument ", "in `deploy`: "), &deploy.call.span)
            .help("see docs/deploy.md for what it takes")
    })
}

fn duty(deploy: &Deploy, host: &DeployHost) -> Result<Duties, Diagnostic> {
    let truth = |name: &str, default: bool| -> Result<bool, Diagnostic> {
        match variable(deploy, host, name)? {
            None => Ok(default),
            Some(value) => bool::from_value(&value).map_err(|e| {
                Diagnostic::error("deploy", format!("`{name}` must be {e} (on {})", host.name), &deploy.call.span)
            }),
        }
    };
    let celery = variable(deploy, host, "django_app_celery")?.is_some_and(|v| !v.to_string().is_empty());
    Ok(Duties {
        web: truth("django_app_web", true)?,
        worker: celery,
        beat: celery && truth("django_app_celery_beat", false)?,
    })
}

/// What the balancer calls a host.
fn member(deploy: &Deploy, host: &DeployHost, args: &DeployArgs) -> Result<String, Diagnostic> {
    let name = super::balancer::variable_of(args.balancer_kind);
    let own = match variable(deploy, host, name)? {
        None if args.balancer_kind == BalancerKind::Nginx => variable(deploy, host, "ansible_host")?,
        found => found,
    };
    let word = own.map_or_else(|| host.name.to_string(), |v| v.to_string());
    if args.balancer.is_some() && (word.is_empty() || word.contains(|c: char| c.is_whitespace() || ";/{}#".contains(c)))
    {
        let text = format!("`{name}` of {} is `{word}`, which no balancer can have", host.name);
        return Err(Diagnostic::error("deploy", text, &deploy.call.span)
            .help("nginx: the address in its `server` line; HAProxy: the server's name in the backend"));
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    fn spec(batch: Option<Value>) -> Spec {
        let mut map = Map::new();
        for (name, value) in [("app", "shop"), ("root", "/srv/shop"), ("user", "shop")] {
            map.insert(name.into(), Value::from(value));
        }
        if let Some(batch) = batch {
            map.insert("batch".into(), batch);
        }
        Spec { args: DeployArgs::from_map(&map).unwrap(), duties: Vec::new(), members: Vec::new() }
    }

    #[test]
    fn a_canary_goes_first_unless_the_play_says_otherwise() {
        let sizes = |batch: Option<Value>| -> Vec<usize> {
            spec(batch).batches(&[0, 1, 2, 3, 4]).unwrap().iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(None), [1, 4]);
        assert_eq!(sizes(Some(Value::Int(2))), [2, 2, 1]);
        assert_eq!(sizes(Some(Value::from("25%"))), [2, 2, 1]);
        assert_eq!(sizes(Some(Value::List(Arc::new(vec![Value::Int(1), "50%".into(), "100%".into()])))), [1, 3, 1]);
        assert!(spec(Some(Value::from("some"))).batches(&[0]).unwrap_err().contains("neither"));
    }

    #[test]
    fn hosts_may_be_lost_as_a_number_or_a_share() {
        let mut spec = spec(None);
        assert_eq!(spec.may_be_lost(4), Ok(0));
        spec.args.max_unreachable = Value::from("25%");
        assert_eq!(spec.may_be_lost(4), Ok(1));
    }

    #[test]
    fn leaving_the_balancer_needs_its_address_and_somebody_who_stays() {
        let mut spec = spec(None);
        spec.duties = vec![Duties { web: true, worker: false, beat: false }; 3];
        assert!(spec.balance().is_ok());
        spec.args.balancer = Some("lb".into());
        assert!(spec.balance().is_ok(), "blue_green leaves the balancer alone");
        spec.args.strategy = Strategy::Restart;
        assert!(spec.balance().unwrap_err().0.contains("how the balancer is told"));
        spec.args.balancer_path = Some("/etc/nginx/site.conf".into());
        assert!(spec.balance().is_ok());
        spec.args.batch = Some("100%".into());
        assert!(spec.balance().unwrap_err().0.contains("all hosts"));
        spec.args.batch = Some("50%".into());
        spec.args.balancer_kind = BalancerKind::Haproxy;
        assert!(spec.balance().unwrap_err().0.contains("backend"));
    }
}
