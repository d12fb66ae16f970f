//! Pascal VOC XML as written by VoTT, LabelImg and Roboflow. `<filename>` is used; `<path>` and `<folder>`, which refer to the
//! annotator's machine, are ignored.

use std::path::Path;

use encoding_rs::Encoding;
use rayon::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

use super::number::{coordinate, whole};
use super::registry::{self, FilesReader};
use super::text::{self, newlines, position};
use super::{
    ANOTHER_FILE, Annotation, Annotations, Empty, Label, NUMBER_HINT, Object, Scope, class_name, read_limited,
};
use crate::content_type::ContentType;
use crate::diagnostics::Diagnostics;
use crate::{BBox, Diagnostic, DiagnosticKind, ImageSize, NoDataSetError};

/// Longest XML file that is read, in bytes.
pub(crate) const SIZE_LIMIT: u64 = 1 << 20;
/// Most nodes an XML file may have.
const NODES_LIMIT: u32 = 10_000;
/// Hint for an element that occurs twice.
const TWICE_HINT: &str = "keep the one that is right";

pub(super) const READER: registry::Reader = registry::Reader {
    file_a_photo: true,
    json: None,
    files: Some(FilesReader {
        recognise: |files, _| files.xmls.iter().any(|path| looks_like(path)),
        read: |files, request| read_all(&files.xmls, request.encoding),
    }),
};

/// The result of parsing one file.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// An annotation; it may be defective.
    Annotation(Annotation),
    /// Well-formed, but not an annotation.
    Other,
    /// Not parsable.
    Broken,
}

/// Whether the file begins like a VOC annotation.
pub(crate) fn looks_like(path: &Path) -> bool {
    let mut head = [0; 4096];
    let read = fs_err::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    let head = text::head(&head[..read.unwrap_or(0)]);
    head.contains("<annotation") && !head.contains("<annotations")
}

/// Why a single XML file is not a data set.
pub(crate) fn not_a_data_set(path: &Path) -> NoDataSetError {
    if looks_like(path) {
        return NoDataSetError::OneAnnotation;
    }
    match read_limited(path, SIZE_LIMIT).map(|bytes| parse(path, &bytes, None).1) {
        // A CVAT file holds all photos, and is longer than an annotation.
        Ok(diagnostics) if !diagnostics.is_empty() => {
            let Diagnostic { message, hint, .. } = &diagnostics[0];
            let message = message.strip_prefix("ignored: ").unwrap_or(message).to_owned();
            NoDataSetError::ForeignXml { message, hint: hint.clone() }
        }
        _ => NoDataSetError::UnknownXml,
    }
}

