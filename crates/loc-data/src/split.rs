//! Which samples train and which validate: drawn by seed and file name, written to and read from `split.csv`.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use sha2::{Digest, Sha256};

use crate::cell::{guarded, unguarded};
use crate::formats::number::quoted;
use crate::formats::read_limited;
use crate::{DataError, Dataset};

/// Longest split file that is read, in bytes: a million rows.
const SIZE_LIMIT: u64 = 64 << 20;
/// Header of a split file.
const HEADER: [&str; 2] = ["filename", "split"];

/// Indices into [`Dataset::samples`], each list ascending; no sample is in both, and after [`fold`] some are in none.
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

/// Fold `i` (from 1) of `k` within a split's training samples: every k-th of each class, in an order drawn by (`seed`,
/// file name), validates, the others train. The split's own validation samples are in neither part: whoever chooses
/// among recipes by folds has not seen them.
///
/// # Errors
///
/// [`DataError::Argument`] if `i` is not one of `1..=k` or k is below 2, [`DataError::Split`] if a part has no sample.
pub fn fold(dataset: &Dataset, split: &Split, (i, k): (usize, usize), seed: u64) -> Result<Split, DataError> {
    if k < 2 || !(1..=k).contains(&i) {
        let range = "I/K with K of 2 or more and I from 1 to K is needed".into();
        return Err(DataError::Argument { what: "fold", value: format!("{i}/{k}"), range });
    }
    let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in &split.train {
        by_class.entry(dataset.samples[*index].class).or_default().push(*index);
    }
    let mut parts = Split { train: Vec::new(), val: Vec::new() };
    // One count over all classes, so that folds differ by one sample at most.
    let mut place = 0;
    for mut members in by_class.into_values() {
        members.sort_by_cached_key(|i| (rank(seed, &dataset.samples[*i].file), *i));
        for index in members {
            if place % k == i - 1 {
                parts.val.push(index)
            } else {
                parts.train.push(index)
            }
            place += 1;
        }
    }
    parts.train.sort_unstable();
    parts.val.sort_unstable();
    if parts.train.is_empty() || parts.val.is_empty() {
        return Err(DataError::Split(format!("{} samples do not make {k} folds", split.train.len())));
    }
    Ok(parts)
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

/// The bytes of a split file: `filename,split`, a row a sample in the data set's order, each `train`, `val` or `none`. A
/// name that a spreadsheet would take for a formula is [`guarded`].
///
/// # Errors
///
/// [`DataError::Io`] if memory fails.
pub fn to_csv(dataset: &Dataset, split: &Split) -> Result<Vec<u8>, DataError> {
    let mut names = vec!["none"; dataset.samples.len()];
    for (part, named) in [(&split.train, "train"), (&split.val, "val")] {
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
        writer.write_record([&*guarded(&sample.file), name]).map_err(io)?;
    }
    writer.into_inner().map_err(|e| DataError::Io(e.into_error()))
}

/// Writes a split file. What is there is replaced as a whole or not at all.
///
/// # Errors
///
/// [`DataError::Io`] if it cannot be written.
pub fn write_csv(path: &Path, dataset: &Dataset, split: &Split) -> Result<(), DataError> {
    let bytes = to_csv(dataset, split)?;
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
    let unreadable = |why| DataError::SplitFile { path: path.to_owned(), problems: vec![why] };
    parse_csv(path, &read_limited(path, SIZE_LIMIT).map_err(unreadable)?, dataset)
}

/// Reads a split file's bytes; `path` is for messages.
pub(crate) fn parse_csv(path: &Path, bytes: &[u8], dataset: &Dataset) -> Result<Split, DataError> {
    let known: HashMap<&str, usize> =
        dataset.samples.iter().enumerate().map(|(i, s)| (s.file.as_str(), i)).collect();
    let mut problems = Vec::new();
    // Of each sample the part, once it is known.
    let mut parts: Vec<Option<Part>> = vec![None; dataset.samples.len()];

    let mut reader = ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().map(|h| h.iter().map(str::trim).map(str::to_owned).collect::<Vec<_>>());
    match header {
        Ok(header) if header == HEADER => {
            for (number, record) in (1..).zip(reader.records()) {
                match record {
                    Ok(record) => row(number, &record, &known, &mut parts, &mut problems),
                    Err(e) => problems.push(format!("record {number}: {e}")),
                }
            }
            for (sample, _) in dataset.samples.iter().zip(&parts).filter(|(_, part)| part.is_none()) {
                problems.push(format!("{} is in the data set and not in the file", quoted(&sample.file)));
            }
        }
        Ok(header) => problems
            .push(format!("the header is {} where `filename,split` is needed", quoted(&header.join(",")))),
        Err(e) => problems.push(format!("the header cannot be read: {e}")),
    }
    let part = |part| (0..parts.len()).filter(|i| parts[*i] == Some(part)).collect::<Vec<_>>();
    let split = Split { train: part(Part::Train), val: part(Part::Val) };
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

/// What a split file says of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Val,
    None,
}

fn row(
    number: u64,
    record: &StringRecord,
    known: &HashMap<&str, usize>,
    parts: &mut [Option<Part>],
    problems: &mut Vec<String>,
) {
    let (Some(file), Some(part), 2) = (record.get(0), record.get(1), record.len()) else {
        problems.push(format!("record {number}: {} fields where 2 are needed", record.len()));
        return;
    };
    let part = match part.trim() {
        "val" => Part::Val,
        "train" => Part::Train,
        "none" => Part::None,
        other => {
            problems.push(format!(
                "record {number}: split is {} where `train`, `val` or `none` is needed",
                quoted(other)
            ));
            return;
        }
    };
    match known.get(file).or_else(|| known.get(unguarded(file))).map(|i| &mut parts[*i]) {
        None => problems.push(format!("record {number}: the data set has no {}", quoted(file))),
        Some(Some(_)) => problems.push(format!("record {number}: {} stands twice", quoted(file))),
        Some(place) => *place = Some(part),
    }
}
