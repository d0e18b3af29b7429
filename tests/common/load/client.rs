//! One kind of requests: when they begin, on which connection, and whether the answer is the right one.

use super::report::{Answer, Book, Failed, Outcome};
use super::{Ask, Config, Over, Pace, http1, http2, tls};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The most requests of one client that are under way; further ones wait, and their latency counts.
const MOST: usize = 100;

/// Numbers that no two requests of a load share.
static NUMBER: AtomicU64 = AtomicU64::new(1);

#[derive(Clone)]
pub struct Run {
    index: usize,
    config: Arc<Config>,
    tls: tls::Connectors,
    book: Arc<Book>,
    stop: Arc<AtomicBool>,
    room: Arc<Semaphore>,
    pool: Arc<Mutex<Pool>>,
    http2: Arc<tokio::sync::Mutex<Option<http2::Connection>>>,
}

/// Connections that are not in use, and how many there are in all.
#[derive(Default)]
struct Pool {
    idle: VecDeque<http1::Connection>,
    all: usize,
}

impl Run {
    pub fn new(
        index: usize,
        config: &Arc<Config>,
        tls: &tls::Connectors,
        book: &Arc<Book>,
        stop: &Arc<AtomicBool>,
    ) -> Run {
        Run {
            index,
            config: Arc::clone(config),
            tls: tls.clone(),
            book: Arc::clone(book),
            stop: Arc::clone(stop),
            room: Arc::new(Semaphore::new(MOST)),
            pool: Arc::default(),
            http2: Arc::default(),
        }
    }

    fn client(&self) -> &super::Client {
        &self.config.clients[self.index]
    }

    /// All requests until it is stopped, and their answers.
    pub async fn all(self) {
        let mut requests = JoinSet::new();
        match self.client().pace {
            Pace::InFlight(many) => {
                for _ in 0..many {
                    let run = self.clone();
                    requests.spawn(async move {
                        while !run.stop.load(Ordering::Relaxed) {
                            run.clone().one(Instant::now()).await;
                        }
                    });
                }
            }
            Pace::Rate(rate) => {
                // Clients do not all begin in the same instant.
                #[allow(clippy::cast_precision_loss)]
                let offset = self.index as f64 / self.config.clients.len() as f64;
                let begun = Instant::now();
                for number in 0_u32.. {
                    let intended = begun + Duration::from_secs_f64((f64::from(number) + offset) / rate);
                    sleep_until(intended).await;
                    if self.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    requests.spawn(self.clone().one(intended));
                    while requests.try_join_next().is_some() {}
                }
            }
        }
        while requests.join_next().await.is_some() {}
    }

