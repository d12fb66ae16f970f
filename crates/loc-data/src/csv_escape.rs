//! Escapes text in CSV cells that a spreadsheet would evaluate as a formula: text that begins with `=`, `+`, `-` or `@`.

/// First characters of formulas.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Prefixes the text with `'` if a spreadsheet would take it for a formula.
#[must_use]
pub fn escape_formula(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

/// Removes the `'` that [`escape_formula`] added.
#[must_use]
pub fn unescape_formula(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| text.starts_with(FORMULA)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_guarded_and_read_back() {
        for (text, cell) in [
            ("=cmd|' /C calc'!A0.jpg", "'=cmd|' /C calc'!A0.jpg"),
            ("+1.jpg", "'+1.jpg"),
            ("-rf.jpg", "'-rf.jpg"),
            ("@SUM(A1).jpg", "'@SUM(A1).jpg"),
            ("\t=1.jpg", "'\t=1.jpg"),
            ("a=b.jpg", "a=b.jpg"),
            ("'quoted'.jpg", "'quoted'.jpg"),
            ("", ""),
        ] {
            assert_eq!(escape_formula(text), cell);
            assert_eq!(unescape_formula(cell), text);
        }
    }
}
