//! Holding hosts together: what the failure of one means for the others (`any_errors_fatal`, `max_fail_percentage`).
//!
//! Under `linear`, a step of a task with such a keyword is over only when all hosts of the batch have finished it. Each
//! host's failure is noted on the board with its place, so that all come to the same verdict at the same step. Looking
//! ahead passes such a step, but sends no actions beyond it before the others are there; questions run ahead, so that a
//! run that changes nothing pays for none of this.

use super::code::Unit;
use super::play::Runner;
use super::state::{HostState, Settling};
use super::step::{Advance, Walker};
use crate::modules::args::FromValue;
use crate::playbook::{Play, Strategy};
use crate::source::{Diagnostic, Node, Span};
use crate::values::{EvalError, Map, Scope, Value};
use std::sync::Arc;

/// What a play says of failures, with its templates rendered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rules {
    /// `force_handlers`, where the play says it.
    pub force_handlers: Option<bool>,
    /// `max_fail_percentage`.
    pub max_fail: Option<f64>,
}

/// A failure of a host, for the others.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where.
    pub position: Vec<u32>,
    /// Whose.
    pub host: Arc<str>,
    /// Whether it is one for all (`any_errors_fatal`).
    pub fatal: bool,
    /// Whether nothing catches it, so that the host is out.
    pub out: bool,
}

impl Walker<'_> {
    pub(super) fn linear(&self) -> bool {
        self.compiled.play.strategy == Strategy::Linear
    }

    /// Whether `any_errors_fatal` holds for a task.
    pub fn fatal(&self, st: &HostState, unit: &Unit) -> bool {
        if unit.context.innermost(&unit.task.keywords, |k| k.any_errors_fatal.as_ref()).is_none() {
            return false;
        }
        let env = self.env(st, &unit.context, Some(unit), Map::new());
        self.flag(unit, &env, |k| k.any_errors_fatal.as_ref()).ok().flatten().unwrap_or(false)
    }

    /// Whether the facts of a task are kept for the host that it is delegated to.
    pub(super) fn gives(&self, st: &HostState, unit: &Unit) -> bool {
        let own = &unit.task.keywords;
        if unit.context.innermost(own, |k| k.delegate_facts.as_ref()).is_none()
            || unit.context.innermost(own, |k| k.delegate_to.as_ref()).is_none()
        {
            return false;
        }
        let env = self.env(st, &unit.context, Some(unit), Map::new());
        self.flag(unit, &env, |k| k.delegate_facts.as_ref()).ok().flatten().unwrap_or(false)
    }

    /// Takes over what other hosts found out for this one.
    pub(super) fn take_gifts(&self, st: &mut HostState) {
        if st.speculative {
            return;
        }
        for gift in self.board.take_gifts(self.host) {
            gift.add(&mut st.registered, &mut st.facts);
        }
    }

    /// Whether all hosts finish a task before any goes on.
    pub(super) fn held(&self, st: &HostState, unit: &Unit) -> bool {
        self.linear()
            && self.board.batch.len() > 1
            && !st.flushing_failed
            && (self.board.rules.max_fail.is_some() || self.fatal(st, unit) || self.gives(st, unit))
    }

    /// The beginning of a step that all hosts come to together.
    pub(super) fn hold(&self, st: &mut HostState, unit: &Unit) -> Option<Advance> {
        if !self.held(st, unit) || self.board.others_reached(self.host, &st.position()) {
            return None;
        }
        if st.speculative {
            st.behind = true;
            return None;
        }
        Some(self.wait_for_all())
    }

    pub(super) fn wait_for_all(&self) -> Advance {
        Advance::WaitHosts(self.board.batch.iter().filter(|h| *h != self.host).cloned().collect())
    }

    /// Tells the other hosts of a failure. `fatal`: it is one for all. `released`: as for [`HostState::fail`].
    pub(super) fn note_failure(&self, st: &HostState, fatal: bool, released: Option<usize>) {
        if st.speculative || st.flushing_failed {
            return;
        }
        if fatal && !self.linear() {
            self.board.abort(format!("`any_errors_fatal` is set, and {} failed", self.host));
            return;
        }
        let out = !st.clone().fail(released);
        let failure = Failure { position: st.position(), host: Arc::clone(self.host), fatal, out };
        self.board.note_failure(failure);
    }

    /// Tells the other hosts that this one can't be reached, where that is the end for all.
    pub fn note_unreachable(&self, st: &HostState) {
        let fatal = st.flight.as_ref().is_some_and(|f| self.fatal(st, &f.unit));
        if fatal && self.linear() {
            let failure = Failure { position: st.position(), host: Arc::clone(self.host), fatal, out: false };
            self.board.note_failure(failure);
        } else if fatal {
            self.board.abort(format!("`any_errors_fatal` is set, and {} is unreachable", self.host));
        }
    }

    /// Whether another host has failed for all at a place before this one, which this host has not heeded yet.
    pub(super) fn overtaken(&self, st: &HostState) -> bool {
        !st.speculative
            && !st.flushing_failed
            && st.settling.is_none()
            && self.board.any_fatal()
            && self.board.fatal_until(&st.position(), false) > st.fatal_seen
    }

    /// Fails because another host did.
    pub(super) fn fail_along(&self, st: &mut HostState) {
        st.fatal_seen = self.board.fatal_until(&st.position(), true);
        st.along = true;
        self.fail(st, None);
    }

    /// The end of a step that all hosts finish together.
    pub(super) fn settle(&self, st: &mut HostState, settling: Settling) -> Advance {
        let position = st.position();
        let all_here = self.board.others_reached(self.host, &position);
        if !all_here && !st.speculative {
            return self.wait_for_all();
        }
        let fatal = self.board.fatal_until(&position, true);
        let along = fatal > st.fatal_seen;
        st.settling = None;
        if st.speculative {
            // Where all others are out, they are here; whether this one goes on is for the verdict below.
            st.behind |= !all_here || along || self.board.too_many_failed(&position);
        } else {
            st.fatal_seen = fatal;
            self.take_gifts(st);
        }
        match settling {
            Settling::Failed => self.fail(st, None),
            Settling::Passed if along && !st.speculative => {
                st.along = true;
                self.fail(st, None);
            }
            Settling::Passed => st.step(),
        }
        if !st.speculative && self.board.too_many_failed(&position) {
            self.board.abort("`max_fail_percentage` is exceeded".to_owned());
            st.stop();
        }
        Advance::Moved
    }
}

