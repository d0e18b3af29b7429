//! The far side of a simulated host: reads the frames that `src/host/wire` writes and answers as `far.sh` would, out of a
//! map of files instead of a machine.
//!
//! It knows the words that questions about paths, folders, files, links and plain commands compile to. Anything else is
//! told as a part that could not be run, which fails the step: nothing is passed over in silence. Guards are taken to hold,
//! since nobody else works on these hosts.

use super::files::{Files, Kind, digest, number_of};
use super::words::{Line, lines};
use std::fmt::Write as _;

/// One far side: the state of its shell.
#[derive(Debug, Default)]
pub struct Far {
    buffer: Vec<u8>,
    nonce: Option<String>,
    /// The program whose rest is skipped.
    skipped: Option<String>,
    /// Scripts of commands that the program keeps in files.
    kept: Vec<(String, String)>,
    /// How many actions were done.
    pub deeds: u64,
}

/// What a shell comes to after some input.
pub enum Turn {
    /// It waits for more.
    More,
    /// It was told to end.
    Quit,
}

/// Why the rest of a program is skipped.
enum Stop {
    /// An action failed.
    Failed,
    /// This line means nothing here.
    Unknown(String),
}

fn unknown(line: &Line) -> Stop {
    Stop::Unknown(line.join(" "))
}

struct Output<'a> {
    nonce: &'a str,
    bytes: Vec<u8>,
}

impl Output<'_> {
    fn mark(&mut self, text: &str) {
        self.bytes.extend_from_slice(format!("\n@{} {text}\n", self.nonce).as_bytes());
    }

    fn done(&mut self, item: &str, status: i32, error: &str) {
        if !error.is_empty() {
            self.mark(&format!("r {item}"));
            self.bytes.extend_from_slice(error.as_bytes());
        }
        self.mark(&format!("d {item} {status}"));
    }
}

impl Far {
    /// Takes input, and appends what the shell says to it.
    pub fn feed(&mut self, name: &str, files: &mut Files, bytes: &[u8], out: &mut Vec<u8>) -> Turn {
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        let turn = loop {
            let Some(end) = self.buffer[at..].iter().position(|b| *b == b'\n').map(|i| at + i) else {
                break Turn::More;
            };
            let header = String::from_utf8_lossy(&self.buffer[at..end]).into_owned();
            let Some(nonce) = self.nonce.clone() else {
                at = end + 1;
                if let Some(greeting) = header.strip_prefix("WL-") {
                    let nonce = greeting.split(' ').next().unwrap_or_default().to_owned();
                    let hello = "uid=0(root) gid=0(root) groups=0(root)\n/root\n/dev/shm/.windlass-1-simulated\n\n";
                    out.extend_from_slice(format!("\n@{nonce} W\n{hello}\n@{nonce} .\n").as_bytes());
                    self.nonce = Some(nonce);
                }
                continue;
            };
            let words: Vec<&str> = header.split(' ').collect();
            let number = |i: usize| words.get(i).and_then(|w| w.parse::<usize>().ok()).unwrap_or(0);
            let length = match words[0] {
                "s" => number(2),
                "f" => number(2) + number(3),
                _ => 0,
            };
            let Some(body) = self.buffer.get(end + 1..end + 1 + length).map(<[u8]>::to_vec) else { break Turn::More };
            at = end + 1 + length;
            let program = words.get(1).copied().unwrap_or_default().to_owned();
            let mut output = Output { nonce: &nonce, bytes: Vec::new() };
            match words[0] {
                "s" if self.skipped.as_ref() != Some(&program) => {
                    let script = String::from_utf8_lossy(&body).into_owned();
                    if let Err(stop) = self.script(name, files, &script, &mut output) {
                        if let Stop::Unknown(line) = stop {
                            eprintln!("{name}: a simulated host does not know this line: {line}");
                            output.mark(&format!("x {program} 2"));
                        }
                        self.kept.clear();
                        self.skipped = Some(program);
                    }
                }
                "f" if self.skipped.as_ref() != Some(&program) => {
                    let (path, content) = body.split_at(number(2));
                    files.put(&String::from_utf8_lossy(path), Kind::File(content.to_vec()), 0o600);
                }
                "e" => {
                    let skipped = self.skipped.take() == Some(program.clone());
                    output.mark(&format!("E {program} {}", i32::from(skipped)));
                    output.mark(".");
                }
                "q" => break Turn::Quit,
                _ => {}
            }
            out.append(&mut output.bytes);
        };
        self.buffer.drain(..at);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        turn
    }

