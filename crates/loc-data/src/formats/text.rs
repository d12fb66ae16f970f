//! Strict decoding of text in the encoding given by a byte order mark, the file's declaration, or the user. Malformed bytes
//! are an error with their position, never replaced.

use std::borrow::Cow;
use std::path::Path;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::number::quoted;
use crate::{DataError, Diagnostic, DiagnosticKind, Hint, Remedy};

/// Hint for text that is not UTF-8.
pub(crate) fn encoding_hint(example: &'static str) -> Hint {
    Hint::option("save the file as UTF-8, or give its encoding", Remedy::Encoding(example))
}
/// Hint for text that must be UTF-8.
pub(crate) const SAVE_HINT: &str = "save the file as UTF-8";

/// A file's text.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    /// The text, without a byte order mark.
    pub(crate) text: Cow<'a, str>,
    /// A warning if the encoding is probably wrong.
    pub(crate) doubt: Option<String>,
}

/// Why bytes could not be decoded, with line and column from 1.
#[derive(Debug)]
pub(crate) struct Undecodable {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) message: String,
    pub(crate) hint: Hint,
}

/// The encoding of a name given by the user.
///
/// # Errors
///
/// [`DataError::Argument`] with examples if there is none of that name.
pub(crate) fn given(name: &str) -> Result<&'static Encoding, DataError> {
    named(name).ok_or_else(|| DataError::Argument {
        what: "encoding",
        value: quoted(name),
        range: "known are `utf-8`, `utf-16`, `gbk`, `gb18030`, `big5`, `shift_jis`, `euc-jp`, `euc-kr`, `iso-8859-1`, \
                `windows-1252` and the others of the WHATWG Encoding Standard"
            .into(),
    })
}

/// The encoding of a name in the WHATWG Encoding Standard, or in the spelling of Python and Windows.
fn named(name: &str) -> Option<&'static Encoding> {
    let label = name.trim().to_ascii_lowercase().replace('_', "-");
    let known = match label.as_str() {
        "utf-8-sig" | "cp65001" => "utf-8",
        "utf-16-le" => "utf-16le",
        "utf-16-be" => "utf-16be",
        "latin-1" => "latin1",
        "latin-2" => "latin2",
        "shift-jis" | "sjis" | "cp932" | "windows-932" => "shift_jis",
        "cp936" | "ms936" | "windows-936" | "euc-cn" | "euccn" => "gbk",
        "cp949" | "ms949" | "uhc" => "euc-kr",
        "cp950" | "ms950" | "windows-950" => "big5",
        other => other,
    };
    // Encodings that the standard replaces by an error are not supported.
    Encoding::for_label_no_replacement(known.as_bytes())
        .or_else(|| Encoding::for_label_no_replacement(name.as_bytes()))
        .filter(|encoding| encoding.name() != "x-user-defined")
}

/// The encoding by the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodingHint {
    /// This encoding, after a byte order mark of this length.
    Known(&'static Encoding, usize),
    /// An unsupported encoding.
    Unknown(&'static str),
}

/// A byte order mark, or the pattern of zeros that ASCII has in wide encodings.
pub(crate) fn detect_encoding(bytes: &[u8]) -> Option<EncodingHint> {
    let text = |b: u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    Some(match *bytes {
        [0xEF, 0xBB, 0xBF, ..] => EncodingHint::Known(UTF_8, 3),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => EncodingHint::Unknown("UTF-32"),
        [0xFF, 0xFE, ..] => EncodingHint::Known(UTF_16LE, 2),
        [0xFE, 0xFF, ..] => EncodingHint::Known(UTF_16BE, 2),
        [a, 0, 0, 0, b, 0, 0, 0, ..] | [0, 0, 0, a, 0, 0, 0, b, ..] if text(a) && text(b) => {
            EncodingHint::Unknown("UTF-32")
        }
        [a, 0, b, 0, ..] if text(a) && text(b) => EncodingHint::Known(UTF_16LE, 0),
        [0, a, 0, b, ..] if text(a) && text(b) => EncodingHint::Known(UTF_16BE, 0),
        // `<?xm` and `<ann`.
        [0x4C, 0x6F, 0xA7, 0x94, ..] | [0x4C, 0x81, 0x95, 0x95, ..] => EncodingHint::Unknown("EBCDIC"),
        _ => return None,
    })
}

/// The first bytes of a file as text, decoded leniently, to detect its type.
pub(crate) fn head(bytes: &[u8]) -> Cow<'_, str> {
    match detect_encoding(bytes) {
        Some(EncodingHint::Known(encoding, length)) => {
            encoding.decode_without_bom_handling(&bytes[length..]).0
        }
        _ => String::from_utf8_lossy(bytes),
    }
}

