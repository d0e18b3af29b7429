//! What a machine says.

use super::action::Output;
use super::question::Algorithm;
use std::sync::Arc;

/// The answer to a question. A variant belongs to each kind of question; [`Answer::Refused`] to all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `Question::Path`.
    Path(PathState),
    /// To `Question::Content`; none if there is no such file.
    Content(Option<Arc<[u8]>>),
    /// To `Question::Tree`, sorted by name; none if there is no such folder.
    Tree(Option<Arc<Vec<TreeEntry>>>),
    /// To `Question::Probe`.
    Output(Output),
    /// The host could not say (permission denied, too large, no such tool): why.
    Refused(String),
}

/// What kind of thing is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// What is at a path. Where a field is none, it is not known: it was not asked, or it is predicted only in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathState {
    /// What it is.
    pub kind: PathKind,
    /// Permission bits with set-user, set-group and sticky.
    pub mode: u32,
    /// Owner's number.
    pub uid: Option<u32>,
    /// Owner's name; `UNKNOWN` where the number has none.
    pub owner: Option<String>,
    /// Group's number.
    pub gid: Option<u32>,
    /// Group's name.
    pub group: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Where a link points, as written in it.
    pub target: Option<String>,
    /// The path with all links resolved (of its folder, where `follow` is off).
    pub real: Option<String>,
    /// Digest of a regular file's content in hexadecimal, by the algorithm asked for.
    pub digest: Option<String>,
    /// What no decision but a report rests on.
    pub times: Option<PathTimes>,
}

/// Times and numbers of an inode, for `stat` to report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathTimes {
    /// Last access, seconds since 1970.
    pub atime: i64,
    /// Last change of the content, seconds since 1970.
    pub mtime: i64,
    /// Last change of the inode, seconds since 1970.
    pub ctime: i64,
    /// Inode number.
    pub inode: u64,
    /// Device number.
    pub device: u64,
    /// Hard links.
    pub links: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
}

impl PathState {
    /// Nothing is there.
    pub fn absent() -> Self {
        Self {
            kind: PathKind::Absent,
            mode: 0,
            uid: None,
            owner: None,
            gid: None,
            group: None,
            size: None,
            target: None,
            real: None,
            digest: None,
            times: None,
        }
    }

    /// Something of a kind with a mode, all else not known.
    pub fn of(kind: PathKind, mode: u32) -> Self {
        Self { kind, mode, ..Self::absent() }
    }

    /// Whether anything is there.
    pub fn exists(&self) -> bool {
        self.kind != PathKind::Absent
    }

    /// Whether `wanted` (a name or a number) is the owner; none where it can't be told.
    pub fn owned_by(&self, wanted: &str) -> Option<bool> {
        who_is(wanted, self.uid, self.owner.as_deref())
    }

    /// Whether `wanted` (a name or a number) is the group; none where it can't be told.
    pub fn grouped_by(&self, wanted: &str) -> Option<bool> {
        who_is(wanted, self.gid, self.group.as_deref())
    }
}

fn who_is(wanted: &str, number: Option<u32>, name: Option<&str>) -> Option<bool> {
    match wanted.parse::<u32>() {
        Ok(wanted) => number.map(|n| n == wanted),
        Err(_) => name.map(|n| n == wanted),
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path below the folder asked about, without a leading `/`.
    pub name: String,
    /// What it is.
    pub state: PathState,
}

/// The digest of bytes, in hexadecimal, as the host's tool would print it.
pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> String {
    use sha2::Digest;
    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
    match algorithm {
        Algorithm::Md5 => hex(&md5::Md5::digest(bytes)),
        Algorithm::Sha1 => hex(&sha1::Sha1::digest(bytes)),
        Algorithm::Sha224 => hex(&sha2::Sha224::digest(bytes)),
        Algorithm::Sha256 => hex(&sha2::Sha256::digest(bytes)),
        Algorithm::Sha384 => hex(&sha2::Sha384::digest(bytes)),
        Algorithm::Sha512 => hex(&sha2::Sha512::digest(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_by_name_and_number() {
        let mut state = PathState::of(PathKind::File, 0o644);
        assert_eq!(state.owned_by("root"), None);
        state.uid = Some(0);
        state.owner = Some("root".into());
        assert_eq!(state.owned_by("root"), Some(true));
        assert_eq!(state.owned_by("0"), Some(true));
        assert_eq!(state.owned_by("33"), Some(false));
    }

    #[test]
    fn digests_match_the_tools() {
        assert_eq!(digest(Algorithm::Sha1, b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digest(Algorithm::Md5, b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
