//! Which release a deploy is about, and which hosts it has work on.

use super::survey::Survey;

/// What a source and the hosts come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The release that is to serve.
    pub release: String,
    /// Whether it is made by this deploy.
    pub fresh: bool,
    /// Hosts on which it does not serve yet, by place.
    pub open: Vec<usize>,
    /// Why the same files are a new release all the same.
    pub because: Option<&'static str>,
}

/// Decides. `surveys` are of the hosts that take part; `name` is what a new release would be called.
///
/// - Where all hosts serve the same files with the environment that they have now, nothing is open.
/// - Where a host serves them and others do not (one was down), the others get that release.
/// - Otherwise it is a new release. The same files in a changed environment are one, too: an instance takes its
///   environment when it starts, and two instances of one release can't run side by side.
pub fn decide(surveys: &[(usize, &Survey)], tree: &str, name: &str) -> Target {
    let same = |survey: &Survey| {
        survey
            .serving
            .as_ref()
            .and_then(|r| survey.whole(&r.release))
            .filter(|r| r.about.tree.as_deref() == Some(tree))
            .map(|r| r.release.clone())
    };
    let current = |survey: &Survey| {
        let started = survey.serving.as_ref().and_then(|r| r.environment.as_deref());
        // Records made before digests were kept say nothing.
        started.is_none() || started == survey.environment.as_deref()
    };
    let everyone: Vec<usize> = surveys.iter().map(|(p, _)| *p).collect();
    let fresh = |because| Target { release: name.to_owned(), fresh: true, open: everyone.clone(), because };
    let serving = surveys.iter().filter_map(|(_, s)| same(s)).max();
    let Some(release) = serving else { return fresh(None) };
    if surveys.iter().any(|(_, s)| same(s).as_deref() == Some(&release) && !current(s)) {
        return fresh(Some("the environment changed"));
    }
    if surveys.iter().any(|(_, s)| s.releases.iter().any(|r| r.release == release && r.broken.is_some())) {
        return fresh(Some("the release with these files is marked as broken"));
    }
    let open = surveys
        .iter()
        .filter(|(_, s)| s.release() != Some(&release) || !s.settled() || !current(s))
        .map(|(p, _)| *p)
        .collect();
    Target { release, fresh: false, open, because: None }
}

/// The name of a release: when, and from what.
pub fn name(started: i64, commit: Option<&str>, tree: &str) -> String {
    let at = jiff::Timestamp::from_second(started).unwrap_or_default();
    let what = commit.unwrap_or(tree);
    format!("{}-{}", at.strftime("%Y%m%d-%H%M%S"), &what[..what.len().min(7)])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::survey::tests::survey;
    use super::*;

    #[test]
    fn an_unchanged_tree_leaves_nothing_to_do() {
        let (a, b) = (survey(Some("r1"), &["r1"]), survey(Some("r1"), &["r1"]));
        let target = decide(&[(0, &a), (1, &b)], "tree-r1", "new");
        assert_eq!(target, Target { release: "r1".into(), fresh: false, open: vec![], because: None });
    }

    #[test]
    fn a_host_that_was_down_gets_the_release_of_the_others() {
        let (a, b) = (survey(Some("r2"), &["r1", "r2"]), survey(Some("r1"), &["r1"]));
        let target = decide(&[(0, &a), (1, &b)], "tree-r2", "new");
        assert_eq!(target, Target { release: "r2".into(), fresh: false, open: vec![1], because: None });
    }

    #[test]
    fn new_files_and_a_new_environment_are_new_releases() {
        let mut a = survey(Some("r1"), &["r1"]);
        assert_eq!(
            decide(&[(0, &a)], "tree-r2", "new"),
            Target { release: "new".into(), fresh: true, open: vec![0], because: None }
        );
        a.serving.as_mut().unwrap().environment = Some("other".into());
        assert_eq!(decide(&[(0, &a)], "tree-r1", "new").because, Some("the environment changed"));
        assert!(decide(&[(0, &survey(None, &[]))], "tree-r1", "new").fresh);
    }

    #[test]
    fn a_release_is_named_by_time_and_commit() {
        assert_eq!(name(1_790_000_000, Some("0123456789abcdef"), "t"), "20260921-141320-0123456");
        assert_eq!(name(0, None, "abcdefghij"), "19700101-000000-abcdefg");
    }
}
