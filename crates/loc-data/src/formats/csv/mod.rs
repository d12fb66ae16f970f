//! CSV with one row per object: `class_num` with numbers (the tutorial's header) or `class` with names (Roboflow's).
//! Columns are found by name, other columns are ignored; the rows of a photo are its objects. `header` parses the first line,
//! `table` the rows.

mod table;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use self::table::Table;
use super::header::{self, HeaderError};
use super::number::quoted;
use super::registry::{FilesReader, Reader};
use super::{ANOTHER_FILE, Annotations, Request, read_limited, text};
use crate::content_type::ContentType;
use crate::diagnostics::Diagnostics;
use crate::{Diagnostic, DiagnosticKind, NoDataSetError};

/// Longest CSV file that is read, in bytes: a million rows.
const SIZE_LIMIT: u64 = 256 << 20;

pub(super) const READER: Reader = Reader {
    file_a_photo: false,
    json: None,
    files: Some(FilesReader {
        recognise: |files, request| files.csvs.iter().any(|path| is_wanted(path, request)),
        read: |files, request| read_all(&files.csvs, request),
    }),
};

/// Whether a file is a table of annotations, by its header or the columns that are given.
fn is_wanted(path: &Path, request: &Request<'_>) -> bool {
    match request.columns {
        Some(columns) => fits(path, columns),
        None => looks_like(path, request.class),
    }
}

/// Whether the file's first line is a header of annotations.
fn looks_like(path: &Path, one_class: Option<&str>) -> bool {
    let header = |text: String| header::of(text.as_bytes(), one_class);
    beginning(path).is_ok_and(|text| match header(text) {
        Ok(_) => true,
        // A header of annotations with an error, which must be reported.
        Err(wrong) => wrong.kind == DiagnosticKind::FieldDoubled,
    })
}

/// Whether the file's first row has the given columns; others lie among annotations, such as lists of classes.
fn fits(path: &Path, columns: &[String]) -> bool {
    beginning(path).is_ok_and(|text| header::fits(text.as_bytes(), columns))
}

/// Why a file is not a table of annotations.
///
/// # Errors
///
/// The reason, if it is not one.
pub(crate) fn check_header(path: &Path, one_class: Option<&str>) -> Result<(), NoDataSetError> {
    let csv = path.to_owned();
    if let Some(content) = ContentType::of_file(path) {
        return Err(NoDataSetError::ForeignCsv { csv, content });
    }
    match beginning(path).map(|text| header::of(text.as_bytes(), one_class)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(HeaderError { message, hint, .. })) => Err(NoDataSetError::CsvHeader { csv, message, hint }),
        Err(error) => Err(NoDataSetError::UnreadableCsv { csv, error }),
    }
}

/// The beginning of a file as text, in any encoding.
fn beginning(path: &Path) -> std::io::Result<String> {
    let mut head = [0; 8192];
    let mut file = fs_err::File::open(path)?;
    let read = std::io::Read::read(&mut file, &mut head)?;
    Ok(unified(&text::head(&head[..read])).into_owned())
}

/// Replaces the carriage returns of old Mac files, which have no line feeds, by line feeds.
fn unified(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\r') && !text.contains('\n') { text.replace('\r', "\n").into() } else { text.into() }
}

/// Reads all files, in their order. A photo that stands in two of them is an error.
fn read_all(paths: &[PathBuf], request: &Request<'_>) -> Annotations {
    let mut all = Annotations::default();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut doubled = Diagnostics::default();
    for path in paths.iter().filter(|path| request.single_file || is_wanted(path, request)) {
        let read = match read_limited(path, SIZE_LIMIT) {
            Ok(bytes) => parse(path, &bytes, request),
            Err(why) => {
                all.diagnostics
                    .push(Diagnostic::error(DiagnosticKind::Unreadable, path, None, why).hint(ANOTHER_FILE));
                all.incomplete = true;
                continue;
            }
        };
        all.diagnostics.extend(read.diagnostics);
        all.lost += read.lost;
        all.incomplete |= read.incomplete;
        // The rows of a photo within a file are grouped already.
        if all.photos.is_empty() {
            all.photos = read.photos;
            continue;
        }
        if seen.is_empty() {
            seen.extend(all.photos.iter().enumerate().map(|(i, photo)| (photo.photo.clone(), i)));
        }
        for photo in read.photos {
            match seen.get(&photo.photo) {
                Some(first) => {
                    // Either annotation may be wrong: the photo is not used.
                    let first = &mut all.photos[*first];
                    first.defective = true;
                    let message =
                        format!("{} is also annotated in {}", quoted(&photo.photo), first.source.display());
                    let diagnostic =
                        Diagnostic::error(DiagnosticKind::PhotoDoubled, path, Some(photo.line), message);
                    doubled.push(diagnostic.hint("give the CSV file to use as the data set"));
                }
                None => {
                    seen.insert(photo.photo.clone(), all.photos.len());
                    all.photos.push(photo);
                }
            }
        }
    }
    all.diagnostics.extend(doubled.into_vec());
    all
}

/// Parses the bytes of one file; `path` is for messages.
pub(crate) fn parse(path: &Path, bytes: &[u8], request: &Request<'_>) -> Annotations {
    let mut table = Table { path, request, by_name: HashMap::new(), read: Annotations::default() };
    if let Some(content) = ContentType::of(bytes) {
        let message = format!("is {content}, not CSV");
        return table.refused(
            Diagnostic::error(DiagnosticKind::Foreign, path, None, message).hint(content.data_set_hint()),
        );
    }
    match text::of_table(bytes, request.encoding) {
        Ok(None) => table.rows(bytes),
        Ok(Some(text::Text { text, doubt })) => {
            let doubt = doubt.map(|doubt| Diagnostic::warning(DiagnosticKind::Encoding, path, None, doubt));
            table.read.diagnostics.extend(doubt);
            table.rows(text.as_bytes())
        }
        Err(e) => table
            .refused(Diagnostic::error(DiagnosticKind::Encoding, path, Some(e.line), e.message).hint(e.hint)),
    }
}
