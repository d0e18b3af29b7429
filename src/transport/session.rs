//! One identity on one machine: a far side kept open, which runs programs.

use super::link::Link;
use super::pipe::{Exit, Pipe, PipeWriter};
use super::secret::Secret;
use crate::host::program::{Note, Program};
use crate::host::quote;
use crate::host::view::WhoAmI;
use crate::host::wire::{
    Chunk, FAR_SIDE, Hello, Left, Parser, Signal, Stopping, compile, forgetting, greeting, stopping,
};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{self, UnboundedSender};

/// How long a shell may take to be ready, once the connection stands.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Raised privileges for a session.
#[derive(Debug, Clone)]
pub struct Privilege {
    /// To whose.
    pub user: String,
    /// By which program.
    pub method: Method,
    /// Further flags of the program.
    pub flags: Vec<String>,
    /// Another program than the usual one.
    pub exe: Option<String>,
    /// The password to give, if one is asked for.
    pub password: Option<Secret>,
}

/// How privileges are raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// sudo(8)
    Sudo,
    /// su(1), by root: it can't be given a password without a terminal.
    Su,
}

/// Why a session can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// The connection is gone, or nothing came back in time.
    #[error("{host}: {message}")]
    Lost {
        /// Host.
        host: String,
        /// What happened and what to do.
        message: String,
    },
    /// The host refuses the privilege, or its shell can't work.
    #[error("{host}: {message}")]
    Refused {
        /// Host.
        host: String,
        /// What happened and what to do.
        message: String,
    },
}

/// A far side kept open.
#[derive(Debug)]
pub struct Session {
    host: String,
    pipe: Pipe,
    parser: Parser,
    hello: Hello,
    programs: u64,
    trips: u64,
    /// Notes to be forgotten with what is sent next.
    forget: Vec<String>,
}

impl Session {
    /// Starts a far side over a link. `state` is the folder in which it keeps what must outlive it (absolute, one
    /// line), if not the usual one.
    ///
    /// # Errors
    /// [`SessionError`] says what the host said, and what to do.
    pub async fn open(
        link: &Link,
        host: &str,
        privilege: Option<&Privilege>,
        state: Option<&str>,
    ) -> Result<Self, SessionError> {
        Ok(Self::open_asking(link, host, privilege, state, &Program::default()).await?.0)
    }

