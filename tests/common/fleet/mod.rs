//! A simulated fleet: thousands of hosts in one process, for tests and `scripts/bench fleet`.
//!
//! It speaks the SSH server side (russh) on every address of 127.0.0.0/8 at one port; the address is the host. A login gets
//! the far side of `far.rs`, which answers programs out of a map: no shell and no process is started, so that what is
//! measured is the controller. Hosts keep their files from connection to connection.

// Not every user of this module needs all of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

pub mod far;
pub mod files;
pub mod wire;
pub mod words;

use far::{Far, Turn};
use files::Files;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, MethodKind, MethodSet};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wire::Wire;

/// How a host behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It answers.
    Well,
    /// It takes connections and never says a word.
    Silent,
    /// It falls silent, with all that its connection carries, when the first actions have arrived.
    Frozen,
    /// It takes this long for each program.
    Slow(Duration),
}

type MannerOf = dyn Fn(u32) -> Manner + Send + Sync;

/// What the hosts of a fleet share.
struct Shared {
    manner: Box<MannerOf>,
    client_key: PublicKey,
    files: Mutex<HashMap<u32, Arc<Mutex<Files>>>>,
    /// Connections that stand, and the most that stood together.
    open: AtomicU64,
    most: AtomicU64,
    deeds: AtomicU64,
    /// Cancelled when silent and frozen hosts let go of their connections.
    released: CancellationToken,
}

impl Shared {
    fn files(&self, host: u32) -> Arc<Mutex<Files>> {
        Arc::clone(self.files.lock().unwrap().entry(host).or_default())
    }
}

/// A running fleet, which ends with its runtime.
pub struct Fleet {
    /// Where it listens.
    pub port: u16,
    /// The folder with `id` (the key that it lets in), `known_hosts` and inventories.
    pub folder: PathBuf,
    host_key: PublicKey,
    shared: Arc<Shared>,
}

/// The address of a host, by its number from 1.
pub fn address(host: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 64, 0, 0)) + host)
}

fn host_of(address: IpAddr) -> Option<u32> {
    let IpAddr::V4(address) = address else { return None };
    u32::from(address).checked_sub(u32::from(Ipv4Addr::new(127, 64, 0, 0))).filter(|host| *host < 1 << 16)
}

/// The name of a host, by its number from 1.
pub fn name(host: u32) -> String {
    format!("s{host:04}")
}

impl Fleet {
    /// Starts listening. `trip` is what a round trip takes.
    pub async fn start(folder: &Path, trip: Duration, manner: impl Fn(u32) -> Manner + Send + Sync + 'static) -> Self {
        let key = || PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let (client, host_key) = (key(), key());
        let text = client.to_openssh(LineEnding::LF).unwrap();
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(folder.join("id")).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let shared = Arc::new(Shared {
            manner: Box::new(manner),
            client_key: client.public_key().clone(),
            files: Mutex::default(),
            open: AtomicU64::new(0),
            most: AtomicU64::new(0),
            deeds: AtomicU64::new(0),
            released: CancellationToken::new(),
        });
        let public = host_key.public_key().clone();
        let config = Arc::new(server::Config {
            methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
            auth_rejection_time: Duration::from_millis(20),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![host_key],
            inactivity_timeout: None,
            nodelay: true,
            ..server::Config::default()
        });
        // All of 127.0.0.0/8 by one listener; who does not come from this machine is not answered.
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(accept(listener, config, Arc::clone(&shared), trip));
        Self { port, folder: folder.to_owned(), host_key: public, shared }
    }

    /// Writes an inventory of the first `hosts` hosts, and the keys that they show.
    pub fn inventory(&self, hosts: u32) -> PathBuf {
        let key = self.host_key.to_openssh().unwrap();
        let (mut inventory, mut known) = (String::new(), String::new());
        for host in 1..=hosts {
            let _ = writeln!(inventory, "{} ansible_host={}", name(host), address(host));
            let _ = writeln!(known, "[{}]:{} {key}", address(host), self.port);
        }
        let folder = self.folder.display();
        let _ = write!(
            inventory,
            "\n[all:vars]\nansible_port={}\nansible_user=root\nansible_ssh_private_key_file={folder}/id\n\
             ansible_ssh_common_args=-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={folder}/known_hosts \
             -o GlobalKnownHostsFile=none\n",
            self.port
        );
        std::fs::write(self.folder.join("known_hosts"), known).unwrap();
        let path = self.folder.join(format!("hosts-{hosts}"));
        std::fs::write(&path, inventory).unwrap();
        path
    }

