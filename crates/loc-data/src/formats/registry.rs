//! The annotation formats, one row each: name, how a folder of it is recognised, what reads it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use encoding_rs::Encoding;
use serde::{Serialize, Serializer};

use super::{Annotation, Annotations, csv, json, label_studio, text, voc, yolo};
use crate::convert::CLASS_FILE;
use crate::file_index::{FileIndex, name_of, stem_of};
use crate::{DataError, NoDataSetError, Subset};

/// An annotation format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Pascal VOC: one XML file a photo (LabelImg, VoTT, CVAT, Roboflow).
    Voc,
    /// CSV: one row an object.
    Csv,
    /// COCO JSON: one file for all photos, or for each subset.
    Coco,
    /// YOLO: one text file a photo, with class numbers and fractions.
    Yolo,
    /// labelme JSON: one file a photo.
    Labelme,
    /// Label Studio's JSON, JSON-MIN and CSV exports.
    LabelStudio,
    /// Create ML JSON.
    CreateMl,
    /// VoTT JSON.
    Vott,
}

/// What a reader is told besides the files.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Request<'a> {
    /// Whether the one file was named by the user: what is wrong with it is said.
    pub(crate) single_file: bool,
    /// Encoding of tables, and of XML that declares none.
    pub(crate) encoding: Option<&'static Encoding>,
    /// Columns of a table without a header.
    pub(crate) columns: Option<&'a [String]>,
    /// The class of all objects of a table without a column for it.
    pub(crate) class: Option<&'a str>,
}

/// What the registry knows of a format.
struct Row {
    format: Format,
    name: &'static str,
    /// Whether each annotation file is of one photo.
    file_a_photo: bool,
    /// Whether the folder's files are of this format.
    recognise: fn(&FileIndex, &Request<'_>) -> bool,
    read: fn(&FileIndex, &Request<'_>) -> Annotations,
}

/// The formats in the order in which they are looked for: the first that fits is read.
const FORMATS: [Row; 8] = [
    Row {
        format: Format::Voc,
        name: "voc",
        file_a_photo: true,
        recognise: |files, _| files.xmls.iter().any(|path| voc::looks_like(path)),
        read: |files, request| voc::read_all(&files.xmls, request.encoding),
    },
    Row {
        format: Format::Csv,
        name: "csv",
        file_a_photo: false,
        recognise: |files, request| {
            let is_table = |path: &PathBuf| match request.columns {
                Some(columns) => csv::fits(path, columns),
                None => csv::looks_like(path, request.class),
            };
            files.csvs.iter().any(is_table)
        },
        read: |files, request| csv::read_all(&files.csvs, request),
    },
    Row {
        format: Format::Coco,
        name: "coco",
        file_a_photo: false,
        recognise: |files, request| json::is(files, request, Format::Coco),
        read: |files, request| json::read_all(files, request, Format::Coco),
    },
    Row {
        format: Format::LabelStudio,
        name: "label-studio",
        file_a_photo: false,
        recognise: |files, request| {
            json::is(files, request, Format::LabelStudio)
                || files.csvs.iter().any(|path| label_studio::looks_like_csv(path))
        },
        read: label_studio::read_all,
    },
    Row {
        format: Format::CreateMl,
        name: "createml",
        file_a_photo: false,
        recognise: |files, request| json::is(files, request, Format::CreateMl),
        read: |files, request| json::read_all(files, request, Format::CreateMl),
    },
    Row {
        format: Format::Labelme,
        name: "labelme",
        file_a_photo: true,
        recognise: |files, request| json::is(files, request, Format::Labelme),
        read: |files, request| json::read_all(files, request, Format::Labelme),
    },
    Row {
        format: Format::Vott,
        name: "vott",
        file_a_photo: false,
        recognise: |files, request| json::is(files, request, Format::Vott),
        read: |files, request| json::read_all(files, request, Format::Vott),
    },
    Row {
        format: Format::Yolo,
        name: "yolo",
        file_a_photo: true,
        recognise: |files, _| files.texts.iter().any(|path| yolo::looks_like(path)),
        read: yolo::read_all,
    },
];

impl Format {
    /// Every format that is read.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|row| row.format)
    }

    fn row(self) -> &'static Row {
        // Each format has its row: a test goes through all.
        FORMATS.iter().find(|row| row.format == self).unwrap_or(&FORMATS[0])
    }

