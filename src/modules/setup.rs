//! `setup`: facts about a host.

use super::facts::Group;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, TaskResult, View};
use crate::values::{Map, Value};
use std::collections::BTreeSet;

crate::module_args! {
    /// What `setup` takes.
    pub struct SetupArgs {
        /// What to gather: `all`, `min`, `hardware`, `network`, `virtual`, `local`, or the name of a fact; `!` before a
        /// word leaves it out. `min` is always gathered unless `!min` (or `!all,!min`) is given.
        gather_subset: Vec<String> = vec!["all".to_owned()];
        /// Longest time for one mounted file system, in seconds.
        gather_timeout: i64 = 10;
        /// Only facts that match one of these patterns (`ansible_eth*`).
        filter: Vec<String>;
        /// The folder of local facts.
        fact_path: String = "/etc/ansible/facts.d";
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["setup", "ansible.builtin.setup", "ansible.legacy.setup", "gather_facts", "ansible.builtin.gather_facts"],
    doc: "Facts about a host.",
    args: <SetupArgs as super::args::Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| Vec::new(),
};

/// The groups of facts that these words ask for.
///
/// # Errors
/// A sentence that names a word that is not known.
pub fn groups(words: &[String]) -> Result<BTreeSet<Group>, String> {
    let of = |word: &str| {
        Group::of_subset(word).ok_or_else(|| {
            format!(
                "`{word}` is not known in `gather_subset`: it takes all, min, hardware, network, virtual, local and names of facts, each with `!` before it to leave it out"
            )
        })
    };
    let (mut wanted, mut without) = (BTreeSet::new(), BTreeSet::new());
    let (mut named, mut without_min) = (false, false);
    for word in words {
        match word.strip_prefix('!') {
            // As in Ansible, `!all` leaves the minimum; only `!min` takes that away.
            Some("all") => without.extend([Group::Hardware, Group::Network, Group::Virtual]),
            Some("min") => without_min = true,
            Some(word) => without.extend(of(word)?),
            None => {
                named = true;
                wanted.extend(of(word)?);
            }
        }
    }
    if !named {
        wanted.extend(Group::ALL);
    }
    let minimum = Group::of_subset("min").unwrap_or_default();
    if without_min {
        without.extend(minimum);
    } else {
        wanted.extend(minimum);
    }
    // What is named is gathered, whatever else is left out.
    let named = words.iter().filter(|w| !w.starts_with('!') && *w != "all" && *w != "min");
    for group in named.filter_map(|w| Group::of_subset(w)).flatten() {
        without.remove(&group);
    }
    Ok(wanted.difference(&without).copied().collect())
}

fn plan(args: &SetupArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if args.gather_timeout < 1 {
        return Err(Stop::fail("`gather_timeout` must be at least 1 second"));
    }
    let groups = groups(&args.gather_subset)?;
    let asked: Vec<_> =
        groups.iter().map(|g| (*g, view.probe(g.probe(&args.fact_path, args.gather_timeout)))).collect();
    let mut facts = Map::new();
    for (group, said) in asked {
        match said {
            Ok(output) => facts.extend(group.parse(&output.stdout)),
            // What is planned may change these; the others are as good as ever.
            Err(Stop::Unknown(_)) => facts.extend(group.names().iter().map(|n| ((*n).into(), Value::Unknown))),
            Err(stop) => return Err(stop),
        }
    }
    let mut named: Map = facts.into_iter().map(|(name, value)| (format!("ansible_{name}").into(), value)).collect();
    named.insert("gather_subset".into(), Value::from(args.gather_subset.clone()));
    named.insert("module_setup".into(), Value::from(true));
    let filters: Vec<&String> = args.filter.iter().filter(|f| !f.is_empty() && *f != "*").collect();
    if !filters.is_empty() {
        named.retain(|name, _| {
            let short = name.strip_prefix("ansible_").unwrap_or(name);
            filters.iter().any(|f| matches(f, name) || matches(f, short))
        });
    }
    Ok(Decision::nothing(TaskResult::ok().with("ansible_facts", Value::map(named))))
}

/// Whether a name matches a shell pattern of `*`, `?` and `[…]`.
fn matches(pattern: &str, name: &str) -> bool {
    fn go(p: &[char], n: &[char]) -> bool {
        match (p.first(), n.first()) {
            (None, None) => true,
            (Some('*'), _) => go(&p[1..], n) || (!n.is_empty() && go(p, &n[1..])),
            (Some('?'), Some(_)) => go(&p[1..], &n[1..]),
            (Some('['), Some(c)) => match p.iter().skip(2).position(|x| *x == ']') {
                Some(end) => {
                    let set = &p[1..end + 2];
                    let (not, set) = if set[0] == '!' { (true, &set[1..]) } else { (false, set) };
                    let mut found = false;
                    let mut i = 0;
                    while i < set.len() {
                        if i + 2 < set.len() && set[i + 1] == '-' {
                            found |= set[i] <= *c && *c <= set[i + 2];
                            i += 3;
                        } else {
                            found |= set[i] == *c;
                            i += 1;
                        }
                    }
                    found != not && go(&p[end + 3..], &n[1..])
                }
                None => *c == '[' && go(&p[1..], &n[1..]),
            },
            (Some(a), Some(b)) if a == b => go(&p[1..], &n[1..]),
            _ => false,
        }
    }
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    go(&p, &n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn set(words: &[&str]) -> Vec<Group> {
        groups(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).unwrap_or_default().into_iter().collect()
    }

    #[test]
    fn subsets_as_in_ansible() {
        use Group::{Hardware, Local, Network, Platform, Time, Virtual};
        assert_eq!(set(&["all"]), Group::ALL);
        assert_eq!(set(&["min"]), [Platform, Time, Local]);
        assert_eq!(set(&["!all"]), [Platform, Time, Local]);
        assert_eq!(set(&["!all", "!min"]), []);
        assert_eq!(set(&["!all", "!min", "network"]), [Network]);
        assert_eq!(set(&["!hardware"]), [Platform, Time, Network, Virtual, Local]);
        assert_eq!(set(&["hardware"]), [Platform, Time, Hardware, Local]);
        assert_eq!(set(&["!all", "!min", "date_time"]), [Time]);
        assert!(groups(&["sparkles".to_owned()]).is_err());
    }

    #[test]
    fn all_groups_are_asked_in_one_batch_and_filtered() {
        let mut host = Fake::new().probe(|probe| {
            Some(Output::ok(if probe.script.contains("/proc/cpuinfo") && probe.script.contains("meminfo") {
                "\x1ememinfo\nMemTotal: 2048 kB\n"
            } else if probe.script.contains("os-release") {
                "\x1euname\nLinux\nweb1\n6\n1\nx86_64\n"
            } else {
                ""
            }))
        });
        let decision = host.converge("setup", json!({"filter": ["ansible_mem*", "hostname"]}));
        assert_eq!(host.rounds(), 1);
        assert!(!decision.result.changed);
        let facts = decision.result.data["ansible_facts"].as_map().cloned().unwrap_or_default();
        assert_eq!(facts["ansible_memtotal_mb"], Value::from(2));
        assert_eq!(facts["ansible_hostname"], Value::from("web1"));
        assert!(!facts.contains_key("ansible_kernel"));
    }

    #[test]
    fn patterns() {
        assert!(matches("ansible_eth[0-2]", "ansible_eth1"));
        assert!(!matches("ansible_eth[!0-2]", "ansible_eth1"));
        assert!(matches("*_mb", "ansible_memfree_mb"));
        assert!(!matches("mem?", "mem"));
    }
}
