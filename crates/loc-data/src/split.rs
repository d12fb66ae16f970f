//! Which samples train and which validate: as the folders say, or drawn by seed and file name; written to and read from
//! `split.csv`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bounded::MOST;
use crate::cell::{guarded, unguarded};
use crate::content::Content;
use crate::formats::number::quoted;
use crate::formats::read_limited;
use crate::formats::text::{self, SAVE_HINT};
use crate::{DataError, Dataset, Finding, Kind};

/// Longest split file that is read, in bytes: a million rows.
const SIZE_LIMIT: u64 = 64 << 20;
/// What to try with a file that is another.
const WANTED: &str = "`loc data split` writes one";
/// Header of a split file.
const HEADER: [&str; 2] = ["filename", "split"];

/// Indices into [`Dataset::samples`], each list ascending; no sample is in two, and after [`fold`] some are in none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// Samples to learn from.
    pub train: Vec<usize>,
    /// Samples to judge by.
    pub val: Vec<usize>,
    /// Samples that the data set keeps apart for a last judgement; often none.
    pub test: Vec<usize>,
}

/// A part of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// To learn from.
    Train,
    /// To judge by.
    Val,
    /// For a last judgement.
    Test,
}

impl Part {
    /// The part that a folder's name stands for, as Roboflow and Ultralytics name them, in any case.
    #[must_use]
    pub fn of_folder(name: &str) -> Option<Self> {
        match &*name.to_ascii_lowercase() {
            "train" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Val),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// Where a split comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A file that was given.
    File,
    /// The data set's folders: `train/`, `valid/` or `val/`, `test/`.
    Folders,
    /// A draw.
    Drawn,
    /// A draw among the photos of `train/`; those of `test/` are kept apart.
    DrawnInTrain,
}

/// How a split is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// A split file; it goes before everything else.
    pub file: Option<&'a Path>,
    /// Whether folders called `train`, `val` or `valid`, and `test` are a split.
    pub folders: bool,
    /// Share of each class that validates, where the split is drawn.
    pub val: f64,
    /// Seed of the draw.
    pub seed: u64,
}

/// The split of the file, else that of the data set's folders, else one that is drawn ([`stratified`]).
///
/// Folders are a split if each photo lies below one of them, some below `train`, and others below another. Without a
/// folder for validation, part of `train` is drawn for it.
///
/// # Errors
///
/// As [`read_csv`] and [`stratified`].
pub fn choose(dataset: &Dataset, choice: &Choice) -> Result<(Split, Origin), DataError> {
    if let Some(file) = choice.file {
        return Ok((read_csv(file, dataset)?, Origin::File));
    }
    let all: Vec<usize> = (0..dataset.samples.len()).collect();
    let folders = by_folder(dataset).filter(|_| choice.folders);
    let Some(split) = folders else {
        return Ok((stratified(dataset, choice.val, choice.seed)?, Origin::Drawn));
    };
    if split.val.is_empty() && split.train.len() < all.len() {
        let drawn = draw(dataset, &split.train, choice.val, choice.seed)?;
        return Ok((Split { test: split.test, ..drawn }, Origin::DrawnInTrain));
    }
    Ok((split, Origin::Folders))
}

/// What a person wants to know of a split besides its sizes, a line each: that folders decided, and how many copies were
/// kept together.
#[must_use]
pub fn describe(dataset: &Dataset, split: &Split, origin: Origin) -> Vec<String> {
    let mut lines = Vec::new();
    let (train, val, test) = (split.train.len(), split.val.len(), split.test.len());
    match origin {
        Origin::File | Origin::Drawn => {}
        Origin::Folders => lines
            .push(format!("split by the data set's folders: {train} train, {val} validate, {test} are kept for a test")),
        Origin::DrawnInTrain => lines.push(format!(
            "split by the data set's folders: {test} photos of `test` are kept apart; of `train`, {val} are drawn to \
             validate, {train} train"
        )),
    }
    let groups: HashSet<usize> = dataset.samples.iter().filter_map(|sample| sample.group).collect();
    let copies = dataset.samples.iter().filter(|sample| sample.group.is_some()).count();
    if !groups.is_empty() && matches!(origin, Origin::Drawn | Origin::DrawnInTrain) {
        lines.push(format!(
            "{copies} photos are copies of {} by their bytes or names: copies stay on one side of the split",
            crate::error::count(groups.len(), "source"),
        ));
    }
    lines
}

