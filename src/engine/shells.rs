//! The open shells of a host.

use super::drive::Driver;
use super::machine::Counters;
use super::world::Seat;
use crate::host::Key;
use crate::host::program::{Group, Program};

impl Driver {
    /// Adds what travelled on a shell that is closed.
    pub(super) fn count(&mut self, counters: Counters) {
        self.kept.traffic.trips += counters.trips;
        self.kept.traffic.sent += counters.sent;
        self.kept.traffic.received += counters.received;
    }

    /// Closes all shells.
    pub(super) async fn close_all(&mut self) {
        self.settle_notes();
        for (seat, mut machine) in std::mem::take(&mut self.kept.machines) {
            machine.forget(self.kept.journal.forgotten(&seat));
            self.count(machine.counters());
            self.kept.worlds.who.remove(&seat);
            machine.close().await;
        }
    }

    /// Closes the shells of other users on a machine before a program changes accounts there: a user with a process
    /// can't be removed, and one whose groups change gets them with a new shell only.
    pub(super) async fn make_way(&mut self, seat: &Seat, program: &Program) {
        let accounts = program.groups.iter().any(
            |group| matches!(group, Group::Act(act) if act.actions.iter().any(|a| a.writes.contains(&Key::Accounts))),
        );
        if !accounts {
            return;
        }
        let in_the_way = |other: &&Seat| {
            other.host == seat.host
                && *other != seat
                && other.identity.become_.as_ref().is_some_and(|b| b.user != "root")
        };
        let others: Vec<Seat> = self.kept.machines.keys().filter(in_the_way).cloned().collect();
        for other in others {
            if let Some(mut machine) = self.kept.machines.remove(&other) {
                machine.forget(self.kept.journal.forgotten(&other));
                self.count(machine.counters());
                self.kept.worlds.who.remove(&other);
                machine.close().await;
            }
        }
    }

    /// What the host is to forget, of what it remembers for this play. A plan changes nothing, this included.
    pub(super) fn settle_notes(&mut self) {
        if !self.shared.options.plan {
            self.kept.journal.settle(&self.notes, &self.state);
        }
    }
}
