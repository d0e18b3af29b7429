//! "Did you mean": the nearest of the known names.

/// The known name nearest to `unknown`, if one is near enough: at most a third of the longer name's letters changed, where two
/// neighbours swapped count as one change. Names that differ only in case, or in the order of their words
/// (`name_host` for `host_name`), count as near.
pub fn suggest<S: AsRef<str>>(unknown: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    let folded = unknown.to_lowercase();
    let words = sorted_words(&folded);
    for name in known {
        let name = name.as_ref();
        let candidate = name.to_lowercase();
        let distance = if candidate == folded {
            0
        } else if candidate.contains(['_', '-']) && sorted_words(&candidate) == words {
            1
        } else {
            let limit = (folded.chars().count().max(candidate.chars().count()) / 3).max(1);
            match distance(&folded, &candidate, limit) {
                Some(distance) => distance,
                None => continue,
            }
        };
        // Of two equally near ones the first in the alphabet, so that messages do not depend on the order of a map.
        if best.as_ref().is_none_or(|(d, n)| (distance, name) < (*d, n.as_str())) {
            best = Some((distance, name.to_owned()));
        }
    }
    best.map(|(_, name)| name).filter(|name| name != unknown)
}

fn sorted_words(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = name.split(['_', '-', '.']).collect();
    words.sort_unstable();
    words
}

/// Insertions, deletions, replacements and swaps of neighbours from `a` to `b`; `None` beyond `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > limit || a.is_empty() || b.is_empty() {
        return None;
    }
    let mut two_up: Vec<usize> = Vec::new();
    let mut up: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut cost = (up[j] + 1).min(row[j - 1] + 1).min(up[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(two_up[j - 2] + 1);
            }
            row.push(cost);
        }
        two_up = std::mem::replace(&mut up, row);
    }
    Some(up[b.len()]).filter(|d| *d <= limit)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn finds_the_near_and_only_the_near() {
        let known = ["become", "become_user", "become_method", "when", "with_items", "notify", "tags"];
        assert_eq!(suggest("becom", known).as_deref(), Some("become"));
        assert_eq!(suggest("becmoe", known).as_deref(), Some("become"));
        assert_eq!(suggest("wehn", known).as_deref(), Some("when"));
        assert_eq!(suggest("Notify", known).as_deref(), Some("notify"));
        assert_eq!(suggest("user_become", known).as_deref(), Some("become_user"));
        assert_eq!(suggest("tag", known).as_deref(), Some("tags"));
        assert_eq!(suggest("serial", known), None);
        assert_eq!(suggest("xx", known), None);
        assert_eq!(suggest("", known), None);
    }

    #[test]
    fn the_same_name_is_no_suggestion() {
        assert_eq!(suggest("when", ["when"]), None);
    }

    #[test]
    fn equally_near_names_are_taken_in_order() {
        assert_eq!(suggest("web", ["weba", "webb"]).as_deref(), Some("weba"));
        assert_eq!(suggest("web", ["webb", "weba"]).as_deref(), Some("weba"));
    }
}