/// The split that the data set's folders stand for.
pub(crate) fn by_folder(dataset: &Dataset) -> Option<Split> {
    let mut split = Split::default();
    for (index, sample) in dataset.samples.iter().enumerate() {
        match sample.part? {
            Part::Train => split.train.push(index),
            Part::Val => split.val.push(index),
            Part::Test => split.test.push(index),
        }
    }
    (!split.train.is_empty() && split.train.len() < dataset.samples.len()).then_some(split)
}

/// Draws about the fraction `val` of each class for validation.
///
/// The order in which a class's samples are drawn is a function of (`seed`, file name): it depends neither on a
/// generator's state nor on the other samples. In all, `val` times the number of samples are drawn, rounded, at
/// least one; the classes share them by largest remainder. A class with two samples or more keeps at least one in
/// train; a class's only sample trains. Copies of one photo ([`Sample::group`](crate::Sample::group)) are drawn together, with the first of
/// them; a group that is larger than what is still to be drawn trains.
///
/// # Errors
///
/// [`DataError::Argument`] if `val` is not above 0 and below 1, [`DataError::Split`] if no sample can be drawn.
pub fn stratified(dataset: &Dataset, val: f64, seed: u64) -> Result<Split, DataError> {
    draw(dataset, &(0..dataset.samples.len()).collect::<Vec<_>>(), val, seed)
}

/// As [`stratified`], among the samples with these indices.
fn draw(dataset: &Dataset, among: &[usize], val: f64, seed: u64) -> Result<Split, DataError> {
    if !(val > 0.0 && val < 1.0) {
        return Err(DataError::Argument {
            what: "validation fraction",
            value: val.to_string(),
            range: "it must be above 0 and below 1".into(),
        });
    }
    let by_class = units(dataset, among, seed);
    let counts: Vec<usize> = by_class.values().map(|units| units.iter().map(Vec::len).sum()).collect();
    let shares = shares(&counts, val);
    let mut split = Split::default();
    for (units, share) in by_class.into_values().zip(shares) {
        let mut left = share;
        for unit in units {
            let part = if unit.len() <= left { &mut split.val } else { &mut split.train };
            left -= if unit.len() <= left { unit.len() } else { 0 };
            part.extend(unit);
        }
    }
    if split.val.is_empty() {
        return Err(DataError::Split(format!(
            "{} in {} leave none for validation: no class has two that are not copies of each other (hint: annotate \
             more photos)",
            crate::error::count(among.len(), "sample"),
            crate::error::count(counts.len(), "class"),
        )));
    }
    split.train.sort_unstable();
    split.val.sort_unstable();
    Ok(split)
}

/// What is drawn at once, by class and in the order of the draw: a sample, or the copies of one photo. These count for
/// the class of the first.
fn units(dataset: &Dataset, among: &[usize], seed: u64) -> BTreeMap<usize, Vec<Vec<usize>>> {
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut by_class: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    for index in among {
        let sample = &dataset.samples[*index];
        match sample.group {
            Some(group) => groups.entry(group).or_default().push(*index),
            None => by_class.entry(sample.class).or_default().push(vec![*index]),
        }
    }
    for group in groups.into_values() {
        by_class.entry(dataset.samples[group[0]].class).or_default().push(group);
    }
    for units in by_class.values_mut() {
        units.sort_by_cached_key(|unit| (rank(seed, &dataset.samples[unit[0]].file), unit[0]));
    }
    by_class
}

