//! A tree as a whole: which trees are refused, and their digest.

use super::error::SourceError;
use super::packed::{Item, Kind};
use super::shown;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

/// Links that follow one another, as many as Linux allows (path_resolution(7)).
const HOPS: u32 = 40;

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Refuses names that would land outside of the tree, or nowhere.
pub(super) fn check_path(path: &[u8], whence: &str) -> Result<(), SourceError> {
    let why = if path.is_empty() {
        "has no name"
    } else if path.starts_with(b"/") {
        "has an absolute path"
    } else if path.contains(&0) {
        "has a name with a zero byte"
    } else if path.split(|b| *b == b'/').any(|part| matches!(part, b"" | b"." | b"..")) {
        "has `..` or nothing between two slashes in its path"
    } else {
        return Ok(());
    };
    Err(SourceError::Entry { whence: whence.to_owned(), path: shown(path), why })
}

/// Refuses trees (sorted by path) that hold something twice, something below a file or a link, or links that leave.
pub(super) fn check(items: &[Item], whence: &str) -> Result<(), SourceError> {
    let refuse = |item: &Item, why| Err(SourceError::Entry { whence: whence.to_owned(), path: shown(&item.path), why });
    let kinds: HashMap<&[u8], &Kind> = items.iter().map(|i| (i.path.as_slice(), &i.kind)).collect();
    for (at, item) in items.iter().enumerate() {
        if at > 0 && items[at - 1].path == item.path {
            return refuse(item, "is there twice");
        }
        let slashes = item.path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i);
        for slash in slashes {
            match kinds.get(&item.path[..slash]) {
                Some(Kind::File { .. }) => return refuse(item, "lies below a file"),
                Some(Kind::Link { .. }) => return refuse(item, "lies below a link"),
                None => {}
            }
        }
        if let Kind::Link { target } = &item.kind
            && resolve(&kinds, parent(&item.path), target).is_none()
        {
            let (path, target) = (shown(&item.path), shown(target));
            return Err(SourceError::LinkLeaves { whence: whence.to_owned(), path, target });
        }
    }
    Ok(())
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(&[], |slash| &path[..slash])
}

/// Where `target` leads from the folder `from`, through the links of the tree; none if it leaves the tree. What leads
/// around in a circle stays where it was seen last: it is broken, but not outside.
fn resolve(kinds: &HashMap<&[u8], &Kind>, from: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut at: Vec<u8> = from.to_vec();
    let mut to_go: VecDeque<&[u8]> = target.split(|b| *b == b'/').collect();
    let mut hops = 0;
    while let Some(part) = to_go.pop_front() {
        match part {
            b"" | b"." => {}
            b".." if at.is_empty() => return None,
            b".." => at.truncate(parent(&at).len()),
            name => {
                let before = at.len();
                if !at.is_empty() {
                    at.push(b'/');
                }
                at.extend_from_slice(name);
                if let Some(Kind::Link { target }) = kinds.get(at.as_slice()).copied() {
                    hops += 1;
                    if hops > HOPS {
                        return Some(at);
                    }
                    if target.starts_with(b"/") {
                        return None;
                    }
                    at.truncate(before);
                    for part in target.rsplit(|b| *b == b'/') {
                        to_go.push_front(part);
                    }
                }
            }
        }
    }
    Some(at)
}

/// The file that `path` means, through links.
pub(super) fn find<'a>(items: &'a [Item], path: &[u8]) -> Option<&'a Item> {
    let exact = |path: &[u8]| items.binary_search_by(|i| i.path.as_slice().cmp(path)).ok().map(|i| &items[i]);
    if let Some(item) = exact(path)
        && matches!(item.kind, Kind::File { .. })
    {
        return Some(item);
    }
    let kinds: HashMap<&[u8], &Kind> =
        items.iter().filter(|i| matches!(i.kind, Kind::Link { .. })).map(|i| (i.path.as_slice(), &i.kind)).collect();
    let place = resolve(&kinds, b"", path)?;
    exact(&place).filter(|i| matches!(i.kind, Kind::File { .. }))
}

/// Refuses a tree without `manage.py` in the folder of the project (relative, empty for the top).
pub(super) fn check_project(items: &[Item], project_dir: &str, whence: &str) -> Result<(), SourceError> {
    let wanted = if project_dir.is_empty() { "manage.py".to_owned() } else { format!("{project_dir}/manage.py") };
    if find(items, wanted.as_bytes()).is_some() {
        return Ok(());
    }
    let found = items
        .iter()
        .filter_map(|i| match i.path.strip_suffix(b"manage.py")? {
            b"" => Some(String::new()),
            folder => folder.strip_suffix(b"/").map(shown),
        })
        .take(5)
        .collect();
    Err(SourceError::NoManagePy { project_dir: project_dir.to_owned(), found, whence: whence.to_owned() })
}