    fn script(&mut self, name: &str, files: &mut Files, script: &str, out: &mut Output<'_>) -> Result<(), Stop> {
        let mut script = lines(script).into_iter();
        while let Some(line) = script.next() {
            let words: Vec<&str> = line.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["wg"] | ["while", ":", ";", "do"] | ["break", ";", "done"] | ["wforget" | "wnote", ..] => {}
                ["wp", item, follow, tool, paths @ ..] => paths_of(files, item, *follow == "-L", tool, paths, out),
                ["wc_", item, path] => content_of(files, item, path, out),
                ["wm", "a", item] => {
                    let probe: Vec<Line> = script.by_ref().take_while(|line| line[0] != "we").collect();
                    let said = probe_of(files, &probe).ok_or_else(|| unknown(&line))?;
                    out.mark(&format!("a {item}"));
                    out.bytes.extend_from_slice(said.as_bytes());
                    out.done(item, 0, "");
                }
                ["wm", "b", item, ";", "{", rest @ ..] => {
                    self.deeds += 1;
                    out.mark(&format!("b {item}"));
                    let end = rest.windows(2).position(|w| w == [";", "}"]).ok_or_else(|| unknown(&line))?;
                    match rest[..end].split(|w| *w == "&&").find_map(|command| act(files, command).err()) {
                        None => out.done(item, 0, ""),
                        Some(error) => {
                            out.done(item, 1, &error);
                            if words.last() != Some(&":") {
                                return Err(Stop::Failed);
                            }
                        }
                    }
                }
                ["B=", ";", "wput", at, script, ";", rest @ ..] => {
                    self.kept.push(((*at).to_owned(), (*script).to_owned()));
                    let item = rest.get(2).copied().unwrap_or_default();
                    self.command(name, files, item, &line, out)?;
                }
                ["wm", "b", item, ";", "(", ..] => self.command(name, files, item, &line, out)?,
                // A guard.
                _ if words.windows(3).any(|w| matches!(w, ["{", "wm", "g"])) => {}
                _ => return Err(unknown(&line)),
            }
        }
        self.kept.clear();
        Ok(())
    }

    fn command(
        &mut self,
        name: &str,
        files: &Files,
        item: &str,
        line: &Line,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        self.deeds += 1;
        out.mark(&format!("b {item}"));
        let begin = line.iter().position(|w| w == "$D/pid").ok_or_else(|| unknown(line))? + 2;
        let mut words: Vec<&str> = line[begin..].iter().map(String::as_str).take_while(|w| *w != ")").collect();
        if let ["/bin/sh", script] = words.as_slice()
            && let Some((_, script)) = script.strip_prefix("$D/").and_then(|at| self.kept.iter().find(|(a, _)| a == at))
        {
            words = script.split_whitespace().collect();
        }
        let (status, said) = run(name, files, &words);
        if !said.is_empty() {
            out.mark(&format!("o {item}"));
            out.bytes.extend_from_slice(said.as_bytes());
        }
        out.done(item, status, if status == 127 { "this simulated host does not know the command\n" } else { "" });
        let goes_on = status == 0 || line.last().is_some_and(|word| word == ":");
        if goes_on { Ok(()) } else { Err(Stop::Failed) }
    }
}

fn paths_of(files: &Files, item: &str, follow: bool, tool: &str, paths: &[&str], out: &mut Output<'_>) {
    let paths: Vec<String> = paths.iter().map(|p| (*p).to_owned()).collect();
    let mut errors = String::new();
    out.mark(&format!("a {item}"));
    for path in &paths {
        match files.stat(path, follow) {
            Some(line) => out.bytes.extend_from_slice(format!("{line}\n").as_bytes()),
            None => {
                let _ = writeln!(errors, "stat: cannot statx '{path}': No such file or directory");
            }
        }
    }
    out.bytes.extend_from_slice(b"\0=");
    out.bytes.extend(files.real(&paths, follow));
    out.bytes.extend_from_slice(b"\0=");
    for path in &paths {
        if let Some(sum) = files.content(path).and_then(|content| digest(tool, content)) {
            out.bytes.extend_from_slice(format!("{sum}  {path}\n").as_bytes());
        }
    }
    out.done(item, 0, &errors);
}

