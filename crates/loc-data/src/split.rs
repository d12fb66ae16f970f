//! Which samples train and which validate: drawn by seed and file name, written to and read from `split.csv`.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use sha2::{Digest, Sha256};

use crate::formats::number::quoted;
use crate::{DataError, Dataset};

/// Header of a split file.
const HEADER: [&str; 2] = ["filename", "split"];

/// Indices into [`Dataset::samples`], each list ascending; together every sample once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Samples to learn from.
    pub train: Vec<usize>,
    /// Samples to judge by.
    pub val: Vec<usize>,
}

/// Draws about the fraction `val` of each class for validation.
///
/// The order in which a class's samples are drawn is a function of (`seed`, file name): it depends neither on a
/// generator's state nor on the other samples. In all, `val` times the number of samples are drawn, rounded, at
/// least one; the classes share them by largest remainder. A class with two samples or more keeps at least one in
/// train; a class's only sample trains.
///
/// # Errors
///
/// [`DataError::Argument`] if `val` is not above 0 and below 1, [`DataError::Split`] if no class has two samples.
pub fn stratified(dataset: &Dataset, val: f64, seed: u64) -> Result<Split, DataError> {
    if !(val > 0.0 && val < 1.0) {
        return Err(DataError::Argument {
            what: "validation fraction",
            value: val.to_string(),
            range: "it must be above 0 and below 1".into(),
        });
    }
    let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, sample) in dataset.samples.iter().enumerate() {
        by_class.entry(sample.class).or_default().push(index);
    }
    let counts: Vec<usize> = by_class.values().map(Vec::len).collect();
    let shares = shares(&counts, val);
    if shares.iter().sum::<usize>() == 0 {
        return Err(DataError::Split(format!(
            "{} in {} leave none for validation: no class has two (hint: annotate more photos)",
            crate::error::count(dataset.samples.len(), "sample"),
            crate::error::count(counts.len(), "class"),
        )));
    }
    let mut split = Split { train: Vec::new(), val: Vec::new() };
    for (mut members, share) in by_class.into_values().zip(shares) {
        members.sort_by_cached_key(|i| (rank(seed, &dataset.samples[*i].file), *i));
        split.val.extend(&members[..share]);
        split.train.extend(&members[share..]);
    }
    split.train.sort_unstable();
    split.val.sort_unstable();
    Ok(split)
}

/// How many of each class validate.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of photos, far below 2^53, and fractions of them"
)]
fn shares(counts: &[usize], val: f64) -> Vec<usize> {
    let most: Vec<usize> = counts.iter().map(|n| n.saturating_sub(1)).collect();
    let total = ((counts.iter().sum::<usize>() as f64 * val).round() as usize).max(1);
    let ideal: Vec<f64> = counts.iter().map(|n| *n as f64 * val).collect();
    let mut shares: Vec<usize> =
        ideal.iter().zip(&most).map(|(i, most)| (i.floor() as usize).min(*most)).collect();
    // One at a time to the class that lacks most of its ideal share; the first of them on a tie.
    while shares.iter().sum::<usize>() < total {
        let lack = |c: &usize| ideal[*c] - shares[*c] as f64;
        let open = (0..counts.len()).filter(|c| shares[*c] < most[*c]);
        match open.reduce(|best, c| if lack(&c) > lack(&best) { c } else { best }) {
            Some(class) => shares[class] += 1,
            None => break,
        }
    }
    shares
}

/// A sample's place in the draw.
fn rank(seed: u64, file: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(file);
    hash.finalize().into()
}

/// Writes `filename,split`, a row a sample in the data set's order, each `train` or `val`. The file is replaced as a
/// whole or not at all.
///
/// # Errors
///
/// [`DataError::Io`] if it cannot be written.
pub fn write_csv(path: &Path, dataset: &Dataset, split: &Split) -> Result<(), DataError> {
    let mut names = vec!["train"; dataset.samples.len()];
    for index in &split.val {
        if let Some(name) = names.get_mut(*index) {
            *name = "val";
        }
    }
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    let io = |e: csv::Error| DataError::Io(e.into());
    writer.write_record(HEADER).map_err(io)?;
    for (sample, name) in dataset.samples.iter().zip(names) {
        writer.write_record([&sample.file, name]).map_err(io)?;
    }
    let bytes = writer.into_inner().map_err(|e| DataError::Io(e.into_error()))?;
    let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let mut file = atomic_write_file::AtomicWriteFile::open(path).map_err(named)?;
    file.write_all(&bytes).map_err(named)?;
    file.commit().map_err(named)?;
    Ok(())
}

/// Reads a split file back.
///
/// # Errors
///
/// [`DataError::SplitFile`] with every problem at once: a row that cannot be read, a file name that the data set does
/// not have, one that stands twice, a sample that the file does not name, a part without samples.
pub fn read_csv(path: &Path, dataset: &Dataset) -> Result<Split, DataError> {
    let bytes = fs_err::read(path)?;
    let known: HashMap<&str, usize> =
        dataset.samples.iter().enumerate().map(|(i, s)| (s.file.as_str(), i)).collect();
    let mut problems = Vec::new();
    let mut validates: Vec<Option<bool>> = vec![None; dataset.samples.len()];

    let mut reader = ReaderBuilder::new().flexible(true).from_reader(&bytes[..]);
    let header = reader.headers().map(|h| h.iter().map(str::trim).map(str::to_owned).collect::<Vec<_>>());
    match header {
        Ok(header) if header == HEADER => {
            for (number, record) in (1..).zip(reader.records()) {
                match record {
                    Ok(record) => row(number, &record, &known, &mut validates, &mut problems),
                    Err(e) => problems.push(format!("record {number}: {e}")),
                }
            }
            for (sample, _) in dataset.samples.iter().zip(&validates).filter(|(_, v)| v.is_none()) {
                problems.push(format!("{} is in the data set and not in the file", quoted(&sample.file)));
            }
        }
        Ok(header) => problems
            .push(format!("the header is {} where `filename,split` is needed", quoted(&header.join(",")))),
        Err(e) => problems.push(format!("the header cannot be read: {e}")),
    }
    let part = |val| (0..validates.len()).filter(|i| validates[*i] == Some(val)).collect::<Vec<_>>();
    let split = Split { train: part(false), val: part(true) };
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
    validates: &mut [Option<bool>],
    problems: &mut Vec<String>,
) {
    let (Some(file), Some(part), 2) = (record.get(0), record.get(1), record.len()) else {
        problems.push(format!("record {number}: {} fields where 2 are needed", record.len()));
        return;
    };
    let val = match part.trim() {
        "val" => true,
        "train" => false,
        other => {
            problems.push(format!(
                "record {number}: split is {} where `train` or `val` is needed",
                quoted(other)
            ));
            return;
        }
    };
    match known.get(file).map(|i| &mut validates[*i]) {
        None => problems.push(format!("record {number}: the data set has no {}", quoted(file))),
        Some(Some(_)) => problems.push(format!("record {number}: {} stands twice", quoted(file))),
        Some(place) => *place = Some(val),
    }
}
