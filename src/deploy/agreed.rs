//! What a saved plan says of one play's deploy, and whether it is still so.

use super::fleet::Fleet;
use super::source::Packed;
use super::survey::Survey;
use super::target::Target;
use crate::plan::Seal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A deploy as it was planned. Holds no value of a setting: digests by the plan's [`Seal`], and names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Agreed {
    /// The application.
    pub app: String,
    /// Whether there is anything to do.
    pub changes: bool,
    /// The release that is to serve, also where it has to be made first.
    pub release: String,
    /// Whether it is made by this deploy.
    pub fresh: bool,
    /// The source, without credentials.
    pub source: String,
    /// Digest of its files.
    pub tree: String,
    /// Its commit, where it has one.
    pub commit: Option<String>,
    /// The branch or tag by which the commit was found.
    pub found_as: Option<String>,
    /// What was asked for on the command line.
    pub asked: Asked,
    /// A digest of what `deploy` came to in the playbook.
    pub settings: String,
    /// The files that say what is installed: a digest of each.
    pub requirements: BTreeMap<String, String>,
    /// The pending migrations; none where only the release that is still to be built can tell them.
    pub migrations: Option<Vec<String>>,
    /// Whether the play's own tasks change hosts before the deploy.
    pub prepared: bool,
    /// The hosts that take part.
    pub hosts: BTreeMap<String, AgreedHost>,
    /// What runs where, in order.
    pub steps: Vec<PlannedStep>,
}

/// What the command line said beside the play.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Asked {
    /// `--ref`.
    pub reference: Option<String>,
    /// `--allow-unsafe-migrations`.
    pub allow_unsafe: bool,
    /// `--allow-unreachable`.
    pub allow_unreachable: bool,
    /// `--again`.
    pub again: bool,
}

/// A host as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AgreedHost {
    /// What served.
    pub serving: Option<String>,
    /// Whether the release is brought to it.
    pub changes: bool,
    /// The digest of its environment file, by a key that never leaves the host.
    pub environment: Option<String>,
    /// The deploy that was left unfinished there.
    pub unfinished: Option<String>,
    /// Who held the lock.
    pub locked: Option<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Its phase.
    pub phase: String,
    /// The hosts.
    pub hosts: Vec<String>,
    /// What happens, for people.
    pub what: String,
}

impl AgreedHost {
    /// A host as it is.
    pub fn of(survey: &Survey, changes: bool) -> Self {
        let unfinished = survey.unfinished().map(|(entry, phase)| {
            let kind = entry.kind.as_deref().unwrap_or("deploy");
            format!("a {kind} by {} that ended at `{phase}`", entry.by.as_deref().unwrap_or("?"))
        });
        Self {
            serving: survey.release().map(str::to_owned),
            changes,
            environment: survey.environment.clone(),
            unfinished,
            locked: survey.lock.as_ref().map(|lock| lock.owner.clone()),
        }
    }
}

impl Agreed {
    /// What of the plan is no longer so, in sentences; `now` is the same deploy planned again, with digests by the same
    /// seal.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut out = Vec::new();
        if self.app != now.app {
            return vec![format!("the plan deploys {}, and the playbook {}", self.app, now.app)];
        }
        out.extend(self.source_differs(&now.tree));
        if self.settings != now.settings {
            out.push("what `deploy` comes to is not what it was (a variable differs)".to_owned());
        }
        for (name, planned) in &self.hosts {
            match now.hosts.get(name) {
                None => out.push(format!("{name}: could not be reached")),
                Some(host) => out.extend(planned.differences(host, true).into_iter().map(|d| format!("{name}: {d}"))),
            }
        }
        match (&self.migrations, &now.migrations) {
            (Some(before), Some(after)) => out.extend(migrations_differ(before, after)),
            (Some(_), None) => out.push("the pending migrations can't be read any more".to_owned()),
            (None, _) => {}
        }
        let open = |a: &Self| a.hosts.iter().filter(|(_, h)| h.changes).map(|(n, _)| n.clone()).collect::<Vec<_>>();
        if out.is_empty() && (self.release != now.release || self.fresh != now.fresh || open(self) != open(now)) {
            let words = |a: &Self| {
                if a.changes {
                    format!("bring {} to {}", a.release, open(a).join(", "))
                } else {
                    "do nothing".to_owned()
                }
            };
            out.push(format!("the plan was to {}, and now the deploy would {}", words(self), words(now)));
        }
        out
    }

    /// What forbids to begin, under the lock: of hosts by name, and of the source.
    pub fn forbids(&self, surveys: &[(String, &Survey)], packed: &Packed) -> Vec<String> {
        let mut out: Vec<String> = self.source_differs(&packed.tree).into_iter().collect();
        for (name, survey) in surveys {
            let Some(planned) = self.hosts.get(name) else { continue };
            // What was unfinished has been put right by now, and that changes what serves.
            if planned.unfinished.is_some() {
                continue;
            }
            let now = AgreedHost { locked: None, ..AgreedHost::of(survey, planned.changes) };
            out.extend(planned.differences(&now, !self.prepared).into_iter().map(|d| format!("{name}: {d}")));
        }
        out
    }

    /// Whether the release that would be made, or brought to hosts, under the lock is the planned one. The play's own
    /// tasks may have changed the environment, which makes a new release of the same files.
    pub fn means(&self, release: &str, fresh: bool, any: bool) -> bool {
        if !any {
            return !self.changes;
        }
        self.changes && self.release == release && self.fresh == fresh || self.prepared && fresh
    }

    /// What the migrations that are pending now say against the plan.
    pub fn forbids_migrations(&self, pending: &[String]) -> Vec<String> {
        self.migrations.as_ref().map(|planned| migrations_differ(planned, pending)).unwrap_or_default()
    }

    fn source_differs(&self, tree: &str) -> Option<String> {
        let short = |t: &str| t[..t.len().min(9)].to_owned();
        (self.tree != tree).then(|| {
            format!(
                "the files of {} are not those that the plan was made from (their digest was {}…, and is {}…)",
                self.source,
                short(&self.tree),
                short(tree)
            )
        })
    }
}