    /// The same, with a first program that only asks: it travels behind the greeting and costs no round trip of its
    /// own. What comes back of it is returned.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_asking(
        link: &Link,
        host: &str,
        privilege: Option<&Privilege>,
        state: Option<&str>,
        first: &Program,
    ) -> Result<(Self, Vec<Signal>), SessionError> {
        let token = uuid::Uuid::now_v7().simple().to_string();
        let nonce = uuid::Uuid::new_v5(&uuid::Uuid::now_v7(), random().as_bytes()).simple().to_string();
        let command = command(privilege, &token);
        let pipe = link
            .open(&command)
            .await
            .map_err(|e| SessionError::Lost { host: host.to_owned(), message: e.to_string() })?;
        let mut parser = Parser::new(&nonce);
        let mut hail = greeting(&nonce, state).into_bytes();
        let programs = u64::from(!first.is_empty());
        if !first.is_empty() {
            let (chunks, expected) = compile(first, programs);
            parser.expect(expected);
            for chunk in chunks {
                // Questions hold no files.
                if let Chunk::Bytes(bytes) = chunk {
                    hail.extend(bytes);
                }
            }
        }
        let mut opening = Opening { host, pipe, parser, before: Vec::new(), trips: 2, early: Vec::new() };
        let limit = tokio::time::timeout(READY_WITHIN, opening.greet(privilege, &token, &hail));
        let hello = match limit.await {
            Ok(result) => result?,
            Err(_) => return Err(opening.silent()),
        };
        let Opening { pipe, parser, trips, early, .. } = opening;
        if hello.embedded && privilege.is_some() {
            return Err(SessionError::Refused {
                host: host.to_owned(),
                message: "the embedded host runs everything as the current user and refuses `become`; use a lab host \
                          (windlass lab up) for that"
                    .to_owned(),
            });
        }
        let mut session = Self { host: host.to_owned(), pipe, parser, hello, programs, trips, forget: Vec::new() };
        let mut signals = early;
        if programs > 0 && !signals.iter().any(is_end) {
            session.exchange(&[], |signal| signals.push(signal)).await?;
        }
        Ok((session, signals))
    }

    /// Who runs things there.
    pub fn whoami(&self) -> &WhoAmI {
        &self.hello.whoami
    }

    /// Its folder for temporary files, through which another session can stop it ([`Session::stop`]).
    pub fn folder(&self) -> &str {
        &self.hello.folder
    }

    /// What the host remembered from earlier runs when the session was opened.
    pub fn notes(&self) -> &[Note] {
        &self.hello.notes
    }

    /// Makes the host forget notes, with the next program or at the end.
    pub fn forget(&mut self, ids: impl IntoIterator<Item = String>) {
        self.forget.extend(ids);
    }

    fn forgetting(&mut self) -> Vec<u8> {
        let ids = std::mem::take(&mut self.forget);
        if ids.is_empty() { Vec::new() } else { forgetting(&ids, self.programs) }
    }

    /// How many programs it was given.
    pub fn programs(&self) -> u64 {
        self.programs
    }

    /// Stops another session of the same privilege on the same machine, by its [`folder`](Session::folder).
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn stop(&mut self, folder: &str, how: Stopping) -> Result<Left, SessionError> {
        let mut left = Left::Processes;
        self.run(&stopping(folder, how), |signal| {
            if let Signal::Event(crate::host::program::Event::Answered { answer, .. }) = signal {
                left = Left::of(&answer);
            }
        })
        .await?;
        Ok(left)
    }

    /// Round trips so far: two for opening the channel and the first answer, up to two more where a password is
    /// given, one for each program.
    pub fn trips(&self) -> u64 {
        self.trips
    }

    /// Runs a program and tells what happens as it happens.
    ///
    /// # Errors
    /// When the connection breaks: what has not been told has not happened, or nobody knows.
    pub async fn run(&mut self, program: &Program, mut tell: impl FnMut(Signal)) -> Result<(), SessionError> {
        self.programs += 1;
        self.trips += 1;
        let (mut chunks, expected) = compile(program, self.programs);
        chunks.insert(0, Chunk::Bytes(self.forgetting()));
        self.parser.expect(expected);
        self.exchange(&chunks, &mut tell).await
    }

    /// Sends, and tells what comes back up to the end of the program.
    async fn exchange(&mut self, chunks: &[Chunk], mut tell: impl FnMut(Signal)) -> Result<(), SessionError> {
        let Self { pipe, parser, host, .. } = self;
        let Pipe { stdin, stdout, stderr, exit } = pipe;
        let (progress, mut underway) = mpsc::unbounded_channel();
        let sending = send(stdin, chunks, &progress);
        tokio::pin!(sending);
        let mut sent = false;
        loop {
            tokio::select! {
                result = &mut sending, if !sent => {
                    sent = true;
                    // A broken pipe shows on the reading side, too, with what the host said before.
                    if let Err(SendError::Source(message)) = result {
                        return Err(SessionError::Lost { host: host.clone(), message });
                    }
                }
                Some(signal) = underway.recv() => tell(signal),
                bytes = stdout.next() => {
                    let message = match bytes {
                        Ok(Some(bytes)) => {
                            let mut over = false;
                            for signal in parser.feed(&bytes, now()) {
                                over |= is_end(&signal);
                                tell(signal);
                            }
                            if over {
                                return Ok(());
                            }
                            continue;
                        }
                        Ok(None) => match exit.wait().await {
                            Exit::Code(code) => format!("its shell ended in the middle of the work (status {code})"),
                            Exit::Signal(signal) => format!("its shell was ended by the signal {signal}"),
                            Exit::Lost(why) => format!("the connection was lost in the middle of the work: {why}"),
                        },
                        Err(error) => format!("the connection was lost in the middle of the work: {error}"),
                    };
                    let said = stderr.text();
                    let said = said.trim();
                    let said = if said.is_empty() { String::new() } else { format!("; it said: {said}") };
                    return Err(SessionError::Lost {
                        host: host.clone(),
                        message: format!("{message}{said}. What ran there may have gone on; the next run finds out"),
                    });
                }
            }
        }
    }

    /// Ends the far side in good order: it removes its temporary files.
    pub async fn close(mut self) {
        self.programs += 1;
        let last = [self.forgetting().as_slice(), b"q\n"].concat();
        let _ = self.pipe.stdin.write_all(&last).await;
        let _ = self.pipe.stdin.shutdown().await;
        let _ = tokio::time::timeout(Duration::from_secs(2), self.pipe.exit.wait()).await;
    }
}

