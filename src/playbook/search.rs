//! Where files named in a playbook are looked for, in Ansible's order.

use std::path::{Component, Path, PathBuf};

/// The places in which a task's files are looked for. Relative names only; an absolute one is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchPath {
    /// Folders of the role the task stands in and of the roles that depend on it, innermost first.
    pub roles: Vec<PathBuf>,
    /// The folder of the file the task stands in.
    pub dir: PathBuf,
    /// The folder of the playbook.
    pub base: PathBuf,
}

impl SearchPath {
    /// The search path of what stands in a playbook itself.
    pub fn of_play(base: &Path) -> Self {
        Self { roles: Vec::new(), dir: base.to_owned(), base: base.to_owned() }
    }

    /// The folders for a kind (`files`, `templates`, `vars`, `tasks`), most specific first: of each role, of the task's
    /// file and of the playbook, the folder of that kind and then the folder itself.
    pub fn folders(&self, kind: &str) -> Vec<PathBuf> {
        let mut all = Vec::new();
        let mut add = |folder: PathBuf| {
            if !all.contains(&folder) {
                all.push(folder);
            }
        };
        for place in self.places() {
            add(place.join(kind));
            add(place);
        }
        all
    }

    fn places(&self) -> Vec<PathBuf> {
        let mut places = self.roles.clone();
        places.push(self.dir.clone());
        places.push(self.base.clone());
        places
    }

    /// The first file (or folder) of this name.
    ///
    /// # Errors
    /// The paths that were tried.
    pub fn find(&self, kind: &str, name: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let wanted = Path::new(name);
        if wanted.is_absolute() {
            return if wanted.exists() { Ok(wanted.to_owned()) } else { Err(vec![wanted.to_owned()]) };
        }
        // `templates/x.j2` as the source of a template is not looked for in `templates/templates`.
        let has_kind = wanted.components().next() == Some(Component::Normal(kind.as_ref()));
        let mut tried: Vec<PathBuf> = Vec::new();
        for place in self.places() {
            for folder in [(!has_kind).then(|| place.join(kind)), Some(place)].into_iter().flatten() {
                let path = folder.join(wanted);
                if path.exists() {
                    return Ok(path);
                }
                if !tried.contains(&path) {
                    tried.push(path);
                }
            }
        }
        Err(tried)
    }

    /// A file of tasks named in this place: beside the file that names it, in the role, beside the playbook.
    ///
    /// # Errors
    /// The paths that were tried.
    pub fn find_tasks(&self, folder: &str, name: &str) -> Result<PathBuf, Vec<PathBuf>> {
        let mut tried = Vec::new();
        let mut places = vec![self.dir.clone()];
        places.extend(self.roles.first().map(|role| role.join(folder)));
        places.push(self.base.clone());
        places.push(self.base.join(folder));
        for place in places {
            let path = place.join(name);
            if path.is_file() {
                return Ok(path);
            }
            if !tried.contains(&path) {
                tried.push(path);
            }
        }
        Err(tried)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_role_comes_first_and_the_playbook_last() {
        let search = SearchPath {
            roles: vec!["/p/roles/web".into(), "/p/roles/site".into()],
            dir: "/p/roles/web/tasks".into(),
            base: "/p".into(),
        };
        let folders: Vec<String> = search.folders("files").iter().map(|p| p.to_string_lossy().into_owned()).collect();
        assert_eq!(
            folders,
            [
                "/p/roles/web/files",
                "/p/roles/web",
                "/p/roles/site/files",
                "/p/roles/site",
                "/p/roles/web/tasks/files",
                "/p/roles/web/tasks",
                "/p/files",
                "/p"
            ]
        );
    }

    #[test]
    fn finds_the_nearest_and_says_where_it_looked() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for (name, text) in [("templates/a.j2", "t"), ("a.j2", "b"), ("b.j2", "b")] {
            let path = base.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let search = SearchPath::of_play(base);
        assert_eq!(search.find("templates", "a.j2").unwrap(), base.join("templates/a.j2"));
        assert_eq!(search.find("templates", "b.j2").unwrap(), base.join("b.j2"));
        assert_eq!(search.find("templates", "templates/a.j2").unwrap(), base.join("templates/a.j2"));
        assert_eq!(search.find("files", "c").unwrap_err(), [base.join("files/c"), base.join("c")]);
    }
}
