//! One HTTP/1.1 connection, as bare as possible, so that nothing is mended on the way.

use super::report::{Answer, Failed, Outcome};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

/// A connection that fails so soon after a request was written, without a byte of an answer, had been closed before the
/// server saw the request.
const CROSSED: Duration = Duration::from_millis(10);

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub struct Connection {
    stream: Box<dyn Stream>,
    /// How many answers it has given.
    answers: u64,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

impl Connection {
    pub fn new(stream: Box<dyn Stream>) -> Connection {
        Connection { stream, answers: 0, buffer: Vec::new() }
    }

    /// Sends a request and reads its answer; `true` where the connection may be used again.
    pub async fn ask(&mut self, request: &[u8]) -> Result<(Answer, bool), Failed> {
        // Whether it is closed by now is noted, and the request written all the same: it is not saved by a look.
        let closed = self.answers > 0 && self.is_closed().await?;
        let written = Instant::now();
        let result = match self.stream.write_all(request).await {
            Ok(()) => match self.stream.flush().await {
                Ok(()) => self.answer().await,
                Err(error) => Err(Failed::new(Outcome::Reset, format!("write: {error}"))),
            },
            Err(error) => Err(Failed::new(Outcome::Reset, format!("write: {error}"))),
        };
        let reused = self.answers > 0;
        match result {
            Err(failed) if failed.outcome == Outcome::Reset && reused && self.buffer.is_empty() => {
                let stale = closed || written.elapsed() < CROSSED;
                let outcome = if stale { Outcome::Stale } else { Outcome::Reset };
                Err(Failed::new(outcome, format!("{}, on a connection that had answered", failed.told)))
            }
            other => {
                self.answers += 1;
                other
            }
        }
    }

    /// Whether the other side has closed it; anything that it says unasked is a failure.
    async fn is_closed(&mut self) -> Result<bool, Failed> {
        let mut some = [0; 256];
        match tokio::time::timeout(Duration::ZERO, self.stream.read(&mut some)).await {
            Err(_) => Ok(false),
            Ok(Ok(0) | Err(_)) => Ok(true),
            Ok(Ok(_)) => Err(Failed::new(Outcome::WrongBody, "the server spoke unasked")),
        }
    }

    async fn more(&mut self) -> Result<(), Failed> {
        let before = self.buffer.len();
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Failed::new(Outcome::Reset, format!("closed after {before} bytes of an answer"))),
            Ok(_) => Ok(()),
            Err(error) => Err(Failed::new(Outcome::Reset, format!("read after {before} bytes of an answer: {error}"))),
        }
    }

    async fn answer(&mut self) -> Result<(Answer, bool), Failed> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let (mut status, mut length, mut chunked, mut close, mut served) = (0, None, false, false, None);
        for (at, line) in head.split("\r\n").enumerate() {
            if at == 0 {
                status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse::<usize>().ok(),
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => close = value.eq_ignore_ascii_case("close"),
                "x-served-by" => served = Some(value.to_owned()),
                _ => {}
            }
        }
        if status == 0 {
            return Err(Failed::new(Outcome::WrongBody, format!("no HTTP: {:?}", head.lines().next())));
        }
        let start = end + 4;
        let body = if chunked {
            self.chunks(start).await?
        } else if let Some(length) = length {
            while self.buffer.len() < start + length {
                self.more().await?;
            }
            if self.buffer.len() > start + length {
                return Err(Failed::new(Outcome::WrongBody, "more bytes than the answer was to have"));
            }
            self.buffer[start..].to_vec()
        } else {
            return Err(Failed::new(Outcome::WrongBody, "an answer of unknown length"));
        };
        self.buffer.clear();
        Ok((Answer { status, served, body }, !close))
    }

    async fn chunks(&mut self, start: usize) -> Result<Vec<u8>, Failed> {
        let mut body = Vec::new();
        let mut at = start;
        loop {
            let line = loop {
                if let Some(end) = find(&self.buffer[at..], b"\r\n") {
                    break at + end;
                }
                self.more().await?;
            };
            let text = String::from_utf8_lossy(&self.buffer[at..line]).into_owned();
            let size = usize::from_str_radix(text.split(';').next().unwrap_or("").trim(), 16)
                .map_err(|_| Failed::new(Outcome::WrongBody, format!("no size of a chunk: {text:?}")))?;
            while self.buffer.len() < line + 2 + size + 2 {
                self.more().await?;
            }
            body.extend_from_slice(&self.buffer[line + 2..line + 2 + size]);
            at = line + 2 + size + 2;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
