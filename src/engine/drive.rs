//! One host through one play.

mod connect;

use super::board::{Board, Slot, Snapshot};
use super::code::Compiled;
use super::event::{Event, Status, StepResult};
use super::journal::Journal;
use super::lookahead::{Foreseen, look_ahead};
use super::machine::{Connector, Machine, MachineError, Progress, Pulse};
use super::run::{EngineKind, Shared};
use super::state::{HostState, Standing};
use super::step::{Advance, Blocked, Emission, Walker, Worlds, failed};
use super::world::Seat;
use crate::host::program::{Event as HostEvent, Group, Program};
use crate::host::{Answer, Certainty, Output, Question};
use crate::playbook::Strategy;
use crate::values::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

/// How often one step may find that its host has moved on under it.
const MISMATCHES: u32 = 10;

/// What a host keeps from play to play.
pub struct Kept {
    /// Results and set facts.
    pub registered: Arc<crate::values::Map>,
    /// Facts.
    pub facts: Arc<crate::values::Map>,
    /// What is known of its machines.
    pub worlds: Worlds,
    /// Open shells.
    pub machines: HashMap<Seat, Box<dyn Machine>>,
    /// What they remember for it.
    pub journal: Journal,
    /// Whether the task to start at has been reached.
    pub started: bool,
    /// Counts.
    pub stats: super::event::Stats,
    /// Whether it takes part.
    pub standing: Standing,
    /// Programs that only asked.
    pub asking: u64,
    /// Programs that did something.
    pub acting: u64,
    /// Steps whose outcome was needed here before anything else could be sent.
    pub syncs: u64,
    /// How results depend on each other.
    pub depths: super::depth::Depths,
    /// Round trips, bytes sent and received on shells that are closed.
    pub traffic: super::machine::Counters,
}

impl Kept {
    /// Closes what is open on its machines and forgets what is known of them, for a host that is through with the run:
    /// of thousands, not all need a connection and memory to the end.
    pub(super) async fn leave(&mut self, connector: &dyn Connector, host: &str) {
        for (seat, mut machine) in std::mem::take(&mut self.machines) {
            machine.forget(self.journal.forgotten(&seat));
            let counters = machine.counters();
            self.traffic.trips += counters.trips;
            self.traffic.sent += counters.sent;
            self.traffic.received += counters.received;
            machine.close().await;
        }
        self.worlds = Worlds::new(self.worlds.memory);
        connector.reset(host).await;
    }
}

/// One host in one play.
pub struct Driver {
    pub(super) shared: Arc<Shared>,
    board: Arc<Board>,
    compiled: Arc<Compiled>,
    host: Arc<str>,
    pub(super) state: HostState,
    pub(super) kept: Kept,
    outstanding: Option<Outstanding>,
    mismatches: u32,
    published: Option<(Vec<u32>, Standing)>,
    /// Its place in a throttled task.
    slot: Option<Slot>,
    /// In a plan: shells that could not be opened before the plan is applied.
    refused: HashMap<Seat, String>,
    /// What the notes of this play begin with.
    pub(super) notes: String,
}

type Returned = (Box<dyn Machine>, Result<(), MachineError>);

/// A program under way.
struct Outstanding {
    seat: Seat,
    groups: VecDeque<Waiting>,
    /// How many groups were taken off the front.
    taken: usize,
    events: mpsc::UnboundedReceiver<Progress>,
    task: JoinHandle<Returned>,
    ended: bool,
}

enum Waiting {
    Ask { questions: Vec<Question>, answers: Vec<Option<(Answer, Option<String>)>> },
    Act { emission: Box<Emission>, outputs: Vec<Output>, mismatch: bool },
}

/// Why a host stops.
enum Halt {
    Unreachable(String),
}

impl Driver {
    /// A host at the beginning of a play.
    pub fn new(
        shared: Arc<Shared>,
        board: Arc<Board>,
        compiled: Arc<Compiled>,
        host: Arc<str>,
        mut state: HostState,
        mut kept: Kept,
    ) -> Self {
        state.stats = kept.stats;
        state.depths = kept.depths.clone();
        let notes = super::handlers::prefix(&board.play.span.file.name, &board.name, &host);
        kept.journal.begin(&notes, &mut state);
        Self {
            notes,

            shared,
            board,
            compiled,
            host,
            state,
            kept,
            outstanding: None,
            mismatches: 0,
            published: None,
            slot: None,
            refused: HashMap::new(),
        }
    }

