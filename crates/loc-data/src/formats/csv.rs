//! CSV, one row an object: the tutorial's `class_num` with numbers, or `class` with names (Roboflow's header).
//! Columns are found by name, others are ignored; rows of one photo are its objects.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use super::number::{coordinate, quoted, whole};
use super::{ANOTHER_FILE, Annotation, Annotations, Label, NUMBER_HINT, Object, read_limited};
use crate::{BBox, Finding, ImageSize, Kind};

/// The tutorial's header.
pub(crate) const HEADER: &str = "filename,width,height,class_num,xmin,ymin,xmax,ymax";

/// Longest CSV file that is read, in bytes: a million rows.
const SIZE_LIMIT: u64 = 256 << 20;

/// The four edges, in the order of [`BBox`].
const EDGES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// Where the columns stand.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    filename: usize,
    /// Width and height, if there are both.
    size: Option<[usize; 2]>,
    /// `class`, or else `class_num`.
    class: usize,
    /// Whether the class is a name (or may be).
    names: bool,
    edges: [usize; 4],
}

/// Whether the file's first line is a header of annotations.
pub(crate) fn looks_like(path: &Path) -> bool {
    header(path).is_ok_and(|header| columns(&header).is_ok())
}

/// What is wrong with the first line of a file that is not recognised, for an error.
pub(crate) fn describe_header(path: &Path) -> String {
    match header(path).and_then(|header| columns(&header).map(|_| ())) {
        Ok(()) => format!("{} has a header of annotations", path.display()),
        Err(why) => format!("{}: {why}", path.display()),
    }
}

fn header(path: &Path) -> Result<StringRecord, String> {
    let mut head = [0; 4096];
    let mut file = fs_err::File::open(path).map_err(|e| e.to_string())?;
    let read = std::io::Read::read(&mut file, &mut head).map_err(|e| e.to_string())?;
    let line = head[..read].split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
    reader(line).headers().cloned().map_err(|e| e.to_string())
}

/// No row is refused for its length: that is a finding, and the reading goes on. A byte order mark is skipped and
/// CRLF taken by the reader itself.
fn reader(bytes: &[u8]) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().flexible(true).from_reader(bytes)
}

fn columns(header: &StringRecord) -> Result<Columns, String> {
    let find = |name: &str| header.iter().position(|column| column.trim() == name);
    let missing: Vec<&str> =
        std::iter::once("filename").chain(EDGES).filter(|name| find(name).is_none()).collect();
    let class = find("class").or_else(|| find("class_num"));
    let (Some(filename), Some(class), true) = (find("filename"), class, missing.is_empty()) else {
        let mut lacks = missing;
        if class.is_none() {
            lacks.push("class");
        }
        let found = header.iter().collect::<Vec<_>>().join(",");
        let hint = if found.contains(';') {
            "fields are separated by commas".to_owned()
        } else {
            format!("a header is {HEADER}, or with `class` for names")
        };
        return Err(format!(
            "the header {} has no column {} (hint: {hint})",
            quoted(&found),
            lacks.join(", ")
        ));
    };
    let edges = EDGES.map(|name| find(name).unwrap_or_default());
    let size = find("width").zip(find("height")).map(|(w, h)| [w, h]);
    Ok(Columns { filename, size, class, names: find("class").is_some(), edges })
}

/// Reads all files, in their order. A photo that stands in two of them is an error.
pub(crate) fn read_all(paths: &[PathBuf], given: bool) -> Annotations {
    let mut all = Annotations::default();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for path in paths.iter().filter(|path| given || looks_like(path)) {
        let read = match read_limited(path, SIZE_LIMIT) {
            Ok(bytes) => parse(path, &bytes),
            Err(why) => {
                all.findings.push(Finding::error(Kind::Unreadable, path, None, why).hint(ANOTHER_FILE));
                all.incomplete = true;
                continue;
            }
        };
        all.findings.extend(read.findings);
        all.lost += read.lost;
        all.incomplete |= read.incomplete;
        for photo in read.photos {
            match seen.get(&photo.photo) {
                Some(first) => {
                    // Nobody knows which of the two is right.
                    let first = &mut all.photos[*first];
                    first.defective = true;
                    let message =
                        format!("{} is annotated in {} too", quoted(&photo.photo), first.source.display());
                    let finding = Finding::error(Kind::PhotoDoubled, path, Some(photo.line), message);
                    all.findings.push(finding.hint("name the one CSV file to use as the data"));
                }
                None => {
                    seen.insert(photo.photo.clone(), all.photos.len());
                    all.photos.push(photo);
                }
            }
        }
    }
    all
}

