//! What became of every request, and the figures that follow.

use super::{Config, Pace};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The most failures that are told one by one.
const TOLD: usize = 2000;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    /// Another status than 200.
    Status(u16),
    /// No connection, or no TLS on it.
    Connect,
    /// The connection ended without an answer, or within it.
    Reset,
    /// The server had closed the idle connection before it saw the request.
    Stale,
    Timeout,
    /// Not what was asked for, or not HTTP.
    WrongBody,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok => f.write_str("ok"),
            Outcome::Status(code) => write!(f, "status {code}"),
            Outcome::Connect => f.write_str("connect"),
            Outcome::Reset => f.write_str("reset"),
            Outcome::Stale => f.write_str("stale"),
            Outcome::Timeout => f.write_str("timeout"),
            Outcome::WrongBody => f.write_str("wrong body"),
        }
    }
}

pub struct Answer {
    pub status: u16,
    /// The header `X-Served-By`.
    pub served: Option<String>,
    pub body: Vec<u8>,
}

pub struct Failed {
    pub outcome: Outcome,
    pub told: String,
    pub served: Option<String>,
}

impl Failed {
    pub fn new(outcome: Outcome, told: impl Into<String>) -> Failed {
        Failed { outcome, told: told.into(), served: None }
    }
}

/// One request. Times count from the beginning of the load.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub client: usize,
    /// When it was to begin.
    pub at: Duration,
    /// How much later it did begin.
    pub lag: Duration,
    /// From when it was to begin to the end of the answer, or the failure.
    pub latency: Duration,
    pub outcome: Outcome,
    /// Who answered, in [`Report::served`].
    pub served: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Failure {
    pub at: Duration,
    pub client: String,
    pub outcome: Outcome,
    pub told: String,
}

/// A time within which something went on.
#[derive(Debug, Clone)]
pub struct Window {
    pub name: String,
    pub begin: Duration,
    pub end: Option<Duration>,
}

#[derive(Debug, Clone)]
pub struct Kind {
    pub name: String,
    /// Whether it is sent at a constant rate. The others are slow by themselves and have no part in percentiles.
    pub paced: bool,
    /// How many connections were opened.
    pub connections: usize,
}

/// Everything that a load has noted.
#[derive(Debug, Clone)]
pub struct Report {
    pub started: SystemTime,
    pub took: Duration,
    pub rate: f64,
    pub kinds: Vec<Kind>,
    pub records: Vec<Record>,
    pub failures: Vec<Failure>,
    pub marks: Vec<(Duration, String)>,
    pub windows: Vec<Window>,
    /// What the answers said of who gave them.
    pub served: Vec<String>,
}

/// Figures of some requests. Latencies are those of the paced clients' requests, failed ones as well.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub requests: usize,
    pub failed: usize,
    pub outcomes: BTreeMap<Outcome, usize>,
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
    pub max: Duration,
    /// How late requests began, at worst: the client's own part in `max`.
    pub lag: Duration,
}

impl Report {
    pub fn figures(&self, which: impl Fn(&Record) -> bool) -> Figures {
        let mut figures = Figures::default();
        let mut latencies = Vec::new();
        for record in self.records.iter().filter(|record| which(record)) {
            figures.requests += 1;
            figures.failed += usize::from(record.outcome != Outcome::Ok);
            *figures.outcomes.entry(record.outcome).or_default() += 1;
            if self.kinds[record.client].paced {
                latencies.push(record.latency);
                figures.lag = figures.lag.max(record.lag);
            }
        }
        latencies.sort_unstable();
        // The smallest latency that at least so many of a thousand requests do not exceed.
        let percentile = |of_1000: usize| {
            let rank = (latencies.len() * of_1000).div_ceil(1000).max(1);
            latencies.get(rank - 1).copied().unwrap_or_default()
        };
        figures.p50 = percentile(500);
        figures.p99 = percentile(990);
        figures.p999 = percentile(999);
        figures.max = percentile(1000);
        figures
    }

    pub fn total(&self) -> Figures {
        self.figures(|_| true)
    }

    /// Of the requests that were under way within a window of this name, be it for a part of their time.
    pub fn within(&self, name: &str) -> Figures {
        let windows: Vec<&Window> = self.windows.iter().filter(|window| window.name == name).collect();
        assert!(!windows.is_empty(), "no window is called {name:?}");
        self.figures(|record| windows.iter().any(|window| self.meets(window, record)))
    }

    /// The same of all windows whose name begins so.
    pub fn within_all(&self, prefix: &str) -> Figures {
        self.figures(|record| self.windows.iter().any(|w| w.name.starts_with(prefix) && self.meets(w, record)))
    }

    /// Of all others: at rest.
    pub fn outside(&self) -> Figures {
        self.figures(|record| !self.windows.iter().any(|window| self.meets(window, record)))
    }

    /// Of one client.
    pub fn of(&self, client: &str) -> Figures {
        let index = self.kinds.iter().position(|kind| kind.name == client);
        let index = index.unwrap_or_else(|| panic!("no client is called {client:?}"));
        self.figures(|record| record.client == index)
    }