    fn linear(&self) -> bool {
        self.compiled.play.strategy == Strategy::Linear
    }

    /// Runs to the end of the play and returns what the host keeps.
    pub async fn run(mut self) -> Kept {
        self.publish();
        if let Err(Halt::Unreachable(message)) = self.go().await {
            self.unreachable(message);
        }
        if let Some(outstanding) = self.outstanding.take() {
            self.settle(outstanding).await;
        }
        self.tell();
        self.publish();
        if self.state.standing == Standing::Ended && (!self.state.stopped || self.board.ended()) {
            // What never ran, a play that came to its end does not owe; what an earlier one left is still there.
            self.state.owed.retain(|owed| owed.earlier);
        }
        self.settle_notes();
        self.kept.registered = Arc::clone(&self.state.registered);
        self.kept.facts = Arc::clone(&self.state.facts);
        self.kept.started = self.state.started;
        self.kept.stats = self.state.stats;
        self.kept.depths = self.state.depths.clone();
        self.kept.standing = self.state.standing;
        self.kept
    }

    async fn go(&mut self) -> Result<(), Halt> {
        loop {
            // What was done is reported even so.
            let reporting = self.state.flight.as_ref().is_some_and(|f| f.item.reporting);
            if self.board.aborted().is_some() && self.outstanding.is_none() && !reporting {
                self.state.stop();
                return Ok(());
            }
            let advance = {
                let walker =
                    Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
                walker.advance(&mut self.state, &mut self.kept.worlds)
            };
            self.tell();
            self.publish();
            match advance {
                // Mismatches count for one step: the next one may rest on other answers.
                Advance::Moved => self.mismatches = 0,
                Advance::End => return Ok(()),
                Advance::Ask { seat, questions } => {
                    if self.outstanding.is_some() {
                        self.pump().await?;
                    } else {
                        self.launch(seat, Some(questions), None).await?;
                    }
                }
                Advance::Act(emission) => self.act(emission).await?,
                Advance::Unknown(blocked) => self.unknown(&blocked).await?,
                Advance::Connect(seat) => self.connect(seat).await?,
                Advance::WaitHosts(hosts) => {
                    self.drop_if_over().await;
                    let position = self.state.position();
                    if hosts.len() + 1 == self.board.batch.len() {
                        self.board.wait_for_all(&self.host, &position).await;
                    } else {
                        self.board.wait_for(&hosts, &position).await;
                    }
                }
                Advance::WaitOnce => {
                    self.drop_if_over().await;
                    self.board.wait_once(&self.host, &self.state.position()).await;
                }
                Advance::Sleep(duration) => {
                    self.sleep(duration).await;
                    if let Some(flight) = &mut self.state.flight {
                        flight.item.pause = None;
                    }
                    // Time has passed: what was known may have changed.
                    for world in self.kept.worlds.map.values_mut() {
                        world.clear();
                    }
                }
                Advance::Reset => {
                    self.close_all().await;
                    self.shared.connector.reset(&self.host).await;
                }
            }
        }
    }

    /// What was asked for steps that do not come any more is of no use.
    async fn drop_if_over(&mut self) {
        if self.board.aborted().is_some()
            && let Some(outstanding) = self.outstanding.take()
        {
            self.settle(outstanding).await;
        }
    }