/// Parses the bytes of one file; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Annotations {
    let mut table = Table { path, by_name: HashMap::new(), read: Annotations::default() };
    let mut reader = reader(bytes);
    let columns = match reader.headers().map_err(|e| e.to_string()).and_then(columns) {
        Ok(columns) => columns,
        Err(why) => {
            table.read.findings.push(Finding::error(Kind::Syntax, path, Some(1), why));
            table.read.incomplete = true;
            return table.read;
        }
    };
    let width = reader.headers().map_or(0, StringRecord::len);
    let mut record = ByteRecord::new();
    let mut number = 0;
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(e) => {
                let message = format!("cannot be read: {e}");
                table.read.findings.push(Finding::error(Kind::Unreadable, path, None, message));
                table.read.incomplete = true;
                break;
            }
        }
        number += 1;
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { number, line: u32::try_from(line).unwrap_or(u32::MAX) };
        if record.len() != width {
            let message = format!("{} fields where the header has {width}", record.len());
            table.error(Kind::Syntax, row, &message, "a comma inside a name needs quotes around it");
            table.spoil(record.get(columns.filename));
            continue;
        }
        match StringRecord::from_byte_record(record.clone()) {
            Ok(text) => table.row(row, &text, &columns),
            Err(e) => {
                let message = format!("is not UTF-8 in field {}", e.utf8_error().field() + 1);
                table.error(Kind::Encoding, row, &message, "save the file with the encoding UTF-8");
                table.spoil(record.get(columns.filename));
            }
        }
    }
    if number == 0 {
        table.read.findings.push(Finding::error(Kind::Syntax, path, None, "has a header but no rows"));
        table.read.incomplete = true;
    }
    table.read
}

/// Where a record stands: its number, counted from 1 after the header, and its first line.
#[derive(Clone, Copy)]
struct Row {
    number: u64,
    line: u32,
}

/// What one file says: photos in the order of their first rows.
struct Table<'a> {
    path: &'a Path,
    by_name: HashMap<String, usize>,
    read: Annotations,
}

impl Table<'_> {
    fn row(&mut self, row: Row, record: &StringRecord, columns: &Columns) {
        let photo = &record[columns.filename];
        if photo.trim().is_empty() {
            self.error(Kind::FieldMissing, row, "filename is empty", "it names the photo");
            self.read.lost += 1;
            return;
        }
        let object = self.object(row, record, columns);
        let size = self.size(row, record, columns);
        let annotation = self.annotation(photo, row.line);
        annotation.defective |= object.is_none() || size.is_err();
        annotation.objects.extend(object);
        let declared = annotation.size.map(|(size, _)| size);
        match (size, declared) {
            (Ok(Some(size)), None) => annotation.size = Some((size, row.line)),
            (Ok(Some(size)), Some(before)) if size != before => {
                annotation.defective = true;
                let message = format!("{} is {size} here and {before} in an earlier row", quoted(photo));
                let finding = Finding::error(Kind::SizeMismatch, self.path, Some(row.line), message);
                self.read.findings.push(finding.hint("a photo has one size; correct the row that is wrong"));
            }
            _ => {}
        }
    }

    fn object(&mut self, row: Row, record: &StringRecord, columns: &Columns) -> Option<Object> {
        let text = &record[columns.class];
        let label = if columns.names {
            if text.trim().is_empty() {
                self.error(Kind::FieldMissing, row, "class is empty", "it names the class");
                None
            } else {
                Some(Label::Name(text.to_owned()))
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
                self.read
                    .findings
                    .push(Finding::error(Kind::Number, self.path, Some(row.line), message).hint(NUMBER_HINT));
            })
            .ok()
    }

    fn error(&mut self, kind: Kind, row: Row, message: &str, hint: &str) {
        let message = format!("record {}: {message}", row.number);
        self.read.findings.push(Finding::error(kind, self.path, Some(row.line), message).hint(hint));
    }

    /// Remembers that a row of this photo could not be read.
    fn spoil(&mut self, photo: Option<&[u8]>) {
        if let Some(Ok(name)) = photo.map(std::str::from_utf8)
            && !name.trim().is_empty()
        {
            let line = self.read.findings.last().and_then(|f| f.line).unwrap_or(1);
            self.annotation(name, line).defective = true;
        } else {
            self.read.lost += 1;
        }
    }

    fn annotation(&mut self, photo: &str, line: u32) -> &mut Annotation {
        let next = self.read.photos.len();
        let at = *self.by_name.entry(photo.to_owned()).or_insert(next);
        if at == next {
            self.read.photos.push(Annotation {
                source: self.path.to_owned(),
                line,
                photo: photo.to_owned(),
                size: None,
                objects: Vec::new(),
                defective: false,
            });
        }
        &mut self.read.photos[at]
    }
}