/// Fold `i` (from 1) of `k` within a split's training samples: every k-th of each class, in an order drawn by (`seed`,
/// file name), validates, the others train; copies of one photo go together. The split's own validation samples are in
/// neither part: whoever chooses among recipes by folds has not seen them.
///
/// # Errors
///
/// [`DataError::Argument`] if `i` is not one of `1..=k` or k is below 2, [`DataError::Split`] if a part has no sample.
pub fn fold(dataset: &Dataset, split: &Split, (i, k): (usize, usize), seed: u64) -> Result<Split, DataError> {
    if k < 2 || !(1..=k).contains(&i) {
        let range = "I/K with K of 2 or more and I from 1 to K is needed".into();
        return Err(DataError::Argument { what: "fold", value: format!("{i}/{k}"), range });
    }
    let mut parts = Split::default();
    // One count over all classes, so that folds differ by one sample at most (or by one group of copies).
    let units = units(dataset, &split.train, seed).into_values().flatten();
    for (place, unit) in units.enumerate() {
        if place % k == i - 1 { parts.val.extend(unit) } else { parts.train.extend(unit) }
    }
    parts.train.sort_unstable();
    parts.val.sort_unstable();
    if parts.train.is_empty() || parts.val.is_empty() {
        return Err(DataError::Split(format!("{} samples do not make {k} folds", split.train.len())));
    }
    Ok(parts)
}

/// What to try where copies stand on both sides.
pub(crate) const TORN_HINT: &str =
    "put copies of one photo on one side; a drawn split does for those it knows";

/// The samples of a split that are judged although a copy of their photo trains: a warning each.
#[must_use]
pub fn torn(dataset: &Dataset, split: &Split) -> Vec<Finding> {
    let group = |i: &usize| dataset.samples[*i].group;
    let trained: HashMap<usize, &str> =
        split.train.iter().filter_map(|i| Some((group(i)?, dataset.samples[*i].file.as_str()))).collect();
    let judged = split.val.iter().chain(&split.test);
    let torn = |i: &usize| {
        let copy = trained.get(&group(i)?)?;
        let message = format!(
            "is a copy of {}, which trains: the model is judged on what it has learned",
            quoted(copy)
        );
        let finding = Finding::warning(Kind::CopiesTorn, &dataset.samples[*i].image, None, message);
        Some(finding.hint(TORN_HINT))
    };
    judged.filter_map(torn).collect()
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

/// The bytes of a split file: `filename,split`, a row a sample in the data set's order, each `train`, `val`, `test` or
/// `none`. A name that a spreadsheet would take for a formula is [`guarded`].
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
    let mut parts: Vec<Option<Option<Part>>> = vec![None; dataset.samples.len()];

    if let Some(content) = Content::of(bytes) {
        let why = format!("is {content}, not a split file (hint: {WANTED})");
        return Err(DataError::SplitFile { path: path.to_owned(), problems: vec![why] });
    }
    if let Err(e) = text::of_table(bytes, None) {
        let why = format!("{} (hint: {SAVE_HINT})", e.message);
        return Err(DataError::SplitFile { path: path.to_owned(), problems: vec![why] });
    }
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().map(|h| h.iter().map(str::trim).map(str::to_owned).collect::<Vec<_>>());
    match header {
        Ok(header) if header == HEADER => {
            let mut records = reader.records();
            for (number, record) in (1..).zip(records.by_ref()) {
                match record {
                    Ok(record) => row(number, &record, &known, &mut parts, &mut problems),
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
            for (sample, _) in dataset.samples.iter().zip(&parts).filter(|(_, part)| part.is_none()) {
                problems.push(format!("{} is in the data set and not in the file", quoted(&sample.file)));
            }
        }
        Ok(header) => problems
            .push(format!("the header is {} where `filename,split` is needed", quoted(&header.join(",")))),
        Err(_) => problems.push(format!("the header is not UTF-8 (hint: {SAVE_HINT})")),
    }
    let part = |part| (0..parts.len()).filter(|i| parts[*i] == Some(Some(part))).collect::<Vec<_>>();
    let split = Split { train: part(Part::Train), val: part(Part::Val), test: part(Part::Test) };
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
    parts: &mut [Option<Option<Part>>],
    problems: &mut Vec<String>,
) {
    let (Some(file), Some(part), 2) = (record.get(0), record.get(1), record.len()) else {
        problems.push(format!("record {number}: {} fields where 2 are needed", record.len()));
        return;
    };
    let part = match part.trim() {
        "val" => Some(Part::Val),
        "train" => Some(Part::Train),
        "test" => Some(Part::Test),
        "none" => None,
        other => {
            problems.push(format!(
                "record {number}: split is {} where `train`, `val`, `test` or `none` is needed",
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