    fn meets(&self, window: &Window, record: &Record) -> bool {
        record.at <= window.end.unwrap_or(self.took) && record.at + record.latency >= window.begin
    }

    /// Adds a window afterwards, by the clock: what a program said of when it did something.
    pub fn add_window(&mut self, name: &str, begin: SystemTime, end: SystemTime) {
        let since = |time: SystemTime| time.duration_since(self.started).unwrap_or_default();
        let window = Window { name: name.to_owned(), begin: since(begin), end: Some(since(end)) };
        self.windows.push(window);
    }

    pub fn failed(&self) -> usize {
        self.total().failed
    }

    /// How many answers said that they came from this (`release=2 code=2 …`), and the times of the first and the last.
    pub fn answers_by(&self) -> Vec<(&str, usize, Duration, Duration)> {
        let mut by: Vec<(&str, usize, Duration, Duration)> =
            self.served.iter().map(|name| (name.as_str(), 0, Duration::MAX, Duration::ZERO)).collect();
        for record in &self.records {
            if let Some((_, count, first, last)) = record.served.map(|served| &mut by[served]) {
                *count += 1;
                *first = (*first).min(record.at + record.latency);
                *last = (*last).max(record.at + record.latency);
            }
        }
        by
    }

    /// What `X-Served-By` said with this word (`release`, `code`, `django`), each once, in the order of its first answer.
    pub fn told(&self, word: &str) -> Vec<String> {
        let mut all = self.answers_by();
        all.sort_by_key(|(_, _, first, _)| *first);
        let mut told: Vec<String> = Vec::new();
        for (served, ..) in all {
            let value = field(served, word).unwrap_or_default();
            if !told.iter().any(|known| known == value) {
                told.push(value.to_owned());
            }
        }
        told
    }

    /// Answers of code that was mixed of two releases.
    pub fn mixed(&self) -> Vec<&str> {
        self.served.iter().map(String::as_str).filter(|s| field(s, "code") != field(s, "late")).collect()
    }

    /// Panics with the whole report where a single request failed or was answered by mixed code.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.failed() == 0 && self.mixed().is_empty() && !self.records.is_empty(), "{}", self.text());
    }

    /// The failures by what was said of them, each with its times.
    fn alike(&self) -> Vec<(String, Vec<Duration>)> {
        let mut alike: Vec<(String, Vec<Duration>)> = Vec::new();
        for failure in &self.failures {
            let what = format!("{}: {}: {}", failure.client, failure.outcome, failure.told);
            match alike.iter_mut().find(|(known, _)| *known == what) {
                Some((_, times)) => times.push(failure.at),
                None => alike.push((what, vec![failure.at])),
            }
        }
        alike
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} requests in {:.1} s ({:.0}/s paced), {} failed",
            self.records.len(),
            self.took.as_secs_f64(),
            self.rate,
            self.failed()
        );
        let _ = writeln!(
            text,
            "{:<28} {:>8} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}  outcomes",
            "", "requests", "failed", "p50 ms", "p99", "p99.9", "max", "lag"
        );
        let mut line = |name: &str, figures: &Figures| {
            let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
            let outcomes: Vec<String> = figures.outcomes.iter().map(|(what, many)| format!("{what}: {many}")).collect();
            let _ = writeln!(
                text,
                "{name:<28} {:>8} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}  {}",
                figures.requests,
                figures.failed,
                ms(figures.p50),
                ms(figures.p99),
                ms(figures.p999),
                ms(figures.max),
                ms(figures.lag),
                outcomes.join(", ")
            );
        };
        line("all", &self.total());
        for kind in &self.kinds {
            line(&format!("  {}", kind.name), &self.of(&kind.name));
        }
        if !self.windows.is_empty() {
            line("outside all windows", &self.outside());
            line("within all windows", &self.within_all(""));
            for window in &self.windows {
                line(&format!("  {}", window.name), &self.figures(|record| self.meets(window, record)));
            }
        }
        for (served, count, first, last) in self.answers_by() {
            let _ = writeln!(
                text,
                "answered by {served}: {count}, from {:.2} to {:.2} s",
                first.as_secs_f64(),
                last.as_secs_f64()
            );
        }
        for (at, what) in &self.marks {
            let _ = writeln!(text, "{:9.3} s  {what}", at.as_secs_f64());
        }
        for (what, times) in self.alike().iter().take(20) {
            let (first, last) = (times[0].as_secs_f64(), times[times.len() - 1].as_secs_f64());
            let _ = writeln!(text, "{first:9.3} s  to {last:.3} s, {} times: {what}", times.len());
        }
        if self.failed() > self.failures.len() {
            let _ = writeln!(text, "… and {} further failures", self.failed() - self.failures.len());
        }
        text
    }

    /// For programs. Times in milliseconds since `started`, which is in seconds since 1970.
    pub fn json(&self) -> Value {
        let ms = |time: Duration| (time.as_secs_f64() * 100_000.0).round() / 100.0;
        let figures = |f: &Figures| {
            let outcomes: BTreeMap<String, usize> = f.outcomes.iter().map(|(what, n)| (what.to_string(), *n)).collect();
            json!({"requests": f.requests, "failed": f.failed, "outcomes": outcomes, "p50_ms": ms(f.p50),
                   "p99_ms": ms(f.p99), "p99_9_ms": ms(f.p999), "max_ms": ms(f.max), "lag_ms": ms(f.lag)})
        };
        let window = |w: &Window| {
            let end = w.end.unwrap_or(self.took);
            json!({"name": w.name, "begin_ms": ms(w.begin), "end_ms": ms(end),
                   "figures": figures(&self.figures(|record| self.meets(w, record)))})
        };
        let clients: Vec<Value> = self
            .kinds
            .iter()
            .map(|k| json!({"name": k.name, "paced": k.paced, "connections": k.connections, "figures": figures(&self.of(&k.name))}))
            .collect();
        let served: Vec<Value> = self
            .answers_by()
            .iter()
            .map(|(who, n, first, last)| json!({"served_by": who, "answers": n, "first_ms": ms(*first), "last_ms": ms(*last)}))
            .collect();
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|f| json!({"at_ms": ms(f.at), "client": f.client, "outcome": f.outcome.to_string(), "told": f.told}))
            .collect();
        json!({
            "version": 1,
            "started": self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            "seconds": self.took.as_secs_f64(),
            "rate": self.rate,
            "all": figures(&self.total()),
            "outside": figures(&self.outside()),
            "within": figures(&self.within_all("")),
            "clients": clients,
            "windows": self.windows.iter().map(window).collect::<Vec<_>>(),
            "marks": self.marks.iter().map(|(at, what)| json!({"at_ms": ms(*at), "what": what})).collect::<Vec<_>>(),
            "served": served,
            "mixed": self.mixed(),
            "failures": failures,
        })
    }
}

