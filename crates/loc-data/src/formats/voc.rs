//! Pascal VOC XML as VoTT, LabelImg and Roboflow write it. `<filename>` is believed; `<path>` and `<folder>`, which
//! name places on somebody else's machine, are not.

use std::path::Path;

use rayon::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

use super::number::{coordinate, whole};
use super::{ANOTHER_FILE, Annotation, Annotations, Label, NUMBER_HINT, Object, read_limited};
use crate::{BBox, Finding, ImageSize, Kind};

/// Longest XML file that is read, in bytes.
pub(crate) const SIZE_LIMIT: u64 = 1 << 20;
/// Most nodes an XML file may have.
const NODES_LIMIT: u32 = 10_000;

/// What came of one file.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// An annotation; it may be defective.
    Annotation(Annotation),
    /// Well-formed, but no annotation.
    Other,
    /// Not to be parsed at all.
    Broken,
}

/// Whether the file begins like a VOC annotation.
pub(crate) fn looks_like(path: &Path) -> bool {
    let mut head = [0; 4096];
    let read = fs_err::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    let head = &head[..read.unwrap_or(0)];
    head.windows(b"<annotation".len()).any(|w| w == b"<annotation")
        && !head.windows(b"<annotations".len()).any(|w| w == b"<annotations")
}

/// Reads all files, in their order.
pub(crate) fn read_all(paths: &[std::path::PathBuf]) -> Annotations {
    let parsed: Vec<(Parsed, Vec<Finding>)> = paths.par_iter().map(|path| read(path)).collect();
    let mut all = Annotations::default();
    for (path, (parsed, findings)) in paths.iter().zip(parsed) {
        all.findings.extend(findings);
        match parsed {
            Parsed::Annotation(annotation) => all.photos.push(annotation),
            Parsed::Other => {}
            Parsed::Broken => {
                all.broken.push(path.clone());
                all.lost += 1;
            }
        }
    }
    all
}

/// Reads one file.
fn read(path: &Path) -> (Parsed, Vec<Finding>) {
    match read_limited(path, SIZE_LIMIT) {
        Ok(bytes) => parse(path, &bytes),
        Err(why) => {
            (Parsed::Broken, vec![Finding::error(Kind::Unreadable, path, None, why).hint(ANOTHER_FILE)])
        }
    }
}

/// Parses the bytes of one file; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> (Parsed, Vec<Finding>) {
    let broken = |finding| (Parsed::Broken, vec![finding]);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let (line, column) = position(&bytes[..e.valid_up_to()]);
            let message = format!("is not UTF-8 at byte {}", e.valid_up_to());
            let finding = Finding::error(Kind::Encoding, path, Some(line), message).column(column);
            return broken(finding.hint("save the file with the encoding UTF-8"));
        }
    };
    if let Some(at) = text.find("<!DOCTYPE") {
        let line = newlines(&bytes[..at]) + 1;
        return broken(
            Finding::error(Kind::Syntax, path, Some(line), "has a DOCTYPE, which is refused")
                .hint("remove that line"),
        );
    }
    if attributes_may_exceed(text) {
        let message = "has more attributes than an annotation has";
        return broken(Finding::error(Kind::Syntax, path, None, message).hint(ANOTHER_FILE));
    }
    let options = ParsingOptions { nodes_limit: NODES_LIMIT, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(e) => return broken(syntax_error(path, text, &e)),
    };
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        let message = format!("ignored: its root element is <{}>, not <annotation>", root.tag_name().name());
        return (Parsed::Other, vec![Finding::warning(Kind::Foreign, path, Some(1), message)]);
    }
    let mut reader = Reader { path, lines: line_starts(text), findings: Vec::new() };
    let annotation = reader.annotation(root);
    (annotation.map_or(Parsed::Broken, Parsed::Annotation), reader.findings)
}

/// The parser compares each attribute of an element with all before it: with 80,000 of them that takes seconds.
/// Annotations have a handful, so a coarse count over the whole file is enough.
fn attributes_may_exceed(text: &str) -> bool {
    const MOST: usize = 2_000;
    text.bytes().filter(|b| *b == b'=').nth(MOST).is_some()
}

fn syntax_error(path: &Path, text: &str, error: &roxmltree::Error) -> Finding {
    use roxmltree::Error as E;
    let (line, column) = position(text.trim_end().as_bytes());
    let cut = "the file may be cut off; write it again with the annotation tool";
    match error {
        E::NoRootNode if text.trim().is_empty() => {
            Finding::error(Kind::Syntax, path, None, "is empty").hint(cut)
        }
        E::NoRootNode => {
            Finding::error(Kind::Syntax, path, Some(1), "is not XML: it has no element").hint(ANOTHER_FILE)
        }
        E::UnclosedRootNode | E::UnexpectedEndOfStream => {
            let message = "is not well-formed: the file ends inside an element";
            Finding::error(Kind::Syntax, path, Some(line), message).column(column).hint(cut)
        }
        E::NodesLimitReached => {
            Finding::error(Kind::Syntax, path, None, format!("has more than {NODES_LIMIT} nodes, the limit"))
                .hint(ANOTHER_FILE)
        }
        _ => {
            let at = error.pos();
            // The parser's own words end with the place.
            let why = error.to_string();
            let why = why.strip_suffix(&format!(" at {at}")).unwrap_or(&why);
            Finding::error(Kind::Syntax, path, Some(at.row), format!("is not well-formed: {why}"))
                .column(at.col)
                .hint("write it again with the annotation tool")
        }
    }
}