impl AgreedHost {
    fn differences(&self, now: &Self, environment: bool) -> Vec<String> {
        let mut out = Vec::new();
        if self.serving != now.serving {
            let words = |s: &Option<String>| s.clone().unwrap_or_else(|| "nothing".to_owned());
            out.push(format!(
                "{} served when the plan was made, and {} serves now: somebody has deployed meanwhile",
                words(&self.serving),
                words(&now.serving)
            ));
        }
        // Without its key, which the first deploy makes, a host tells no digest.
        let changed = self.environment.as_ref().zip(now.environment.as_ref()).is_some_and(|(a, b)| a != b);
        if environment && changed {
            out.push("its environment file is not as it was when the plan was made".to_owned());
        }
        if let Some(owner) = &now.locked {
            out.push(format!("is locked now by {owner}"));
        }
        match (&self.unfinished, &now.unfinished) {
            (before, Some(after)) if before.as_ref() != Some(after) => {
                out.push(format!("there is {after}, which the plan does not know of"));
            }
            (Some(_), None) => out.push("what was left unfinished there has been put right meanwhile".to_owned()),
            _ => {}
        }
        out
    }
}

fn migrations_differ(before: &[String], after: &[String]) -> Vec<String> {
    let gone =
        before.iter().filter(|m| !after.contains(m)).map(|m| format!("migration {m} was pending, and is not any more"));
    let new = after
        .iter()
        .filter(|m| !before.contains(m))
        .map(|m| format!("migration {m} is pending, and was not when the plan was made"));
    gone.chain(new).collect()
}

impl Fleet {
    /// Why a saved plan forbids to begin, under the lock.
    pub(super) fn forbidden(
        &self,
        planned: &Agreed,
        taking: &[(usize, &Survey)],
        packed: &Packed,
        target: &Target,
        any: bool,
    ) -> Option<String> {
        let named: Vec<(String, &Survey)> = taking.iter().map(|(p, s)| (self.name(*p).to_string(), *s)).collect();
        let mut reasons = planned.forbids(&named, packed);
        let unfinished = planned.hosts.values().any(|h| h.unfinished.is_some());
        // With `--again`, the release is made whatever the hosts say.
        let fresh = target.fresh || target.open.is_empty();
        let release = if target.open.is_empty() { &planned.release } else { &target.release };
        if reasons.is_empty() && !unfinished && !planned.means(release, fresh, any) {
            reasons.push(format!("the plan was about {}, and now it would be {}", planned.release, target.release));
        }
        (!reasons.is_empty()).then(|| {
            format!(
                "what the plan was made from is no longer the same; nothing is deployed: {}: make a new plan",
                reasons.join("; ")
            )
        })
    }
}

/// A plan of a deploy, before its digests are made.
#[derive(Debug, Clone)]
pub struct Unsealed {
    pub(super) agreed: Agreed,
    /// What is to be digested as `settings`: may hold secrets.
    pub(super) settings: String,
}

