//! Opening shells, and what it means when one can't be had.

use super::{Driver, Halt};
use crate::engine::event::Event;
use crate::engine::lookahead::look_ahead;
use crate::engine::machine::MachineError;
use crate::engine::run::EngineKind;
use crate::engine::step::{Blocked, Walker};
use crate::engine::world::Seat;
use crate::host::{Question, TaskResult, WhoAmI};
use crate::values::Value;
use std::sync::Arc;

impl Driver {
    /// A shell is refused. In a plan that may be because of what was left out (the user to become is not made yet).
    pub(super) fn refused(&mut self, seat: Seat, message: String) {
        let worlds = &self.kept.worlds.map;
        let pending = worlds.iter().any(|(s, world)| s.host == seat.host && world.misses_accounts());
        let walker = Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
        if !(pending && walker.foretells(&self.state)) {
            if let Some(flight) = &mut self.state.flight {
                flight.item.refused = true;
            }
            self.fail_item(message);
            return;
        }
        let blocked = Blocked {
            why: message.as_str().into(),
            seat: None,
            relied: Vec::new(),
            writes: vec![crate::host::Key::Anything],
            likely: None,
        };
        walker.leave_unknown(&mut self.state, &mut self.kept.worlds, &blocked);
        self.refused.insert(seat, message);
    }

    pub(super) async fn connect(&mut self, seat: Seat) -> Result<(), Halt> {
        if let Some(message) = self.refused.get(&seat).cloned() {
            self.refused(seat, message);
            return Ok(());
        }
        if !self.kept.machines.contains_key(&seat) {
            self.shared.tell(Event::Connecting { host: Arc::clone(&seat.host) });
            let variables =
                super::super::variables::of_host(&self.shared, &self.board, &self.state, &seat.host, &self.host);
            let turn = super::TURNS.acquire().await;
            let first = self.first_questions(&seat);
            drop(turn);
            let opened = self.shared.connector.open_asking(&seat.host, &seat.identity, variables, &first).await;
            match opened {
                Ok((machine, told)) => {
                    self.kept.journal.opened(&seat, machine.notes(), &self.notes, &mut self.state);
                    self.kept.machines.insert(seat.clone(), machine);
                    for (question, answer, raw) in told {
                        self.kept.worlds.of(&seat).learn(question, answer, raw);
                    }
                }
                Err(MachineError::Refused { message }) => {
                    self.refused(seat, message);
                    return Ok(());
                }
                Err(MachineError::Unreachable { message }) => return self.lost(&seat, message),
            }
        }
        if let Some(machine) = self.kept.machines.get(&seat) {
            self.kept.worlds.who.insert(seat, machine.whoami().clone());
        }
        Ok(())
    }

    /// What will be asked of a shell first, so that it travels with the greeting. Who runs things there is guessed: a
    /// wrong guess makes questions that nobody needs.
    fn first_questions(&self, seat: &Seat) -> Vec<Question> {
        if self.shared.options.engine == EngineKind::Plain || self.outstanding.is_some() {
            return Vec::new();
        }
        let identity = &seat.identity;
        let user = identity.become_.as_ref().map(|b| b.user.as_str()).or(identity.remote_user.as_deref());
        let who = match user {
            None | Some("root") => WhoAmI::root(),
            Some(user) => {
                let (user, home) = (user.to_owned(), format!("/home/{user}"));
                WhoAmI { group: user.clone(), user, uid: 1000, gid: 1000, home }
            }
        };
        let mut worlds = self.kept.worlds.clone();
        worlds.who.insert(seat.clone(), who);
        let walker = Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
        match look_ahead(&walker, &self.state, &worlds, self.linear()) {
            Some(foreseen) if foreseen.seat == *seat => foreseen.questions,
            _ => Vec::new(),
        }
    }

    /// A machine could not be reached: the host is out, unless the task says that it does not matter.
    pub(super) fn lost(&mut self, seat: &Seat, message: String) -> Result<(), Halt> {
        self.kept.worlds.who.remove(seat);
        let walker = Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
        if walker.ignores_unreachable(&self.state) {
            let mut result = TaskResult::ok().msg(message);
            result.data.insert("unreachable".into(), Value::Bool(true));
            walker.pass_over(&mut self.state, result);
            return Ok(());
        }
        Err(Halt::Unreachable(message))
    }
}
