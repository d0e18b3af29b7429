//! The far side's bytes as events.

use super::OUTPUT_LIMIT;
use super::answers::{self, Said};
use super::compile::Slot;
use crate::host::action::Output;
use crate::host::program::{Event, Note};
use crate::host::view::WhoAmI;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::path::PathBuf;

/// What the numbers of a program stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    pub(super) id: u64,
    pub(super) slots: Vec<Slot>,
}

/// What a shell says when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Who runs things there.
    pub whoami: WhoAmI,
    /// Its folder for temporary files; another shell stops this one through it ([`stopping`](super::stopping)).
    pub folder: String,
    /// Whether it is the embedded host, which is no jail and gets no privilege.
    pub embedded: bool,
    /// What it remembers from earlier runs.
    pub notes: Vec<Note>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// The shell is ready.
    Hello(Hello),
    /// The shell can't work here: why.
    Refused(String),
    /// Something happened in a program.
    Event(Event),
    /// A command that an earlier connection left running was found and is awaited.
    Joined {
        /// Group.
        group: usize,
        /// Place in the group.
        index: usize,
    },
    /// A large file is on its way (told by whoever sends it, not by the far side).
    Sending {
        /// The file on the controller.
        path: PathBuf,
        /// Bytes sent so far.
        sent: u64,
        /// All its bytes.
        len: u64,
    },
    /// A part of the program could not be run at all (a bug of ours, or a broken shell).
    Broken(String),
}

/// Cuts the stream into frames and frames into signals. Bytes before the first marker are ignored (profiles, lectures)
/// but kept for error messages.
#[derive(Debug)]
pub struct Parser {
    marker: Vec<u8>,
    buffer: Vec<u8>,
    frame: Option<(String, Vec<String>)>,
    programs: VecDeque<Expected>,
    partial: HashMap<usize, Partial>,
    noise: Vec<u8>,
    /// How far the buffer has been searched.
    scanned: usize,
}

#[derive(Debug, Default)]
struct Partial {
    answer: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    started: i64,
}

impl Parser {
    /// For a shell that was greeted with `nonce`.
    pub fn new(nonce: &str) -> Self {
        Self {
            marker: format!("\n@{nonce} ").into_bytes(),
            buffer: Vec::new(),
            frame: None,
            programs: VecDeque::new(),
            partial: HashMap::new(),
            noise: Vec::new(),
            scanned: 0,
        }
    }

    /// A program was sent; its events follow those of the programs sent before.
    pub fn expect(&mut self, expected: Expected) {
        self.programs.push_back(expected);
    }

    /// What the login said before the far side began, at most 2 KiB.
    pub fn noise(&self) -> String {
        let mut noise = self.noise.clone();
        if self.frame.is_none() {
            // No marker ever came.
            let room = 2048usize.saturating_sub(noise.len());
            noise.extend(self.buffer.iter().take(room));
        }
        String::from_utf8_lossy(&noise).trim().to_owned()
    }

    /// Takes bytes as they come; `now` is the time in microseconds since 1970.
    pub fn feed(&mut self, bytes: &[u8], now: i64) -> Vec<Signal> {
        self.buffer.extend_from_slice(bytes);
        let mut signals = Vec::new();
        let mut search = self.scanned;
        let mut consumed = 0;
        loop {
            let from = search.max(consumed);
            let Some(at) = find(&self.buffer[from..], &self.marker).map(|i| i + from) else {
                // A marker may have begun in the last bytes.
                search = self.buffer.len().saturating_sub(self.marker.len() - 1);
                break;
            };
            let head = at + self.marker.len();
            let Some(end) = self.buffer[head..].iter().position(|b| *b == b'\n').map(|i| head + i) else {
                search = at;
                break;
            };
            let data = self.buffer[consumed..at].to_vec();
            self.close(data, now, &mut signals);
            let line = String::from_utf8_lossy(&self.buffer[head..end]).into_owned();
            let mut words = line.split(' ').map(str::to_owned);
            let tag = words.next().unwrap_or_default();
            self.open(tag, words.collect(), now, &mut signals);
            // The newline that ends the marker's line may begin the next marker.
            consumed = end + 1;
            search = end;
            if self.buffer.len() > end && find(&self.buffer[end..], &self.marker) == Some(0) {
                consumed = end;
            }
        }
        self.buffer.drain(..consumed);
        self.scanned = search.max(consumed) - consumed;
        signals
    }

