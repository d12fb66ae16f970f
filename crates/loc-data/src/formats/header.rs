//! The header of a CSV file: the delimiter, and the positions of the columns.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use loc_infer::preprocess::FileKind;

use super::ANOTHER_FILE;
use super::number::{self, quoted};
use super::text::encoding_hint;
use crate::{DiagnosticKind, Hint, Remedy};

/// The tutorial's header.
pub(crate) const HEADER: &str = "filename,width,height,class_num,xmin,ymin,xmax,ymax";

/// The four edges, in the order of [`BBox`](crate::BBox).
pub(super) const EDGES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// Delimiters: the comma, the semicolon of spreadsheets in locales with a decimal comma, and the tab of copied cells.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Most columns that a header may have.
const MOST_COLUMNS: usize = 1000;
/// Number of lines that are searched for a header.
const LINES_TRIED: usize = 5;

/// Names of these columns in other programs, for hints only.
const ALSO: [(&str, &[&str]); 6] = [
    (
        "filename",
        &[
            "file",
            "file_name",
            "image",
            "image_id",
            "image_name",
            "image_path",
            "img",
            "name",
            "path",
            "photo",
        ],
    ),
    ("class", &["category", "class_name", "classname", "label", "label_name", "labels", "object", "species"]),
    ("xmin", &["x1", "x_min", "left", "bbox_x1", "xmin_px"]),
    ("ymin", &["y1", "y_min", "top", "bbox_y1", "ymin_px"]),
    ("xmax", &["x2", "x_max", "right", "bbox_x2", "xmax_px"]),
    ("ymax", &["y2", "y_max", "bottom", "bbox_y2", "ymax_px"]),
];

/// How a file's rows are to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) delimiter: u8,
    /// Bytes before the header: a byte order mark, a line `sep=;`.
    pub(super) skip: usize,
    /// Lines before the header.
    pub(super) lines: u32,
    /// Fields of a row: the columns up to the last that has a name.
    pub(super) width: usize,
    /// Most fields of a row, if those after `width` are empty or in columns without a name.
    pub(super) whole: usize,
    /// Whether the first record is the header.
    pub(super) has_line: bool,
    pub(super) columns: Columns,
}

/// The positions of the columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) filename: usize,
    /// Width and height, if there are both.
    pub(super) size: Option<[usize; 2]>,
    /// `class`, or else `class_num`; `None` where all objects have one class.
    pub(super) class: Option<usize>,
    /// Whether the class is a name (or may be).
    pub(super) names: bool,
    pub(super) edges: [usize; 4],
}

/// Why a first line is not a header of annotations.
#[derive(Debug)]
pub(super) struct HeaderError {
    pub(super) kind: DiagnosticKind,
    pub(super) message: String,
    pub(super) hint: Hint,
}

/// Rows of any length are accepted: a wrong length becomes a diagnostic. The reader handles CRLF.
pub(super) fn reader(bytes: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().flexible(true).has_headers(false).delimiter(delimiter).from_reader(bytes)
}

/// Parses the header of a file; the first line is sufficient. With `one_class`, the class of all objects, it has no column
/// for the class.
pub(super) fn of(bytes: &[u8], one_class: Option<&str>) -> Result<Header, HeaderError> {
    let mark = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let (told, line) = separator(&bytes[mark..]);
    let skip = mark + line;
    let told: Option<[u8; 1]> = told.map(|delimiter| [delimiter]);
    let delimiters = told.as_ref().map_or(&DELIMITERS[..], |one| &one[..]);
    let mut nearest: Option<(usize, HeaderError)> = None;
    for delimiter in delimiters {
        let names = names(&bytes[skip..], *delimiter)?;
        match columns(&names, *delimiter, one_class) {
            Ok(columns) => {
                let width = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
                let lines = u32::from(line > 0);
                let whole = names.len();
                return Ok(Header {
                    delimiter: *delimiter,
                    skip,
                    lines,
                    width,
                    whole,
                    has_line: true,
                    columns,
                });
            }
            // The delimiter with the most fields is probably the right one.
            Err(wrong) if nearest.as_ref().is_none_or(|(most, _)| names.len() > *most) => {
                nearest = Some((names.len(), wrong));
            }
            Err(_) => {}
        }
    }
    let Some((_, mut wrong)) = nearest else {
        let (kind, message) = (DiagnosticKind::Syntax, "has no header".into());
        return Err(HeaderError { kind, message, hint: format!("it is {HEADER}").into() });
    };
    if let Some(line) = further_down(&bytes[skip..], delimiters) {
        wrong.hint = format!("line {line} looks like the header: remove the lines above it").into();
    }
    Err(wrong)
}