    /// Whether each annotation file is of one photo.
    pub(crate) fn is_file_a_photo(self) -> bool {
        self.row().file_a_photo
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.row().name)
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        FORMATS.iter().find(|row| row.name == text).map(|row| row.format).ok_or_else(|| {
            let names: Vec<String> = FORMATS.iter().map(|row| format!("`{}`", row.name)).collect();
            DataError::Argument {
                what: "data format",
                value: text.to_owned(),
                range: format!("{} are known", names.join(", ")),
            }
        })
    }
}

/// Reads the annotations of a format.
pub(crate) fn read(files: &FileIndex, format: Format, request: &Request<'_>) -> Annotations {
    let mut annotations = (format.row().read)(files, request);
    let lists = files.listings.iter().filter(|path| name_of(path) == CLASS_FILE);
    if annotations.classes.is_empty()
        && let Some(list) = lists.min_by_key(|path| path.components().count())
        && let Ok(bytes) = super::read_limited(list, 1 << 20)
    {
        match text::of_plain(list, bytes, request.encoding) {
            Ok(text) => annotations.classes = text.lines().map(|name| name.trim_end().to_owned()).collect(),
            Err(why) => annotations.diagnostics.push(why),
        }
    }
    if !format.is_file_a_photo() {
        subsets_by_file(&mut annotations);
    }
    annotations
}

/// Sets the subsets that files of many photos stand for by their names, if they stand for different ones.
fn subsets_by_file(annotations: &mut Annotations) {
    let of = |photo: &Annotation| Subset::of_file(stem_of(&photo.source));
    let mut found = annotations.photos.iter().map(of);
    let first = found.next().flatten();
    if first.is_none() || found.all(|other| other == first) {
        return;
    }
    for photo in &mut annotations.photos {
        photo.subset = of(photo);
    }
}

/// Recognises the format of a folder by the content of its files: the first of the list that fits.
///
/// # Errors
///
/// [`DataError::NoDataSet`] if none does, with what was found instead.
pub(crate) fn recognise(files: &FileIndex, request: &Request<'_>) -> Result<Format, DataError> {
    if let Some(row) = FORMATS.iter().find(|row| (row.recognise)(files, request)) {
        return Ok(row.format);
    }
    if !files.xmls.is_empty() {
        // None of them is an annotation; reading them says why.
        return Ok(Format::Voc);
    }
    let error = if let Some(path) = files.csvs.first() {
        match csv::check_header(path, request.class) {
            // The file has changed since it was looked at above.
            Ok(()) => return Ok(Format::Csv),
            Err(error) => error,
        }
    } else if let Some(path) = files.jsons.first() {
        NoDataSetError::Json(json::describe(path, request))
    } else {
        let (photos, others) = (files.readable(), files.other_files());
        NoDataSetError::NoAnnotations { photos, others, empty: files.empty_annotations.clone() }
    };
    Err(DataError::NoDataSet { path: files.root.clone(), error: Box::new(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_one_row_and_a_name() {
        let formats = [
            Format::Voc,
            Format::Csv,
            Format::Coco,
            Format::Yolo,
            Format::Labelme,
            Format::LabelStudio,
            Format::CreateMl,
            Format::Vott,
        ];
        assert_eq!(formats.len(), FORMATS.len());
        for format in formats {
            assert_eq!(format.row().format, format);
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        assert!("pascal".parse::<Format>().unwrap_err().to_string().contains("`yolo`"));
    }
}
