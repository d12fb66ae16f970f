//! Parses numbers in annotations: ASCII digits, a decimal point, finite. Stricter than `str::parse`.

use crate::BBox;

/// A coordinate in pixels.
///
/// # Errors
///
/// As [`decimal`].
pub(crate) fn coordinate(text: &str) -> Result<f32, String> {
    let value = bbox([decimal(text)?; 4]).x1;
    if value.is_finite() { Ok(value) } else { Err(format!("{} is too large", quoted(text))) }
}

/// A decimal number.
///
/// # Errors
///
/// Why the text is no such number. `str::parse` takes `NaN` and `inf`, and makes infinity of `1e999`; here they fail.
pub(crate) fn decimal(text: &str) -> Result<f64, String> {
    let trimmed = text.trim_ascii();
    let fail = |why: &str| Err(format!("{} {why}", quoted(text)));
    if trimmed.is_empty() {
        return Err("is empty".into());
    }
    if trimmed.contains(',') {
        return fail("has a comma, decimals are written with a point");
    }
    if !trimmed.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
        return fail("is not a number");
    }
    match trimmed.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => fail("is too large"),
        Err(_) => fail("is not a number"),
    }
}

/// A box from coordinates in f64, as JSON has them; a pixel's coordinate in f32 is exact to a thousandth up to 16,384.
pub(crate) fn bbox([x1, y1, x2, y2]: [f64; 4]) -> BBox {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest f32 is meant")]
    let narrow = |v: f64| v as f32;
    BBox { x1: narrow(x1), y1: narrow(y1), x2: narrow(x2), y2: narrow(y2) }
}

/// A width, a height or a class number: a whole number from 0, also written `256.0`.
///
/// # Errors
///
/// Why the text is not such a number.
pub(crate) fn whole(text: &str) -> Result<u32, String> {
    let trimmed = text.trim_ascii();
    let digits = trimmed.strip_suffix(".0").unwrap_or(trimmed);
    if trimmed.is_empty() {
        return Err("is empty".into());
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.is_empty() {
        return Err(format!("{} is not a whole number from 0", quoted(text)));
    }
    digits.parse().map_err(|_| format!("{} is too large", quoted(text)))
}

/// The text in backticks on one line: shortened if it is long, control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.push('`');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates() {
        let good = [("12", 12.0), ("12.5", 12.5), (" 7\n", 7.0), ("-3", -3.0), ("1e2", 100.0), ("+.5", 0.5)];
        for (text, value) in good {
            assert_eq!(coordinate(text), Ok(value), "{text:?}");
        }
        let bad = [
            ("", "is empty"),
            (" \t", "is empty"),
            ("NaN", "`NaN` is not a number"),
            ("nan", "`nan` is not a number"),
            ("inf", "`inf` is not a number"),
            ("-infinity", "`-infinity` is not a number"),
            ("1e999", "`1e999` is too large"),
            ("-1e39", "`-1e39` is too large"),
            ("12,5", "`12,5` has a comma, decimals are written with a point"),
            ("١٢", "`١٢` is not a number"),
            ("１２", "`１２` is not a number"),
            ("0x10", "`0x10` is not a number"),
            ("1 2", "`1 2` is not a number"),
            ("1.2.3", "`1.2.3` is not a number"),
            ("--1", "`--1` is not a number"),
            ("e", "`e` is not a number"),
        ];
        for (text, why) in bad {
            assert_eq!(coordinate(text), Err(why.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, value) in [("0", 0), (" 256 ", 256), ("256.0", 256), ("4294967295", u32::MAX)] {
            assert_eq!(whole(text), Ok(value), "{text:?}");
        }
        for text in ["", "-1", "1.5", "1e2", ".0", "+1", "4294967296", "٣", "cat"] {
            assert!(whole(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn long_values_are_cut() {
        let message = coordinate(&"9".repeat(100_000)).unwrap_err();
        assert!(message.len() < 100, "{}", message.len());
        assert_eq!(quoted("a\n\u{1b}[2J"), "`a\\n\\u{1b}[2J`");
    }

    proptest::proptest! {
        #[test]
        fn accepted_coordinates_are_finite(text in "\\PC{0,20}") {
            if let Ok(value) = coordinate(&text) {
                assert!(value.is_finite());
            }
        }

        #[test]
        fn written_floats_come_back(value in -1e6_f32..1e6) {
            assert_eq!(coordinate(&value.to_string()), Ok(value));
        }
    }
}
