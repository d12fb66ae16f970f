//! Pascal VOC XML.

use std::collections::BTreeMap;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::place::Placed;
use crate::{BBox, ImageSize};

pub(super) fn files(photos: &[Placed<'_>], classes: &[String]) -> BTreeMap<String, Vec<u8>> {
    photos
        .iter()
        .map(|placed| {
            let photo = placed.photo;
            let name = placed.below.rsplit('/').next().unwrap_or_default();
            let objects = photo.objects.iter().map(|o| (classes[o.class].as_str(), o.bbox));
            (placed.annotation("Annotations", "xml"), document(name, photo.size, objects).into_bytes())
        })
        .collect()
}

/// Text as XML: a carriage return, which a reader would take for a newline, by its number; what no XML can hold as the
/// replacement character.
fn text(text: &str) -> BytesText<'static> {
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
    BytesText::from_escaped(escaped)
}

/// One photo's annotation: `file` is the photo's name, boxes are in pixels.
#[must_use]
pub fn document<'a>(
    file: &str,
    size: ImageSize,
    objects: impl IntoIterator<Item = (&'a str, BBox)>,
) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = writer.create_element("annotation").write_inner_content(|w| {
        w.create_element("filename").write_text_content(text(file))?;
        w.create_element("size").write_inner_content(|w| {
            for (name, value) in [("width", size.width), ("height", size.height), ("depth", 3)] {
                w.create_element(name).write_text_content(text(&value.to_string()))?;
            }
            Ok(())
        })?;
        for (class, b) in objects {
            w.create_element("object").write_inner_content(|w| {
                w.create_element("name").write_text_content(text(class))?;
                w.create_element("bndbox").write_inner_content(|w| {
                    for (name, value) in [("xmin", b.x1), ("ymin", b.y1), ("xmax", b.x2), ("ymax", b.y2)] {
                        w.create_element(name).write_text_content(text(&value.to_string()))?;
                    }
                    Ok(())
                })?;
                Ok(())
            })?;
        }
        Ok(())
    });
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
    String::from_utf8(writer.into_inner()).unwrap_or_default() + "\n"
}