    /// One request, from when it was to begin to when it is written down.
    async fn one(self, intended: Instant) {
        let room = Arc::clone(&self.room);
        let _place = room.acquire().await;
        let begun = Instant::now();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let result = match timeout_at(intended + self.config.timeout, self.ask(number)).await {
            Ok(result) => result,
            Err(_) => Err(Failed::new(Outcome::Timeout, "no answer in time")),
        };
        let paced = matches!(self.client().pace, Pace::Rate(_));
        if result.is_err() && !paced {
            // What is always in flight must not become a storm where the site is down.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.book.record(self.index, intended, begun, result);
    }

    async fn ask(&self, number: u64) -> Result<Option<String>, Failed> {
        let number = number.to_string();
        let (path, body) = match self.client().ask {
            Ask::Get(path) => (path.replace('@', &number), None),
            Ask::Post(path, size) => {
                let mut body = format!("{number} ").into_bytes();
                body.extend((body.len()..size).map(|at| b'a' + u8::try_from(at % 26).unwrap_or(0)));
                (path.replace('@', &number), Some(body))
            }
        };
        let answer = match self.client().over {
            Over::Http2 => self.over_http2(&path, body.clone()).await?,
            Over::Http | Over::Https => self.over_http1(&path, body.as_deref()).await?,
        };
        if answer.status != 200 {
            return Err(wrong(Outcome::Status(answer.status), answer));
        }
        let right = match &self.client().ask {
            Ask::Get(path) if path.contains('@') => {
                let quoted = format!("\"{number}\"");
                answer.body.windows(quoted.len()).any(|window| window == quoted.as_bytes())
            }
            Ask::Get(_) => true,
            Ask::Post(..) => Some(answer.body.as_slice()) == body.as_deref(),
        };
        if right {
            return Ok(answer.served);
        }
        Err(wrong(Outcome::WrongBody, answer))
    }

    async fn connect(&self, to: std::net::SocketAddr) -> Result<TcpStream, Failed> {
        self.book.connection(self.index);
        let stream = TcpStream::connect(to).await.map_err(|error| Failed::new(Outcome::Connect, error.to_string()))?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn over_http1(&self, path: &str, body: Option<&[u8]>) -> Result<Answer, Failed> {
        let keep = self.client().connections;
        let pooled = {
            let mut pool = self.pool.lock().unwrap();
            if keep == 0 || pool.all < keep { None } else { pool.idle.pop_front() }
        };
        let mut connection = match pooled {
            Some(connection) => connection,
            None if self.client().over == Over::Https => {
                let stream = self.connect(self.config.https).await?;
                let stream = self.tls.http1(&self.config.host, stream).await;
                let stream = stream.map_err(|error| Failed::new(Outcome::Connect, format!("TLS: {error}")))?;
                self.opened(http1::Connection::new(Box::new(stream)))
            }
            None => {
                let stream = self.connect(self.config.http).await?;
                self.opened(http1::Connection::new(Box::new(stream)))
            }
        };
        let host = &self.config.host;
        let close = if keep == 0 { "Connection: close\r\n" } else { "" };
        let mut request = match body {
            None => format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n"),
            Some(body) => format!(
                "POST {path} HTTP/1.1\r\nHost: {host}\r\n{close}Content-Type: application/octet-stream\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            ),
        }
        .into_bytes();
        request.extend_from_slice(body.unwrap_or_default());
        // A request that is given up on takes its connection along.
        let counted = Counted(&self.pool);
        let (answer, again) = connection.ask(&request).await?;
        if again && keep > 0 {
            // Those that a stall has brought beyond the number are closed again.
            let mut pool = self.pool.lock().unwrap();
            if pool.idle.len() < keep {
                pool.idle.push_back(connection);
                std::mem::forget(counted);
            }
        }
        Ok(answer)
    }

    fn opened(&self, connection: http1::Connection) -> http1::Connection {
        self.pool.lock().unwrap().all += 1;
        connection
    }

    async fn over_http2(&self, path: &str, body: Option<Vec<u8>>) -> Result<Answer, Failed> {
        let send = loop {
            let mut current = self.http2.lock().await;
            let taken = current.as_mut().and_then(http2::Connection::take);
            let Some(send) = taken else {
                *current = None;
                let stream = self.connect(self.config.https).await?;
                let stream = self.tls.http2(&self.config.host, stream).await;
                let stream = stream.map_err(|error| Failed::new(Outcome::Connect, format!("TLS: {error}")))?;
                *current = Some(http2::Connection::open(stream).await?);
                continue;
            };
            drop(current);
            match http2::ready(send).await {
                Some(send) => break send,
                // The goodbye was heard before anything was sent.
                None => *self.http2.lock().await = None,
            }
        };
        http2::ask(send, &self.config.host, path, body).await
    }
}

/// A failure that tells the start of the answer, without tags.
fn wrong(outcome: Outcome, answer: Answer) -> Failed {
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(400)]).into_owned();
    let mut within = false;
    let plain: String = text
        .chars()
        .filter(|c| {
            let tag = within || *c == '<';
            within = *c == '<' || (within && *c != '>');
            !tag
        })
        .take(160)
        .collect();
    let told = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    Failed { outcome, told, served: answer.served }
}

/// A connection that counts as one of the pool's until it is dropped.
struct Counted<'a>(&'a Mutex<Pool>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().all -= 1;
    }
}
