//! Annotations in other encodings than UTF-8: read as they say or as the user says, or refused with the place.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, voc};
use loc_data::{DataError, Dataset, ReadOptions};

const HEADER: &str = "filename,class,xmin,ymin,xmax,ymax";

fn wide(text: &str, little: bool) -> Vec<u8> {
    let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
    text.encode_utf16().flat_map(bytes).collect()
}

/// The text with each `ü` as in Latin-1, or in another encoding.
fn with_umlaut(text: &str, umlaut: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = text.split('ü').map(str::as_bytes).collect();
    parts.join(umlaut)
}

/// The classes of the photo `ü.jpg` and this file beside it.
fn classes(name: &str, bytes: &[u8], encoding: Option<&str>) -> Result<Vec<String>, String> {
    let folder = Folder::new();
    folder.photo("ü.jpg", 64, 48);
    folder.photo("other.jpg", 64, 48);
    folder.write(name, bytes);
    let options = ReadOptions { encoding: encoding.map(str::to_owned), ..ReadOptions::default() };
    let prefix = format!("{}/", folder.path().display());
    Dataset::open(folder.path(), &options)
        .map(|set| set.classes)
        .map_err(|e| e.to_string().replace(&prefix, ""))
}

#[test]
fn xml_is_read_as_it_declares() {
    let body = voc("ü.jpg", (64, 48), &[("grün", [1.0, 2.0, 30.0, 40.0])]);
    let declared = |name: &str| format!("<?xml version=\"1.0\" encoding=\"{name}\"?>\n{body}");
    let cases = [
        body.clone().into_bytes(),
        format!("\u{feff}{body}").into_bytes(),
        format!("\u{feff}{}", declared("UTF-8")).into_bytes(),
        with_umlaut(&declared("ISO-8859-1"), b"\xfc"),
        with_umlaut(&declared("windows-1252"), b"\xfc"),
        with_umlaut(&declared("GB18030"), b"\xa8\xb9"),
        with_umlaut(&declared("gb2312"), b"\xa8\xb9"),
        wide(&format!("\u{feff}{}", declared("UTF-16")), true),
        wide(&format!("\u{feff}{}", declared("UTF-16")), false),
        wide(&format!("\u{feff}{body}"), true),
        wide(&declared("utf-16"), true),
        declared("utf-16").into_bytes(),
    ];
    for bytes in cases {
        let start = bytes[..60].escape_ascii().to_string();
        assert_eq!(classes("a.xml", &bytes, None), Ok(vec!["grün".to_owned()]), "{start}");
    }
    for (bytes, expected) in [
        (
            declared("UTF-7").into_bytes(),
            "a.xml:1:1: declares the encoding `UTF-7`, which is not known (hint: save the file as UTF-8)",
        ),
        (with_umlaut(&declared("UTF-8"), b"\xfc"), "a.xml:4:12: is not UTF-8 at byte "),
        (with_umlaut(&declared("ascii"), b"\xfc"), "a.xml:4:12: is not ASCII at byte "),
        (with_umlaut(&declared("Shift_JIS"), b"\xff"), "a.xml:4:12: is not Shift_JIS at byte "),
        (with_umlaut(&body, b"\xfc"), "a.xml:3:12: is not UTF-8 at byte "),
    ] {
        let message = classes("a.xml", &bytes, None).unwrap_err();
        assert!(message.contains(expected), "{message}\n{expected}");
    }
    let plain = with_umlaut(&body, b"\xfc");
    assert!(
        classes("a.xml", &plain, None)
            .unwrap_err()
            .contains("(hint: save the file as UTF-8, or give its encoding")
    );
    assert_eq!(classes("a.xml", &plain, Some("latin-1")), Ok(vec!["grün".to_owned()]));
}

