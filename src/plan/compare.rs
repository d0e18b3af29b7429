//! Holds what is decided now against what a plan says: before any host is touched.

use super::steps::{Act, HostPlan, Outcome, Step};
use std::collections::HashMap;

/// The most differences that are told of one host.
const MOST: usize = 5;

/// What of `planned` is no longer so, in sentences about one host.
pub fn compare(planned: &HostPlan, now: &HostPlan) -> Vec<String> {
    if planned.reached && !now.reached {
        return vec!["could not be reached".to_owned()];
    }
    let by_key: HashMap<_, &Step> = now.steps.iter().map(|s| (s.key(), s)).collect();
    let before: HashMap<_, &Step> = planned.steps.iter().map(|s| (s.key(), s)).collect();
    let mut out = Vec::new();
    for step in &planned.steps {
        match by_key.get(&step.key()) {
            Some(other) => out.extend(difference(step, other).map(|why| format!("{}: {why}", step.title()))),
            None => out.push(format!(
                "{}: the plan has it ({}), and it no longer takes place",
                step.title(),
                step.outcome.words()
            )),
        }
    }
    for step in now.steps.iter().filter(|s| !before.contains_key(&s.key())) {
        out.push(format!("{}: the plan does not have it ({} now)", step.title(), step.outcome.words()));
    }
    if out.len() > MOST {
        let more = out.len() - MOST;
        out.truncate(MOST);
        out.push(format!("and {more} more"));
    }
    out
}

fn difference(planned: &Step, now: &Step) -> Option<String> {
    // A name is made of what the host says, and alone decides nothing.
    if planned.outcome != now.outcome {
        let why = match (&now.why, now.outcome) {
            (Some(why), Outcome::Fail | Outcome::Ignored) => format!(": {why}"),
            _ => shown(now.acts.first()),
        };
        let guards = changed_guards(planned.acts.first(), now.acts.first());
        let because = guards.map(|g| format!("; {g}")).unwrap_or_default();
        return Some(format!(
            "planned was {}, now it is {}{why}{because}",
            planned.outcome.words(),
            now.outcome.words()
        ));
    }
    if planned.acts.len() != now.acts.len() {
        return Some("it would take other steps than planned".to_owned());
    }
    planned.acts.iter().zip(&now.acts).find_map(|(p, n)| act(p, n))
}

fn act(planned: &Act, now: &Act) -> Option<String> {
    let drawn = planned.drawn;
    if planned.aim != now.aim && !drawn {
        return Some("its arguments are no longer those that were planned (a variable or a fact differs)".to_owned());
    }
    if let Some(changed) = changed_guards(Some(planned), Some(now)) {
        return Some(changed);
    }
    if planned.actions != now.actions && !drawn {
        if planned.shows == now.shows {
            return Some("it would write something else than planned".to_owned());
        }
        let (before, after) = (list(&planned.shows), list(&now.shows));
        return Some(format!("planned was to {before}, now it would {after}"));
    }
    (planned.known != now.known).then(|| "it rests on something else than planned".to_owned())
}

fn changed_guards(planned: Option<&Act>, now: Option<&Act>) -> Option<String> {
    let (planned, now) = (planned?, now?);
    let mut changed: Vec<&str> = Vec::new();
    for (before, after) in planned.guard.iter().zip(&now.guard) {
        if before.about != after.about {
            return Some("it looks at other things than planned".to_owned());
        }
        if before.digest != after.digest && !changed.contains(&before.about.as_str()) {
            changed.push(&before.about);
        }
    }
    if changed.is_empty() {
        return (planned.guard.len() != now.guard.len()).then(|| "it looks at other things than planned".to_owned());
    }
    if changed == [""] {
        return Some("what it rests on is not as it was when the plan was made".to_owned());
    }
    Some(format!("{} is not as it was when the plan was made", changed.join(", ")))
}

fn shown(act: Option<&Act>) -> String {
    match act {
        Some(act) if !act.shows.is_empty() => format!(" ({})", list(&act.shows)),
        _ => String::new(),
    }
}

fn list(shows: &[String]) -> String {
    if shows.is_empty() { "do something that may not be told".to_owned() } else { shows.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Guard;

    fn step(at: u32, outcome: Outcome, acts: Vec<Act>) -> Step {
        Step {
            play: 0,
            at: vec![0, at],
            item: 0,
            task: format!("task {at}"),
            label: None,
            outcome,
            assumed: false,
            acts,
            why: None,
        }
    }

    fn an_act(aim: &str, actions: &str, shows: &str, guard: &str) -> Act {
        Act {
            round: 0,
            known: true,
            drawn: false,
            aim: aim.into(),
            actions: actions.into(),
            shows: vec![shows.into()],
            guard: vec![Guard { about: "/x".into(), digest: guard.into() }],
        }
    }

    fn host(steps: Vec<Step>) -> HostPlan {
        HostPlan { reached: true, inventory: String::new(), steps }
    }

    #[test]
    fn the_same_is_the_same() {
        let plan = host(vec![step(1, Outcome::Change, vec![an_act("a", "b", "c", "d")]), step(2, Outcome::Ok, vec![])]);
        assert_eq!(compare(&plan, &plan), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_told_with_its_reason() {
        let planned = |outcome, act: &Act| host(vec![step(1, outcome, vec![act.clone()])]);
        let act = an_act("a", "b", "create /x", "d");
        let told = |now: &HostPlan| compare(&planned(Outcome::Change, &act), now).join("\n");
        let now = host(vec![step(1, Outcome::Ok, vec![])]);
        assert_eq!(told(&now), "`task 1`: planned was a change, now it is nothing to do");
        let now = planned(Outcome::Change, &an_act("a", "e", "replace /x", "other"));
        assert_eq!(told(&now), "`task 1`: /x is not as it was when the plan was made");
        let now = planned(Outcome::Change, &an_act("z", "b", "create /x", "d"));
        assert!(told(&now).contains("its arguments are no longer"), "{}", told(&now));
        let now = planned(Outcome::Change, &an_act("a", "e", "create /x", "d"));
        assert_eq!(told(&now), "`task 1`: it would write something else than planned");
        let now = planned(Outcome::Change, &an_act("a", "e", "touch /x", "d"));
        assert_eq!(told(&now), "`task 1`: planned was to create /x, now it would touch /x");
        let failing = Step { why: Some("no such user".into()), ..step(1, Outcome::Fail, vec![]) };
        assert_eq!(told(&host(vec![failing])), "`task 1`: planned was a change, now it is a failure: no such user");
        assert!(told(&host(vec![])).contains("it no longer takes place"));
        let more = host(vec![step(1, Outcome::Change, vec![act.clone()]), step(7, Outcome::Change, vec![])]);
        assert_eq!(told(&more), "`task 7`: the plan does not have it (a change now)");
        let lost = HostPlan { reached: false, ..HostPlan::default() };
        assert_eq!(told(&lost), "could not be reached");
    }

    #[test]
    fn what_is_drawn_at_random_is_no_difference() {
        let drawn = |aim: &str| Act { drawn: true, ..an_act(aim, aim, "create /x", "d") };
        let of = |aim: &str| host(vec![step(1, Outcome::Change, vec![drawn(aim)])]);
        assert_eq!(compare(&of("a"), &of("b")), Vec::<String>::new());
    }

    #[test]
    fn many_differences_are_counted() {
        let planned = host((0..9).map(|n| step(n, Outcome::Ok, vec![])).collect());
        let told = compare(&planned, &host(vec![]));
        assert_eq!((told.len(), told[5].as_str()), (6, "and 4 more"));
    }
}