/// A fixed script that looks at something: that of accounts (`common/accounts.rs`) and that of `stat`.
fn probe_of(files: &Files, lines: &[Line]) -> Option<String> {
    let first: Vec<&str> = lines.first()?.iter().map(String::as_str).collect();
    let mentions = |wanted: &str| lines.iter().flatten().any(|word| word.contains(wanted));
    match first.as_slice() {
        ["(", "set", "--", kind @ ("passwd" | "group"), name] if mentions("/etc/$1") => {
            let number = number_of(name);
            Some(match *kind {
                "passwd" => format!("{name}:x:{number}:{number}::/root:/bin/sh\n"),
                _ => format!("{name}:x:{number}:\n"),
            })
        }
        ["(", "set", "--", path, "yes" | "no", "yes" | "no", follow] if mentions("lsattr") => {
            let line = files.stat(path, *follow == "yes");
            // Between mode and name.
            let numbers = line.as_deref().map(|line| line.split(' ').skip(1).take(12).collect::<Vec<_>>().join(" "));
            let there = if line.is_some() { "yes" } else { "no" };
            Some(format!("{there}\n{there}\nno\n\n\n{}\n", numbers.unwrap_or_default()))
        }
        _ => None,
    }
}

fn content_of(files: &Files, item: &str, path: &str, out: &mut Output<'_>) {
    out.mark(&format!("a {item}"));
    match (files.content(path), files.follow(path)) {
        (Some(content), _) => {
            out.bytes.push(b'f');
            out.bytes.extend_from_slice(content);
        }
        (None, Some(_)) => out.bytes.extend_from_slice(b"!it is a folder"),
        (None, None) => out.bytes.push(b'-'),
    }
    out.done(item, 0, "");
}

/// One command of an action.
fn act(files: &mut Files, command: &[&str]) -> Result<(), String> {
    let missing = |path: &str| format!("{path}: No such file or directory\n");
    let octal = |mode: &str| u32::from_str_radix(mode, 8).map_err(|_| format!("a mode {mode}\n"));
    let owned = |files: &mut Files, who: &str, path: &str| {
        let node = files.get_mut(path).ok_or_else(|| missing(path))?;
        let (owner, group) = who.split_once(':').unwrap_or((who, ""));
        if !owner.is_empty() {
            owner.clone_into(&mut node.owner);
        }
        if !group.is_empty() {
            group.clone_into(&mut node.group);
        }
        Ok(())
    };
    match command {
        ["mkdir", "-m", mode, "--", path] => {
            let up = path.rsplit_once('/').map_or("/", |(up, _)| if up.is_empty() { "/" } else { up });
            if files.get(up).is_none() {
                return Err(missing(up));
            }
            files.put(path, Kind::Folder, octal(mode)?);
            Ok(())
        }
        ["wown" | "chown", who, path] | ["chown", "-h", who, path] => owned(files, who, path),
        ["chmod", mode, path] => {
            files.get_mut(path).ok_or_else(|| missing(path))?.mode = octal(mode)?;
            Ok(())
        }
        ["rm", "-f" | "-rf", "--", path] => {
            files.remove(path);
            Ok(())
        }
        ["wtext", path, text] => {
            files.put(path, Kind::File(text.as_bytes().to_vec()), 0o600);
            Ok(())
        }
        ["wsame", path, wanted] => {
            let sum = files.content(path).and_then(|content| digest("sha256sum", content));
            if sum.as_deref() == Some(wanted) { Ok(()) } else { Err("the file arrived damaged\n".to_owned()) }
        }
        ["winst", path, temporary, mode, owner, rest @ ..] => {
            files.get_mut(temporary).ok_or_else(|| missing(temporary))?.mode = octal(mode)?;
            if !owner.is_empty() {
                owned(files, owner, temporary)?;
            }
            // Neither backups nor checks of the content.
            if rest.first() != Some(&";") && rest.get(1).is_some_and(|backup| !backup.is_empty()) {
                return Err("no backups here\n".to_owned());
            }
            if files.rename(temporary, path) { Ok(()) } else { Err(missing(temporary)) }
        }
        ["wlink", "s", target, path, ..] => {
            files.put(path, Kind::Link((*target).to_owned()), 0o777);
            Ok(())
        }
        other => Err(format!("this simulated host can't {}\n", other.join(" "))),
    }
}

/// A command of the playbook, by its words.
fn run(name: &str, files: &Files, words: &[&str]) -> (i32, String) {
    match words {
        ["cat", "/proc/sys/kernel/hostname"] | ["hostname"] => (0, format!("{name}\n")),
        ["true"] => (0, String::new()),
        ["grep", "-c", wanted, path] => match files.content(path) {
            Some(content) => {
                let content = String::from_utf8_lossy(content);
                let count = content.lines().filter(|line| line.contains(wanted)).count();
                (i32::from(count == 0), format!("{count}\n"))
            }
            None => (2, String::new()),
        },
        _ => (127, String::new()),
    }
}