/// The digest of a tree (sorted by path): of each file its path, its content and whether it can be run; of each link
/// its path and target. Times, owners and the order of packing have no part in it.
pub(super) fn digest(items: &[Item]) -> String {
    let mut sha = Sha256::new();
    sha.update(b"windlass tree 1\n");
    for item in items {
        // No path and no target holds a zero byte, so no two trees make the same bytes.
        sha.update(&item.path);
        match &item.kind {
            Kind::File { executable, sha256, .. } => {
                sha.update(if *executable { b"\0x\0" } else { b"\0f\0" });
                sha.update(sha256);
            }
            Kind::Link { target } => {
                sha.update(b"\0l\0");
                sha.update(target);
            }
        }
        sha.update(b"\0");
    }
    hex(&sha.finalize())
}

/// A folder within a source, as it is compared: no slash at either end, none doubled; empty for the top.
pub(super) fn clean_folder(folder: &str) -> Result<String, SourceError> {
    let parts: Vec<&str> = folder.split('/').filter(|p| !matches!(*p, "" | ".")).collect();
    if folder.starts_with('/') || parts.contains(&"..") || folder.contains('\0') {
        let what = format!("the project's folder `{folder}` must lie within the source: write it relative to its top");
        return Err(SourceError::Spec { what });
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn file(path: &str) -> Item {
        Item { path: path.into(), kind: Kind::File { executable: false, size: 0, sha256: "00".into() } }
    }

    fn link(path: &str, target: &str) -> Item {
        Item { path: path.into(), kind: Kind::Link { target: target.into() } }
    }

    fn verdict(mut items: Vec<Item>) -> Result<(), SourceError> {
        items.sort_by(|a, b| a.path.cmp(&b.path));
        check(&items, "x")
    }

    #[test]
    fn links_may_not_leave_even_by_way_of_others() {
        verdict(vec![file("a/b"), link("c", "a/b"), link("a/d", "../c"), link("loop", "loop")]).unwrap();
        let leaves = [
            vec![link("a", "/etc/passwd")],
            vec![link("a", "../x")],
            vec![link("a/b", "../../x")],
            // d is the top, and from there `..` leads out, though by the letters it would not.
            vec![link("p/q/d", "../.."), link("p/q/l", "d/../x")],
            vec![link("a", "b"), link("b", "c/../.."), file("c/x")],
        ];
        for tree in leaves {
            assert!(matches!(verdict(tree.clone()), Err(SourceError::LinkLeaves { .. })), "{tree:?}");
        }
    }

    #[test]
    fn nothing_lies_below_a_link_or_twice() {
        for tree in [vec![link("a", "b"), file("a/x")], vec![file("a"), file("a/x/y")], vec![file("a"), file("a")]] {
            assert!(matches!(verdict(tree.clone()), Err(SourceError::Entry { .. })), "{tree:?}");
        }
        for path in ["/a", "../a", "a//b", "a/../b", "./a", "", "a/"] {
            assert!(check_path(path.as_bytes(), "x").is_err(), "{path}");
        }
    }

    #[test]
    fn manage_py_is_looked_for_elsewhere() {
        let tree = [file("app/manage.py"), link("l", "app"), file("x")];
        check_project(&tree, "app", "x").unwrap();
        check_project(&tree, "l", "x").unwrap();
        let error = check_project(&tree, "", "x").unwrap_err().to_string();
        assert!(error.contains("there is one in app/"), "{error}");
        let error = check_project(&[file("manage.py")], "src", "x").unwrap_err().to_string();
        assert!(error.contains("at its top"), "{error}");
        let error = check_project(&[file("mymanage.py")], "", "x").unwrap_err().to_string();
        assert!(error.contains("no folder of it"), "{error}");
        assert_eq!(clean_folder("./a//b/").unwrap(), "a/b");
        assert!(clean_folder("../x").is_err() && clean_folder("/x").is_err());
    }

    #[test]
    fn every_part_of_an_item_counts() {
        let one = digest(&[file("a")]);
        let x = Item { path: b"a".to_vec(), kind: Kind::File { executable: true, size: 0, sha256: "00".into() } };
        assert_ne!(one, digest(&[x]));
        assert_ne!(one, digest(&[file("b")]));
        assert_ne!(one, digest(&[link("a", "00")]));
        assert_eq!(one, digest(&[file("a")]));
    }
}
