//! One deploy at a time: the lock of an application over all of its hosts.

use super::far::{CallError, Extra};
use super::fleet::{Fleet, Halt, Who};
use super::survey::{Lock, Survey};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Whether the holder of a lock lives, as far as this side can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It gave a sign of life not long ago, or can't be judged yet.
    Lives,
    /// It ran on this machine, and its process is gone; or it has been silent for too long.
    Dead,
}

/// Judges the holder of a lock. `gone` says whether a process of this machine has ended.
pub fn life(lock: &Lock, who: &Who, expires: u64, gone: &dyn Fn(u32) -> bool) -> Life {
    let here = !lock.machine.is_empty() && lock.machine == who.machine;
    if here && gone(lock.process) || lock.silent > expires { Life::Dead } else { Life::Lives }
}

/// Whether a process of this machine has ended (proc(5)).
pub fn ended(process: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{process}")).exists()
}

/// Tells who holds a lock, for people.
pub fn told(lock: &Lock) -> String {
    let silent = match lock.silent {
        0..60 => format!("{} s", lock.silent),
        60..7200 => format!("{} min", lock.silent / 60),
        _ => format!("{} h", lock.silent / 3600),
    };
    format!("{} ({}) since {}, last sign of life {silent} ago", lock.owner, lock.reason, lock.since)
}

impl Fleet {
    /// Takes the lock on these hosts, the first by name before the others, so that two runs can't each hold half. What is
    /// on the hosts then.
    ///
    /// # Errors
    /// Somebody else holds it and lives; a host is lost. What was taken is given back.
    pub async fn lock(
        &self,
        places: &[usize],
        surveys: &[(usize, Survey)],
        reason: &str,
        take_over: bool,
    ) -> Result<Vec<(usize, Survey)>, Halt> {
        let mine = |s: &Survey| s.lock.as_ref().is_some_and(|l| l.token == self.token);
        let has: Vec<usize> = surveys.iter().filter(|(_, s)| mine(s)).map(|(p, _)| *p).collect();
        let locked = self.lock_others(places, surveys, reason, take_over, &has).await;
        if locked.is_err() {
            self.unlock(&has).await;
        }
        let mut found = locked?;
        // What was looked at under the lock already need not be looked at again.
        found.extend(surveys.iter().filter(|(p, _)| has.contains(p)).cloned());
        found.sort_by_key(|(p, _)| *p);
        Ok(found)
    }

    /// What the operation `lock` is told.
    pub(super) fn locking(&self, hosts: &[usize], reason: &str) -> serde_json::Value {
        let hosts: Vec<String> = hosts.iter().map(|&p| self.name(p).to_string()).collect();
        json!({
            "owner": self.who.owner, "machine": self.who.machine, "process": self.who.process,
            "reason": reason, "hosts": hosts,
        })
    }