/// A table without a header, whose columns are given: our names, and `-` for a column to pass over.
pub(super) fn given(bytes: &[u8], given: &[String], one_class: Option<&str>) -> Result<Header, HeaderError> {
    let skip = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let wrong = |message: String| HeaderError {
        kind: DiagnosticKind::Syntax,
        message,
        hint:
            "columns are filename, xmin, ymin, xmax, ymax, class, width, height, and - for one to pass over"
                .into(),
    };
    let find = |name: &str| given.iter().position(|column| column.trim() == name);
    let known = ["filename", "class", "class_num", "width", "height", "-"];
    if let Some(other) = given.iter().map(|c| c.trim()).find(|c| !known.contains(c) && !EDGES.contains(c)) {
        return Err(wrong(format!("the given column {} is not known", quoted(other))));
    }
    let twice = |column: &&String| {
        column.trim() != "-" && given.iter().filter(|c| c.trim() == column.trim()).count() > 1
    };
    if let Some(twice) = given.iter().find(twice) {
        return Err(wrong(format!("the column {} is given twice", quoted(twice))));
    }
    let edges: Option<Vec<usize>> = EDGES.iter().map(|name| find(name)).collect();
    let (Some(filename), Some(Ok(edges))) = (find("filename"), edges.map(TryInto::try_into)) else {
        return Err(wrong("the given columns lack filename, xmin, ymin, xmax or ymax".into()));
    };
    let first = bytes[skip..].split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| first.iter().filter(|b| *b == delimiter).count();
    let delimiter = DELIMITERS.into_iter().max_by_key(|d| (count(d), *d == b',')).unwrap_or(b',');
    let (class, numbers) = (find("class"), find("class_num"));
    if let (Some(column), Some(given_class)) = (class.or(numbers), one_class) {
        return Err(two_classes(&given[column], given_class));
    }
    let size = find("width").zip(find("height")).map(|(w, h)| [w, h]);
    let columns = Columns {
        filename,
        size,
        class: class.or(numbers),
        names: class.is_some() || numbers.is_none(),
        edges,
    };
    let width = given.len();
    Ok(Header { delimiter, skip, lines: 0, width, whole: width, has_line: false, columns })
}

/// Whether the first row has as many fields as columns are given; columns that are wrong fit, so that they are reported.
pub(super) fn fits(bytes: &[u8], columns: &[String]) -> bool {
    given(bytes, columns, None).map_or(true, |header| {
        names(&bytes[header.skip..], header.delimiter).is_ok_and(|fields| fields.len() >= columns.len())
    })
}

/// The line that is a header although it is not the first.
fn further_down(bytes: &[u8], delimiters: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    for line in 2..=LINES_TRIED {
        let end = rest.iter().position(|b| *b == b'\n')?;
        rest = &rest[end + 1..];
        let header = |delimiter: &u8| Some(columns(&names(rest, *delimiter).ok()?, *delimiter, None).is_ok());
        if delimiters.iter().any(|delimiter| header(delimiter) == Some(true)) {
            return Some(line);
        }
    }
    None
}

/// Excel's line `sep=;`: the separator, and the line's length.
fn separator(bytes: &[u8]) -> (Option<u8>, usize) {
    let line = bytes.split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
    let text = line.trim_ascii_end();
    let text = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(text);
    match text {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', rest @ ..] => match rest {
            [delimiter] => (Some(*delimiter), line.len()),
            // A tab was trimmed.
            [] => (Some(b'\t'), line.len()),
            _ => (None, 0),
        },
        _ => (None, 0),
    }
}

/// The trimmed names of the columns.
fn names(bytes: &[u8], delimiter: u8) -> Result<Vec<String>, HeaderError> {
    let too_many = |fields: usize| {
        Err(HeaderError {
            kind: DiagnosticKind::Syntax,
            message: format!("the first line has {fields} fields, more than {MOST_COLUMNS}"),
            hint: ANOTHER_FILE.into(),
        })
    };
    // The reader keeps several copies of the header. So many delimiters are not those of a quoted name.
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiters = line.iter().filter(|byte| **byte == delimiter).count();
    if delimiters > 10 * MOST_COLUMNS {
        return too_many(delimiters + 1);
    }
    let mut record = StringRecord::new();
    match reader(bytes, delimiter).read_record(&mut record) {
        Ok(_) if record.len() > MOST_COLUMNS => too_many(record.len()),
        Ok(_) => Ok(record.iter().map(|name| name.trim().to_owned()).collect()),
        Err(_) => Err(HeaderError {
            kind: DiagnosticKind::Encoding,
            message: "the header is not UTF-8".into(),
            hint: encoding_hint("gbk"),
        }),
    }
}

