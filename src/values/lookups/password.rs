//! `lookup('password')`: passwords that are made once and kept in a file.

use super::ask::{Ask, Lookup, words};
use crate::values::Value;
use crate::values::call::Made;
use crate::values::error::fail;
use crate::values::filters::hash::{SALT_CHARACTERS, password_hash};
use crate::values::random::{Stream, mix};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub(super) const LOOKUPS: &[Lookup] = &[Lookup {
    name: "password",
    about: "a password that is made once and kept in a file",
    options: &["length", "chars", "encrypt", "seed"],
    run: password,
}];

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

fn password(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    for term in ask.texts()? {
        let (plain, mut pairs) = words(&term);
        let path = plain.join(" ");
        for name in ["length", "encrypt", "seed"] {
            if let Some(value) = ask.text_option(name)? {
                pairs.push((name.to_owned(), value.to_string()));
            }
        }
        match ask.option("chars") {
            Some(Value::List(items)) => {
                pairs.push(("chars".into(), items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")));
            }
            Some(value) => pairs.push(("chars".into(), value.to_string())),
            None => {}
        }
        if let Some((name, _)) =
            pairs.iter().find(|(n, _)| !["length", "chars", "encrypt", "seed"].contains(&n.as_str()))
        {
            return Err(fail(format!("has no option `{name}`; it has length, chars, encrypt, seed")));
        }
        out.push(Value::from(one(ask, &path, &pairs)?));
    }
    Ok(out)
}

fn one(ask: &Ask, path: &str, pairs: &[(String, String)]) -> Made<String> {
    let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let length = match get("length") {
        None => 20,
        Some(text) => text.parse::<usize>().map_err(|_| fail(format!("`length` must be a number, not '{text}'")))?,
    };
    let characters = characters(get("chars").unwrap_or("ascii_letters,digits,.,,:-_"));
    let file = ask.candidates(path, &[]).into_iter().next().unwrap_or_default();
    let kept = file.as_path() != Path::new("/dev/null");
    let mut source = match get("seed") {
        Some(seed) => Source::Stream(Stream::new(mix(seed.as_bytes(), 2))),
        // What is not kept must come out the same when the step is looked at again.
        None if !kept => Source::Stream(Stream::new(ask.evaluation.draw("password"))),
        None => Source::System,
    };
    let content = if kept && file.exists() { Some(ask.read(&file)?) } else { None };
    let (mut text, mut salt) = match content.as_deref().map(str::trim_end) {
        Some(content) => match content.rsplit_once(" salt=") {
            Some((text, salt)) => (text.to_owned(), Some(salt.split(' ').next().unwrap_or_default().to_owned())),
            None => (content.to_owned(), None),
        },
        None => (String::new(), None),
    };
    let mut write = content.is_none();
    if content.is_none() {
        text = source.pick(&characters, length)?;
    }
    let encrypt = get("encrypt").filter(|e| !e.is_empty());
    if encrypt.is_some() && salt.is_none() {
        salt = Some(source.pick(&SALT_CHARACTERS.chars().collect::<Vec<_>>(), 16)?);
        write = true;
    }
    if write && kept {
        let content = salt.as_ref().map_or_else(|| format!("{text}\n"), |salt| format!("{text} salt={salt}\n"));
        keep(&file, &content)?;
    }
    ask.evaluation.engine.options.redactor.add(&text);
    match encrypt {
        None => Ok(text),
        Some(kind) => password_hash(&text, kind, salt.as_deref().unwrap_or_default(), None),
    }
}

/// Where the characters come from.
enum Source {
    Stream(Stream),
    System,
}

impl Source {
    fn pick(&mut self, characters: &[char], count: usize) -> Made<String> {
        if characters.is_empty() {
            return Err(fail("`chars` leaves no characters"));
        }
        let mut seed = [0u8; 8];
        (0..count)
            .map(|_| {
                let number = match self {
                    Self::Stream(stream) => stream.next(),
                    Self::System => {
                        let random = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut seed));
                        random.map_err(|e| fail(format!("can't read /dev/urandom: {e}")))?;
                        u64::from_le_bytes(seed)
                    }
                };
                // 64 bits over some eighty characters: the bias can't be measured.
                Ok(characters[usize::try_from(number % characters.len() as u64).unwrap_or(0)])
            })
            .collect()
    }
}

/// The characters of a list such as `ascii_letters,digits,.-`; a doubled comma is a comma.
fn characters(list: &str) -> Vec<char> {
    let lower: String = ('a'..='z').collect();
    let upper: String = ('A'..='Z').collect();
    let mut out: Vec<char> = Vec::new();
    let comma = list.contains(",,");
    for part in list.split(',').filter(|p| !p.is_empty()) {
        match part {
            "ascii_letters" => out.extend(lower.chars().chain(upper.chars())),
            "ascii_lowercase" => out.extend(lower.chars()),
            "ascii_uppercase" => out.extend(upper.chars()),
            "digits" => out.extend('0'..='9'),
            "hexdigits" => out.extend("0123456789abcdefABCDEF".chars()),
            "octdigits" => out.extend('0'..='7'),
            "punctuation" => out.extend(PUNCTUATION.chars()),
            other => out.extend(other.chars()),
        }
    }
    if comma {
        out.push(',');
    }
    let mut seen = std::collections::HashSet::new();
    out.retain(|c| seen.insert(*c));
    out
}

/// Writes the file so that no one else can read it, and never half of it.
fn keep(file: &Path, content: &str) -> Made<()> {
    let bad = |e: std::io::Error| fail(format!("can't keep the password in {}: {e}", file.display()));
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(bad)?;
    }
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let _ = std::fs::remove_file(new);
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(new).map_err(bad)?;
    out.write_all(content.as_bytes()).and_then(|()| out.sync_all()).map_err(bad)?;
    std::fs::rename(new, file).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::characters;

    #[test]
    fn lists_of_characters() {
        assert_eq!(characters("digits"), ('0'..='9').collect::<Vec<_>>());
        assert_eq!(characters("a,b,,"), vec!['a', 'b', ',']);
        assert_eq!(characters("ascii_letters,digits,.,,:-_").len(), 67);
        assert_eq!(characters("octdigits,digits").len(), 10);
    }
}