    /// The files of a host.
    pub fn files(&self, host: u32) -> Arc<Mutex<Files>> {
        self.shared.files(host)
    }

    /// Everything is to be changed again.
    pub fn clear(&self) {
        self.shared.files.lock().unwrap().clear();
    }

    /// Silent and frozen hosts close their connections.
    pub fn release(&self) {
        self.shared.released.cancel();
    }

    /// How many actions were done since the last call.
    pub fn deeds(&self) -> u64 {
        self.shared.deeds.swap(0, Ordering::Relaxed)
    }

    /// The most connections that stood at the same time since the last call.
    pub fn most(&self) -> u64 {
        self.shared.most.swap(0, Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, config: Arc<server::Config>, shared: Arc<Shared>, trip: Duration) {
    loop {
        let Ok((socket, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let host = socket.local_addr().ok().map(|a: SocketAddr| a.ip()).and_then(host_of);
        let Some(host) = host.filter(|_| peer.ip().is_loopback()) else { continue };
        tokio::spawn(serve(socket, host, Arc::clone(&config), Arc::clone(&shared), trip));
    }
}

async fn serve(socket: TcpStream, host: u32, config: Arc<server::Config>, shared: Arc<Shared>, trip: Duration) {
    let _ = socket.set_nodelay(true);
    let manner = (shared.manner)(host);
    if manner == Manner::Silent {
        // As long as the other side keeps it.
        let (mut socket, mut nothing) = (socket, tokio::io::sink());
        tokio::select! {
            _ = tokio::io::copy(&mut socket, &mut nothing) => {}
            () = shared.released.cancelled() => {}
        }
        return;
    }
    let open = shared.open.fetch_add(1, Ordering::Relaxed) + 1;
    shared.most.fetch_max(open, Ordering::Relaxed);
    let frozen = Arc::new(AtomicBool::new(false));
    let wire = Wire::new(socket, trip, Arc::clone(&frozen), shared.released.clone());
    let connection = Connection { host, manner, shared: Arc::clone(&shared), frozen, waiting: HashMap::new() };
    if let Ok(session) = server::run_stream(config, wire, connection).await {
        let _ = session.await;
    }
    shared.open.fetch_sub(1, Ordering::Relaxed);
}

/// One client.
struct Connection {
    host: u32,
    manner: Manner,
    shared: Arc<Shared>,
    frozen: Arc<AtomicBool>,
    waiting: HashMap<ChannelId, Channel<Msg>>,
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let good = self.shared.client_key.key_data() == key.public_key.key_data();
        let methods = MethodSet::from([MethodKind::PublicKey].as_slice());
        Ok(if good {
            Auth::Accept
        } else {
            Auth::Reject { proceed_with_methods: Some(methods), partial_success: false }
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.waiting.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, _command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let Some(channel) = self.waiting.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let (manner, frozen, shared) = (self.manner, Arc::clone(&self.frozen), Arc::clone(&self.shared));
        tokio::spawn(shell(self.host, manner, frozen, shared, channel));
        Ok(())
    }
}

async fn shell(host: u32, manner: Manner, frozen: Arc<AtomicBool>, shared: Arc<Shared>, channel: Channel<Msg>) {
    let (files, name) = (shared.files(host), name(host));
    let (mut read, write) = channel.split();
    let (mut far, mut received) = (Far::default(), 0);
    while let Some(message) = read.wait().await {
        let data = match message {
            ChannelMsg::Data { data } => data,
            ChannelMsg::Eof | ChannelMsg::Close => break,
            _ => continue,
        };
        received += 1;
        match manner {
            // The first are the greeting and questions.
            Manner::Frozen if received > 1 => frozen.store(true, Ordering::Relaxed),
            Manner::Frozen => {}
            Manner::Slow(time) => tokio::time::sleep(time).await,
            Manner::Well | Manner::Silent => {}
        }
        let mut out = Vec::new();
        let turn = far.feed(&name, &mut files.lock().unwrap(), &data, &mut out);
        shared.deeds.fetch_add(std::mem::take(&mut far.deeds), Ordering::Relaxed);
        if !out.is_empty() && write.data_bytes(out).await.is_err() {
            return;
        }
        if matches!(turn, Turn::Quit) {
            break;
        }
    }
    let _ = write.exit_status(0).await;
    let _ = write.eof().await;
    let _ = write.close().await;
}
