//! Taking hosts out of the balancer before they stop answering, and back in. `blue_green` needs neither.

use super::far::Extra;
use super::fleet::{Fleet, Halt};
use crate::playbook::deploy::{BalancerKind, Strategy};
use serde_json::{Value, json};

/// What is asked of a balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Check,
    Leave,
    Enter,
}

impl Fleet {
    /// Whether hosts are taken out of a balancer before they stop: there is one, and somebody else to take the requests.
    pub fn balanced(&self) -> bool {
        self.spec.args.strategy == Strategy::Restart
            && !self.balancers.is_empty()
            && self.web(&self.everyone()).len() > 1
    }

    /// Whether each of these hosts could be taken out. Nothing is changed.
    ///
    /// # Errors
    /// The balancer can't be asked, or does not know a host.
    pub async fn check_balancer(&self, places: &[usize]) -> Result<(), Halt> {
        if self.spec.args.strategy != Strategy::Restart {
            return Ok(());
        }
        if !self.balanced() {
            self.notice(None, "`strategy: restart`, and nobody else takes the requests (`balancer`): they fail from when the old release stops until the new one is healthy");
            return Ok(());
        }
        self.balance(places, Ask::Check).await
    }

    /// Takes hosts out; what comes from then on goes to the others.
    ///
    /// # Errors
    /// The balancer did not do it, or this run no longer holds the lock.
    pub async fn leave(&self, places: &[usize]) -> Result<(), Halt> {
        if !self.balanced() {
            return Ok(());
        }
        // The balancer knows nothing of the application's lock, so it is looked at just before.
        for &place in places {
            let alive = super::fleet::patiently(&self.fars[place], "alive", &json!({}), &Extra::default()).await;
            alive.map_err(|error| Halt::Failed { host: self.name(place).clone(), step: "alive".to_owned(), error })?;
        }
        self.balance(places, Ask::Leave).await
    }

    /// Puts hosts back in. Those that are in stay so.
    ///
    /// # Errors
    /// The balancer did not do it.
    pub async fn enter(&self, places: &[usize]) -> Result<(), Halt> {
        if self.balanced() { self.balance(places, Ask::Enter).await } else { Ok(()) }
    }

    async fn balance(&self, places: &[usize], ask: Ask) -> Result<(), Halt> {
        let args = &self.spec.args;
        let servers: Vec<&str> = places.iter().map(|&p| self.spec.members[p].as_str()).collect();
        if servers.is_empty() {
            return Ok(());
        }
        let asked = json!({
            "balancer": args.balancer_kind.word(), "balancer_path": args.balancer_path,
            "balancer_backend": args.balancer_backend, "servers": servers,
            "enter": ask == Ask::Enter, "check": ask == Ask::Check,
        });
        for far in &self.balancers {
            let answer = super::fleet::patiently(far, "balance", &asked, &Extra::default()).await;
            let answer = answer.map_err(|error| Halt::Failed {
                host: far.name().clone(),
                step: "balancer".to_owned(),
                error,
            })?;
            let list = |name: &str| -> Vec<String> {
                let items = answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let (changed, by_hand) = (list("changed"), list("by_hand"));
            if !changed.is_empty() {
                let what = if ask == Ask::Enter { "is back in" } else { "is out of" };
                self.notice(None, format!("{} {what} the balancer {}", changed.join(", "), far.name()));
            }
            if !by_hand.is_empty() && ask != Ask::Enter {
                let text = format!("{} was taken out of {} by hand, and stays out", by_hand.join(", "), far.name());
                self.notice(None, text);
            }
        }
        Ok(())
    }
}

/// How a balancer calls a host, if no variable of it says so.
pub fn variable_of(kind: BalancerKind) -> &'static str {
    match kind {
        BalancerKind::Nginx => "balancer_address",
        BalancerKind::Haproxy => "balancer_name",
    }
}