/// A session that is not ready yet.
struct Opening<'a> {
    host: &'a str,
    pipe: Pipe,
    parser: Parser,
    /// Bytes before the far side's first marker.
    before: Vec<u8>,
    /// Round trips.
    trips: u64,
    /// What came of the first program together with the far side's first words.
    early: Vec<Signal>,
}

impl Opening<'_> {
    async fn greet(&mut self, privilege: Option<&Privilege>, token: &str, hail: &[u8]) -> Result<Hello, SessionError> {
        if let Some(privilege) = privilege
            && let Some(password) = &privilege.password
        {
            self.authenticate(privilege, password, token).await?;
            self.trips += 1;
        }
        // What was already there at the login travels in the same breath as the first line.
        let _ = self.pipe.stdin.write_all(hail).await;
        let _ = self.pipe.stdin.flush().await;
        let early = std::mem::take(&mut self.before);
        if let Some(hello) = self.hello(&early)? {
            return Ok(hello);
        }
        loop {
            match self.pipe.stdout.next().await {
                Ok(Some(bytes)) => {
                    if let Some(hello) = self.hello(&bytes)? {
                        return Ok(hello);
                    }
                }
                Ok(None) => return Err(self.ended(privilege).await),
                Err(error) => {
                    return Err(SessionError::Lost {
                        host: self.host.to_owned(),
                        message: format!("the connection was lost while its shell started: {error}"),
                    });
                }
            }
        }
    }

    fn hello(&mut self, bytes: &[u8]) -> Result<Option<Hello>, SessionError> {
        let mut found = None;
        for signal in self.parser.feed(bytes, now()) {
            match signal {
                Signal::Hello(hello) => found = Some(hello),
                Signal::Refused(message) => {
                    return Err(SessionError::Refused { host: self.host.to_owned(), message });
                }
                other => self.early.push(other),
            }
        }
        Ok(found)
    }

    /// Gives the password when it is asked for, and waits until the privileged shell is there: until then, nothing
    /// else may be sent, since sudo would take it for another password.
    async fn authenticate(
        &mut self,
        privilege: &Privilege,
        password: &Secret,
        token: &str,
    ) -> Result<(), SessionError> {
        let ready = format!("ready-{token}\n").into_bytes();
        let prompt = format!("prompt-{token}");
        let mut seen = 0;
        let mut given = false;
        loop {
            if self.before.windows(ready.len()).any(|w| w == ready) {
                return Ok(());
            }
            let prompts = self.pipe.stderr.text().matches(&prompt).count();
            if prompts == 1 && !given {
                given = true;
                self.trips += 1;
                let line = format!("{}\n", password.expose());
                let _ = self.pipe.stdin.write_all(line.as_bytes()).await;
                let _ = self.pipe.stdin.flush().await;
            } else if prompts > 1 {
                return Err(SessionError::Refused {
                    host: self.host.to_owned(),
                    message: format!(
                        "the password for `become` to {} was refused; give the right one with -K, or set \
                         ansible_become_password",
                        privilege.user
                    ),
                });
            }
            tokio::select! {
                grown = self.pipe.stderr.grown(seen) => {
                    seen = self.pipe.stderr.total();
                    if !grown {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                bytes = self.pipe.stdout.next() => match bytes {
                    Ok(Some(bytes)) => self.before.extend_from_slice(&bytes),
                    Ok(None) => return Err(self.ended(Some(privilege)).await),
                    Err(error) => return Err(SessionError::Lost {
                        host: self.host.to_owned(),
                        message: format!("the connection was lost while its shell started: {error}"),
                    }),
                }
            }
        }
    }

    /// The shell ended before it was ready: why, in the words of sudo where they are known.
    async fn ended(&self, privilege: Option<&Privilege>) -> SessionError {
        let exit = tokio::time::timeout(Duration::from_secs(2), self.pipe.exit.wait()).await;
        let said = self.pipe.stderr.text();
        let host = self.host.to_owned();
        if let Some(privilege) = privilege {
            let user = &privilege.user;
            let refused = |message: String| SessionError::Refused { host: host.clone(), message };
            if said.contains("password is required") || said.contains("a terminal is required to read the password") {
                return refused(format!(
                    "sudo asks for a password to become {user}; give it with -K, or set ansible_become_password"
                ));
            }
            if said.contains("must have a tty") {
                return refused(
                    "sudo there insists on a terminal (`requiretty`), which Windlass does not use; remove `requiretty` \
                     from its sudoers"
                        .to_owned(),
                );
            }
            if said.contains("not in the sudoers file")
                || said.contains("may not run")
                || said.contains("not allowed to")
            {
                return refused(format!("this login may not become {user} there; sudo says: {}", last_line(&said)));
            }
            if said.contains("unknown user") || said.contains("does not exist") {
                return refused(format!("there is no user {user} to become; create it in a task before this one"));
            }
            if said.contains("command not found") || said.contains("not found") {
                return refused("there is no sudo; install it, log in as root, or set `become: false`".to_owned());
            }
            if said.contains("Sorry, try again") || said.contains("incorrect password") {
                return refused(format!("the password for `become` to {user} was refused; give the right one with -K"));
            }
            return refused(format!("could not become {user}: {}", last_line(&said)));
        }
        let how = match exit {
            Ok(Exit::Code(code)) => format!("status {code}"),
            Ok(Exit::Signal(signal)) => format!("signal {signal}"),
            Ok(Exit::Lost(why)) => why,
            Err(_) => "no status".to_owned(),
        };
        let words = both(&self.parser.noise(), &said);
        SessionError::Lost {
            host,
            message: format!(
                "its shell ended before it was ready ({how}); it said: {words}. Check that the login has a POSIX shell"
            ),
        }
    }

    fn silent(&self) -> SessionError {
        let noise = self.parser.noise();
        let said = self.pipe.stderr.text();
        let words = both(&noise, &said);
        SessionError::Lost {
            host: self.host.to_owned(),
            message: format!(
                "its shell was not ready within {} s; it said: {words}. A login profile may wait for input",
                READY_WITHIN.as_secs()
            ),
        }
    }
}

fn is_end(signal: &Signal) -> bool {
    matches!(signal, Signal::Event(crate::host::program::Event::End { .. }))
}

/// The ends of what came on standard output and on standard error, in one line.
fn both(out: &str, err: &str) -> String {
    let end = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join(" | ")
    };
    let words: Vec<String> = [end(out), end(err)].into_iter().filter(|w| !w.is_empty()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" | ") }
}