#[test]
fn a_table_is_utf_8_or_what_is_given() {
    let table = format!("{HEADER}\nother.jpg,rot,1,2,30,40\nü.jpg,grün,1,2,30,40\n");
    let both = Ok(vec!["grün".to_owned(), "rot".to_owned()]);
    for (bytes, encoding) in [
        (table.clone().into_bytes(), None),
        (format!("\u{feff}{table}").into_bytes(), None),
        (format!("\u{feff}{table}").into_bytes(), Some("gbk")),
        (table.clone().into_bytes(), Some("utf8")),
        (with_umlaut(&table, b"\xfc"), Some("latin-1")),
        (with_umlaut(&table, b"\xfc"), Some("cp1252")),
        (with_umlaut(&table, b"\xa8\xb9"), Some("GB2312")),
        (wide(&format!("\u{feff}{table}"), true), None),
        (wide(&format!("\u{feff}{table}"), true), Some("utf-16")),
        (wide(&format!("\u{feff}{table}"), false), Some("utf-16")),
        (wide(&table, false), Some("utf-16be")),
        (wide(&format!("\u{feff}{}", table.replace(',', "\t")), true), Some("utf_16")),
    ] {
        assert_eq!(classes("a.csv", &bytes, encoding), both, "{encoding:?}");
    }
    for (bytes, encoding, expected) in [
        (
            with_umlaut(&table, b"\xfc"),
            None,
            "a.csv:3: record 2: is not UTF-8 in field 1 (hint: save the file as UTF-8, or give its encoding (`ReadOptions::encoding`, for example `gbk`)",
        ),
        (
            wide(&table, false),
            None,
            "a.csv:1: is UTF-16BE, not UTF-8 (hint: save the file as UTF-8, or give its encoding (`ReadOptions::encoding`, for example `utf-16`)",
        ),
        (wide(&table, true), Some("gbk"), "a.csv:1: is UTF-16LE, not GBK"),
        (with_umlaut(&table, b"\xff\xff"), Some("gbk"), "a.csv:3: is not GBK at byte "),
        (format!("{HEADER},k\u{e4}se\n").chars().map(|c| c as u8).collect(), None, "a.csv"),
    ] {
        let message = classes("a.csv", &bytes, encoding).unwrap_err();
        assert!(message.contains(expected), "{message}\n{expected}");
    }
}

/// One row in another encoding says that the others may be in it too: the file is refused, whatever its share.
#[test]
fn one_row_in_another_encoding_spoils_the_file() {
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 48);
    let rows: String = (0..100).map(|i| format!("{i}.jpg,cat,1,2,30,40\n")).collect();
    for i in 0..100 {
        folder.photo(&format!("{i}.jpg"), 64, 48);
    }
    let table = format!("{HEADER}\n{rows}a.jpg,gr\u{fc}n,1,2,30,40\n");
    folder.write("a.csv", with_umlaut(&table, b"\xfc"));
    let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::Defects { .. }), "{error}");
    assert!(error.to_string().contains("a.csv:102: record 101: is not UTF-8"), "{error}");
}

#[test]
fn unknown_encodings_are_refused_with_examples() {
    for name in ["utf-7", "klingon", ""] {
        let message = classes("a.csv", b"", Some(name)).unwrap_err();
        let expected = format!("encoding is `{name}`: known are `utf-8`, `utf-16`, `gbk`");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn a_doubt_is_a_warning() {
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 48);
    let body = voc("a.jpg", (64, 48), &[("grün", [1.0, 2.0, 30.0, 40.0])]);
    folder.write("a.xml", format!("<?xml version='1.0' encoding='iso-8859-15'?>{body}"));
    let opened = Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    let said = opened.warnings[0].to_string();
    assert!(
        said.ends_with("is read as ISO-8859-15, which is declared, but its bytes are valid UTF-8"),
        "{said}"
    );
}

/// A character is longer in UTF-8 than in Latin-1 and shorter than in UTF-16: a place in one is not a place in the other.
#[test]
fn an_error_has_the_same_place_in_each_encoding() {
    let umlauts = "ü".repeat(300);
    let declared = |name: &str, rest: &str| {
        format!("<?xml version=\"1.0\" encoding=\"{name}\"?>\n<!-- {umlauts} -->\n{rest}")
    };
    for (rest, place) in [
        ("<!DOCTYPE a>", "a.xml:3: has a DOCTYPE"),
        ("<annotation>\n<a></b>", "a.xml:4:4: is not well-formed"),
        ("<annotation>\n<object></object></annotation>", "a.xml:3: has no <filename>"),
        ("<annotation>", "a.xml:3:13: is not well-formed"),
    ] {
        for bytes in [
            declared("UTF-8", rest).into_bytes(),
            with_umlaut(&declared("ISO-8859-1", rest), b"\xfc"),
            with_umlaut(&declared("GB18030", rest), b"\xa8\xb9"),
            wide(&declared("utf-16", rest), true),
            wide(&format!("\u{feff}{}", declared("UTF-16", rest)), false),
        ] {
            let start = bytes[..60].escape_ascii().to_string();
            let error = classes("a.xml", &bytes, None).unwrap_err();
            assert!(error.contains(place), "{start}\n{error}");
        }
    }
}
