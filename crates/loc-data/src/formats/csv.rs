//! CSV, one row an object: the tutorial's `class_num` with numbers, or `class` with names (Roboflow's header).
//! Columns are found by name, others are ignored; rows of one photo are its objects.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use super::number::{coordinate, quoted, whole};
use super::{ANOTHER_FILE, Annotation, Annotations, Label, NUMBER_HINT, Object, read_limited};
use crate::{BBox, Finding, ImageSize};

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
    let mut seen: HashMap<String, PathBuf> = HashMap::new();
    for path in paths.iter().filter(|path| given || looks_like(path)) {
        let read = match read_limited(path, SIZE_LIMIT) {
            Ok(bytes) => parse(path, &bytes),
            Err(why) => {
                all.findings.push(Finding::error(path, None, why).hint(ANOTHER_FILE));
                continue;
            }
        };
        all.findings.extend(read.findings);
        for photo in read.photos {
            match seen.get(&photo.photo) {
                Some(other) if other != path => all.findings.push(
                    Finding::error(
                        path,
                        Some(photo.line),
                        format!("{} is annotated in {} too", quoted(&photo.photo), other.display()),
                    )
                    .hint("name the one CSV file to use as the data"),
                ),
                _ => {
                    seen.insert(photo.photo.clone(), path.clone());
                    all.photos.push(photo);
                }
            }
        }
    }
    all
}

/// Parses the bytes of one file; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Annotations {
    let mut table = Table { path, photos: Vec::new(), by_name: HashMap::new(), findings: Vec::new() };
    let mut reader = reader(bytes);
    let columns = match reader.headers().map_err(|e| e.to_string()).and_then(columns) {
        Ok(columns) => columns,
        Err(why) => {
            table.findings.push(Finding::error(path, Some(1), why));
            return table.into();
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
                table.findings.push(Finding::error(path, None, format!("cannot be read: {e}")));
                break;
            }
        }
        number += 1;
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { number, line: u32::try_from(line).unwrap_or(u32::MAX) };
        if record.len() != width {
            let message = format!("{} fields where the header has {width}", record.len());
            table.error(row, &message, "a comma inside a name needs quotes around it");
            table.spoil(record.get(columns.filename));
            continue;
        }
        match StringRecord::from_byte_record(record.clone()) {
            Ok(text) => table.row(row, &text, &columns),
            Err(e) => {
                let message = format!("is not UTF-8 in field {}", e.utf8_error().field() + 1);
                table.error(row, &message, "save the file with the encoding UTF-8");
                table.spoil(record.get(columns.filename));
            }
        }
    }
    if number == 0 {
        table.findings.push(Finding::error(path, None, "has a header but no rows"));
    }
    table.into()
}

/// Where a record stands: its number, counted from 1 after the header, and its first line.
#[derive(Clone, Copy)]
struct Row {
    number: u64,
    line: u32,
}

/// Photos in the order of their first rows.
struct Table<'a> {
    path: &'a Path,
    photos: Vec<Annotation>,
    by_name: HashMap<String, usize>,
    findings: Vec<Finding>,
}

impl From<Table<'_>> for Annotations {
    fn from(table: Table<'_>) -> Self {
        Self { photos: table.photos, findings: table.findings, broken: Vec::new() }
    }
}

impl Table<'_> {
    fn row(&mut self, row: Row, record: &StringRecord, columns: &Columns) {
        let photo = &record[columns.filename];
        if photo.trim().is_empty() {
            self.error(row, "filename is empty", "it names the photo");
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
                let finding = Finding::error(self.path, Some(row.line), message);
                self.findings.push(finding.hint("a photo has one size; correct the row that is wrong"));
            }
            _ => {}
        }
    }

    fn object(&mut self, row: Row, record: &StringRecord, columns: &Columns) -> Option<Object> {
        let text = &record[columns.class];
        let label = if columns.names {
            if text.trim().is_empty() {
                self.error(row, "class is empty", "it names the class");
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
                self.findings.push(Finding::error(self.path, Some(row.line), message).hint(NUMBER_HINT));
            })
            .ok()
    }

    fn error(&mut self, row: Row, message: &str, hint: &str) {
        let message = format!("record {}: {message}", row.number);
        self.findings.push(Finding::error(self.path, Some(row.line), message).hint(hint));
    }

    /// Remembers that a row of this photo could not be read.
    fn spoil(&mut self, photo: Option<&[u8]>) {
        if let Some(Ok(name)) = photo.map(std::str::from_utf8)
            && !name.trim().is_empty()
        {
            let line = self.findings.last().and_then(|f| f.line).unwrap_or(1);
            self.annotation(name, line).defective = true;
        }
    }

    fn annotation(&mut self, photo: &str, line: u32) -> &mut Annotation {
        let next = self.photos.len();
        let at = *self.by_name.entry(photo.to_owned()).or_insert(next);
        if at == next {
            self.photos.push(Annotation {
                source: self.path.to_owned(),
                line,
                photo: photo.to_owned(),
                size: None,
                objects: Vec::new(),
                defective: false,
            });
        }
        &mut self.photos[at]
    }
}