impl Unsealed {
    /// With its digests, and with known secrets masked in what is for people.
    pub fn sealed(&self, seal: &Seal) -> Agreed {
        let mut agreed = self.agreed.clone();
        agreed.settings = seal.slow(&seal.text("deploy", &self.settings));
        for digest in agreed.requirements.values_mut() {
            *digest = seal.bytes("requirements", digest.as_bytes());
        }
        for step in &mut agreed.steps {
            step.what = seal.masked(&step.what);
        }
        agreed.source = seal.masked(&agreed.source);
        agreed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::survey::tests::survey;
    use super::*;
    use crate::values::Redactor;
    use std::sync::Arc;

    fn plan() -> Agreed {
        let host = |env: &str| AgreedHost {
            serving: Some("r1".into()),
            changes: true,
            environment: Some(env.into()),
            ..AgreedHost::default()
        };
        Agreed {
            app: "shop".into(),
            changes: true,
            release: "r2".into(),
            fresh: true,
            source: "/src/shop".into(),
            tree: "0123456789abcdef".into(),
            migrations: Some(vec!["shop.0002_more".into()]),
            hosts: [("web1".to_owned(), host("e1")), ("web2".to_owned(), host("e2"))].into(),
            ..Agreed::default()
        }
    }

    fn host(plan: &mut Agreed) -> &mut AgreedHost {
        plan.hosts.get_mut("web1").unwrap()
    }

    #[test]
    fn the_same_is_the_same() {
        assert_eq!(plan().differences(&plan()), Vec::<String>::new());
    }

    #[test]
    fn each_difference_has_its_reason() {
        let told = |change: &dyn Fn(&mut Agreed)| {
            let mut now = plan();
            change(&mut now);
            plan().differences(&now).join("\n")
        };
        assert!(
            told(&|n| host(n).serving = Some("r3".into()))
                .starts_with("web1: r1 served when the plan was made, and r3 serves now")
        );
        assert!(
            told(&|n| host(n).environment = Some("e9".into())).contains("web1: its environment file is not as it was")
        );
        assert_eq!(told(&|n| host(n).environment = None), "");
        assert_eq!(told(&|n| host(n).locked = Some("ben@ci".into())), "web1: is locked now by ben@ci");
        assert!(told(&|n| host(n).unfinished = Some("a deploy by ben".into())).contains("there is a deploy by ben"));
        assert_eq!(told(&|n| drop(n.hosts.remove("web2"))), "web2: could not be reached");
        assert!(told(&|n| n.tree = "ffff".into()).contains("the files of /src/shop are not those"));
        assert!(told(&|n| n.settings = "x".into()).contains("a variable differs"));
        assert_eq!(told(&|n| n.migrations = Some(vec![])), "migration shop.0002_more was pending, and is not any more");
        let more = told(&|n| n.migrations.as_mut().unwrap().push("shop.0003_x".into()));
        assert_eq!(more, "migration shop.0003_x is pending, and was not when the plan was made");
        assert!(told(&|n| n.migrations = None).contains("can't be read"));
        assert!(told(&|n| n.changes = false).is_empty(), "follows from hosts");
        assert!(
            told(&|n| host(n).changes = false)
                .contains("the plan was to bring r2 to web1, web2, and now the deploy would bring r2 to web2")
        );
    }

    #[test]
    fn under_the_lock_serving_and_environment_are_looked_at_once_more() {
        let mut plan = plan();
        plan.hosts.get_mut("web1").unwrap().environment = survey(Some("r1"), &["r1"]).environment;
        let of = |plan: &Agreed, now: &Survey| {
            let found = plan.hosts["web1"].differences(&AgreedHost::of(now, true), !plan.prepared);
            found.join("\n")
        };
        assert_eq!(of(&plan, &survey(Some("r1"), &["r1"])), "");
        assert!(of(&plan, &survey(Some("r0"), &["r0"])).contains("r0 serves now"));
        let mut other = survey(Some("r1"), &["r1"]);
        plan.hosts.get_mut("web1").unwrap().environment = Some("before".into());
        other.environment = Some("after".into());
        assert!(of(&plan, &other).contains("environment"));
        plan.prepared = true;
        assert_eq!(of(&plan, &other), "", "the play's own tasks may have changed it");
    }

    #[test]
    fn a_sealed_plan_holds_no_setting() {
        let redactor = Arc::new(Redactor::new());
        redactor.add("hunter22hunter22");
        let seal = Seal::new(redactor).unwrap();
        let mut agreed = plan();
        agreed.requirements.insert("requirements.txt".into(), "sha".into());
        agreed.steps =
            vec![PlannedStep { phase: "hook".into(), hosts: vec![], what: "run x --pin hunter22hunter22".into() }];
        let unsealed = Unsealed { agreed, settings: "index https://user:s3cretpw@pypi/".into() };
        let sealed = unsealed.sealed(&seal);
        let text = serde_json::to_string(&sealed).unwrap();
        assert!(!text.contains("s3cretpw") && !text.contains("hunter22hunter22"), "{text}");
        assert_eq!(sealed, unsealed.sealed(&seal));
        let other = Unsealed { settings: "index https://user:other@pypi/".into(), ..unsealed.clone() };
        assert_ne!(sealed.settings, other.sealed(&seal).settings);
        assert_ne!(sealed.requirements["requirements.txt"], "sha");
    }
}
