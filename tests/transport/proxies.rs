//! Jump hosts and proxy commands.

use crate::common::{context, embedded_target, join_all, run, target};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use windlass::transport::embedded::{EmbeddedHost, Options};
use windlass::transport::{ConfigSource, ConnectContext, Link, Target};

async fn jump_host(folder: &Path) -> EmbeddedHost {
    EmbeddedHost::start_with(folder, Options { tcp_forwarding: true, ..Options::default() }).await.unwrap()
}

/// An `ssh_config` in which each host is known by a name.
fn config(folder: &Path, hosts: &[(&str, &EmbeddedHost, &str)]) -> std::path::PathBuf {
    let mut text = String::new();
    for (name, host, more) in hosts {
        write!(
            text,
            "Host {name}\n HostName 127.0.0.1\n Port {}\n User {name}-user\n IdentityFile {}\n UserKnownHostsFile {}\n \
             IdentitiesOnly yes\n {more}\n",
            host.port(),
            host.client_key().display(),
            host.known_hosts().display()
        )
        .unwrap();
    }
    let file = folder.join("config");
    std::fs::write(&file, text).unwrap();
    file
}

fn with_config(home: &Path, file: std::path::PathBuf, source: ConfigSource) -> ConnectContext {
    let mut context = context(home);
    context.config = source;
    context.config_file = Some(file);
    context
}

#[tokio::test]
async fn a_chain_of_jump_hosts_with_one_connection_each() {
    let folder = tempfile::tempdir().unwrap();
    let outer = jump_host(&folder.path().join("outer")).await;
    let inner = jump_host(&folder.path().join("inner")).await;
    let host = EmbeddedHost::start(&folder.path().join("host")).await.unwrap();
    let hosts = [("outer", &outer, ""), ("inner", &inner, "ProxyJump outer"), ("web*", &host, "ProxyJump inner")];
    for source in [ConfigSource::Parser, ConfigSource::OpenSsh("ssh".into())] {
        let context = with_config(folder.path(), config(folder.path(), &hosts), source);
        let targets: Vec<_> = (0..12).map(|n| Target::ssh(format!("web{n}"), format!("web{n}"))).collect();
        let links: Vec<_> = targets.iter().map(|target| run(target, &context, "echo $USER")).collect();
        for result in join_all(links).await {
            assert_eq!(result.unwrap(), "web*-user\n");
        }
    }
}

#[tokio::test]
async fn a_dead_jump_connection_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let jump = jump_host(&folder.path().join("jump")).await;
    let host = EmbeddedHost::start(&folder.path().join("host")).await.unwrap();
    let hosts = |jump| [("jump", jump, ""), ("web", &host, "ProxyJump jump")];
    let context = with_config(folder.path(), config(folder.path(), &hosts(&jump)), ConfigSource::Parser);
    let target = Target::ssh("web", "web");
    let link = Link::connect(&target, &context).await.unwrap();
    let port = jump.port();
    drop(jump);
    for _ in 0..500 {
        if !link.is_alive() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!link.is_alive(), "what goes through the jump host ends with it");
    let options = Options { tcp_forwarding: true, port, ..Options::default() };
    let jump = EmbeddedHost::start_with(&folder.path().join("jump"), options).await.unwrap();
    assert_eq!(jump.port(), port);
    assert_eq!(run(&target, &context, "echo in").await.unwrap(), "in\n");
}

#[tokio::test]
async fn a_jump_host_that_forwards_nothing_or_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let jump = EmbeddedHost::start(&folder.path().join("jump")).await.unwrap();
    let host = EmbeddedHost::start(&folder.path().join("host")).await.unwrap();
    let hosts = [("jump", &jump, ""), ("web", &host, "ProxyJump jump")];
    let context = with_config(folder.path(), config(folder.path(), &hosts), ConfigSource::Parser);
    let error = run(&Target::ssh("web", "web"), &context, "true").await.unwrap_err().to_string();
    assert!(error.contains("web: proxy: by way of") && error.contains("AllowTcpForwarding"), "{error}");
    drop(jump);
    let error = run(&Target::ssh("web2", "web"), &context, "true").await.unwrap_err().to_string();
    assert!(error.contains("web2 (by way of jump)") || error.contains("web2: proxy"), "{error}");
}

#[tokio::test]
async fn jump_hosts_in_a_loop_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let hosts = [("a", &host, "ProxyJump b"), ("b", &host, "ProxyJump a")];
    let context = with_config(folder.path(), config(folder.path(), &hosts), ConfigSource::Parser);
    let error = run(&Target::ssh("a", "a"), &context, "true").await.unwrap_err().to_string();
    assert!(error.contains("loop"), "{error}");
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_told_with_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    let args = "-o ProxyCommand=\"sh -c 'echo no route to %h port %p >&2; exit 1'\"";
    let error = run(&embedded_target(&host, &[("ansible_ssh_common_args", args)]), &context(folder.path()), "true")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&format!("no route to 127.0.0.1 port {}", host.port())), "{error}");
}

#[tokio::test]
async fn a_proxy_command_carries_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let host = EmbeddedHost::start(folder.path()).await.unwrap();
    if std::process::Command::new("bash").args(["-c", "true"]).status().is_err() {
        eprintln!("not run: there is no bash (its /dev/tcp stands in for nc)");
        assert!(std::env::var_os("CI").is_none(), "continuous integration must have bash");
        return;
    }
    let command = "bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3; kill %%1'";
    let known = host.known_hosts().display().to_string();
    let args = format!("-o ProxyCommand=\"{command}\" -o UserKnownHostsFile={known}");
    let target = embedded_target(&host, &[("ansible_ssh_common_args", &args)]);
    assert_eq!(run(&target, &context(folder.path()), "echo in").await.unwrap(), "in\n");
}

#[tokio::test]
async fn this_machine_is_a_host_too() {
    let folder = tempfile::tempdir().unwrap();
    let vars = [("ansible_connection", "local".to_owned())];
    let out = run(&target("here", &vars), &context(folder.path()), "echo $((6 * 7))").await.unwrap();
    assert_eq!(out, "42\n");
}
