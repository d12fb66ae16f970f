//! Names in annotations: paths of other machines, URLs, different spellings of the same letters.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Most components of a path in an annotation that are compared with the files.
const MAX_PARTS: usize = 12;

/// The components of a path without `.` and `..`; of a long path the last ones.
pub(super) fn parts_of(name: &str) -> Vec<&str> {
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    parts[parts.len().saturating_sub(MAX_PARTS)..].to_vec()
}

/// A name without the scheme `file:`, percent-decoded if it had one; and whether it had one.
pub(super) fn without_scheme(name: &str) -> (Cow<'_, str>, bool) {
    let trimmed = name.trim_start();
    let Some(rest) = trimmed.get(..5).filter(|s| s.eq_ignore_ascii_case("file:")).map(|_| &trimmed[5..])
    else {
        return (name.into(), false);
    };
    let path = rest.strip_prefix("//").map_or(rest, |rest| rest.strip_prefix("localhost").unwrap_or(rest));
    (decoded(path), true)
}

/// The percent-decoded name; unchanged if the result is not UTF-8.
pub(super) fn decoded(name: &str) -> Cow<'_, str> {
    percent_decode_str(name).decode_utf8().unwrap_or(name.into())
}

/// The percent-decoded and Unicode-normalised (NFC) name.
pub(super) fn normalized(name: &str) -> String {
    let name = decoded(name);
    if is_nfc(&name) { name.into_owned() } else { name.nfc().collect() }
}

/// A key that is equal for all names that any rule considers equal.
pub(crate) fn match_key(stem: &str) -> String {
    normalized(stem).to_lowercase().nfc().collect()
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
            assert_eq!(normalized(a), normalized(b));
        }
        for (a, b) in [("A", "a"), ("%zz", "%ZZ"), ("a+b", "a b")] {
            assert_ne!(normalized(a), normalized(b));
        }
        assert_eq!(match_key("U\u{308}BER"), match_key("\u{fc}ber"));
        assert_eq!(normalized("100%"), "100%");
        assert_eq!(normalized("%ff"), "%ff", "no text");
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
