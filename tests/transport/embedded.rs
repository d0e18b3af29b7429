//! Against the embedded host.

use crate::common::{context, embedded_target, finish, run};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass::transport::embedded::EmbeddedHost;
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
    context.limits.unread = 1 << 20;
    let link = Link::connect(&embedded_target(&host, &[]), &context).await.unwrap();
    let mut stuck = link.open("cat /dev/zero").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
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
async fn a_wrong_key_is_told_with_what_was_tried() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(&folder.path().join("one")).await.unwrap();
    let other = EmbeddedHost::start(&folder.path().join("two")).await.unwrap();
    let key = other.client_key().display().to_string();
    let target = embedded_target(&host, &[("ansible_ssh_private_key_file", &key)]);
    let error = run(&target, &context(folder.path()), "true").await.unwrap_err().to_string();
    assert!(error.starts_with("box: authentication: tester could not log in"), "{error}");
    assert!(
        error.contains(&key) && error.contains("accepts: publickey") && error.contains("authorized_keys"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_with_its_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let target = embedded_target(&host, &[("ansible_ssh_common_args", "-o UserKnownHostsFile=/does/not/exist")]);
    let error = run(&target, &context(folder.path()), "true").await.unwrap_err().to_string();
    let print = host.host_key().fingerprint(russh::keys::HashAlg::Sha256).to_string();
    assert!(error.contains("host key: the key of [127.0.0.1]:") && error.contains(&print), "{error}");
    assert!(error.contains("ssh-keyscan -p"), "{error}");
}
