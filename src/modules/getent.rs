//! `getent`: entries of the host's databases of accounts, groups, hosts and services.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Key, Probe, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `getent` takes.
    pub struct GetentArgs {
        /// `passwd`, `group`, `hosts`, `services` and others.
        database: String;
        /// What to look for; all entries if not given.
        key: Option<String>;
        /// The source to ask alone.
        service: Option<String>;
        /// What separates the fields; by default what the database uses.
        split: Option<String>;
        /// Fail where the key is not found.
        fail_key: bool = true;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["getent", "ansible.builtin.getent", "ansible.legacy.getent"],
    doc: "Entries of the host's databases of accounts, groups, hosts and services.",
    args: GetentArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| Vec::new(),
};

/// `$1`: the source, if any. The rest: the database and the key.
const READ: &str = r#"command -v getent >/dev/null 2>&1 || exit 127
if [ -n "$1" ]; then service=$1; shift; exec getent -s "$service" "$@"; fi
shift
exec getent "$@"
"#;

fn plan(args: &GetentArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let database = args.database.as_str();
    if database.is_empty() || !database.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(Stop::fail(format!("`{database}` is no database of getent")));
    }
    if args.key.as_ref().is_some_and(|k| k.starts_with('-')) {
        return Err(Stop::fail("`key` must not begin with a dash"));
    }
    let reads = match database {
        "passwd" | "group" | "shadow" | "gshadow" => vec![Key::Accounts],
        "hosts" | "ahosts" | "ahostsv4" | "ahostsv6" => vec![Key::Volatile],
        _ => vec![Key::path("/etc/services"), Key::path("/etc/protocols"), Key::path("/etc/networks")],
    };
    let mut words = vec![args.service.as_deref().unwrap_or_default(), database];
    words.extend(args.key.as_deref());
    let said = view.probe(Probe::new(READ, &words, reads))?;
    let name = format!("getent_{database}");
    let facts = |entries: Map| {
        let facts: Map = [(name.as_str().into(), Value::map(entries))].into_iter().collect();
        Decision::nothing(TaskResult::ok().with("ansible_facts", Value::map(facts)))
    };
    match said.rc {
        0 => {}
        127 => return Err(Stop::fail("the host has no getent: install it with `apt: name=libc-bin` first")),
        1 => return Err(Stop::fail("Missing arguments, or database unknown.")),
        2 if !args.fail_key => {
            let key = args.key.as_deref().unwrap_or_default();
            let mut entries = Map::new();
            entries.insert(key.into(), Value::Null);
            return Ok(facts(entries));
        }
        2 => return Err(Stop::fail("One or more supplied key could not be found in the database.")),
        3 => return Err(Stop::fail("Enumeration not supported on this database.")),
        rc => return Err(Stop::fail(format!("getent failed with status {rc}: {}", said.err().trim()))),
    }
    let colon = matches!(database, "passwd" | "shadow" | "group" | "gshadow");
    let mut entries = Map::new();
    for line in said.out().lines() {
        let fields: Vec<&str> = match (&args.split, colon) {
            (Some(split), _) if !split.is_empty() => line.split(split.as_str()).collect(),
            (_, true) => line.split(':').collect(),
            _ => line.split_whitespace().collect(),
        };
        if let Some((first, rest)) = fields.split_first() {
            let rest = Value::from(rest.to_vec());
            // A name that comes twice (services over tcp and udp) keeps all of its entries.
            match entries.get_mut(*first) {
                None => {
                    entries.insert((*first).into(), rest);
                }
                Some(now) => {
                    let several = now.as_list().is_some_and(|l| l.first().is_some_and(|f| f.as_list().is_some()));
                    let mut all = if several { now.as_list().unwrap_or_default().to_vec() } else { vec![now.clone()] };
                    all.push(rest);
                    *now = Value::list(all);
                }
            }
        }
    }
    Ok(facts(entries))
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn entries_become_facts() {
        let mut host = Fake::new().probe(|p| {
            Some(match p.args.last().map(String::as_str) {
                Some("root") => Output::ok("root:x:0:0:root:/root:/bin/bash\n"),
                _ => Output::failed(2, ""),
            })
        });
        let facts =
            host.converge("getent", json!({"database": "passwd", "key": "root"})).result.data["ansible_facts"].clone();
        assert_eq!(facts.to_string(), "{'getent_passwd': {'root': ['x', '0', '0', 'root', '/root', '/bin/bash']}}");
        assert!(host.fails("getent", json!({"database": "passwd", "key": "nobody2"})).contains("could not be found"));
        let none = host.converge("getent", json!({"database": "passwd", "key": "x", "fail_key": false})).result;
        assert_eq!(none.data["ansible_facts"].to_string(), "{'getent_passwd': {'x': None}}");
        assert!(host.fails("getent", json!({"database": "passwd; reboot"})).contains("no database"));
    }
}
