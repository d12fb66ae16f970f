//! Names that differ so little that one may be meant by the other.

/// Two names with the same fold differ only in case, blanks at the ends, `_` and `-`.
pub(crate) fn folded(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
}

/// The name that a reader would take for this one.
pub(crate) fn nearest<'a>(text: &str, names: &'a [String]) -> Option<&'a str> {
    let folded_text = folded(text);
    let near = |name: &&String| {
        let most = name.chars().count() / 3;
        let d = edits(&folded_text, &folded(name));
        (d <= most.min(2)).then_some(d)
    };
    names.iter().filter_map(|n| near(&n).map(|d| (d, n))).min_by_key(|(d, _)| *d).map(|(_, n)| n.as_str())
}

/// Levenshtein distance; names beyond 100 characters are far from everything.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a == b {
        return 0;
    }
    if a.len().max(b.len()) > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        for (a, b, d) in [("", "abc", 3), ("kitten", "sitting", 3), ("cat", "cta", 2), ("ab", "ab", 0)] {
            assert_eq!(edits(a, b), d, "{a} {b}");
        }
    }
}