/// An XML file's text. A byte order mark decides; else the declaration; else what is given; else it is UTF-8. What is
/// given also helps where the declaration is wrong.
///
/// # Errors
///
/// The first place that is not in the encoding, or an encoding that is not known.
pub(crate) fn of_xml<'a>(bytes: &'a [u8], given: Option<&'static Encoding>) -> Result<Text<'a>, Undecodable> {
    match detect_encoding(bytes) {
        Some(EncodingHint::Known(encoding, length)) => return strict(encoding, None, &bytes[length..]),
        Some(EncodingHint::Unknown(name)) => return Err(not_read(format!("is {name}, which is not read"))),
        None => {}
    }
    let Some(name) = declared(bytes) else {
        return strict(given.unwrap_or(UTF_8), None, bytes);
    };
    let declared = match named(&name) {
        None => Err(not_read(format!("declares the encoding {}, which is not known", quoted(&name)))),
        // Nothing in wide characters could be read as far as the declaration: a program wrote text that it held in
        // UTF-16 as UTF-8. If it is UTF-8, that is certain.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => strict(UTF_8, Some(&name), bytes),
        Some(encoding) => strict(encoding, Some(&name), bytes),
    };
    match given {
        Some(given) => declared.or_else(|error| strict(given, None, bytes).map_err(|_| error)),
        None => declared,
    }
}

/// A table's text where it is not to be read as UTF-8, row by row: in UTF-16 if a byte order mark says so, or in the given
/// encoding, unless a byte order mark says UTF-8. Nothing where it is.
///
/// # Errors
///
/// As [`of_xml`]; also UTF-16 that is neither given nor marked.
pub(crate) fn of_table<'a>(
    bytes: &'a [u8],
    given: Option<&'static Encoding>,
) -> Result<Option<Text<'a>>, Undecodable> {
    let wide = |encoding: &'static Encoding| encoding == UTF_16LE || encoding == UTF_16BE;
    match (detect_encoding(bytes), given) {
        (Some(EncodingHint::Unknown(name)), _) => Err(not_read(format!("is {name}, which is not read"))),
        (Some(EncodingHint::Known(found, length @ 1..)), None) if wide(found) => {
            strict(found, None, &bytes[length..]).map(Some)
        }
        (Some(EncodingHint::Known(found, _)), None) if wide(found) => Err(Undecodable {
            hint: encoding_hint("utf-16"),
            ..not_read(format!("is {}, not UTF-8", found.name()))
        }),
        (Some(EncodingHint::Known(found, length)), Some(given)) if wide(found) => {
            if wide(given) {
                return strict(found, None, &bytes[length..]).map(Some);
            }
            Err(not_read(format!("is {}, not {}", found.name(), given.name())))
        }
        (None, Some(given)) if given != UTF_8 => strict(given, None, bytes).map(Some),
        _ => Ok(None),
    }
}

/// The text of a file that is read as a whole: JSON, YAML, label files. Encodings as [`of_table`].
///
/// # Errors
///
/// A diagnostic with the line of the first bytes that are not in the encoding.
pub(crate) fn of_plain(
    path: &Path,
    bytes: Vec<u8>,
    given: Option<&'static Encoding>,
) -> Result<String, Diagnostic> {
    let wrong = |line, message: String, hint: Hint| {
        Diagnostic::error(DiagnosticKind::Encoding, path, Some(line), message).hint(hint)
    };
    match of_table(&bytes, given).map_err(|e| wrong(e.line, e.message, e.hint))? {
        Some(decoded) => Ok(decoded.text.into_owned()),
        None => {
            let marked = bytes.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec);
            String::from_utf8(marked.unwrap_or(bytes)).map_err(|e| {
                let line = newlines(&e.as_bytes()[..e.utf8_error().valid_up_to()]) + 1;
                wrong(line, "is not UTF-8".into(), encoding_hint("gbk"))
            })
        }
    }
}

/// What is changed where a file's text is written again as UTF-8; nothing if it is UTF-8 without a byte order mark.
pub(crate) fn normalised(path: &Path) -> Option<Diagnostic> {
    let bytes = fs_err::read(path).ok()?;
    let what = match detect_encoding(&bytes) {
        Some(EncodingHint::Known(encoding, _)) if encoding == UTF_8 => {
            "begins with a byte order mark".to_owned()
        }
        Some(EncodingHint::Known(encoding, _)) => format!("is {}", encoding.name()),
        Some(EncodingHint::Unknown(_)) => return None,
        None if std::str::from_utf8(&bytes).is_err() => "is not UTF-8".to_owned(),
        None => return None,
    };
    let message = format!("repaired: {what}: written as UTF-8");
    Some(Diagnostic::warning(DiagnosticKind::Encoding, path, None, message))
}

