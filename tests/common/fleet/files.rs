//! The files of a simulated host: a map.

use sha1::Digest as _;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File(Vec<u8>),
    Link(String),
}

/// A path's entry.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: Kind,
    pub mode: u32,
    pub owner: String,
    pub group: String,
    number: u64,
    mtime: i64,
}

/// All files of a host.
#[derive(Debug)]
pub struct Files {
    nodes: BTreeMap<String, Node>,
    numbers: u64,
}

impl Default for Files {
    fn default() -> Self {
        let mut files = Self { nodes: BTreeMap::new(), numbers: 1 };
        for path in ["/", "/tmp", "/etc", "/srv", "/var", "/var/tmp"] {
            files.put(path, Kind::Folder, 0o755);
        }
        files
    }
}

/// The numbers that the simulated hosts have for names.
pub fn number_of(name: &str) -> u32 {
    match name {
        "root" => 0,
        "adm" => 4,
        _ => 1000,
    }
}

impl Files {
    /// Puts something at a path, owned by root; what was there is replaced.
    pub fn put(&mut self, path: &str, kind: Kind, mode: u32) {
        self.numbers += 1;
        let node = Node {
            kind,
            mode,
            owner: "root".into(),
            group: "root".into(),
            number: self.numbers,
            mtime: 1_700_000_000 + i64::try_from(self.numbers).unwrap_or(0),
        };
        self.nodes.insert(path.to_owned(), node);
    }

    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub fn get_mut(&mut self, path: &str) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// Moves a file into place.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        let node = self.nodes.remove(from);
        let found = node.is_some();
        self.nodes.extend(node.map(|node| (to.to_owned(), node)));
        found
    }

    pub fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
        let below = format!("{path}/");
        self.nodes.retain(|other, _| !other.starts_with(&below));
    }

    /// The paths and their entries, for whoever compares hosts.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// What a path means where links are followed; only the last part may be a link here.
    pub fn follow<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a Node)> {
        let mut at = path;
        for _ in 0..8 {
            let node = self.nodes.get(at)?;
            match &node.kind {
                Kind::Link(target) => at = target,
                _ => return Some((at, node)),
            }
        }
        None
    }

    /// The content of the regular file that a path leads to.
    pub fn content<'a>(&'a self, path: &'a str) -> Option<&'a [u8]> {
        match &self.follow(path)?.1.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }

    /// One line as `stat -c '%f %u %U %g %G %s %X %Y %Z %i %d %h %b %N'` writes it.
    pub fn stat(&self, path: &str, follow: bool) -> Option<String> {
        let node = if follow { self.follow(path)?.1 } else { self.nodes.get(path)? };
        let (kind, size) = match &node.kind {
            Kind::Folder => (0o040_000, 4096),
            Kind::File(content) => (0o100_000, content.len()),
            Kind::Link(target) => (0o120_000, target.len()),
        };
        let Node { mode, owner, group, number, mtime, .. } = node;
        let (uid, gid) = (number_of(owner), number_of(group));
        let mut line = format!(
            "{:x} {uid} {owner} {gid} {group} {size} {mtime} {mtime} {mtime} {number} 64768 1 8 {path}",
            kind | mode
        );
        if let Kind::Link(target) = &node.kind {
            let _ = write!(line, " -> {target}");
        }
        Some(line)
    }

    /// What far.sh's `wreal` says of these paths.
    pub fn real(&self, paths: &[String], follow: bool) -> Vec<u8> {
        let (mut numbers, mut found) = (String::new(), Vec::new());
        for path in paths {
            let up = |path: &str| match path.rsplit_once('/') {
                Some((up, _)) if up.contains('/') => up.to_owned(),
                _ => "/".to_owned(),
            };
            let (mut missing, mut at) = (0, path.clone());
            let there = self.follow(path).is_some();
            if !(follow && there) {
                (missing, at) = (1, up(path));
            }
            let mut broken = follow && !there && self.nodes.contains_key(path);
            while !broken && self.follow(&at).is_none() {
                broken = self.nodes.contains_key(&at);
                (missing, at) = (missing + 1, up(&at));
            }
            if broken {
                numbers.push_str(" x");
            } else {
                let _ = write!(numbers, " {missing}");
                found.extend_from_slice(self.follow(&at).map_or("/", |f| f.0).as_bytes());
                found.push(0);
            }
        }
        [numbers.as_bytes(), b"\n", &found].concat()
    }
}

/// A digest as `sha256sum` and its like write it.
pub fn digest(tool: &str, bytes: &[u8]) -> Option<String> {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    Some(match tool {
        "sha1sum" => hex(&sha1::Sha1::digest(bytes)),
        "sha224sum" => hex(&sha2::Sha224::digest(bytes)),
        "sha256sum" => hex(&sha2::Sha256::digest(bytes)),
        "sha384sum" => hex(&sha2::Sha384::digest(bytes)),
        "sha512sum" => hex(&sha2::Sha512::digest(bytes)),
        "md5sum" => hex(&md5::Md5::digest(bytes)),
        _ => return None,
    })
}