    async fn sleep(&self, duration: Duration) {
        // In a plan nothing changes by waiting.
        if !self.shared.options.plan {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                () = self.board.wait_for_stop() => {}
            }
        }
    }

    fn tell(&mut self) {
        for event in self.state.events.drain(..) {
            self.shared.tell(event);
        }
    }

    fn publish(&mut self) {
        let now = (self.state.position(), self.state.standing);
        if self.published.as_ref() == Some(&now) {
            return;
        }
        self.published = Some(now.clone());
        self.slot = self.slot.take().filter(|slot| slot.position == now.0);
        self.board.publish(
            &self.host,
            Snapshot {
                position: now.0,
                standing: now.1,
                registered: Arc::clone(&self.state.registered),
                facts: Arc::clone(&self.state.facts),
                stats: self.state.stats,
            },
        );
    }

    fn unreachable(&mut self, message: String) {
        let walker = Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
        walker.note_unreachable(&self.state);
        self.state.standing = Standing::Unreachable;
        self.state.stats.unreachable = 1;
        if let Some(flight) = self.state.flight.take() {
            let mut result = failed(message);
            result.failed = false;
            result.data.insert("unreachable".into(), Value::Bool(true));
            self.state.events.push(Event::Result(Box::new(StepResult {
                host: Arc::clone(&self.host),
                delegated: None,
                task: flight.info,
                item: None,
                summary: false,
                status: Status::Unreachable,
                result,
                certainty: Certainty::Exact,
                actions: Vec::new(),
                took: Duration::ZERO,
                retry: None,
            })));
        }
    }

    fn fail_item(&mut self, message: String) {
        let walker = Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
        walker.fail_item(&mut self.state, message);
    }

    async fn unknown(&mut self, blocked: &Blocked) -> Result<(), Halt> {
        if self.outstanding.is_some() {
            return self.pump().await;
        }
        let walker = Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
        if !walker.foretells(&self.state) {
            // Everything before has been done, so that the host itself can say.
            if let Some(seat) = &blocked.seat
                && !blocked.relied.is_empty()
                && self.mismatches < MISMATCHES
            {
                self.mismatches += 1;
                self.kept.worlds.of(seat).forget(&blocked.relied);
                return Ok(());
            }
            self.fail_item(format!("it depends on {}, which a step that was only foretold would tell", blocked.why));
            return Ok(());
        }
        if self.state.flight.is_none() {
            // Never to be met; without this it would be met for ever.
            self.state.step();
            return Ok(());
        }
        walker.leave_unknown(&mut self.state, &mut self.kept.worlds, blocked);
        Ok(())
    }

    async fn act(&mut self, emission: Box<Emission>) -> Result<(), Halt> {
        let Some(outstanding) = &self.outstanding else {
            let position = {
                let walker =
                    Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
                walker.awaits(&self.state)
            };
            if emission.shared && self.linear() && !self.board.others_reached(&self.host, &position) {
                self.board.wait_for_all(&self.host, &position).await;
                // Look again: other hosts' results may count.
                return Ok(());
            }
            if let Some(limit) = emission.throttle
                && self.slot.is_none()
            {
                self.slot = self.board.enter(&emission.position, limit).await;
                return Ok(());
            }
            let seat = emission.seat.clone();
            return self.launch(seat, None, Some(emission)).await;
        };
        match outstanding.groups.front() {
            Some(Waiting::Act { emission: sent, .. }) => {
                if sent.act.actions != emission.act.actions || sent.position != emission.position {
                    // Looking ahead guessed wrong about what comes next. What was sent has run, or will: take no
                    // chances with this host.
                    let message = format!(
                        "internal error: the look-ahead foresaw another step than `{}`; please report it",
                        emission.info.name
                    );
                    return self.give_up(message).await;
                }
            }
            _ => return self.pump().await,
        }
        // The state does not move meanwhile, so that there is no need to call the module after each event.
        while !self.front_is_over() {
            self.pump().await?;
            if self.outstanding.is_none() {
                return Ok(());
            }
        }
        if !matches!(self.outstanding.as_ref().and_then(|o| o.groups.front()), Some(Waiting::Act { .. })) {
            return Ok(());
        }
        self.consume(*emission).await
    }

    /// Whether nothing more will be told of the group at the front.
    fn front_is_over(&self) -> bool {
        let Some(outstanding) = &self.outstanding else { return true };
        match outstanding.groups.front() {
            Some(Waiting::Act { emission: sent, outputs, mismatch }) => {
                *mismatch
                    || outstanding.ended
                    || outputs.len() == sent.act.actions.len() && !sent.act.actions.is_empty()
                    || outputs.last().is_some_and(|o| !o.success()) && stops(sent, outputs.len())
                    || (sent.act.actions.is_empty() && self.guard_passed())
            }
            _ => true,
        }
    }

    /// A group without actions has held once anything after it has happened.
    fn guard_passed(&self) -> bool {
        self.outstanding.as_ref().is_some_and(|o| {
            o.groups.iter().skip(1).any(|g| match g {
                Waiting::Ask { answers, .. } => answers.iter().any(Option::is_some),
                Waiting::Act { outputs, mismatch, .. } => !outputs.is_empty() || *mismatch,
            })
        })
    }

    async fn give_up(&mut self, message: String) -> Result<(), Halt> {
        if let Some(outstanding) = self.outstanding.take() {
            self.settle(outstanding).await;
        }
        self.fail_item(message);
        Ok(())
    }

    /// The front group has come to its end.
    async fn consume(&mut self, emission: Emission) -> Result<(), Halt> {
        let Some(outstanding) = &mut self.outstanding else { return Ok(()) };
        let Some(Waiting::Act { outputs, mismatch, .. }) = outstanding.groups.pop_front() else { return Ok(()) };
        outstanding.taken += 1;
        let seat = outstanding.seat.clone();
        let cut = outstanding.ended && outputs.len() < emission.act.actions.len();
        let missing = cut && outputs.iter().enumerate().all(|(i, o)| o.success() || !stops(&emission, i + 1));
        if mismatch || missing {
            if let Some(rest) = self.outstanding.take() {
                self.settle(rest).await;
            }
            // Where one assumption was wrong, others will be: they are asked again together.
            self.kept.worlds.of(&seat).forget(&emission.relied);
            self.kept.worlds.of(&seat).forget_assumed();
            self.mismatches += 1;
            if self.mismatches > MISMATCHES {
                self.fail_item(
                    "the host keeps changing while this step looks at it: something else is at work there".to_owned(),
                );
            }
            return Ok(());
        }
        self.mismatches = 0;
        let all_well = outputs.iter().all(Output::success);
        if emission.sync || !all_well {
            self.kept.syncs += 1;
        }
        // The guard held before the actions: what they may have changed is in doubt again.
        self.kept.worlds.of(&seat).confirm(&emission.relied);
        for action in emission.act.actions.iter().take(outputs.len()) {
            self.kept.worlds.act(&seat, action);
        }
        let stopped = outputs.iter().enumerate().any(|(i, o)| !o.success() && stops(&emission, i + 1));
        if stopped && let Some(rest) = self.outstanding.take() {
            // Nothing after it has run.
            self.settle(rest).await;
        }
        if matches!(emission.decision.next, crate::host::Next::Again(_)) {
            self.kept.worlds.of(&seat).forget_assumed();
        }
        if !all_well {
            // Nobody knows how far it came.
            for (other, world) in &mut self.kept.worlds.map {
                if other.host == seat.host {
                    world.clear();
                }
            }
        }
        let walker = Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
        walker.outputs(&mut self.state, &emission, outputs);
        self.take_answers().await
    }

    /// Answers at the front are known now; a program that is through gives its machine back.
    async fn take_answers(&mut self) -> Result<(), Halt> {
        let Some(outstanding) = &mut self.outstanding else { return Ok(()) };
        while let Some(Waiting::Ask { answers, .. }) = outstanding.groups.front() {
            if !outstanding.ended && answers.iter().any(Option::is_none) {
                break;
            }
            let Some(Waiting::Ask { questions, answers }) = outstanding.groups.pop_front() else { break };
            outstanding.taken += 1;
            let world = self.kept.worlds.of(&outstanding.seat);
            for (question, answer) in questions.into_iter().zip(answers) {
                if let Some((answer, raw)) = answer {
                    world.learn(question, answer, raw);
                }
            }
        }
        if outstanding.ended && outstanding.groups.is_empty() {
            let Some(outstanding) = self.outstanding.take() else { return Ok(()) };
            return self.join(outstanding).await;
        }
        Ok(())
    }

    async fn join(&mut self, outstanding: Outstanding) -> Result<(), Halt> {
        match outstanding.task.await {
            Ok((machine, result)) => match result {
                Ok(()) => {
                    self.kept.machines.insert(outstanding.seat, machine);
                    Ok(())
                }
                Err(MachineError::Refused { message }) => {
                    self.count(machine.counters());
                    self.kept.worlds.who.remove(&outstanding.seat);
                    self.fail_item(message);
                    Ok(())
                }
                Err(MachineError::Unreachable { message }) => {
                    self.count(machine.counters());
                    self.lost(&outstanding.seat, message)
                }
            },
            Err(error) => Err(Halt::Unreachable(format!("internal error: {error}"))),
        }
    }

    /// Waits for the rest of a program whose results no longer count.
    async fn settle(&mut self, mut outstanding: Outstanding) {
        while outstanding.events.recv().await.is_some() {}
        if let Ok((machine, result)) = outstanding.task.await {
            if result.is_ok() {
                self.kept.machines.insert(outstanding.seat, machine);
            } else {
                self.count(machine.counters());
                self.kept.worlds.who.remove(&outstanding.seat);
            }
        }
    }

    /// Takes the next event of the program under way.
    async fn pump(&mut self) -> Result<(), Halt> {
        let Some(outstanding) = &mut self.outstanding else { return Ok(()) };
        let Some(progress) = outstanding.events.recv().await else {
            // The program is over, in good order or not.
            outstanding.ended = true;
            if outstanding.groups.is_empty() || !matches!(outstanding.groups.front(), Some(Waiting::Ask { .. })) {
                return self.after_end().await;
            }
            return self.take_answers().await;
        };
        let taken = outstanding.taken;
        match progress {
            Progress::Notice(text) => {
                self.shared.tell(Event::Notice { host: Some(Arc::clone(&self.host)), text });
            }
            Progress::Sending { file, sent, len } => {
                self.shared.tell(Event::Sending { host: Arc::clone(&self.host), file, sent, len });
            }
            Progress::Event(HostEvent::Answered { group, index, answer, raw }) => {
                if let Some(Waiting::Ask { answers, .. }) =
                    group.checked_sub(taken).and_then(|g| outstanding.groups.get_mut(g))
                    && let Some(place) = answers.get_mut(index)
                {
                    *place = Some((answer, raw));
                }
            }
            Progress::Event(HostEvent::Began { group, .. }) => {
                if let Some(Waiting::Act { emission, .. }) =
                    group.checked_sub(taken).and_then(|g| outstanding.groups.get(g))
                {
                    self.shared
                        .tell(Event::TaskStart { host: Arc::clone(&self.host), task: Arc::clone(&emission.info) });
                }
            }
            Progress::Event(HostEvent::Done { group, output, .. }) => {
                if let Some(Waiting::Act { outputs, .. }) =
                    group.checked_sub(taken).and_then(|g| outstanding.groups.get_mut(g))
                {
                    outputs.push(output);
                }
            }
            Progress::Event(HostEvent::Mismatch { group }) => {
                if let Some(Waiting::Act { mismatch, .. }) =
                    group.checked_sub(taken).and_then(|g| outstanding.groups.get_mut(g))
                {
                    *mismatch = true;
                }
            }
            Progress::Event(HostEvent::End { .. }) => outstanding.ended = true,
        }
        self.take_answers().await
    }

    /// The channel of events has closed before all groups were told of.
    async fn after_end(&mut self) -> Result<(), Halt> {
        let act_is_next = self.outstanding.as_ref().is_some_and(|o| !o.groups.is_empty());
        if act_is_next {
            let broke = {
                let Some(outstanding) = &mut self.outstanding else { return Ok(()) };
                outstanding.task.is_finished()
            };
            if !broke {
                tokio::task::yield_now().await;
            }
        }
        let Some(outstanding) = self.outstanding.take() else { return Ok(()) };
        // Results of groups that were told of stand; the others did not run, or nobody knows: the step looks again.
        let lost: Vec<Vec<Question>> = outstanding
            .groups
            .iter()
            .filter_map(|g| match g {
                Waiting::Act { emission, .. } => Some(emission.relied.clone()),
                Waiting::Ask { .. } => None,
            })
            .collect();
        let seat = outstanding.seat.clone();
        for questions in lost {
            self.kept.worlds.of(&seat).forget(&questions);
        }
        self.join(outstanding).await
    }

    async fn launch(
        &mut self,
        seat: Seat,
        questions: Option<Vec<Question>>,
        emission: Option<Box<Emission>>,
    ) -> Result<(), Halt> {
        let foreseen = match self.shared.options.engine {
            EngineKind::Ahead => {
                let _turn = TURNS.acquire().await;
                let walker =
                    Walker { shared: &self.shared, board: &self.board, compiled: &self.compiled, host: &self.host };
                look_ahead(&walker, &self.state, &self.kept.worlds, self.linear())
            }
            EngineKind::Plain => None,
        };
        let foreseen = foreseen.unwrap_or(Foreseen {
            seat: seat.clone(),
            acts: emission.into_iter().collect(),
            questions: questions.unwrap_or_default(),
            others: Vec::new(),
        });
        for (other, questions) in foreseen.others {
            self.ask_aside(other, questions).await?;
        }
        let mut program = Program::default();
        let mut groups = VecDeque::new();
        self.settle_notes();
        for emission in foreseen.acts {
            self.kept.journal.sending(&foreseen.seat, &emission.position, &emission.act);
            program.groups.push(Group::Act(emission.act.clone()));
            groups.push_back(Waiting::Act { emission, outputs: Vec::new(), mismatch: false });
        }
        if !foreseen.questions.is_empty() {
            let answers = vec![None; foreseen.questions.len()];
            program.groups.push(Group::Ask(foreseen.questions.clone()));
            groups.push_back(Waiting::Ask { questions: foreseen.questions, answers });
        }
        self.start(foreseen.seat, program, groups).await
    }

    async fn start(&mut self, seat: Seat, program: Program, groups: VecDeque<Waiting>) -> Result<(), Halt> {
        self.make_way(&seat, &program).await;
        let Some(mut machine) = self.kept.machines.remove(&seat) else {
            self.kept.worlds.who.remove(&seat);
            return self.connect(seat).await;
        };
        machine.forget(self.kept.journal.forgotten(&seat));
        let (sender, events) = mpsc::unbounded_channel();
        let (shared, board) = (Arc::clone(&self.shared), Arc::clone(&self.board));
        let task = tokio::spawn(async move {
            let permit = shared.slots.acquire().await;
            if board.interrupted() {
                return (machine, Ok(()));
            }
            let pulse = machine.pulse();
            let running = machine.run(&program, sender);
            let result = match pulse {
                Some(pulse) => tokio::select! {
                    result = running => result,
                    never = give_way(permit, pulse) => match never {},
                },
                None => running.await,
            };
            (machine, result)
        });
        if groups.iter().any(|g| matches!(g, Waiting::Act { .. })) {
            self.kept.acting += 1;
        } else {
            self.kept.asking += 1;
        }
        self.outstanding = Some(Outstanding { seat, groups, taken: 0, events, task, ended: false });
        Ok(())
    }

    /// Questions to another shell, answered before anything is done.
    async fn ask_aside(&mut self, seat: Seat, questions: Vec<Question>) -> Result<(), Halt> {
        let Some(mut machine) = self.kept.machines.remove(&seat) else { return Ok(()) };
        let program = Program { groups: vec![Group::Ask(questions.clone())] };
        let (sender, mut events) = mpsc::unbounded_channel();
        let result = machine.run(&program, sender).await;
        while let Ok(progress) = events.try_recv() {
            if let Progress::Event(HostEvent::Answered { index, answer, raw, .. }) = progress
                && let Some(question) = questions.get(index)
            {
                self.kept.worlds.of(&seat).learn(question.clone(), answer, raw);
            }
        }
        match result {
            Ok(()) => {
                self.kept.machines.insert(seat, machine);
                Ok(())
            }
            Err(MachineError::Refused { message } | MachineError::Unreachable { message }) => {
                self.count(machine.counters());
                self.lost(&seat, message)
            }
        }
    }
}

/// Looking ahead is work for a processor. Few hosts do it at a time, since the conversations of all others would else wait
/// for thousands of them, and run into their time limits.
pub(super) static TURNS: Semaphore = Semaphore::const_new(4);

/// How long a host may be silent before another one is worked on in its place: longer than it takes a connection that
/// lives to give a sign of it.
const SILENCE: Duration = Duration::from_secs(20);

/// Keeps the place of a host that gives signs of life, and gives it up when they stop: it takes a minute until a dead host
/// is known to be dead, and that must not hold up those that wait for their turn.
async fn give_way<T>(place: T, pulse: Pulse) -> std::convert::Infallible {
    let mut heard = pulse();
    loop {
        tokio::time::sleep(SILENCE).await;
        let now = pulse();
        if now == heard {
            break;
        }
        heard = now;
    }
    drop(place);
    std::future::pending().await
}

/// Whether the failure of the action at `number` (from 1) ends its group.
fn stops(emission: &Emission, number: usize) -> bool {
    emission.act.actions.get(number - 1).is_some_and(|a| a.on_failure == crate::host::OnFailure::Stop)
}