/// Reads all files in order.
pub(crate) fn read_all(paths: &[std::path::PathBuf], encoding: Option<&'static Encoding>) -> Annotations {
    let parsed: Vec<(Parsed, Vec<Diagnostic>)> = paths.par_iter().map(|path| read(path, encoding)).collect();
    let mut all = Annotations::default();
    for (path, (parsed, diagnostics)) in paths.iter().zip(parsed) {
        all.diagnostics.extend(diagnostics);
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
fn read(path: &Path, encoding: Option<&'static Encoding>) -> (Parsed, Vec<Diagnostic>) {
    match read_limited(path, SIZE_LIMIT) {
        Ok(bytes) => parse(path, &bytes, encoding),
        Err(why) => (
            Parsed::Broken,
            vec![Diagnostic::error(DiagnosticKind::Unreadable, path, None, why).hint(ANOTHER_FILE)],
        ),
    }
}

/// Parses the bytes of one file; `path` is for messages.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    encoding: Option<&'static Encoding>,
) -> (Parsed, Vec<Diagnostic>) {
    let broken = |diagnostic| (Parsed::Broken, vec![diagnostic]);
    if let Some(content) =
        ContentType::of(bytes).filter(|c| !matches!(c, ContentType::Xml | ContentType::Binary))
    {
        let message = format!("is {content}, not an annotation in XML");
        return broken(Diagnostic::error(DiagnosticKind::Foreign, path, None, message).hint(ANOTHER_FILE));
    }
    let text::Text { text, doubt } = match text::of_xml(bytes, encoding) {
        Ok(text) => text,
        Err(e) => {
            let diagnostic =
                Diagnostic::error(DiagnosticKind::Encoding, path, Some(e.line), e.message).column(e.column);
            return broken(diagnostic.hint(e.hint));
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if let Some(at) = text.find("<!DOCTYPE") {
        let line = newlines(&text.as_bytes()[..at]) + 1;
        return broken(
            Diagnostic::error(DiagnosticKind::Syntax, path, Some(line), "has a DOCTYPE, which is refused")
                .hint("remove that line"),
        );
    }
    if attributes_may_exceed(text) {
        let message = "has more attributes than an annotation has";
        return broken(Diagnostic::error(DiagnosticKind::Syntax, path, None, message).hint(ANOTHER_FILE));
    }
    let options = ParsingOptions { nodes_limit: NODES_LIMIT, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(e) => return broken(syntax_error(path, text, &e)),
    };
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        return (Parsed::Other, vec![another(path, root.tag_name().name())]);
    }
    let mut reader = Reader { path, lines: line_starts(text), diagnostics: Diagnostics::default() };
    let annotation = reader.annotation(root);
    if let Some(doubt) = doubt {
        reader.diagnostics.push(Diagnostic::warning(DiagnosticKind::Encoding, path, None, doubt));
    }
    (annotation.map_or(Parsed::Broken, Parsed::Annotation), reader.diagnostics.into_vec())
}

/// The warning about XML that is not an annotation.
fn another(path: &Path, root: &str) -> Diagnostic {
    let ignored = |message: String| Diagnostic::warning(DiagnosticKind::Foreign, path, Some(1), message);
    match root {
        "annotations" => ignored("ignored: it is XML of CVAT (<annotations>), which is not read".into())
            .hint("export it from CVAT as Pascal VOC"),
        "dataset" => ignored("ignored: it is XML of dlib's imglab (<dataset>), which is not read".into())
            .hint("convert it to Pascal VOC XML or CSV"),
        _ => {
            let root: String = root.chars().take(60).collect();
            ignored(format!("ignored: its root element is <{root}>, not <annotation>"))
        }
    }
}

/// The parser compares each attribute of an element with all earlier ones, which takes seconds for 80,000 of them.
/// Annotations have few attributes, so a coarse count over the whole file is sufficient.
fn attributes_may_exceed(text: &str) -> bool {
    const MOST: usize = 2_000;
    text.bytes().filter(|b| *b == b'=').nth(MOST).is_some()
}

fn syntax_error(path: &Path, text: &str, error: &roxmltree::Error) -> Diagnostic {
    use roxmltree::Error as E;
    let (line, column) = position(text.trim_end().as_bytes());
    let cut = "the file may be cut off; write it again with the annotation tool";
    match error {
        E::NoRootNode if text.trim().is_empty() => {
            Diagnostic::error(DiagnosticKind::Syntax, path, None, "is empty").hint(cut)
        }
        E::NoRootNode => {
            Diagnostic::error(DiagnosticKind::Syntax, path, Some(1), "is not XML: it has no element")
                .hint(ANOTHER_FILE)
        }
        E::UnclosedRootNode | E::UnexpectedEndOfStream => {
            let message = "is not well-formed: the file ends inside an element";
            Diagnostic::error(DiagnosticKind::Syntax, path, Some(line), message).column(column).hint(cut)
        }
        E::NodesLimitReached => Diagnostic::error(
            DiagnosticKind::Syntax,
            path,
            None,
            format!("has more than {NODES_LIMIT} nodes, the limit"),
        )
        .hint(ANOTHER_FILE),
        _ => {
            let at = error.pos();
            // The parser's message ends with the position.
            let why = error.to_string();
            let why = why.strip_suffix(&format!(" at {at}")).unwrap_or(&why);
            Diagnostic::error(
                DiagnosticKind::Syntax,
                path,
                Some(at.row),
                format!("is not well-formed: {why}"),
            )
            .column(at.col)
            .hint("write it again with the annotation tool")
        }
    }
}

/// Collects diagnostics while it walks one document.
struct Reader<'a> {
    path: &'a Path,
    lines: Vec<usize>,
    diagnostics: Diagnostics,
}

impl Reader<'_> {
    fn annotation(&mut self, root: Node<'_, '_>) -> Option<Annotation> {
        let filename = match self.leaf(root, "filename") {
            Only::One(node) => node,
            Only::None => {
                self.error(DiagnosticKind::FieldMissing, root, "has no <filename>", "it names the photo");
                return None;
            }
            Only::HeaderError => return None,
        };
        let photo = text_of(filename);
        if photo.trim().is_empty() {
            self.error(DiagnosticKind::FieldMissing, filename, "<filename> is empty", "it names the photo");
            return None;
        }
        let line = self.line(filename);
        let size = match self.only(root, "size") {
            Only::One(node) => self.size(node),
            Only::None | Only::HeaderError => None,
        };
        let elements: Vec<Node<'_, '_>> =
            root.children().filter(|n| n.tag_name().name() == "object").collect();
        let objects: Vec<Object> = elements.into_iter().filter_map(|node| self.object(node)).collect();
        let defective = self.diagnostics.errors() > 0;
        // Objects where no reader looks for them, such as in a list of their own.
        let named = |n: Node<'_, '_>, name| n.tag_name().name().eq_ignore_ascii_case(name);
        let is_elsewhere = root.descendants().any(|n| named(n, "object") || named(n, "bndbox"));
        let empty = if is_elsewhere { Empty::Unclear } else { Empty::Negative };
        let annotation = Annotation::new(self.path, line, photo);
        Some(Annotation { size, objects, defective, empty, scope: Scope::One, ..annotation })
    }

    fn size(&mut self, node: Node<'_, '_>) -> Option<(ImageSize, u32)> {
        let is_open = |name| children(node, name).all(|n| text_of(n).trim().is_empty());
        if is_open("width") && is_open("height") {
            return None;
        }
        let width = self.field(node, "width", whole);
        let height = self.field(node, "height", whole);
        Some((ImageSize { width: width?, height: height? }, self.line(node)))
    }

    fn object(&mut self, node: Node<'_, '_>) -> Option<Object> {
        let name = match self.leaf(node, "name") {
            Only::None => {
                self.error(
                    DiagnosticKind::FieldMissing,
                    node,
                    "<object> has no <name>",
                    "it names the class",
                );
                None
            }
            Only::One(name) => self.label(name),
            Only::HeaderError => None,
        };
        let bndbox = match self.only(node, "bndbox") {
            Only::One(bndbox) => bndbox,
            Only::None => {
                self.error(
                    DiagnosticKind::FieldMissing,
                    node,
                    "<object> has no <bndbox>",
                    "only boxes are read, no polygons or masks",
                );
                return None;
            }
            Only::HeaderError => return None,
        };
        let [x1, y1, x2, y2] =
            ["xmin", "ymin", "xmax", "ymax"].map(|field| self.field(bndbox, field, coordinate));
        let bbox = BBox { x1: x1?, y1: y1?, x2: x2?, y2: y2? };
        let (label, label_line) = name?;
        Some(Object { label, label_line, bbox, line: self.line(bndbox) })
    }

    fn label(&mut self, name: Node<'_, '_>) -> Option<(Label, u32)> {
        let text = text_of(name);
        if text.trim().is_empty() {
            self.error(DiagnosticKind::FieldMissing, name, "<name> is empty", "it names the class");
            return None;
        }
        match class_name(text) {
            Ok(label) => Some((label, self.line(name))),
            Err(why) => {
                self.error(DiagnosticKind::Syntax, name, &format!("<name> {why}"), "it names the class");
                None
            }
        }
    }

    fn field<T>(
        &mut self,
        parent: Node<'_, '_>,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let node = match self.leaf(parent, name) {
            Only::One(node) => node,
            Only::None => {
                let message = format!("<{}> has no <{name}>", parent.tag_name().name());
                self.error(
                    DiagnosticKind::FieldMissing,
                    parent,
                    &message,
                    "write it again with the annotation tool",
                );
                return None;
            }
            Only::HeaderError => return None,
        };
        let parsed = parse(&text_of(node));
        parsed
            .map_err(|why| self.error(DiagnosticKind::Number, node, &format!("<{name}> {why}"), NUMBER_HINT))
            .ok()
    }

    /// The only child of this name. Several are an error, since any of them may be wrong.
    fn only<'a, 'input>(&mut self, parent: Node<'a, 'input>, name: &str) -> Only<'a, 'input> {
        let mut found = children(parent, name);
        match (found.next(), found.next()) {
            (None, _) => Only::None,
            (Some(node), None) => Only::One(node),
            (Some(_), Some(second)) => {
                let message = format!("<{name}> occurs twice in <{}>", parent.tag_name().name());
                self.error(DiagnosticKind::FieldDoubled, second, &message, TWICE_HINT);
                Only::HeaderError
            }
        }
    }

    /// The only child of this name, which must contain only text.
    fn leaf<'a, 'input>(&mut self, parent: Node<'a, 'input>, name: &str) -> Only<'a, 'input> {
        let found = self.only(parent, name);
        if let Only::One(node) = found
            && let Some(inner) = node.children().find(Node::is_element)
        {
            let message = format!("<{name}> holds an element, and should hold text alone");
            self.error(DiagnosticKind::Syntax, inner, &message, "write it again with the annotation tool");
            return Only::HeaderError;
        }
        found
    }

    fn error(&mut self, kind: DiagnosticKind, node: Node<'_, '_>, message: &str, hint: &str) {
        self.diagnostics.push(Diagnostic::error(kind, self.path, Some(self.line(node)), message).hint(hint));
    }

    fn line(&self, node: Node<'_, '_>) -> u32 {
        let at = self.lines.partition_point(|start| *start <= node.range().start);
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

/// The result of searching for an element that may occur once.
enum Only<'a, 'input> {
    None,
    One(Node<'a, 'input>),
    /// Several or an invalid one; an error was reported.
    HeaderError,
}

fn children<'a, 'input>(parent: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    parent.children().filter(move |n| n.tag_name().name() == name)
}

/// The element's text without comments, and without line breaks and indentation around it, which are layout. Blanks on the
/// same line are part of the text.
fn text_of(node: Node<'_, '_>) -> String {
    let text: String = node.children().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
    let blanks = |s: &str| s.contains(['\n', '\r']);
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len().max(start);
    let from = if blanks(&text[..start]) { start } else { 0 };
    let to = if blanks(&text[end..]) { end } else { text.len() };
    text[from..to.max(from)].to_owned()
}

/// The start of each line.
fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}
