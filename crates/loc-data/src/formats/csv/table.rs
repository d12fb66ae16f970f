//! The rows of a CSV file.

use std::collections::HashMap;
use std::path::Path;

use csv::{ByteRecord, StringRecord};

use super::super::header::{self, Columns, EDGES, HEADER, Header, HeaderError};
use super::super::number::{coordinate, quoted, whole};
use super::super::text::encoding_hint;
use super::super::{Annotation, Annotations, Label, NUMBER_HINT, Object, Request, class_name};
use super::unified;
use crate::csv_escape::unescape_formula;
use crate::diagnostics::MOST;
use crate::file_index::{name_of, stem_of};
use crate::{BBox, Diagnostic, DiagnosticKind, Hint, ImageSize, Subset};

/// The position of a record: its number, from 1 after the header, and its first line.
#[derive(Clone, Copy)]
struct Row {
    number: u64,
    line: u32,
}

/// The content of one file: photos in the order of their first rows.
pub(super) struct Table<'a> {
    pub(super) path: &'a Path,
    pub(super) request: &'a Request<'a>,
    pub(super) by_name: HashMap<String, usize>,
    pub(super) read: Annotations,
}

impl Table<'_> {
    /// Reads the header and all rows. A row that is not UTF-8 is an error of that row.
    pub(super) fn rows(mut self, bytes: &[u8]) -> Annotations {
        let unified = match std::str::from_utf8(bytes) {
            Ok(text) => unified(text),
            Err(_) => "".into(),
        };
        let bytes = if unified.is_empty() { bytes } else { unified.as_bytes() };
        if bytes.trim_ascii().is_empty() {
            let diagnostic = Diagnostic::error(DiagnosticKind::Syntax, self.path, None, "is empty");
            return self.refused(diagnostic);
        }
        let header = match self.header(bytes) {
            Ok(header) => header,
            Err(HeaderError { kind, message, hint }) => {
                let diagnostic = Diagnostic::error(kind, self.path, Some(1), message).hint(hint);
                return self.refused(diagnostic);
            }
        };
        let mut reader = header::reader(&bytes[header.skip..], header.delimiter);
        let mut record = ByteRecord::new();
        let mut row = Row { number: 0, line: 0 };
        // Reading from memory cannot fail.
        let mut next = |record: &mut ByteRecord| reader.read_byte_record(record).unwrap_or(false);
        if header.has_line {
            next(&mut record);
        }
        while next(&mut record) {
            if record.iter().all(|field| field.trim_ascii().is_empty()) {
                continue;
            }
            row.number += 1;
            let line = record.position().map_or(0, csv::Position::line);
            row.line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(header.lines);
            self.record(row, &record, &header);
            if self.read.diagnostics.len() >= MOST {
                let mut left = 0;
                while next(&mut record) {
                    left += 1;
                }
                self.stop(row, left);
                break;
            }
        }
        if row.number == 0 {
            let diagnostic =
                Diagnostic::error(DiagnosticKind::Syntax, self.path, None, "has a header but no rows");
            return self.refused(diagnostic);
        }
        self.read
    }

    /// The header, or what the user gives instead.
    fn header(&self, bytes: &[u8]) -> Result<Header, HeaderError> {
        match self.request.columns {
            Some(columns) => header::given(bytes, columns, self.request.class),
            None => header::of(bytes, self.request.class),
        }
    }

    fn record(&mut self, row: Row, record: &ByteRecord, header: &Header) {
        let photo = record.get(header.columns.filename);
        let behind = record.iter().skip(header.width).enumerate();
        let mut surplus =
            behind.filter(|(i, field)| header.width + i >= header.whole && !field.trim_ascii().is_empty());
        if record.len() < header.width || surplus.next().is_some() {
            let fields = crate::error::count(record.len(), "field");
            let message = format!("{fields} where the header has {}", header.width);
            let breaks = record.as_slice().iter().filter(|b| **b == b'\n').count();
            if breaks > 0 {
                let message = format!("{message}, over {} lines", breaks + 1);
                self.error(
                    DiagnosticKind::Syntax,
                    row,
                    &message,
                    "is a quote not closed? The lines up to the next are lost",
                );
                self.read.incomplete = true;
            } else if record.len() == 1 {
                let hint = "another separator than in the header? Write the file again";
                self.error(DiagnosticKind::Syntax, row, &message, hint);
            } else {
                let hint = match header.delimiter {
                    b',' => "a comma inside a name needs quotes around it",
                    _ => "a separator inside a name needs quotes around it",
                };
                self.error(DiagnosticKind::Syntax, row, &message, hint);
            }
            return self.spoil(photo);
        }
        match StringRecord::from_byte_record(record.clone()) {
            Ok(text) => self.row(row, &text, &header.columns),
            Err(e) => {
                let message = format!("is not UTF-8 in field {}", e.utf8_error().field() + 1);
                self.error(DiagnosticKind::Encoding, row, &message, encoding_hint("gbk"));
                // The other rows may be in another encoding too.
                self.read.incomplete = true;
                self.spoil(photo);
            }
        }
    }

    /// The result for a file that could not be read.
    pub(super) fn refused(mut self, why: Diagnostic) -> Annotations {
        self.read.diagnostics.push(why);
        self.read.incomplete = true;
        self.read
    }

    /// Reports that no more rows are read.
    fn stop(&mut self, row: Row, left: usize) {
        let message = format!("{MOST} errors up to here: {left} more rows are not read");
        let diagnostic = Diagnostic::error(DiagnosticKind::TooMany, self.path, Some(row.line), message);
        self.read
            .diagnostics
            .push(diagnostic.hint(format!("is it a CSV of annotations? Its header would be {HEADER}")));
        self.read.incomplete |= left > 0;
    }

    fn row(&mut self, row: Row, record: &StringRecord, columns: &Columns) {
        let photo = &record[columns.filename];
        if photo.trim().is_empty() {
            self.error(DiagnosticKind::FieldMissing, row, "filename is empty", "it names the photo");
            self.read.lost += 1;
            return;
        }
        let class = columns.class.map(|i| &record[i]);
        let is_blank = |text: &str| text.trim().is_empty();
        if class.is_none_or(is_blank) && columns.edges.iter().all(|i| is_blank(&record[*i])) {
            // The row of a photo without an object, as keras-retinanet has them.
            self.annotation(photo, row.line);
            return;
        }
        let object = self.object(row, record, columns);
        let size = self.size(row, record, columns);
        let annotation = self.annotation(photo, row.line);
        annotation.defective |= object.is_none() || size.is_err();
        if annotation.objects.is_empty() {
            // Most photos have one object; a growing vector would reserve space for four.
            annotation.objects.reserve_exact(1);
        }
        annotation.objects.extend(object);
        let declared = annotation.size.map(|(size, _)| size);
        match (size, declared) {
            (Ok(Some(size)), None) => annotation.size = Some((size, row.line)),
            // A size of zero is ignored.
            (Ok(Some(size)), Some(before)) if before.is_empty() => annotation.size = Some((size, row.line)),
            (Ok(Some(size)), Some(before)) if size != before && !size.is_empty() => {
                annotation.defective = true;
                let message = format!("{} is {size} here and {before} in an earlier row", quoted(photo));
                let diagnostic =
                    Diagnostic::error(DiagnosticKind::SizeMismatch, self.path, Some(row.line), message);
                self.read
                    .diagnostics
                    .push(diagnostic.hint("a photo has one size; correct the row that is wrong"));
            }
            _ => {}
        }
    }

    fn object(&mut self, row: Row, record: &StringRecord, columns: &Columns) -> Option<Object> {
        let by_name = || class_of(self.path);
        let one = columns.class.is_none().then(|| self.request.class.map_or_else(by_name, str::to_owned));
        let text = match (&one, columns.class) {
            (Some(class), _) => class.as_str(),
            (None, Some(i)) => unescape_formula(&record[i]),
            (None, None) => "",
        };
        let label = if columns.names {
            if text.trim().is_empty() {
                self.error(DiagnosticKind::FieldMissing, row, "class is empty", "it names the class");
                None
            } else {
                let hint = "is a quote not closed? Each row is a line";
                let name = class_name(text.to_owned());
                name.map_err(|why| self.error(DiagnosticKind::Syntax, row, &format!("class {why}"), hint))
                    .ok()
            }
        } else {
            self.field(row, "class_num", text, whole).map(Label::Number)
        };
        let mut edge = |i: usize| self.field(row, EDGES[i], &record[columns.edges[i]], coordinate);
        let [x1, y1, x2, y2] = [edge(0), edge(1), edge(2), edge(3)];
        let bbox = BBox { x1: x1?, y1: y1?, x2: x2?, y2: y2? };
        Some(Object { label: label?, label_line: row.line, bbox, line: row.line })
    }

    fn size(&mut self, row: Row, record: &StringRecord, columns: &Columns) -> Result<Option<ImageSize>, ()> {
        let Some([w, h]) = columns.size else { return Ok(None) };
        if record[w].trim().is_empty() && record[h].trim().is_empty() {
            return Ok(None);
        }
        let width = self.field(row, "width", &record[w], whole);
        let height = self.field(row, "height", &record[h], whole);
        let (width, height) = width.zip(height).ok_or(())?;
        Ok(Some(ImageSize { width, height }))
    }

    fn field<T>(
        &mut self,
        row: Row,
        name: &str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text)
            .map_err(|why| {
                let message = format!("record {}: {name} {why}", row.number);
                self.read.diagnostics.push(
                    Diagnostic::error(DiagnosticKind::Number, self.path, Some(row.line), message)
                        .hint(NUMBER_HINT),
                );
            })
            .ok()
    }

    fn error(&mut self, kind: DiagnosticKind, row: Row, message: &str, hint: impl Into<Hint>) {
        let message = format!("record {}: {message}", row.number);
        self.read.diagnostics.push(Diagnostic::error(kind, self.path, Some(row.line), message).hint(hint));
    }

    /// Records that a row of this photo could not be read.
    fn spoil(&mut self, photo: Option<&[u8]>) {
        if let Some(Ok(name)) = photo.map(std::str::from_utf8)
            && !name.trim().is_empty()
        {
            let line = self.read.diagnostics.last().and_then(|f| f.line).unwrap_or(1);
            self.annotation(name, line).defective = true;
        } else {
            self.read.lost += 1;
        }
    }

    fn annotation(&mut self, photo: &str, line: u32) -> &mut Annotation {
        let next = self.read.photos.len();
        let at = *self.by_name.entry(photo.to_owned()).or_insert(next);
        if at == next {
            self.read.photos.push(Annotation::new(self.path, line, photo.to_owned()));
        }
        &mut self.read.photos[at]
    }
}

/// The class of all objects of a table that has no column for it: the file's name, or where that says nothing, the folder's.
fn class_of(path: &Path) -> String {
    const SAY_NOTHING: [&str; 11] = [
        "annotation",
        "annotations",
        "bboxes",
        "boxes",
        "csv",
        "data",
        "dataset",
        "export",
        "images",
        "label",
        "labels",
    ];
    let says = |name: &&str| {
        let name = name.trim_matches('_').to_lowercase();
        !name.is_empty() && !SAY_NOTHING.contains(&&*name) && Subset::of_file(&name).is_none()
    };
    let above = path.ancestors().skip(1).map(name_of);
    std::iter::once(stem_of(path)).chain(above).find(says).unwrap_or_else(|| stem_of(path)).to_owned()
}