fn last_line(text: &str) -> String {
    text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("nothing").trim().to_owned()
}

/// The command that starts a far side. A POSIX shell of the login runs it.
fn command(privilege: Option<&Privilege>, token: &str) -> String {
    let plain = format!("exec /bin/sh -c {}", quote(FAR_SIDE));
    let Some(privilege) = privilege else { return plain };
    let flags = privilege.flags.iter().map(|f| format!(" {}", quote(f))).collect::<String>();
    match privilege.method {
        Method::Sudo => {
            let exe = quote(privilege.exe.as_deref().unwrap_or("sudo"));
            let user = quote(&privilege.user);
            if privilege.password.is_some() {
                let inner = format!("printf 'ready-%s\\n' {token}\n{FAR_SIDE}");
                format!(
                    "exec env LC_ALL=C {exe} -H -S -p prompt-{token}{flags} -u {user} -- /bin/sh -c {}",
                    quote(&inner)
                )
            } else {
                format!("exec env LC_ALL=C {exe} -H -n{flags} -u {user} -- /bin/sh -c {}", quote(FAR_SIDE))
            }
        }
        Method::Su => {
            let exe = quote(privilege.exe.as_deref().unwrap_or("su"));
            format!("exec env LC_ALL=C {exe}{flags} -s /bin/sh {} -c {}", quote(&privilege.user), quote(FAR_SIDE))
        }
    }
}

