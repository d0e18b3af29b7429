//! Against OpenSSH's own server, where it is installed (`WINDLASS_TEST_SSHD` names another one than /usr/sbin/sshd).

use crate::common::{context, finish, join_all, key, key_file, run, target};
use russh::keys::{Algorithm, PrivateKey};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use windlass::transport::{ConfigSource, ConnectContext, Exit, Link, Target};

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("WINDLASS_TEST_SSHD").map_or_else(|| PathBuf::from("/usr/sbin/sshd"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    eprintln!("not run: there is no {} (set WINDLASS_TEST_SSHD)", path.display());
    assert!(std::env::var_os("CI").is_none(), "continuous integration must have sshd");
    None
}

/// A server on a loopback port, with a configuration of its own, as the current user.
struct Sshd {
    child: Child,
    port: u16,
    folder: PathBuf,
    user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Sshd {
    /// Starts one below `folder`, which lets in `client.pub` there. `None`: it is not installed.
    async fn start(folder: &Path, more: &str) -> Option<Self> {
        let program = program()?;
        std::fs::create_dir_all(folder).unwrap();
        let host_key = key_file(folder, "host_ed25519", &key(Algorithm::Ed25519));
        let host_rsa = key_file(folder, "host_rsa", &key(Algorithm::Rsa { hash: None }));
        let client = key(Algorithm::Ed25519);
        key_file(folder, "client", &client);
        std::fs::write(folder.join("authorized"), client.public_key().to_openssh().unwrap() + "\n").unwrap();
        let mut public = String::new();
        for file in [&host_key, &host_rsa] {
            public.push_str(&russh::keys::load_secret_key(file, None).unwrap().public_key().to_openssh().unwrap());
            public.push('\n');
        }
        // A port that is free now, and again if someone was quicker.
        for _ in 0..10 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let text = format!(
                "{more}\nListenAddress 127.0.0.1:{port}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin yes\nLogLevel DEBUG1\n",
                host_key.display(),
                host_rsa.display(),
                folder.join("authorized").display(),
            );
            std::fs::write(folder.join("sshd_config"), text).unwrap();
            let mut child = Command::new(&program)
                .args(["-D", "-E"])
                .arg(folder.join("log"))
                .arg("-f")
                .arg(folder.join("sshd_config"))
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            for _ in 0..300 {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                if std::fs::read_to_string(folder.join("log")).is_ok_and(|log| log.contains("Server listening")) {
                    let mut known = String::new();
                    for line in public.lines() {
                        writeln!(known, "[127.0.0.1]:{port} {line}").unwrap();
                    }
                    std::fs::write(folder.join("known_hosts"), known).unwrap();
                    let user = tool("id", &["-un"]).trim().to_owned();
                    return Some(Self { child, port, folder: folder.to_owned(), user });
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd did not start: {:?}", std::fs::read_to_string(folder.join("log")));
    }

    fn target(&self, name: &str, identity: &Path, args: &str) -> Target {
        let known = self.folder.join("known_hosts");
        target(
            name,
            &[
                ("ansible_host", "127.0.0.1".into()),
                ("ansible_port", self.port.to_string()),
                ("ansible_user", self.user.clone()),
                ("ansible_ssh_private_key_file", identity.display().to_string()),
                ("ansible_ssh_common_args", format!("-o UserKnownHostsFile={} {args}", known.display())),
            ],
        )
    }

    fn client(&self) -> PathBuf {
        self.folder.join("client")
    }

    fn authorize(&self, key: &PrivateKey) {
        let mut text = std::fs::read_to_string(self.folder.join("authorized")).unwrap();
        text.push_str(&(key.public_key().to_openssh().unwrap() + "\n"));
        std::fs::write(self.folder.join("authorized"), text).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }
}

#[tokio::test]
async fn commands_streams_and_signals() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(folder.path(), "").await else { return };
    let context = context(folder.path());
    let link = Link::connect(&sshd.target("box", &sshd.client(), ""), &context).await.unwrap();
    let (out, err, exit) = finish(link.open("exec sh -c 'echo out; echo err >&2; exit 9'").await.unwrap()).await;
    assert_eq!((out.as_str(), exit), ("out\n", Exit::Code(9)));
    assert!(err.ends_with("err\n"), "{err}");
    let (_, _, exit) = finish(link.open("exec sh -c 'kill -TERM $$'").await.unwrap()).await;
    assert_eq!(exit, Exit::Signal("TERM".into()));
    let mut pipe = link.open("exec sh -c 'while read -r line; do echo \"got $line\"; done'").await.unwrap();
    pipe.stdin.write_all(b"one\n").await.unwrap();
    assert_eq!(pipe.stdout.next().await.unwrap().unwrap(), "got one\n");
    drop(pipe.stdin);
    assert!(pipe.exit.wait().await.is_success());
    assert!(sshd.log().contains("kex: algorithm: curve25519-sha256"));
    assert!(sshd.log().contains("cipher: aes256-gcm@openssh.com"));
    link.close().await;
}

#[tokio::test]
async fn an_unread_channel_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(folder.path(), "").await else { return };
    let context = context(folder.path());
    let link = Link::connect(&sshd.target("box", &sshd.client(), ""), &context).await.unwrap();
    let _stuck = link.open("exec cat /dev/zero").await.unwrap();
    let other = async { finish(link.open("echo through").await.unwrap()).await };
    let other = tokio::time::timeout(Duration::from_secs(20), other).await;
    assert_eq!(other.expect("the other channel must not wait").0, "through\n");
}

#[tokio::test]
async fn fifty_megabytes_both_ways() {
    const SIZE: usize = 50 << 20;
    let folder = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(folder.path(), "").await else { return };
    let context = context(folder.path());
    let link = Link::connect(&sshd.target("box", &sshd.client(), ""), &context).await.unwrap();
    let mut pipe = link.open("wc -c").await.unwrap();
    let chunk = vec![1; 1 << 20];
    for _ in 0..SIZE / chunk.len() {
        pipe.stdin.write_all(&chunk).await.unwrap();
    }
    assert_eq!(finish(pipe).await.0.trim(), SIZE.to_string());
    let mut pipe = link.open(&format!("head -c {SIZE} /dev/zero")).await.unwrap();
    let mut total = 0;
    while let Some(bytes) = pipe.stdout.next().await.unwrap() {
        total += bytes.len();
    }
    assert_eq!(total, SIZE);
    assert!(link.counters().bytes_sent > SIZE as u64 && link.counters().bytes_received > SIZE as u64);
}

#[tokio::test]
async fn rsa_keys_certificates_and_host_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = key_file(path, "ca", &key(Algorithm::Ed25519));
    let ca = ca.to_str().unwrap();
    std::fs::write(format!("{ca}.pub"), tool("ssh-keygen", &["-y", "-f", ca])).unwrap();
    let more = format!("TrustedUserCAKeys {ca}.pub\nHostCertificate {}/d/host_ed25519-cert.pub", path.display());
    let Some(sshd) = Sshd::start(&path.join("d"), &more).await else { return };
    let context = context(path);

    let rsa = key(Algorithm::Rsa { hash: None });
    sshd.authorize(&rsa);
    let file = key_file(path, "rsa", &rsa);
    assert_eq!(run(&sshd.target("box", &file, ""), &context, "echo in").await.unwrap(), "in\n");
    assert!(sshd.log().contains("rsa-sha2-512"), "{}", sshd.log());

    // The private key of a certificate need not be authorized itself.
    let mine = key_file(path, "mine", &key(Algorithm::Ed25519));
    let mine = mine.to_str().unwrap();
    std::fs::write(format!("{mine}.pub"), tool("ssh-keygen", &["-y", "-f", mine])).unwrap();
    tool("ssh-keygen", &["-q", "-s", ca, "-I", "me", "-n", &sshd.user, "-V", "+5m", &format!("{mine}.pub")]);
    assert_eq!(run(&sshd.target("box", Path::new(mine), ""), &context, "echo in").await.unwrap(), "in\n");

    // The same with the private key in an agent that knows of no certificate.
    let agent = Agent::start(path).await;
    std::fs::rename(format!("{mine}-cert.pub"), path.join("aside")).unwrap();
    agent.add(Path::new(mine));
    std::fs::rename(path.join("aside"), format!("{mine}-cert.pub")).unwrap();
    std::fs::remove_file(mine).unwrap();
    let mut by_agent = crate::common::context(path);
    by_agent.agent_socket = Some(agent.1.clone());
    assert_eq!(run(&sshd.target("box", Path::new(mine), ""), &by_agent, "echo in").await.unwrap(), "in\n");

    // A host certificate, with nothing else known of the host. sshd reads it when it starts: a second one has it.
    let host = sshd.folder.join("host_ed25519");
    let host = host.to_str().unwrap().to_owned();
    std::fs::write(format!("{host}.pub"), tool("ssh-keygen", &["-y", "-f", &host])).unwrap();
    let certified = path.join("e");
    std::fs::create_dir_all(&certified).unwrap();
    let more = format!("HostKey {host}\nHostCertificate {host}-cert.pub");
    tool("ssh-keygen", &["-q", "-s", ca, "-I", "box", "-h", "-n", "127.0.0.1", "-V", "+5m", &format!("{host}.pub")]);
    let Some(second) = Sshd::start(&certified, &more).await else { return };
    let authority = std::fs::read_to_string(format!("{ca}.pub")).unwrap();
    std::fs::write(certified.join("known_hosts"), format!("@cert-authority [127.0.0.1]:* {authority}")).unwrap();
    assert_eq!(run(&second.target("box", &second.client(), ""), &context, "echo in").await.unwrap(), "in\n");
}

/// An agent of its own.
struct Agent(Child, PathBuf);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Agent {
    async fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        for _ in 0..300 {
            if socket.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self(child, socket)
    }

    fn add(&self, key: &Path) {
        let output = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", &self.1).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn the_agent_signs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let Some(sshd) = Sshd::start(&path.join("d"), "").await else { return };
    let agent = Agent::start(path).await;
    let rsa = key(Algorithm::Rsa { hash: None });
    sshd.authorize(&rsa);
    let file = key_file(path, "rsa", &rsa);
    std::fs::write(path.join("rsa.pub"), rsa.public_key().to_openssh().unwrap()).unwrap();
    // Enough other keys that a server which counts attempts (6) would not come to the right one by itself.
    for number in 0..7 {
        agent.add(&key_file(path, &format!("other{number}"), &key(Algorithm::Ed25519)));
    }
    agent.add(&file);
    std::fs::remove_file(&file).unwrap();
    let mut context = context(path);
    context.agent_socket = Some(agent.1.clone());
    let named = sshd.target("box", &path.join("rsa.pub"), "-o IdentitiesOnly=yes");
    assert_eq!(run(&named, &context, "echo in").await.unwrap(), "in\n");
    let by_private_name = sshd.target("box", &file, "");
    assert_eq!(run(&by_private_name, &context, "echo in").await.unwrap(), "in\n");
    let error = run(&sshd.target("box", Path::new("/none"), ""), &context, "true").await.unwrap_err().to_string();
    assert!(error.contains("IdentitiesOnly"), "{error}");
    let only = sshd.target("box", Path::new("/none"), "-o IdentitiesOnly=yes");
    let error = run(&only, &context, "true").await.unwrap_err().to_string();
    assert!(error.contains("tried: nothing"), "{error}");
}

#[tokio::test]
async fn a_jump_host_is_connected_to_once_for_many() {
    let folder = tempfile::tempdir().unwrap();
    let Some(bastion) = Sshd::start(&folder.path().join("bastion"), "").await else { return };
    let Some(sshd) = Sshd::start(&folder.path().join("host"), "").await else { return };
    let file = folder.path().join("config");
    let text = format!(
        "Match host bastion\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n UserKnownHostsFile {}\n",
        bastion.port,
        bastion.user,
        bastion.client().display(),
        bastion.folder.join("known_hosts").display()
    );
    std::fs::write(&file, text).unwrap();
    let mut context = context(folder.path());
    context.config = ConfigSource::OpenSsh("ssh".into());
    context.config_file = Some(file);
    let target = sshd.target("box", &sshd.client(), "-J bastion");
    let (a, b, c) = tokio::join!(
        run(&target, &context, "echo in"),
        run(&target, &context, "echo in"),
        run(&target, &context, "echo in")
    );
    for result in [a, b, c] {
        assert_eq!(result.unwrap(), "in\n");
    }
    assert_eq!(bastion.log().matches("Accepted publickey").count(), 1, "{}", bastion.log());
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 3);
}

#[tokio::test]
async fn more_hosts_than_the_server_takes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(folder.path(), "MaxStartups 4:100:4").await else { return };
    let reach = async |context: &ConnectContext| {
        let target = sshd.target("box", &sshd.client(), "");
        let one = || async { run(&target, context, "echo in").await.map(drop) };
        for result in join_all((0..10).map(|_| one()).collect()).await {
            result.unwrap();
        }
    };
    // Bounded, nobody is dropped. (A place is free a moment after a login: the bound must not be the server's own.)
    let mut gentle = context(folder.path());
    gentle.limits.handshakes_per_gateway = 2;
    gentle.limits.dropped_retries = 0;
    reach(&gentle).await;
    assert!(!sshd.log().contains("MaxStartups throttling"), "{}", sshd.log());
    // Unbounded, those who are dropped come again.
    let mut hasty = context(folder.path());
    hasty.limits.handshakes_per_gateway = 100;
    hasty.limits.dropped_retries = 8;
    hasty.limits.dropped_backoff = Duration::from_millis(100);
    reach(&hasty).await;
}

#[tokio::test]
async fn sessions_beyond_the_limit_are_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(folder.path(), "MaxSessions 1").await else { return };
    let context = context(folder.path());
    let link = Link::connect(&sshd.target("box", &sshd.client(), ""), &context).await.unwrap();
    let _first = link.open("exec cat").await.unwrap();
    let error = link.open("true").await.unwrap_err().to_string();
    assert!(error.contains("box: opening a channel") && error.contains("MaxSessions"), "{error}");
}

#[tokio::test]
async fn a_killed_server_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(folder.path(), "").await else { return };
    let context = context(folder.path());
    let link = Link::connect(&sshd.target("box", &sshd.client(), ""), &context).await.unwrap();
    // The command's parent is the server process of this connection.
    let pipe = link.open("exec sh -c 'kill -KILL $PPID; sleep 30'").await.unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(10), pipe.exit.wait()).await.expect("it must be noticed");
    assert!(matches!(exit, Exit::Lost(_)), "{exit:?}");
}