fn not_read(message: String) -> Undecodable {
    Undecodable { line: 1, column: 1, message, hint: SAVE_HINT.into() }
}

/// All of the bytes in one encoding; `declared` is the name that the file gives it.
fn strict<'a>(
    encoding: &'static Encoding,
    declared: Option<&str>,
    bytes: &'a [u8],
) -> Result<Text<'a>, Undecodable> {
    // The standard reads ASCII as windows-1252, which has a character for every byte.
    let ascii = declared.is_some_and(|name| name.to_ascii_lowercase().contains("ascii"));
    let name = if ascii { "ASCII" } else { encoding.name() };
    let malformed = |at: usize, before: &str, hint: Hint| {
        let (line, column) = position(before.as_bytes());
        Undecodable { line, column, message: format!("is not {name} at byte {at}"), hint }
    };
    if encoding == UTF_8 {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let before = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
            let hint = if declared.is_some() { SAVE_HINT.into() } else { encoding_hint("gbk") };
            malformed(e.valid_up_to(), &before, hint)
        })?;
        return Ok(Text { text: text.into(), doubt: None });
    }
    let hint = match declared {
        Some(_) => "the declaration is wrong, or the file damaged: save it as UTF-8",
        None => "another encoding, or a damaged file: save it as UTF-8",
    };
    let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) else {
        let (at, before) = first_malformed(encoding, bytes);
        return Err(malformed(at, &before, hint.into()));
    };
    let wide = encoding == UTF_16LE || encoding == UTF_16BE;
    // What people write has none of these; text in another encoding does.
    let control = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if let Some(at) = text.find(control).filter(|_| encoding.is_single_byte()) {
        let before = &text[..at];
        return Err(malformed(before.chars().count(), before, hint.into()));
    }
    if ascii && let Some(at) = bytes.iter().position(|b| !b.is_ascii()) {
        return Err(malformed(at, &text[..at], hint.into()));
    }
    let doubtful = !wide && !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok();
    let how = if declared.is_some() { "declared" } else { "given" };
    let doubt = doubtful.then(|| format!("is read as {name}, which is {how}, but its bytes are valid UTF-8"));
    Ok(Text { text, doubt })
}

/// The position of the first malformed bytes, and the text before them.
fn first_malformed(encoding: &'static Encoding, bytes: &[u8]) -> (usize, String) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut before = String::new();
    before.reserve(decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len()));
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut before, true);
    let after = match result {
        DecoderResult::Malformed(bad, more) => usize::from(bad) + usize::from(more),
        DecoderResult::InputEmpty | DecoderResult::OutputFull => 0,
    };
    (read.saturating_sub(after), before)
}

/// The encoding that an XML declaration names.
fn declared(bytes: &[u8]) -> Option<String> {
    let rest = &bytes.trim_ascii_start().strip_prefix(b"<?xml")?;
    let rest = String::from_utf8_lossy(&rest[..rest.len().min(500)]);
    let (declaration, _) = rest.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (name, _) = value[1..].split_once(quote)?;
    Some(name.to_owned())
}

/// Line and column, from 1, of what follows these bytes of UTF-8.
pub(crate) fn position(before: &[u8]) -> (u32, u32) {
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (newlines(before) + 1, u32::try_from(column).unwrap_or(u32::MAX))
}

