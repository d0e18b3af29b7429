//! `timezone`: the machine's time zone.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Decision, Diff, Key, Probe, Run, Stop, TaskResult, View};

crate::module_args! {
    /// What `timezone` takes.
    pub struct TimezoneArgs {
        /// The zone, such as `Europe/Berlin`.
        name: Option<String>;
        /// Whether the hardware's clock runs in `UTC` or in `local` time.
        hwclock: Option<String>, ["rtc"];
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["timezone", "community.general.timezone"],
    doc: "The machine's time zone.",
    args: TimezoneArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| vec![Key::path("/etc/localtime"), Key::path("/etc/timezone")],
};

/// `$1`: the zone.
const READ: &str = r#"zone=$(readlink /etc/localtime 2>/dev/null); zone=${zone##*/zoneinfo/}
[ -n "$zone" ] || zone=$(cat /etc/timezone 2>/dev/null)
echo "$zone"
cat /etc/timezone 2>/dev/null | head -n 1
if [ -f "/usr/share/zoneinfo/$1" ]; then echo "=known"; elif [ -d /usr/share/zoneinfo ]; then echo "=unknown"; else echo "=none"; fi
exit 0
"#;

const WRITE: &str = r#"if [ -d /run/systemd/system ] && command -v timedatectl >/dev/null 2>&1; then timedatectl set-timezone "$1" 2>/dev/null; fi
ln -s "/usr/share/zoneinfo/$1" /etc/localtime.windlass && mv -f /etc/localtime.windlass /etc/localtime || exit 1
if [ -e /etc/timezone ] || [ -e /etc/debian_version ]; then
  (umask 022; printf '%s\n' "$1" > /etc/timezone.windlass) && mv -f /etc/timezone.windlass /etc/timezone
fi
"#;

fn plan(args: &TimezoneArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if args.hwclock.is_some() {
        return Err(Stop::fail("`hwclock` is not supported: virtual machines keep their clock in UTC"));
    }
    let Some(name) = &args.name else { return Err(Stop::fail("argument `name` is required")) };
    let good = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    if name.is_empty() || !name.chars().all(good) || name.starts_with(['/', '-']) {
        return Err(Stop::fail(format!("`{name}` is no time zone; expected one such as `Europe/Berlin`")));
    }
    let keys = || vec![Key::path("/etc/localtime"), Key::path("/etc/timezone")];
    let said = view.probe(Probe::new(READ, &[name], keys()))?.out();
    if said.contains("=none") {
        return Err(Stop::fail("the host has no time zones: install them with `apt: name=tzdata` first"));
    }
    if said.contains("=unknown") {
        return Err(Stop::fail(format!("the host knows no time zone `{name}`")));
    }
    let mut lines = said.lines();
    let now = lines.next().unwrap_or_default().to_owned();
    let file = lines.next().filter(|l| !l.starts_with('='));
    let diff = Diff {
        before_header: "timezone".into(),
        after_header: "timezone".into(),
        before: format!("{now}\n"),
        after: format!("{name}\n"),
    };
    if now == *name && file.is_none_or(|f| f == name) {
        return Ok(Decision::nothing(TaskResult::ok()));
    }
    let action = Action::run(Run::sh(WRITE, &[name]), format!("set the time zone {name}")).local().writing(keys());
    Ok(Decision::act(TaskResult::changed(true).diff(diff), vec![action]))
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn set_only_where_it_differs() {
        let mut host =
            Fake::new().probe(|_| Some(Output::ok("Etc/UTC\nEtc/UTC\n=known\n"))).on_run(|_, _| Some(Output::ok("")));
        host.settled("community.general.timezone", json!({"name": "Etc/UTC"}));
        assert!(host.converge("timezone", json!({"name": "Europe/Berlin"})).result.changed);
        assert!(host.fails("timezone", json!({"name": "$(x)"})).contains("no time zone"));
        let mut host = Fake::new().probe(|_| Some(Output::ok("Etc/UTC\n=unknown\n")));
        assert!(host.fails("timezone", json!({"name": "Mars/Base"})).contains("knows no time zone"));
    }
}