fn field<'a>(served: &'a str, word: &str) -> Option<&'a str> {
    served.split(' ').find_map(|pair| pair.strip_prefix(word)?.strip_prefix('='))
}

/// Where the clients write, all at once.
pub struct Book {
    started: SystemTime,
    begun: Instant,
    report: Mutex<Report>,
}

impl Book {
    pub fn new(config: &Config) -> Book {
        let kinds = config
            .clients
            .iter()
            .map(|client| Kind {
                name: client.name.to_owned(),
                paced: matches!(client.pace, Pace::Rate(_)),
                connections: 0,
            })
            .collect();
        let started = SystemTime::now();
        let report = Report {
            started,
            took: Duration::ZERO,
            rate: config.total_rate(),
            kinds,
            records: Vec::new(),
            failures: Vec::new(),
            marks: Vec::new(),
            windows: Vec::new(),
            served: Vec::new(),
        };
        Book { started, begun: Instant::now(), report: Mutex::new(report) }
    }

    pub fn record(&self, client: usize, intended: Instant, begun: Instant, result: Result<Option<String>, Failed>) {
        let latency = intended.elapsed();
        let at = intended.duration_since(self.begun);
        let mut report = self.report.lock().unwrap();
        let (outcome, served) = match result {
            Ok(served) => (Outcome::Ok, served),
            Err(failed) => {
                if report.failures.len() < TOLD {
                    let client = report.kinds[client].name.clone();
                    report.failures.push(Failure { at, client, outcome: failed.outcome, told: failed.told });
                }
                (failed.outcome, failed.served)
            }
        };
        let served = served.map(|served| match report.served.iter().position(|known| *known == served) {
            Some(index) => index,
            None => {
                report.served.push(served);
                report.served.len() - 1
            }
        });
        let lag = begun.duration_since(intended);
        report.records.push(Record { client, at, lag, latency, outcome, served });
    }

    pub fn connection(&self, client: usize) {
        self.report.lock().unwrap().kinds[client].connections += 1;
    }

    pub fn mark(&self, what: &str) {
        let at = self.begun.elapsed();
        self.report.lock().unwrap().marks.push((at, what.to_owned()));
    }

    pub fn begin(&self, name: &str) {
        let begin = self.begun.elapsed();
        self.report.lock().unwrap().windows.push(Window { name: name.to_owned(), begin, end: None });
    }

    pub fn end(&self, name: &str) {
        let end = self.begun.elapsed();
        let mut report = self.report.lock().unwrap();
        let open = report.windows.iter_mut().rev().find(|window| window.name == name && window.end.is_none());
        open.unwrap_or_else(|| panic!("no window {name:?} is open")).end = Some(end);
    }

    pub fn done(&self) -> usize {
        self.report.lock().unwrap().records.len()
    }

    pub fn failed(&self) -> usize {
        self.report.lock().unwrap().records.iter().filter(|record| record.outcome != Outcome::Ok).count()
    }

    pub fn report(&self) -> Report {
        let mut report = self.report.lock().unwrap().clone();
        report.took = self.begun.elapsed();
        report
    }
}
