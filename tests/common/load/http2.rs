//! One HTTP/2 connection, on which many requests are under way at once.

use super::report::{Answer, Failed, Outcome};
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// nginx ends a connection after 1000 requests (`keepalive_requests`) with a goodbye that a request may cross. That has
/// nothing to do with deploys, so connections are left before.
const MOST: usize = 900;

pub struct Connection {
    send: SendRequest<Bytes>,
    asked: usize,
    ended: tokio::task::JoinHandle<()>,
}

impl Connection {
    pub async fn open(stream: TlsStream<TcpStream>) -> Result<Connection, Failed> {
        let (send, connection) = h2::client::handshake(stream).await.map_err(|error| failed(&error, "handshake"))?;
        let ended = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Connection { send, asked: 0, ended })
    }

    /// A handle for one request; `None` where a new connection is needed.
    pub fn take(&mut self) -> Option<SendRequest<Bytes>> {
        if self.asked >= MOST || self.ended.is_finished() {
            return None;
        }
        self.asked += 1;
        Some(self.send.clone())
    }
}

/// Whether the connection can take a request; an error means that it is over, and nothing has been sent.
pub async fn ready(send: SendRequest<Bytes>) -> Option<SendRequest<Bytes>> {
    send.ready().await.ok()
}

pub async fn ask(
    mut send: SendRequest<Bytes>,
    host: &str,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<Answer, Failed> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let request = http::Request::builder()
        .method(method)
        .uri(format!("https://{host}{path}"))
        .header("content-type", "application/octet-stream")
        .body(())
        .map_err(|error| Failed::new(Outcome::WrongBody, error.to_string()))?;
    let (answer, mut stream) = send.send_request(request, body.is_none()).map_err(|error| failed(&error, "request"))?;
    if let Some(body) = body {
        stream.send_data(body.into(), true).map_err(|error| failed(&error, "request body"))?;
    }
    let answer = answer.await.map_err(|error| failed(&error, "answer"))?;
    let status = answer.status().as_u16();
    let served = answer.headers().get("x-served-by").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut data = answer.into_body();
    let mut body = Vec::new();
    while let Some(some) = data.data().await {
        // Within an answer nothing is stale.
        let some = some.map_err(|error| Failed::new(Outcome::Reset, format!("within an answer: {error}")))?;
        let _ = data.flow_control().release_capacity(some.len());
        body.extend_from_slice(&some);
    }
    Ok(Answer { status, served, body })
}

fn failed(error: &h2::Error, within: &str) -> Failed {
    // By RFC 9113, 8.7: the server says that it did nothing with this request.
    let untouched = error.reason() == Some(h2::Reason::REFUSED_STREAM)
        || (error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR));
    let outcome = if untouched { Outcome::Stale } else { Outcome::Reset };
    Failed::new(outcome, format!("{within}: {error}"))
}