/// Finds the columns by name, case-insensitively.
fn columns(written: &[String], delimiter: u8, one_class: Option<&str>) -> Result<Columns, HeaderError> {
    let names: Vec<String> = written.iter().map(|name| name.to_lowercase()).collect();
    let shown = || quoted(&written.join(&char::from(delimiter).to_string()));
    for name in ["filename", "class", "class_num", "width", "height"].into_iter().chain(EDGES) {
        if names.iter().filter(|column| *column == name).count() > 1 {
            let message = format!("the header {} has the column {name} twice", shown());
            let hint = "remove the one that is wrong".into();
            return Err(HeaderError { kind: DiagnosticKind::FieldDoubled, message, hint });
        }
    }
    // Our own name of a column, or the one name of other programs that stands there.
    let find = |name: &str| {
        let own = names.iter().position(|column| column == name);
        let others = ALSO.iter().find(|(ours, _)| *ours == name).map_or(&[][..], |(_, others)| *others);
        let mut known = names.iter().enumerate().filter(|(_, column)| others.contains(&column.as_str()));
        let (first, second) = (known.next(), known.next());
        own.or_else(|| first.filter(|_| second.is_none()).map(|(i, _)| i))
    };
    let numbers = names.iter().position(|column| column == "class_num");
    let class = names.iter().position(|column| column == "class").or(numbers).or_else(|| find("class"));
    let mut lacks: Vec<&str> =
        std::iter::once("filename").chain(EDGES).filter(|name| find(name).is_none()).collect();
    if class.is_none() && one_class.is_none() {
        lacks.push("class");
    }
    if let (Some(column), Some(given)) = (class, one_class) {
        return Err(two_classes(&written[column], given));
    }
    let (Some(filename), true) = (find("filename"), lacks.is_empty()) else {
        let message = format!("the header {} has no column {}", shown(), lacks.join(", "));
        return Err(HeaderError {
            kind: DiagnosticKind::Syntax,
            message,
            hint: hint(written, &names, &lacks),
        });
    };
    let edges = EDGES.map(|name| find(name).unwrap_or_default());
    let size = find("width").zip(find("height")).map(|(w, h)| [w, h]);
    Ok(Columns { filename, size, class, names: class.is_none() || numbers != class, edges })
}

/// The columns of a table without a header by its first row: a photo's name, numbers, a name. Which four numbers are the
/// box, and in which order, nobody can tell: the usual order is an example.
fn guessed(first: &[String]) -> Option<&'static str> {
    let is_number = |text: &String| number::decimal(text).is_ok();
    let is_photo = |text: &String| FileKind::of_ending(Path::new(text)).is_some_and(FileKind::is_photo);
    if first.iter().filter(|text| is_number(text)).count() < 4 {
        return None;
    }
    Some(match first {
        [photo, rest @ ..] if is_photo(photo) && rest.len() == 4 => "filename,xmin,ymin,xmax,ymax",
        [photo, _, _, third, ..] if is_photo(photo) && first.len() == 8 && !is_number(third) => {
            "filename,width,height,class,xmin,ymin,xmax,ymax"
        }
        [photo, ..] if is_photo(photo) && first.len() == 8 => {
            "filename,width,height,class_num,xmin,ymin,xmax,ymax"
        }
        _ => "filename,xmin,ymin,xmax,ymax,class",
    })
}

/// The error where both a column and the user say the class.
fn two_classes(column: &str, given: &str) -> HeaderError {
    HeaderError {
        kind: DiagnosticKind::FieldDoubled,
        message: format!(
            "the column {} is the class, and the class {} is given",
            quoted(column),
            quoted(given)
        ),
        hint: "leave one of them out".into(),
    }
}

/// The hint for missing columns.
fn hint(written: &[String], names: &[String], lacks: &[&str]) -> Hint {
    if let Some(columns) = guessed(written) {
        return Hint::option("the file seems to have no header: give its columns", Remedy::Columns(columns));
    }
    if names.iter().any(|name| name == "region_shape_attributes") {
        return "a table of the VGG Image Annotator is not read: export it from VIA as COCO".into();
    }
    let has = |name: &str| names.iter().any(|column| column == name);
    let corner = ["x", "xmin", "x1", "left", "bbox_x", "xcenter", "x_center", "cx"].into_iter().any(has);
    let side = ["w", "width", "bbox_w", "bbox_width", "box_width"].into_iter().any(has);
    if *lacks == ["class"] {
        return Hint::option("add the column; or, if all objects have one class, give it", Remedy::Class);
    }
    if lacks.contains(&"xmax") && corner && side && !ALSO[4].1.iter().any(|name| has(name)) {
        return "boxes as x, y, width, height are not read: write xmax = x + width, ymax = y + height".into();
    }
    let renamed: Vec<String> = lacks
        .iter()
        .filter_map(|lack| {
            let (_, also) = ALSO.iter().find(|(name, _)| name == lack)?;
            let name = also.iter().find(|name| has(name))?;
            Some(format!("`{name}` to `{lack}`"))
        })
        .collect();
    if renamed.is_empty() {
        format!("a header is {HEADER}, or with `class` for names").into()
    } else {
        format!("rename the columns: {}", renamed.join(", ")).into()
    }
}
