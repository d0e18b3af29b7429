//! What goes over a link, and how it ends.

use crate::common::{context, embedded_target, finish};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass::transport::embedded::{EmbeddedHost, Options};
use windlass::transport::{Exit, Link};

#[tokio::test]
async fn streams_status_home_and_marker() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let pipe = link.open("echo \"$HOME $WINDLASS_EMBEDDED $USER\"; pwd; echo err >&2; exit 7").await.unwrap();
    let (out, err, exit) = finish(pipe).await;
    let home = host.home().display();
    assert_eq!(out, format!("{home} 1 tester\n{home}\n"));
    assert_eq!((err.as_str(), exit), ("err\n", Exit::Code(7)));
    let counters = link.counters();
    assert!(counters.bytes_sent > 1000 && counters.bytes_received > 1000 && counters.channels == 1, "{counters:?}");
    assert!(link.is_alive());
    link.close().await;
}

#[tokio::test]
async fn a_persistent_shell_answers_requests() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let mut pipe = link.open("while read -r line; do echo \"got $line\"; done; echo bye").await.unwrap();
    let mut buffer = [0; 6];
    for letter in ["a", "b", "c"] {
        pipe.stdin.write_all(format!("{letter}\n").as_bytes()).await.unwrap();
        pipe.stdout.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, format!("got {letter}\n").as_bytes());
    }
    let (rest, _, exit) = finish(pipe).await;
    assert_eq!((rest.as_str(), exit), ("bye\n", Exit::Code(0)));
}

#[tokio::test]
async fn an_unread_channel_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let mut context = context(folder.path());
    (context.limits.unread_memory, context.limits.unread_disk) = (1 << 20, 8 << 20);
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let mut stuck = link.open("cat /dev/zero").await.unwrap();
    // More than may wait unread has come: a reader that keeps up from now on would never see the error.
    while link.counters().bytes_received < 10 << 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What has been counted may still be on its way to the channel.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let other =
        tokio::time::timeout(Duration::from_secs(10), async { finish(link.open("echo through").await.unwrap()).await });
    assert_eq!(other.await.expect("the other channel must not wait").0, "through\n");
    let error = loop {
        match stuck.stdout.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the end came without the error"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("waited to be read"), "{error}");
    assert!(link.is_alive());
}

#[tokio::test]
async fn a_slow_reader_gets_everything_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let mut slow = link.open("seq 1 2000000").await.unwrap();
    assert!(slow.stdout.next().await.unwrap().is_some_and(|first| first.starts_with(b"1\n2\n")));
    // All of it arrives meanwhile: nothing but the reader is waited for.
    tokio::time::timeout(Duration::from_secs(20), slow.exit.wait()).await.unwrap();
    assert_eq!(finish(link.open("echo through").await.unwrap()).await.0, "through\n");
    let (out, _, _) = finish(slow).await;
    assert!(out.ends_with("1999999\n2000000\n"));
    // The first chunk may have ended in the middle of a line; all whole lines from there on are in order.
    assert!(
        out.lines()
            .skip(1)
            .zip(out.lines().skip(2))
            .all(|(a, b)| a.parse::<u32>().unwrap() + 1 == b.parse::<u32>().unwrap())
    );
}

#[tokio::test]
async fn a_signal_is_told_and_a_background_child_delays_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let (_, _, exit) = finish(link.open("kill -TERM $$").await.unwrap()).await;
    assert_eq!(exit, Exit::Signal("TERM".into()));
    let pipe = link.open("sleep 20 & echo started; exit 5").await.unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(10), pipe.exit.wait()).await.unwrap();
    assert_eq!(exit, Exit::Code(5));
}

#[tokio::test]
async fn dropping_a_pipe_closes_its_channel() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_sessions: 1, ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let first = link.open("cat; echo over > seen").await.unwrap();
    let error = link.open("true").await.unwrap_err().to_string();
    assert!(error.contains("MaxSessions"), "{error}");
    drop(first);
    let mut tries = 0;
    loop {
        match link.open("true").await {
            Ok(pipe) => break assert!(finish(pipe).await.2.is_success()),
            Err(error) => assert!(tries < 100, "{error}"),
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The command was not killed: it read the end of its input, and went on.
    for _ in 0..200 {
        if host.home().join("seen").exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the command did not see the end of its input");
}

#[tokio::test]
async fn a_writer_is_not_left_waiting_when_the_command_ends() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let mut pipe = link.open("head -c 10 > /dev/null").await.unwrap();
    let chunk = vec![0; 1 << 20];
    let write = async { while pipe.stdin.write_all(&chunk).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), write).await.expect("the writer must fail, not wait");
}

#[tokio::test]
async fn keys_are_exchanged_anew_in_the_middle_of_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { rekey_after: Some(1 << 20), ..Options::default() };
    let host = EmbeddedHost::start_with(folder.path(), options).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let pipe = link.open("cat").await.unwrap();
    let (mut stdin, mut stdout) = (pipe.stdin, pipe.stdout);
    let writer = tokio::spawn(async move {
        let chunk = vec![b'x'; 128 << 10];
        for _ in 0..48 {
            stdin.write_all(&chunk).await.unwrap();
        }
    });
    let mut all = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), stdout.read_to_end(&mut all)).await.unwrap().unwrap();
    writer.await.unwrap();
    assert_eq!(all.len(), 48 * (128 << 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_links_at_once_on_several_threads() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = std::sync::Arc::new(context(folder.path()));
    let mut tasks = Vec::new();
    for number in 0..24 {
        let (context, target) = (std::sync::Arc::clone(&context), embedded_target(&host, &[]));
        tasks.push(tokio::spawn(async move {
            let link = Link::connect(&target, &context).await.unwrap();
            let mut pipe = link.open("wc -c").await.unwrap();
            pipe.stdin.write_all(&vec![0; 1 << 20]).await.unwrap();
            let (out, _, _) = finish(pipe).await;
            assert_eq!(out.trim(), (1 << 20).to_string());
            let (out, _, _) = finish(link.open(&format!("echo {number}; seq 1 20000")).await.unwrap()).await;
            assert!(out.starts_with(&format!("{number}\n1\n")) && out.ends_with("\n20000\n"));
            link.close().await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn many_channels_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let context = context(folder.path());
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let mut pipes = Vec::new();
    for number in 0..20 {
        pipes.push(link.open(&format!("cat; echo {number}")).await.unwrap());
    }
    for (number, pipe) in pipes.into_iter().enumerate() {
        assert_eq!(finish(pipe).await.0, format!("{number}\n"));
    }
    assert_eq!(link.counters().channels, 20);
}
