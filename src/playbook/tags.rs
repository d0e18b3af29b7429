//! Which tasks `--tags` and `--skip-tags` select.

/// Whether a task with these tags (its own and all inherited ones) runs, by Ansible's rules.
///
/// `only` is what `--tags` names (nothing means `all`), `skip` what `--skip-tags` names. A task tagged `always` runs
/// unless it is skipped by name; one tagged `never` runs only when one of its tags is asked for. `all`, `tagged` and
/// `untagged` stand for sets of tasks.
pub fn selected<S: AsRef<str>>(tags: &[S], only: &[S], skip: &[S]) -> bool {
    let has = |list: &[S], word: &str| list.iter().any(|t| t.as_ref() == word);
    // A task without tags counts as tagged `untagged`, so that `--tags untagged` finds it by name.
    let untagged = tags.is_empty();
    let carries = |word: &str| if untagged { word == "untagged" } else { has(tags, word) };
    let named = |list: &[S]| list.iter().any(|t| carries(t.as_ref()));

    let asks_all = only.is_empty() || has(only, "all");
    let never = carries("never");
    let runs = carries("always") || (asks_all && !never) || named(only) || (has(only, "tagged") && !untagged && !never);
    if !runs || skip.is_empty() {
        return runs;
    }
    if has(skip, "all") {
        return carries("always") && !has(skip, "always");
    }
    !(named(skip) || (has(skip, "tagged") && !untagged))
}

#[cfg(test)]
mod tests {
    use super::selected;

    #[test]
    fn follows_the_table() {
        type Words = &'static [&'static str];
        // tags, only, skip, runs
        let table: &[(Words, Words, Words, bool)] = &[
            (&[], &[], &[], true),
            (&["a"], &[], &[], true),
            (&["a"], &["a"], &[], true),
            (&["a"], &["b"], &[], false),
            (&["a", "b"], &["b"], &[], true),
            (&[], &["a"], &[], false),
            (&["always"], &["a"], &[], true),
            (&["always"], &[], &["always"], false),
            (&["always", "a"], &[], &["a"], false),
            (&["never"], &[], &[], false),
            (&["never", "a"], &["a"], &[], true),
            (&["never"], &["never"], &[], true),
            (&["never"], &["all"], &[], false),
            (&["never", "a"], &["tagged"], &[], false),
            (&["never", "always"], &[], &[], true),
            (&["a"], &["all"], &[], true),
            (&["a"], &["tagged"], &[], true),
            (&[], &["tagged"], &[], false),
            (&[], &["untagged"], &[], true),
            (&["a"], &["untagged"], &[], false),
            (&["a"], &[], &["a"], false),
            (&["a"], &["a"], &["a"], false),
            (&["a"], &[], &["tagged"], false),
            (&[], &[], &["tagged"], true),
            (&[], &[], &["untagged"], false),
            (&["a"], &[], &["untagged"], true),
            (&["a"], &[], &["all"], false),
            (&["always"], &[], &["all"], true),
            (&["always"], &[], &["all", "always"], false),
        ];
        for (tags, only, skip, runs) in table {
            assert_eq!(selected(tags, only, skip), *runs, "tags {tags:?}, only {only:?}, skip {skip:?}");
        }
    }
}
