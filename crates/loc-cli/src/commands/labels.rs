//! Predictions as annotation files.

use std::fmt::Write;
use std::path::Path;

use loc_infer::Localization;

/// Pascal VOC XML.
pub(super) fn voc(photo: &Path, found: &Localization) -> String {
    let name = photo.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut text = String::from("<annotation>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  <filename>{}</filename>", escape(&name));
    let _ = writeln!(
        text,
        "  <size><width>{}</width><height>{}</height><depth>3</depth></size>",
        found.width, found.height
    );
    let _ = writeln!(text, "  <object>\n    <name>{}</name>", escape(&found.name));
    let b = found.bbox;
    let edges = [("xmin", b.x1), ("ymin", b.y1), ("xmax", b.x2), ("ymax", b.y2)];
    text += "    <bndbox>\n";
    for (edge, value) in edges {
        let _ = writeln!(text, "      <{edge}>{value}</{edge}>");
    }
    text += "    </bndbox>\n";
    text + "  </object>\n</annotation>\n"
}

/// Text as XML: a carriage return, which a reader would take for a newline, by its number; what no XML can hold as the
/// replacement character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            '\n' | '\t' => escaped.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}