/// The number of line feeds in these bytes.
pub(crate) fn newlines(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.iter().filter(|b| **b == b'\n').count()).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(declaration: &str, name: &[u8]) -> Vec<u8> {
        [declaration.as_bytes(), b"\n<a>", name, b"</a>"].concat()
    }

    fn wide(text: &str, little: bool) -> Vec<u8> {
        let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn declared_encodings_are_obeyed() {
        for (name, bytes, expected) in [
            ("UTF-8", "猫ü".as_bytes(), "猫ü"),
            ("utf8", "猫".as_bytes(), "猫"),
            ("GB2312", b"\xc3\xa8", "猫"),
            ("gbk", b"\xc3\xa8", "猫"),
            ("GB18030", b"\xc3\xa8\x95\x32\x82\x36", "猫𠀀"),
            ("Big5", b"\xbf\xdf", "貓"),
            ("Shift_JIS", b"\x94\x4c", "猫"),
            ("Windows-31J", b"\x94\x4c", "猫"),
            ("cp932", b"\x94\x4c", "猫"),
            ("EUC-JP", b"\xc7\xad", "猫"),
            ("EUC-KR", b"\xb0\xed", "고"),
            ("ISO-8859-1", b"K\xe4fer", "Käfer"),
            ("latin-1", b"K\xe4fer", "Käfer"),
            ("iso-8859-15", b"\xa4", "€"),
            ("windows-1252", b"\x80", "€"),
            ("cp1252", b"\x80", "€"),
            ("windows-1251", b"\xea\xee\xf2", "кот"),
            ("KOI8-R", b"\xcb\xcf\xd4", "кот"),
            ("US-ASCII", b"cat", "cat"),
        ] {
            let bytes = xml(&format!("<?xml version=\"1.0\" encoding='{name}' ?>"), bytes);
            let read = of_xml(&bytes, None).map(|text| text.text.into_owned());
            assert!(read.unwrap().ends_with(&format!("<a>{expected}</a>")), "{name}");
        }
    }

    #[test]
    fn byte_order_marks_and_zeros_decide() {
        for declaration in
            ["", "<?xml version='1.0' encoding='UTF-16'?>", "<?xml version='1.0' encoding='utf-8'?>"]
        {
            let text = format!("{declaration}<a>猫</a>");
            let with_mark = format!("\u{feff}{text}");
            for little in [true, false] {
                assert_eq!(of_xml(&wide(&text, little), None).unwrap().text, text);
                assert_eq!(of_xml(&wide(&with_mark, little), None).unwrap().text, text);
            }
            assert_eq!(of_xml(with_mark.as_bytes(), None).unwrap().text, text);
            // .NET writes the declaration of what it held in memory.
            assert_eq!(of_xml(text.as_bytes(), None).unwrap().text, text);
        }
        let utf32: Vec<u8> = "<a/>".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert!(of_xml(&utf32, None).unwrap_err().message.contains("UTF-32"));
        assert!(of_xml(b"\x4c\x6f\xa7\x94\x93", None).unwrap_err().message.contains("EBCDIC"));
        let odd = [wide("\u{feff}<a>\n猫", true), vec![0x3c]].concat();
        let error = of_xml(&odd, None).unwrap_err();
        assert_eq!((error.line, error.column), (2, 2), "{}", error.message);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        for (name, bytes, message, at) in [
            ("UTF-8", &b"K\xe4fer"[..], "is not UTF-8 at byte ", (2, 5)),
            ("Shift_JIS", b"cat\xff", "is not Shift_JIS at byte ", (2, 7)),
            ("GBK", b"cat\xff\xff", "is not GBK at byte ", (2, 7)),
            ("us-ascii", b"K\xe4fer", "is not ASCII at byte ", (2, 5)),
            ("windows-1252", b"\xc4\x8d", "is not windows-1252 at byte ", (2, 5)),
            ("utf-7", b"cat", "declares the encoding `utf-7`, which is not known", (1, 1)),
            ("hz-gb-2312", b"cat", "declares the encoding `hz-gb-2312`, which is not known", (1, 1)),
            ("x-user-defined", b"cat", "declares the encoding `x-user-defined`, which is not known", (1, 1)),
            ("", b"cat", "declares the encoding ``, which is not known", (1, 1)),
        ] {
            let bytes = xml(&format!("<?xml version=\"1.0\" encoding=\"{name}\"?>"), bytes);
            let error = of_xml(&bytes, None).unwrap_err();
            assert!(error.message.starts_with(message), "{name}: {}", error.message);
            assert_eq!((error.line, error.column), at, "{name}");
        }
    }

    #[test]
    fn what_is_given_counts_where_nothing_else_says_it() {
        let gbk = given("gbk").unwrap();
        assert!(of_xml(&xml("", b"\xc3\xa8"), Some(gbk)).unwrap().text.contains("猫"));
        let wrong = xml("<?xml version='1.0' encoding='utf-8'?>", b"\xc3\xa8\xc3");
        assert!(of_xml(&wrong, None).is_err());
        let latin = xml("<?xml version='1.0' encoding='iso-8859-1'?>", b"\xe4");
        assert!(of_xml(&latin, Some(gbk)).unwrap().text.contains("ä"), "the declaration goes before");
        let utf8 = xml("", "ä".as_bytes());
        let doubtful = of_xml(&utf8, Some(gbk)).unwrap();
        assert!(doubtful.doubt.unwrap().contains("valid UTF-8"));
        for name in ["utf-7", "klingon", "", "replacement"] {
            let message = given(name).unwrap_err().to_string();
            assert!(message.contains("`gbk`"), "{message}");
        }
    }
}