    fn open(&mut self, tag: String, words: Vec<String>, now: i64, signals: &mut Vec<Signal>) {
        let item = words.first().and_then(|w| w.parse::<usize>().ok());
        match (tag.as_str(), item) {
            ("b", Some(item)) => {
                self.partial.entry(item).or_default().started = now;
                if let Some(Slot::Action { group, index, .. } | Slot::Batch { group, first: index, .. }) =
                    self.slot(item)
                {
                    signals.push(Signal::Event(Event::Began { group, index }));
                }
            }
            ("j", Some(item)) => {
                if let Some(Slot::Action { group, index, .. }) = self.slot(item) {
                    signals.push(Signal::Joined { group, index });
                }
            }
            ("d", Some(item)) => {
                let rc = words.get(1).and_then(|w| w.parse().ok()).unwrap_or(255);
                self.done(item, rc, now, signals);
            }
            ("g", Some(item)) => {
                if let Some(Slot::Guard { group }) = self.slot(item) {
                    signals.push(Signal::Event(Event::Mismatch { group }));
                }
            }
            ("x", _) => signals.push(Signal::Broken(format!(
                "the host's shell could not run a part of the program (status {})",
                words.get(1).map_or("?", String::as_str)
            ))),
            ("E", _) => {
                self.programs.pop_front();
                self.partial.clear();
                let complete = words.get(1).is_some_and(|w| w == "0");
                signals.push(Signal::Event(Event::End { complete }));
            }
            _ => {}
        }
        self.frame = Some((tag, words));
    }

    fn close(&mut self, data: Vec<u8>, _now: i64, signals: &mut Vec<Signal>) {
        let Some((tag, words)) = self.frame.take() else {
            let room = 2048usize.saturating_sub(self.noise.len());
            self.noise.extend(data.into_iter().take(room));
            return;
        };
        let item = words.first().and_then(|w| w.parse::<usize>().ok());
        match (tag.as_str(), item) {
            ("a", Some(item)) => self.partial.entry(item).or_default().answer = data,
            ("o", Some(item)) => self.partial.entry(item).or_default().stdout = data,
            ("r", Some(item)) => self.partial.entry(item).or_default().stderr = data,
            ("W", _) => match hello(&String::from_utf8_lossy(&data)) {
                Some(hello) => signals.push(Signal::Hello(hello)),
                None => signals.push(Signal::Refused("the host's shell did not say who it runs as".to_owned())),
            },
            ("F", _) => signals.push(Signal::Refused(String::from_utf8_lossy(&data).trim().to_owned())),
            _ => {}
        }
    }

    fn slot(&self, item: usize) -> Option<Slot> {
        self.programs.front()?.slots.get(item).cloned()
    }

    fn done(&mut self, item: usize, rc: i32, now: i64, signals: &mut Vec<Signal>) {
        let said = self.partial.remove(&item).unwrap_or_default();
        match self.slot(item) {
            Some(Slot::Asked { group, places, questions }) => {
                let said = Said { stdout: said.answer, stderr: said.stderr, rc };
                for (index, (answer, raw)) in places.into_iter().zip(answers::read(&questions, &said)) {
                    signals.push(Signal::Event(Event::Answered { group, index, answer, raw }));
                }
            }
            Some(Slot::Action { group, index, timeout }) => {
                let mut stdout = said.stdout;
                let truncated = stdout.len() > OUTPUT_LIMIT;
                stdout.truncate(OUTPUT_LIMIT);
                let output = Output {
                    rc,
                    stdout: stdout.into(),
                    stderr: said.stderr.into(),
                    truncated,
                    timed_out: timeout && (rc == 124 || rc == 137),
                    started: said.started,
                    took: u64::try_from(now - said.started).unwrap_or(0),
                };
                signals.push(Signal::Event(Event::Done { group, index, output }));
            }
            Some(Slot::Batch { group, first, count }) => {
                let took = u64::try_from(now - said.started).unwrap_or(0);
                let mut output =
                    Output { rc, stderr: said.stderr.into(), started: said.started, took, ..Output::default() };
                // A failure is told of the first one: what the host said names the file. Time is counted once.
                let done = if rc == 0 { count } else { 1 };
                for index in first..first + done {
                    signals.push(Signal::Event(Event::Done { group, index, output: output.clone() }));
                    output.took = 0;
                }
            }
            Some(Slot::Guard { .. }) | None => {}
        }
    }
}

fn hello(text: &str) -> Option<Hello> {
    let mut lines = text.lines();
    let id = lines.next()?;
    let field = |name: &str| -> Option<(u32, String)> {
        let rest = &id[id.find(&format!("{name}="))? + name.len() + 1..];
        let word = rest.split(' ').next()?;
        let (number, name) = word.split_once('(').map_or((word, word), |(n, r)| (n, r.trim_end_matches(')')));
        Some((number.parse().ok()?, name.to_owned()))
    };
    let (uid, user) = field("uid")?;
    let (gid, group) = field("gid")?;
    let home = lines.next()?.to_owned();
    let folder = lines.next()?.to_owned();
    let embedded = lines.next().is_some_and(|l| l == "1");
    let note = |line: &str| {
        let (id, text) = line.split_once(' ')?;
        let named = !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        named.then(|| Note { id: id.to_owned(), text: text.to_owned() })
    };
    let notes = lines.filter_map(note).collect();
    Some(Hello { whoami: WhoAmI { user, uid, group, gid, home }, folder, embedded, notes })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if haystack.len() < needle.len() {
        return None;
    }
    let mut at = 0;
    while let Some(i) = haystack[at..=haystack.len() - needle.len()].iter().position(|b| *b == needle[0]) {
        if haystack[at + i..].starts_with(needle) {
            return Some(at + i);
        }
        at += i + 1;
        if at > haystack.len() - needle.len() {
            break;
        }
    }
    None
}
