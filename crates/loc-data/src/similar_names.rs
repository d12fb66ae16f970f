//! Names that differ so little that one may be a misspelling of the other.

/// Two names with the same key differ only in case, in blanks at the ends, and in `_`, `-` and blanks.
pub(crate) fn similarity_key(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
}

/// The most similar name, if a misspelling is likely: at most two edits, and one in three characters.
pub(crate) fn most_similar<'a>(text: &str, names: &'a [String]) -> Option<&'a str> {
    const LONGEST: usize = 100;
    let text_key = similarity_key(text);
    let edits = |name: &&String| {
        let key = similarity_key(name);
        if key.len().max(text_key.len()) > 4 * LONGEST && key != text_key {
            return None;
        }
        let distance = strsim::levenshtein(&text_key, &key);
        (distance <= (name.chars().count() / 3).min(2)).then_some(distance)
    };
    let similar = names.iter().filter_map(|name| Some((edits(&name)?, name)));
    similar.min_by_key(|(distance, _)| *distance).map(|(_, name)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_are_recognised() {
        let names: Vec<String> = ["cat", "dog", "long haired cat"].map(str::to_owned).to_vec();
        for (text, expected) in [
            ("Cat", Some("cat")),
            ("catt", Some("cat")),
            ("long-haired_cats", Some("long haired cat")),
            ("horse", None),
            ("", None),
            (&"x".repeat(10_000), None),
        ] {
            assert_eq!(most_similar(text, &names), expected, "{text}");
        }
    }
}
