//! Names as annotations write them: paths of other machines, URLs, other spellings of the same letters.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Most parts of a path in an annotation that are compared with the tree.
const MOST_PARTS: usize = 12;

/// The parts of a path that are names; of a long one the last.
pub(super) fn parts_of(name: &str) -> Vec<&str> {
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    parts[parts.len().saturating_sub(MOST_PARTS)..].to_vec()
}

/// A name without `file:`, decoded where it had that; and whether it had.
pub(super) fn without_scheme(name: &str) -> (Cow<'_, str>, bool) {
    let trimmed = name.trim_start();
    let Some(rest) = trimmed.get(..5).filter(|s| s.eq_ignore_ascii_case("file:")).map(|_| &trimmed[5..])
    else {
        return (name.into(), false);
    };
    let path = rest.strip_prefix("//").map_or(rest, |rest| rest.strip_prefix("localhost").unwrap_or(rest));
    (decoded(path), true)
}

/// A name with `%20` and its like decoded; as it is where that is no text.
pub(super) fn decoded(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8().unwrap_or(name.into())
}

/// A name in the one spelling that all its spellings have.
pub(super) fn respelled(name: &str) -> String {
    let name = decoded(name);
    if is_nfc(&name) { name.into_owned() } else { name.nfc().collect() }
}

/// The same for all names that any rule takes for one.
pub(crate) fn loosest(stem: &str) -> String {
    respelled(stem).to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name() {
        for (a, b) in [
            ("u\u{308}ber", "\u{fc}ber"),
            ("my%20photo", "my photo"),
            ("100%25", "100%"),
            ("%E7%8C%AB", "猫"),
        ] {
            assert_eq!(respelled(a), respelled(b));
        }
        for (a, b) in [("A", "a"), ("%zz", "%ZZ"), ("a+b", "a b")] {
            assert_ne!(respelled(a), respelled(b));
        }
        assert_eq!(loosest("U\u{308}BER"), loosest("\u{fc}ber"));
        assert_eq!(respelled("100%"), "100%");
        assert_eq!(respelled("%ff"), "%ff", "no text");
    }

    #[test]
    fn schemes() {
        for (name, expected) in [
            ("file:///home/x/a%20b.jpg", Some("/home/x/a b.jpg")),
            ("file://localhost/a.jpg", Some("/a.jpg")),
            ("FILE:a.jpg", Some("a.jpg")),
            ("file.jpg", None),
            ("filé:a.jpg", None),
        ] {
            let (path, had) = without_scheme(name);
            assert_eq!((path.as_ref(), had), (expected.unwrap_or(name), expected.is_some()));
        }
    }

    #[test]
    fn parts_are_names() {
        assert_eq!(parts_of("/a//b/./../c.jpg"), ["a", "b", "c.jpg"]);
        assert_eq!(parts_of("a.jpg"), ["a.jpg"]);
        assert!(parts_of("../.").is_empty());
    }
}
