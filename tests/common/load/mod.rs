//! A load client that sees every failure: each request is sent once, nothing is retried, and what became of it is kept.
//!
//! ```ignore
//! let load = Load::start(Config::site("shop.test", address));
//! load.begin("deploy 1");
//! // what is to go unnoticed
//! load.end("deploy 1");
//! let report = load.stop();
//! report.assert_clean();
//! println!("{}", report.text());
//! ```
//!
//! Most clients send at a constant rate, whatever the answers do (*open loop*), and a latency counts from the moment at
//! which the request was to be sent: a site that stands still for a second shows as many late answers as that second had
//! requests. The others keep some requests in flight all the time (`/slow/?s=3`).
//!
//! Keep-alive connections take turns, so that all of them are in use, and are not looked at before they are used again:
//! one that the server has closed in between is a failed request (`stale`), though a browser would try again. Over
//! HTTP/2, where a server says goodbye and the client always listens, a closed connection is simply opened anew; a
//! request that crossed the goodbye is `stale`, too.
//!
//! The client's own limits: requests begin on a timer of a millisecond, on the same processors as the lab's hosts. How
//! late they began is in the report (`lag`), and is part of the latency.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

mod client;
mod http1;
mod http2;
mod report;
mod tls;

#[allow(unused_imports)] // Who includes this takes what it needs.
pub use report::{Figures, Outcome, Record, Report};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What is asked of which site, and how often.
#[derive(Debug, Clone)]
pub struct Config {
    /// The `Host` header, and the name in the TLS handshake.
    pub host: String,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub clients: Vec<Client>,
    /// How long an answer may take, connecting included, from when the request was to be sent.
    pub timeout: Duration,
}

/// Some requests of one kind.
#[derive(Debug, Clone)]
pub struct Client {
    pub name: &'static str,
    pub over: Over,
    pub ask: Ask,
    pub pace: Pace,
    /// HTTP/1.1: how many connections take turns. 0: each request has its own.
    pub connections: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Http,
    Https,
    Http2,
}

/// `@` in a path becomes a number that is the request's own.
#[derive(Debug, Clone)]
pub enum Ask {
    /// The number must be in the answer, as `"@"`; without `@` any body will do.
    Get(&'static str),
    /// So many bytes, which must come back.
    Post(&'static str, usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Requests a second.
    Rate(f64),
    /// So many at any time, one after the other.
    InFlight(usize),
}

const GET: Ask = Ask::Get("/version?n=@");
const POST: Ask = Ask::Post("/echo/", 700);
const SLOW: Ask = Ask::Get("/slow/?s=3&n=@");

impl Config {
    /// The usual mix for the application of `tests/common/app.rs` behind a host of the deploy rig: 200 requests a second
    /// over HTTP and HTTPS, connections kept and not, HTTP/2, POSTs, and four requests of 3 seconds always in flight.
    pub fn site(host: &str, address: IpAddr) -> Config {
        let client = |name, over, ask, pace, connections| Client { name, over, ask, pace, connections };
        Config {
            host: host.to_owned(),
            http: SocketAddr::new(address, 8080),
            https: SocketAddr::new(address, 443),
            clients: vec![
                client("http get", Over::Http, GET, Pace::Rate(50.0), 6),
                client("http get, new connections", Over::Http, GET, Pace::Rate(25.0), 0),
                client("http post", Over::Http, POST, Pace::Rate(20.0), 2),
                client("https get", Over::Https, GET, Pace::Rate(25.0), 4),
                client("https get, new connections", Over::Https, GET, Pace::Rate(10.0), 0),
                client("https post", Over::Https, POST, Pace::Rate(10.0), 2),
                client("h2 get", Over::Http2, GET, Pace::Rate(50.0), 1),
                client("h2 post", Over::Http2, POST, Pace::Rate(10.0), 1),
                client("http slow", Over::Http, SLOW, Pace::InFlight(2), 2),
                client("h2 slow", Over::Http2, SLOW, Pace::InFlight(2), 1),
            ],
            timeout: Duration::from_secs(30),
        }
    }

    /// The same mix with so many requests a second altogether, the slow ones beside them.
    #[must_use]
    pub fn rate(mut self, total: f64) -> Config {
        let now: f64 = self.total_rate();
        for client in &mut self.clients {
            if let Pace::Rate(rate) = &mut client.pace {
                *rate *= total / now;
            }
        }
        self
    }

    /// Only the clients whose name contains one of these words.
    #[must_use]
    pub fn only(mut self, words: &[&str]) -> Config {
        self.clients.retain(|client| words.iter().any(|word| client.name.contains(word)));
        assert!(!self.clients.is_empty(), "no client is called {words:?}");
        self
    }

    pub fn total_rate(&self) -> f64 {
        self.clients.iter().map(|client| if let Pace::Rate(rate) = client.pace { rate } else { 0.0 }).sum()
    }
}

/// A load that is under way. Dropping it ends it, too.
pub struct Load {
    runtime: Option<tokio::runtime::Runtime>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    book: Arc<report::Book>,
}

impl Load {
    /// Begins at once, on threads of its own.
    pub fn start(config: Config) -> Load {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("load")
            .enable_all()
            .build()
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let book = Arc::new(report::Book::new(&config));
        let config = Arc::new(config);
        let tls = tls::Connectors::new();
        let tasks = (0..config.clients.len())
            .map(|index| {
                let run = client::Run::new(index, &config, &tls, &book, &stop);
                runtime.spawn(run.all())
            })
            .collect();
        Load { runtime: Some(runtime), tasks, stop, book }
    }

    /// Notes a moment, for the report.
    pub fn mark(&self, what: &str) {
        self.book.mark(what);
    }

    /// Begins a window: the report tells those requests apart that were under way within one.
    pub fn begin(&self, window: &str) {
        self.book.begin(window);
    }

    /// Ends the newest window of that name.
    pub fn end(&self, window: &str) {
        self.book.end(window);
    }

    /// How many requests have been answered or have failed so far.
    pub fn done(&self) -> usize {
        self.book.done()
    }

    /// How many of those have failed.
    pub fn failed(&self) -> usize {
        self.book.failed()
    }

    /// Sends nothing more, waits for the answers that are still to come, and reports.
    pub fn stop(mut self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let runtime = self.runtime.take().unwrap();
        for task in self.tasks.drain(..) {
            runtime.block_on(task).unwrap();
        }
        runtime.shutdown_background();
        self.book.report()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
