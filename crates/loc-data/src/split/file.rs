//! The split file `split.csv`: columns `filename` and `split`.

use std::collections::HashMap;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, WriterBuilder};

use super::{Split, Subset};
use crate::atomic_file;
use crate::content_type::ContentType;
use crate::csv_escape::{escape_formula, unescape_formula};
use crate::diagnostics::MOST;
use crate::formats::number::quoted;
use crate::formats::read_limited;
use crate::formats::text::{self, SAVE_HINT};
use crate::{DataError, Dataset};

/// Longest split file that is read, in bytes: a million rows.
const SIZE_LIMIT: u64 = 64 << 20;
/// Header of a split file.
const HEADER: [&str; 2] = ["filename", "split"];

/// The content of a split file: the header `filename,split`, then one row a sample in the data set's order with `train`,
/// `val`, `test` or `none`. Names that a spreadsheet would take for formulas are escaped ([`escape_formula`]).
///
/// # Errors
///
/// [`DataError::Io`] if memory fails.
pub fn to_csv(dataset: &Dataset, split: &Split) -> Result<Vec<u8>, DataError> {
    let mut names = vec!["none"; dataset.samples.len()];
    for (part, named) in [(&split.train, "train"), (&split.val, "val"), (&split.test, "test")] {
        for index in part {
            if let Some(name) = names.get_mut(*index) {
                *name = named;
            }
        }
    }
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    let io = |e: csv::Error| DataError::Io(e.into());
    writer.write_record(HEADER).map_err(io)?;
    for (sample, name) in dataset.samples.iter().zip(names) {
        writer.write_record([&*escape_formula(&sample.file), name]).map_err(io)?;
    }
    writer.into_inner().map_err(|e| DataError::Io(e.into_error()))
}

/// Writes a split file; an existing file is replaced atomically.
///
/// # Errors
///
/// [`DataError::Write`] if it cannot be written.
pub fn write_csv(path: &Path, dataset: &Dataset, split: &Split) -> Result<(), DataError> {
    let bytes = to_csv(dataset, split)?;
    let named = |error| DataError::Write { path: path.to_owned(), error };
    atomic_file::replace(path, &bytes).map_err(named)
}

/// Reads a split file.
///
/// # Errors
///
/// [`DataError::SplitFile`] with all problems: a malformed row, a file name that the data set does not have or that occurs
/// twice, a sample that the file does not name, no training or no validation sample.
pub fn read_csv(path: &Path, dataset: &Dataset) -> Result<Split, DataError> {
    let unreadable = |why| DataError::SplitFile { path: path.to_owned(), problems: vec![why] };
    parse_csv(path, &read_limited(path, SIZE_LIMIT).map_err(unreadable)?, dataset)
}

/// Parses the content of a split file; `path` is for messages.
pub(crate) fn parse_csv(path: &Path, bytes: &[u8], dataset: &Dataset) -> Result<Split, DataError> {
    let known: HashMap<&str, usize> =
        dataset.samples.iter().enumerate().map(|(i, s)| (s.file.as_str(), i)).collect();
    let mut problems = Vec::new();
    // The subset of each sample, once its row is read.
    let mut subsets: Vec<Option<Option<Subset>>> = vec![None; dataset.samples.len()];

    if let Some(content) = ContentType::of(bytes) {
        let why = format!("is {content}, not a split file (hint: it has the columns filename,split)");
        return Err(DataError::SplitFile { path: path.to_owned(), problems: vec![why] });
    }
    let decoded = text::of_table(bytes, None).map_err(|e| {
        let why = format!("{} (hint: {SAVE_HINT})", e.message);
        DataError::SplitFile { path: path.to_owned(), problems: vec![why] }
    })?;
    let bytes = decoded.as_ref().map_or(bytes, |decoded| decoded.text.as_bytes());
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().map(|h| h.iter().map(str::trim).map(str::to_owned).collect::<Vec<_>>());
    match header {
        Ok(header) if header == HEADER => {
            let mut records = reader.records();
            for (number, record) in (1..).zip(records.by_ref()) {
                match record {
                    Ok(record) => row(number, &record, &known, &mut subsets, &mut problems),
                    // Reading from memory cannot fail otherwise.
                    Err(_) => problems.push(format!("record {number}: is not UTF-8 (hint: {SAVE_HINT})")),
                }
                if problems.len() >= MOST {
                    break;
                }
            }
            if problems.len() >= MOST {
                problems.push(format!("{} more rows are not read", records.count()));
                return Err(DataError::SplitFile { path: path.to_owned(), problems });
            }
            for (sample, _) in dataset.samples.iter().zip(&subsets).filter(|(_, part)| part.is_none()) {
                problems.push(format!("{} is in the data set, but not in the file", quoted(&sample.file)));
            }
        }
        Ok(header) => {
            problems.push(format!("the header is {} instead of `filename,split`", quoted(&header.join(","))))
        }
        Err(_) => problems.push(format!("the header is not UTF-8 (hint: {SAVE_HINT})")),
    }
    let members =
        |subset| (0..subsets.len()).filter(|i| subsets[*i] == Some(Some(subset))).collect::<Vec<_>>();
    let split =
        Split { train: members(Subset::Train), val: members(Subset::Val), test: members(Subset::Test) };
    if problems.is_empty() {
        for (name, part) in [("train", &split.train), ("val", &split.val)] {
            if part.is_empty() {
                problems.push(format!("no sample is in `{name}`"));
            }
        }
    }
    if problems.is_empty() {
        Ok(split)
    } else {
        Err(DataError::SplitFile { path: path.to_owned(), problems })
    }
}

fn row(
    number: u64,
    record: &StringRecord,
    known: &HashMap<&str, usize>,
    subsets: &mut [Option<Option<Subset>>],
    problems: &mut Vec<String>,
) {
    let (Some(file), Some(part), 2) = (record.get(0), record.get(1), record.len()) else {
        problems.push(format!("record {number}: {} fields instead of 2", record.len()));
        return;
    };
    let part = match part.trim() {
        "val" => Some(Subset::Val),
        "train" => Some(Subset::Train),
        "test" => Some(Subset::Test),
        "none" => None,
        other => {
            problems.push(format!(
                "record {number}: split is {}; valid are `train`, `val`, `test` and `none`",
                quoted(other)
            ));
            return;
        }
    };
    match known.get(file).or_else(|| known.get(unescape_formula(file))).map(|i| &mut subsets[*i]) {
        None => problems.push(format!("record {number}: the data set has no {}", quoted(file))),
        Some(Some(_)) => problems.push(format!("record {number}: {} occurs twice", quoted(file))),
        Some(place) => *place = Some(part),
    }
}
