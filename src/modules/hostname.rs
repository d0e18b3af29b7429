//! `hostname`: the machine's name.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Decision, Diff, Key, Probe, Run, Stop, TaskResult, View};
use crate::values::Value;

crate::module_args! {
    /// What `hostname` takes.
    pub struct HostnameArgs {
        /// The name.
        name: String;
        /// How to set it.
        r#use: Option<String>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["hostname", "ansible.builtin.hostname", "ansible.legacy.hostname"],
    doc: "The machine's name.",
    args: HostnameArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| vec![Key::path("/etc/hostname"), Key::Named("facts", "platform".into())],
};

const READ: &str = "uname -n; head -n 1 /etc/hostname 2>/dev/null; exit 0";

/// `$1`: the name. Without a service manager that answers, the file and the kernel are told directly.
const WRITE: &str = r#"if [ -d /run/systemd/system ] && command -v hostnamectl >/dev/null 2>&1 &&
  hostnamectl set-hostname "$1" 2>/dev/null; then exit 0; fi
(umask 022; printf '%s\n' "$1" > /etc/hostname.windlass) && mv -f /etc/hostname.windlass /etc/hostname || exit 1
hostname "$1"
"#;

fn plan(args: &HostnameArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let name = args.name.trim();
    let good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.len() > 64 || !name.split('.').all(good) {
        return Err(Stop::fail(format!(
            "`{name}` is no host name: labels of letters, digits and dashes, 64 characters in all"
        )));
    }
    if args.r#use.as_ref().is_some_and(|u| !matches!(u.as_str(), "systemd" | "debian")) {
        return Err(Stop::fail("`use` can be `systemd` or `debian`; hosts are Debian or Ubuntu"));
    }
    let reads = vec![Key::path("/etc/hostname"), Key::Named("facts", "platform".into())];
    let said = view.probe(Probe::new(READ, &[], reads))?.out();
    let mut lines = said.lines().map(str::trim);
    let (now, kept) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let short = name.split('.').next().unwrap_or(name);
    let facts = Value::from_pairs([
        ("ansible_hostname", short.into()),
        ("ansible_nodename", name.into()),
        ("ansible_fqdn", name.into()),
        ("ansible_domain", name.split_once('.').map_or("", |(_, d)| d).into()),
    ]);
    let result = TaskResult::ok().with("name", name).with("ansible_facts", facts);
    if now == name && kept == name {
        return Ok(Decision::nothing(result));
    }
    let action = Action::run(Run::sh(WRITE, &[name]), format!("set the host name {name}"))
        .local()
        .writing(vec![Key::path("/etc/hostname"), Key::Named("facts", "platform".into())]);
    let diff = Diff {
        before_header: "hostname".into(),
        after_header: "hostname".into(),
        before: format!("hostname = {now}\n"),
        after: format!("hostname = {name}\n"),
    };
    Ok(Decision::act(TaskResult { changed: true, ..result }.diff(diff), vec![action]))
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn set_only_where_it_differs() {
        let mut host = Fake::new().probe(|_| Some(Output::ok("web1\nweb1\n"))).on_run(|_, _| Some(Output::ok("")));
        host.settled("hostname", json!({"name": "web1"}));
        let decision = host.converge("hostname", json!({"name": "web2.example.org"}));
        assert_eq!(
            decision.result.data["ansible_facts"].get("ansible_hostname").map(ToString::to_string).as_deref(),
            Some("web2")
        );
        assert!(host.fails("hostname", json!({"name": "a b; reboot"})).contains("no host name"));
        let mut host = Fake::new().probe(|_| Some(Output::ok("web1\nold\n"))).on_run(|_, _| Some(Output::ok("")));
        assert!(host.converge("hostname", json!({"name": "web1"})).result.changed, "it would not last");
    }
}
