//! The split of a data set into train, val and test: from a file, from the data set's folders, or drawn at random.
//! Drawing: `draw`; the file `split.csv`: `file`.

mod declared;
mod draw;
mod file;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub(crate) use self::declared::DeclaredSplit;
pub use self::draw::{Fold, fold, stratified};
pub(crate) use self::file::parse_csv;
pub use self::file::{read_csv, to_csv, write_csv};
use crate::formats::number::quoted;
use crate::{DataError, Dataset, Diagnostic, DiagnosticKind};

/// Indices into [`Dataset::samples`], each list ascending. No sample is in two lists; after [`fold`] some are in none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// The training samples.
    pub train: Vec<usize>,
    /// The validation samples.
    pub val: Vec<usize>,
    /// The test samples; often none.
    pub test: Vec<usize>,
}

/// A subset of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subset {
    /// Training samples.
    Train,
    /// Validation samples.
    Val,
    /// Test samples.
    Test,
}

impl Subset {
    /// The name of its folder: `train`, `val` or `test`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The subset that a folder's name stands for (the names of Roboflow, Ultralytics and COCO: `train2017`), in upper or
    /// lower case.
    #[must_use]
    pub fn of_folder(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().trim_end_matches(|c: char| c.is_ascii_digit()) {
            "train" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Val),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// The subset that an annotation file's name stands for: `instances_train2017.json`, `val.csv`.
    pub(crate) fn of_file(stem: &str) -> Option<Self> {
        let mut parts = stem.split(|c: char| !c.is_alphanumeric()).filter_map(Self::of_folder);
        parts.next().filter(|first| parts.all(|other| other == *first))
    }
}

/// The source of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitSource {
    /// A split file.
    File,
    /// The data set's folders: `train/`, `valid/` or `val/`, `test/`.
    Folders,
    /// Drawn at random.
    Drawn,
    /// Validation photos drawn from the photos of `train/`; the folder `test/` is the test set.
    DrawnInTrain,
}

/// Options for [`choose`].
#[derive(Debug, Clone, Copy)]
pub struct SplitOptions<'a> {
    /// A split file; it has precedence over everything else.
    pub file: Option<&'a Path>,
    /// Whether the folders `train`, `val` (or `valid`) and `test` define the split.
    pub folders: bool,
    /// Fraction of each class used for validation if the split is drawn.
    pub val: f64,
    /// Seed of the random split.
    pub seed: u64,
}

/// Returns the split of the file, else that of the data set's folders, else a random one ([`stratified`]).
///
/// Folders define a split if each photo lies below one of them, some below `train`, and others below another one. Without
/// a validation folder, validation photos are drawn from `train`.
///
/// # Errors
///
/// As [`read_csv`] and [`stratified`].
pub fn choose(dataset: &Dataset, options: &SplitOptions) -> Result<(Split, SplitSource), DataError> {
    if let Some(file) = options.file {
        return Ok((read_csv(file, dataset)?, SplitSource::File));
    }
    let all: Vec<usize> = (0..dataset.samples.len()).collect();
    let folders = by_folder(dataset).filter(|_| options.folders);
    let Some(split) = folders else {
        return Ok((stratified(dataset, options.val, options.seed)?, SplitSource::Drawn));
    };
    if split.val.is_empty() && split.train.len() < all.len() {
        let drawn = draw::draw(dataset, &split.train, options.val, options.seed)?;
        return Ok((Split { test: split.test, ..drawn }, SplitSource::DrawnInTrain));
    }
    Ok((split, SplitSource::Folders))
}

/// Describes a split besides its sizes, one line each: that it comes from folders, and how many copies were kept together.
#[must_use]
pub fn describe(dataset: &Dataset, split: &Split, source: SplitSource) -> Vec<String> {
    let mut lines = Vec::new();
    let (train, val, test) = (split.train.len(), split.val.len(), split.test.len());
    match source {
        SplitSource::File | SplitSource::Drawn => {}
        SplitSource::Folders => lines
            .push(format!("split by the data set's folders: {train} train, {val} val, {test} test")),
        SplitSource::DrawnInTrain => lines.push(format!(
            "split by the data set's folders: {test} test; from `train`, {val} were drawn for val, {train} remain for train"
        )),
    }
    let groups: HashSet<usize> = dataset.samples.iter().filter_map(|sample| sample.group).collect();
    let copies = dataset.samples.iter().filter(|sample| sample.group.is_some()).count();
    if !groups.is_empty() && matches!(source, SplitSource::Drawn | SplitSource::DrawnInTrain) {
        lines.push(format!(
            "{copies} photos are copies of {}, by their bytes or names: all copies of a photo are on one side of the split",
            crate::error::count(groups.len(), "source"),
        ));
    }
    lines
}

/// The split that the data set's folders define.
pub(crate) fn by_folder(dataset: &Dataset) -> Option<Split> {
    let mut split = Split::default();
    for (index, sample) in dataset.samples.iter().enumerate() {
        match sample.subset? {
            Subset::Train => split.train.push(index),
            Subset::Val => split.val.push(index),
            Subset::Test => split.test.push(index),
        }
    }
    (!split.train.is_empty() && split.train.len() < dataset.samples.len()).then_some(split)
}

/// Hint for copies of one photo on both sides of a split.
pub(crate) const LEAK_HINT: &str =
    "put all copies of a photo on one side; a drawn split does so for the copies it recognises";

/// Reports leakage: one warning for each validation or test sample of which a copy is a training sample.
#[must_use]
pub fn leaks(dataset: &Dataset, split: &Split) -> Vec<Diagnostic> {
    let group = |i: &usize| dataset.samples[*i].group;
    let training: HashMap<usize, &str> =
        split.train.iter().filter_map(|i| Some((group(i)?, dataset.samples[*i].file.as_str()))).collect();
    let evaluated = split.val.iter().chain(&split.test);
    let leak = |i: &usize| {
        let copy = training.get(&group(i)?)?;
        let message = format!(
            "is a copy of {}, which is a training photo: the model is evaluated on a photo it has learned",
            quoted(copy)
        );
        let diagnostic =
            Diagnostic::warning(DiagnosticKind::CopiesTorn, &dataset.samples[*i].image, None, message);
        Some(diagnostic.hint(LEAK_HINT))
    };
    evaluated.filter_map(leak).collect()
}
