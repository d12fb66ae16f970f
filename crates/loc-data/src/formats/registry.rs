//! The annotation formats, one row each: name and reader. A reader knows how files of its format are recognised, and reads
//! them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use encoding_rs::Encoding;
use serde::{Serialize, Serializer};

use super::json::{self, Top};
use super::{Annotation, Annotations, coco, createml, csv, label_studio, labelme, text, voc, vott, yolo};
use crate::convert::CLASS_FILE;
use crate::file_index::{FileIndex, name_of, stem_of};
use crate::{DataError, NoDataSetError, Subset};

/// Declares the formats: the names that users give, and the readers.
macro_rules! formats {
    ($($(#[doc = $doc:literal])+ $format:ident, $name:literal, $reader:expr;)+) => {
        /// An annotation format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Format {
            $($(#[doc = $doc])+ $format,)+
        }

        impl Format {
            /// Every format that is read, in the order in which they are looked for: the first that fits is read.
            pub const ALL: &[Self] = &[$(Self::$format),+];

            /// Their names.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$format => $name,)+
                }
            }

            pub(super) const fn reader(self) -> Reader {
                match self {
                    $(Self::$format => $reader,)+
                }
            }
        }
    };
}

formats! {
    /// Pascal VOC: one XML file a photo (LabelImg, VoTT, CVAT, Roboflow).
    Voc, "voc", voc::READER;
    /// CSV: one row an object.
    Csv, "csv", csv::READER;
    /// COCO JSON: one file for all photos, or for each subset.
    Coco, "coco", coco::READER;
    /// Label Studio's JSON, JSON-MIN and CSV exports.
    LabelStudio, "label-studio", label_studio::READER;
    /// Create ML JSON.
    CreateMl, "createml", createml::READER;
    /// labelme JSON: one file a photo.
    Labelme, "labelme", labelme::READER;
    /// VoTT JSON.
    Vott, "vott", vott::READER;
    /// YOLO: one text file a photo, with class numbers and fractions.
    Yolo, "yolo", yolo::READER;
}

/// How a format is recognised and read.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// Whether each annotation file is of one photo.
    pub(super) file_a_photo: bool,
    /// If it has JSON files: whether one is of this format by its outermost values, and what reads it.
    pub(super) json: Option<JsonReader>,
    /// If it has other files: whether any file of a folder is of it, and what reads them.
    pub(super) files: Option<FilesReader>,
}

/// Recognises and reads a JSON file, which is parsed as far as its outermost brackets.
#[derive(Clone, Copy)]
pub(super) struct JsonReader {
    pub(super) fits: fn(&Top<'_>) -> bool,
    pub(super) read: for<'a> fn(&'a Path, &'a str, &Top<'a>) -> Annotations,
}

/// Recognises and reads the files of a folder.
#[derive(Clone, Copy)]
pub(super) struct FilesReader {
    pub(super) recognise: fn(&FileIndex, &Request<'_>) -> bool,
    pub(super) read: fn(&FileIndex, &Request<'_>) -> Annotations,
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

impl Format {
    /// Whether each annotation file is of one photo.
    pub(crate) fn is_file_a_photo(self) -> bool {
        self.reader().file_a_photo
    }

    /// Whether files of a folder are of this format.
    fn is_of(self, files: &FileIndex, request: &Request<'_>) -> bool {
        let reader = self.reader();
        (reader.json.is_some() && json::is(files, request, self))
            || reader.files.is_some_and(|reader| (reader.recognise)(files, request))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::ALL.iter().copied().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<String> = Self::NAMES.iter().map(|name| format!("`{name}`")).collect();
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
    let reader = format.reader();
    let mut annotations =
        reader.json.map_or_else(Annotations::default, |reader| json::read_all(files, request, reader));
    if let Some(reader) = reader.files {
        annotations.append((reader.read)(files, request));
    }
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
    if let Some(format) = Format::ALL.iter().find(|format| format.is_of(files, request)) {
        return Ok(*format);
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
    fn each_format_has_a_name_and_reads_something() {
        for (format, name) in Format::ALL.iter().zip(Format::NAMES) {
            assert_eq!((format.to_string().as_str(), name.parse::<Format>().unwrap()), (*name, *format));
            assert!(format.reader().json.is_some() || format.reader().files.is_some(), "{name}");
        }
        assert!("pascal".parse::<Format>().unwrap_err().to_string().contains("`yolo`"));
    }
}
