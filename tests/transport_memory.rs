//! What a link needs of memory: a test alone in its process, so that no other is counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use windlass::transport::embedded::EmbeddedHost;
use windlass::transport::{ConfigSource, ConnectContext, Link, Target};

#[tokio::test]
async fn fifty_megabytes_go_up_and_come_down_in_little_memory() {
    const SIZE: usize = 50 << 20;
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let mut context = ConnectContext::new(folder.path(), "tester");
    context.config = ConfigSource::None;
    let vars = host.variables();
    let lookup = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
    let link = Link::connect(&Target::from_vars("box", &lookup).unwrap(), &context).await.unwrap();
    let before = resident();

    let mut pipe = link.open("sha256sum").await.unwrap();
    let chunk = vec![b'w'; 256 << 10];
    let mut peak = 0;
    for _ in 0..SIZE / chunk.len() {
        pipe.stdin.write_all(&chunk).await.unwrap();
        peak = peak.max(resident());
    }
    drop(pipe.stdin);
    let mut out = String::new();
    pipe.stdout.read_to_string(&mut out).await.unwrap();
    assert!(pipe.exit.wait().await.is_success());
    // head -c 52428800 /dev/zero | tr '\0' w | sha256sum
    assert!(out.starts_with(DIGEST), "{out}");

    let mut pipe = link.open(&format!("head -c {SIZE} /dev/zero | tr '\\0' w")).await.unwrap();
    let (mut total, mut wrong) = (0, 0);
    while let Some(bytes) = pipe.stdout.next().await.unwrap() {
        total += bytes.len();
        wrong += bytes.iter().filter(|byte| **byte != b'w').count();
        peak = peak.max(resident());
    }
    assert_eq!((total, wrong), (SIZE, 0));
    let grown = peak.saturating_sub(before);
    eprintln!("50 MiB each way: memory grew by {} KiB (client and server)", grown >> 10);
    assert!(grown < 32 << 20, "{grown}");
}

const DIGEST: &str = "dee4ea8bb46ddb384060b22ee7f80e19f8bab19c078c91787e5956dc4143e1bc";

/// Bytes of memory this process uses.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