impl Runner {
    /// What the play says of failures.
    pub(super) fn rules(&self, play: &Play, scope: &Arc<dyn Scope>) -> Result<Rules, Vec<Diagnostic>> {
        let render = |node: &Option<Node>| -> Result<Option<(Value, Span)>, Vec<Diagnostic>> {
            let Some(node) = node else { return Ok(None) };
            match self.shared.templar.render_node(node, scope) {
                Ok(Value::Null | Value::Omit) => Ok(None),
                Ok(value) => Ok(Some((value, node.span.clone()))),
                Err(EvalError::Failed(problem)) => Err(vec![*problem]),
                Err(EvalError::Wait) => {
                    let text = "a play's own keywords can't use what other hosts find out";
                    Err(vec![Diagnostic::error("play", text, &node.span)])
                }
            }
        };
        let force_handlers = render(&play.force_handlers)?
            .map(|(value, span)| {
                <bool as FromValue>::from_value(&value).map_err(|expected| {
                    let text = format!("`force_handlers`: expected {expected}, not {}", value.describe());
                    vec![Diagnostic::error("force-handlers", text, &span)]
                })
            })
            .transpose()?;
        let max_fail = render(&play.max_fail_percentage)?
            .map(|(value, span)| {
                percentage(&value).ok_or_else(|| {
                    let text = format!("`max_fail_percentage` is a number or a percentage, not `{value}`");
                    vec![Diagnostic::error("max-fail-percentage", text, &span)]
                })
            })
            .transpose()?;
        Ok(Rules { force_handlers, max_fail })
    }
}

fn percentage(value: &Value) -> Option<f64> {
    let text = value.to_string();
    text.trim().trim_end_matches('%').trim_end().parse().ok().filter(|n: &f64| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::super::board::exceeds;
    use super::*;

    #[test]
    fn a_percentage_is_a_number_with_or_without_its_sign() {
        assert_eq!(percentage(&Value::from("30%")), Some(30.0));
        assert_eq!(percentage(&Value::from(12)), Some(12.0));
        assert_eq!(percentage(&Value::from("12.5 %")), Some(12.5));
        assert_eq!(percentage(&Value::from("few")), None);
        assert!(exceeds(2, 6, 33.0) && !exceeds(2, 6, 34.0) && exceeds(1, 6, 0.0) && !exceeds(0, 6, 0.0));
    }
}