enum SendError {
    Pipe,
    Source(String),
}

/// Files from this size on, in bytes, tell how far they have come.
const TELLING: u64 = 8 << 20;

async fn send(stdin: &mut PipeWriter, chunks: &[Chunk], progress: &UnboundedSender<Signal>) -> Result<(), SendError> {
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => stdin.write_all(bytes).await.map_err(|_| SendError::Pipe)?,
            Chunk::File { path, len } => send_file(stdin, path, *len, progress).await?,
        }
    }
    stdin.flush().await.map_err(|_| SendError::Pipe)
}

/// Exactly `len` bytes, whatever has become of the file: the host counts them, and its digest tells the rest.
async fn send_file(
    stdin: &mut PipeWriter,
    path: &Path,
    len: u64,
    progress: &UnboundedSender<Signal>,
) -> Result<(), SendError> {
    let problem =
        |e: std::io::Error| SendError::Source(format!("could not read {} while sending it: {e}", path.display()));
    let mut file = tokio::fs::File::open(path).await.map_err(problem)?.take(len);
    let room = usize::try_from(len.min(128 << 10)).unwrap_or(1);
    let mut buffer = vec![0; room];
    let mut left = len;
    let (step, mut told) = ((len / 100).max(1 << 20), 0);
    while left > 0 {
        let sent = len - left;
        if len >= TELLING && sent >= told + step {
            told = sent;
            // Nobody need listen.
            let _ = progress.send(Signal::Sending { path: path.to_owned(), sent, len });
        }
        let n = file.read(&mut buffer).await.map_err(problem)?;
        if n == 0 {
            // It has shrunk meanwhile.
            let blank = vec![0; usize::try_from(left.min(128 << 10)).unwrap_or(1)];
            stdin.write_all(&blank).await.map_err(|_| SendError::Pipe)?;
            left -= blank.len() as u64;
            continue;
        }
        stdin.write_all(&buffer[..n]).await.map_err(|_| SendError::Pipe)?;
        left -= n as u64;
    }
    Ok(())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Something nobody can guess, for the nonce: the system's random numbers, seeded into a hasher per process.
fn random() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut out = String::new();
    for _ in 0..2 {
        out.push_str(&format!("{:016x}", RandomState::new().build_hasher().finish()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_quote_what_they_are_given() {
        let privilege = Privilege {
            user: "it's".into(),
            method: Method::Sudo,
            flags: vec!["-E".into(), "a b".into()],
            exe: None,
            password: None,
        };
        let text = command(Some(&privilege), "t");
        assert!(text.starts_with(r"exec env LC_ALL=C sudo -H -n -E 'a b' -u 'it'\''s' -- /bin/sh -c '"), "{text}");
    }
}