/// Collects findings while it walks one document.
struct Reader<'a> {
    path: &'a Path,
    lines: Vec<usize>,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn annotation(&mut self, root: Node<'_, '_>) -> Option<Annotation> {
        let Some(filename) = child(root, "filename") else {
            self.error(Kind::FieldMissing, root, "has no <filename>", "it names the photo");
            return None;
        };
        let photo = text_of(filename);
        if photo.trim().is_empty() {
            self.error(Kind::FieldMissing, filename, "<filename> is empty", "it names the photo");
            return None;
        }
        let line = self.line(filename);
        let size = child(root, "size").and_then(|node| self.size(node));
        let elements: Vec<Node<'_, '_>> =
            root.children().filter(|n| n.tag_name().name() == "object").collect();
        if elements.is_empty() {
            self.error(
                Kind::ObjectMissing,
                root,
                "has no <object>",
                "each photo needs one box; remove the photo, or annotate it",
            );
        }
        let objects: Vec<Object> = elements.into_iter().filter_map(|node| self.object(node)).collect();
        let defective = !self.findings.is_empty();
        Some(Annotation { source: self.path.to_owned(), line, photo, size, objects, defective })
    }

    fn size(&mut self, node: Node<'_, '_>) -> Option<(ImageSize, u32)> {
        let width = self.field(node, "width", whole);
        let height = self.field(node, "height", whole);
        Some((ImageSize { width: width?, height: height? }, self.line(node)))
    }

    fn object(&mut self, node: Node<'_, '_>) -> Option<Object> {
        let name = match child(node, "name") {
            None => {
                self.error(Kind::FieldMissing, node, "<object> has no <name>", "it names the class");
                None
            }
            Some(name) if text_of(name).trim().is_empty() => {
                self.error(Kind::FieldMissing, name, "<name> is empty", "it names the class");
                None
            }
            Some(name) => Some((text_of(name), self.line(name))),
        };
        let Some(bndbox) = child(node, "bndbox") else {
            self.error(
                Kind::FieldMissing,
                node,
                "<object> has no <bndbox>",
                "only boxes are read, no polygons or masks",
            );
            return None;
        };
        let [x1, y1, x2, y2] =
            ["xmin", "ymin", "xmax", "ymax"].map(|field| self.field(bndbox, field, coordinate));
        let bbox = BBox { x1: x1?, y1: y1?, x2: x2?, y2: y2? };
        let (name, label_line) = name?;
        Some(Object { label: Label::Name(name), label_line, bbox, line: self.line(bndbox) })
    }

    fn field<T>(
        &mut self,
        parent: Node<'_, '_>,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(node) = child(parent, name) else {
            let parent_name = parent.tag_name().name();
            let message = format!("<{parent_name}> has no <{name}>");
            let finding = Finding::error(Kind::FieldMissing, self.path, Some(self.line(parent)), message);
            self.findings.push(finding.hint("write it again with the annotation tool"));
            return None;
        };
        let parsed = parse(&text_of(node));
        parsed
            .map_err(|why| {
                let message = format!("<{name}> {why}");
                let finding = Finding::error(Kind::Number, self.path, Some(self.line(node)), message);
                self.findings.push(finding.hint(NUMBER_HINT));
            })
            .ok()
    }

    fn error(&mut self, kind: Kind, node: Node<'_, '_>, message: &str, hint: &str) {
        self.findings.push(Finding::error(kind, self.path, Some(self.line(node)), message).hint(hint));
    }

    fn line(&self, node: Node<'_, '_>) -> u32 {
        let at = self.lines.partition_point(|start| *start <= node.range().start);
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|n| n.tag_name().name() == name)
}

/// The element's own text, comments and inner elements left out.
fn text_of(node: Node<'_, '_>) -> String {
    node.children().filter(|n| n.is_text()).filter_map(|n| n.text()).collect()
}

/// Where each line begins.
fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Line and column, from 1, of what follows these bytes.
fn position(before: &[u8]) -> (u32, u32) {
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (newlines(before) + 1, u32::try_from(column).unwrap_or(u32::MAX))
}

fn newlines(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.iter().filter(|b| **b == b'\n').count()).unwrap_or(u32::MAX - 1)
}
