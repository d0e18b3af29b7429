//! Servers that are not there, say nothing, or go away.

use crate::common::{context, embedded_target, run, target};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use windlass::transport::embedded::EmbeddedHost;
use windlass::transport::{Exit, Link, Problem, Step, TransportError};

async fn attempt(port: u16, timeout: &str) -> (TransportError, Duration) {
    let home = tempfile::tempdir().unwrap();
    let mut context = context(home.path());
    context.limits.dropped_backoff = Duration::from_millis(10);
    let vars = [
        ("ansible_host", "127.0.0.1".to_owned()),
        ("ansible_port", port.to_string()),
        ("ansible_ssh_timeout", timeout.to_owned()),
    ];
    let begin = Instant::now();
    let error = run(&target("ghost", &vars), &context, "true").await.unwrap_err();
    (error, begin.elapsed())
}

#[tokio::test]
async fn a_listener_that_says_nothing_runs_into_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (error, took) = attempt(listener.local_addr().unwrap().port(), "0.4").await;
    assert_eq!((error.step, took < Duration::from_secs(5)), (Step::Version, true), "{took:?}");
    assert!(error.to_string().contains("ghost: SSH version exchange: no answer within 0.4 s"), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_server_that_stops_after_its_version_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"SSH-2.0-Silent\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let (error, _) = attempt(port, "0.4").await;
    assert_eq!(error.step, Step::KeyExchange, "{error}");
}

#[tokio::test]
async fn the_connection_is_closed_when_the_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"SSH-2.0-Silent\r\n").await.unwrap();
        let mut all = Vec::new();
        let _ = socket.read_to_end(&mut all).await;
    });
    attempt(port, "0.3").await;
    tokio::time::timeout(Duration::from_secs(5), server).await.expect("the socket must be closed").unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok(Ok((mut socket, _))) = tokio::time::timeout(Duration::from_secs(2), listener.accept()).await {
            connections += 1;
            if connections == 2 {
                socket.write_all(b"Exceeded MaxStartups\r\n").await.unwrap();
            }
        }
        connections
    });
    let (error, _) = attempt(port, "5").await;
    assert!(matches!(*error.problem, Problem::Dropped { attempts: 5, .. }), "{error:?}");
    assert!(error.to_string().contains("MaxStartups"), "{error}");
    assert_eq!(server.await.unwrap(), 5);
}

#[tokio::test]
async fn a_busy_server_is_reached_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = host.port();
    let _front = tokio::spawn(async move {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let mut context = context(folder.path());
    context.limits.dropped_backoff = Duration::from_millis(10);
    let port = port.to_string();
    let target = embedded_target(&host, &[("ansible_port", &port), ("ansible_ssh_host_key_checking", "false")]);
    assert_eq!(run(&target, &context, "echo in").await.unwrap(), "in\n");
}

#[tokio::test]
async fn something_that_is_no_ssh_server_is_quoted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 100]).await;
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let (error, _) = attempt(port, "5").await;
    assert!(matches!(*error.problem, Problem::NotSsh { .. }), "{error}");
    assert!(error.to_string().contains("HTTP/1.1 400"), "{error}");
}

#[tokio::test]
async fn a_closed_port_and_a_name_without_address() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (error, _) = attempt(port, "5").await;
    let want = format!("ghost: TCP connect: 127.0.0.1:{port} refused the connection. Next: ");
    assert!(error.to_string().starts_with(&want), "{error}");
    let home = tempfile::tempdir().unwrap();
    let vars = [("ansible_host", "no-such-host.invalid".to_owned())];
    let error = run(&target("ghost", &vars), &context(home.path()), "true").await.unwrap_err();
    assert_eq!(error.step, Step::Resolve, "{error}");
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_to_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let mut pipe = link.open("echo here; cat").await.unwrap();
    assert_eq!(pipe.stdout.next().await.unwrap().unwrap(), "here\n");
    drop(host);
    let end = tokio::time::timeout(Duration::from_secs(10), pipe.stdout.next()).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let Exit::Lost(why) = pipe.exit.wait().await else { panic!("it did not end by itself") };
    assert!(why.contains("the host was stopped"), "{why}");
    assert!(pipe.stdin.write_all(b"more").await.is_err());
    let error = link.open("true").await.unwrap_err().to_string();
    assert!(error.contains("connection was lost") && error.contains("the host was stopped"), "{error}");
    assert!(!link.is_alive());
}