    async fn lock_others(
        &self,
        places: &[usize],
        surveys: &[(usize, Survey)],
        reason: &str,
        take_over: bool,
        has: &[usize],
    ) -> Result<Vec<(usize, Survey)>, Halt> {
        let expires = u64::try_from(self.spec.args.lock_expires).unwrap_or(120);
        // Alive on one host is alive on all of them.
        for (place, survey) in surveys {
            let Some(held) = survey.lock.as_ref().filter(|l| l.token != self.token) else { continue };
            let least = surveys.iter().filter_map(|(_, s)| s.lock.as_ref()).filter(|l| l.token == held.token);
            let silent = least.map(|l| l.silent).min().unwrap_or(held.silent);
            let held = Lock { silent, ..held.clone() };
            if !take_over && life(&held, &self.who, expires, &ended) == Life::Lives {
                return Err(Halt::wrong(
                    "locked",
                    format!(
                        "{} is locked on {} by {}. Wait for it; if it is surely dead: windlass unlock, or --take-over",
                        self.spec.args.app,
                        self.name(*place),
                        told(&held)
                    ),
                ));
            }
        }
        let mut order = places.to_vec();
        order.sort_by_key(|&p| self.name(p).clone());
        let over = |place: usize| {
            surveys.iter().find(|(p, _)| *p == place).and_then(|(_, s)| s.lock.as_ref()).map(|l| l.token.clone())
        };
        let mut found = Vec::new();
        // Who has the first host has them all; the others follow at once.
        let (first, rest) = order.split_at(order.len().min(1));
        for group in [first, rest] {
            let mut running = JoinSet::new();
            for &place in group.iter().filter(|p| !has.contains(p)) {
                let far = Arc::clone(&self.fars[place]);
                let mut asked = self.locking(places, reason);
                asked["over"] = json!(over(place));
                running.spawn(async move { (place, far.call("lock", asked, Extra::default()).await) });
            }
            let mut problem = None;
            while let Some(Ok((place, answer))) = running.join_next().await {
                match answer.map(|mut answer| (answer["taken"] == true, answer["look"].take(), answer)) {
                    Ok((true, look, answer)) => {
                        if let Ok(lock) = serde_json::from_value::<Lock>(answer["over"].clone()) {
                            self.notice(Some(place), format!("took over the lock of {}", told(&lock)));
                        }
                        match Survey::read(look) {
                            Ok(survey) => found.push((place, survey)),
                            Err(error) => problem = Some(Halt::wrong("look", format!("{}: {error}", self.name(place)))),
                        }
                    }
                    Ok((false, _, answer)) => {
                        let who = serde_json::from_value::<Lock>(answer["held"].clone())
                            .map(|l| told(&l))
                            .unwrap_or_default();
                        let text =
                            format!("{} was locked on {} just now by {who}", self.spec.args.app, self.name(place));
                        problem = Some(Halt::wrong("locked", text));
                    }
                    Err(error) => {
                        let host = self.name(place).clone();
                        problem = Some(Halt::Failed { host, step: "lock".to_owned(), error });
                    }
                }
            }
            if let Some(problem) = problem {
                let taken: Vec<usize> = found.iter().map(|(p, _)| *p).collect();
                self.unlock(&taken).await;
                return Err(problem);
            }
        }
        Ok(found)
    }

    /// Gives the lock back where it is still this run's.
    pub async fn unlock(&self, places: &[usize]) {
        let mut running = JoinSet::new();
        for &place in places {
            let far = Arc::clone(&self.fars[place]);
            running.spawn(async move { (place, far.call("unlock", json!({}), Extra::default()).await) });
        }
        while let Some(Ok((place, answer))) = running.join_next().await {
            match answer {
                Ok(_) | Err(CallError::Refused { .. }) => {}
                Err(error) => self.notice(
                    Some(place),
                    format!(
                        "the lock could not be given back ({error}); it expires after {} s",
                        self.spec.args.lock_expires
                    ),
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(machine: &str, silent: u64) -> Lock {
        Lock {
            token: "t".into(),
            owner: "anna@laptop".into(),
            machine: machine.into(),
            process: 7,
            reason: "deploy".into(),
            since: "2026-01-01T00:00:00Z".into(),
            silent,
        }
    }

    #[test]
    fn an_owner_is_dead_when_its_process_is_gone_or_it_has_been_silent() {
        let who = Who { owner: "ben@ci".into(), machine: "m1".into(), process: 9 };
        assert_eq!(life(&lock("m1", 1), &who, 120, &|_| true), Life::Dead);
        assert_eq!(life(&lock("m1", 1), &who, 120, &|_| false), Life::Lives);
        // A process of another machine can't be looked for.
        assert_eq!(life(&lock("m2", 1), &who, 120, &|_| true), Life::Lives);
        assert_eq!(life(&lock("m2", 121), &who, 120, &|_| false), Life::Dead);
        assert_eq!(life(&lock("", 1), &Who { machine: String::new(), ..who }, 120, &|_| true), Life::Lives);
    }

    #[test]
    fn silence_is_told_in_words() {
        assert!(told(&lock("m", 5)).ends_with("last sign of life 5 s ago"));
        assert!(told(&lock("m", 600)).ends_with("10 min ago"));
    }
}
