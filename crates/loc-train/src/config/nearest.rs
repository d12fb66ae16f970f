//! The nearest known name of a misspelt one.

/// Returns the known word with the smallest edit distance, if that is small or one of the two is a prefix of the
/// other.
pub(crate) fn nearest(word: &str, known: &[String]) -> Option<String> {
    let word = word.replace('-', "_");
    let distance = |k: &String| {
        let edits = strsim::damerau_levenshtein(&word, k);
        match k.len() > 2 && (word.starts_with(k) || k.starts_with(&word)) {
            true => (edits.min(1), edits),
            false => (edits, edits),
        }
    };
    known.iter().min_by_key(|k| distance(k)).filter(|k| distance(k).0 <= 1 + k.len() / 4).cloned()
}
