//! The name that a misspelt one stands for.

/// The known word that differs least, if it differs little; one that begins the other differs little.
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
