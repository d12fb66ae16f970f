//! What a run folder says of a run: record, configuration, rows, answers, data, audit. What is missing or damaged is left out,
//! with a note: a page about a failed run is better than none.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use loc_net::WeightFile;
use loc_train::{
    Baseline, CalibrationRecord, DataSummary, Evaluation, Intervals, Judged, ModelFile, NegativePrediction,
    Prediction, Presence, Row, Run, Seen, equal_error_threshold,
};
use serde_json::Value;

/// A run as its folder has it.
pub(super) struct Gathered {
    pub(super) run: Run,
    /// Name of the folder.
    pub(super) name: String,
    /// `run.json`; null if it cannot be read.
    pub(super) record: Value,
    pub(super) config: toml::Table,
    pub(super) config_text: String,
    pub(super) rows: Vec<Row>,
    pub(super) answers: Vec<Prediction>,
    pub(super) judged: Vec<Judged>,
    /// Whether the model tells photos with an object from photos without; none if it always answers.
    pub(super) presence: Option<Presence>,
    pub(super) classes: Vec<String>,
    pub(super) data: Option<DataSummary>,
    /// The calibration of the best model, if it has one.
    pub(super) calibrated: Option<CalibrationRecord>,
    /// The rows of an audit, if there is one.
    pub(super) audit: Option<Vec<Value>>,
    /// What could not be read.
    pub(super) notes: Vec<String>,
}

impl Gathered {
    /// Reads a run folder; `audit` replaces its `audit.json`.
    ///
    /// # Errors
    ///
    /// The folder has no record of a run; a given audit cannot be read.
    pub(super) fn of(folder: &Path, audit: Option<&Path>) -> Result<Self> {
        let run = Run::recorded(folder)?;
        let mut notes = Vec::new();
        let mut read = |path: PathBuf| {
            fs_err::read_to_string(path).map_err(|e| notes.push(e.to_string())).unwrap_or_default()
        };
        let (json, config_text) = (read(run.json()), read(run.config()));
        let record = read_as(&json, &run.json(), |text| Ok(serde_json::from_str(text)?), &mut notes);
        let config = read_as(&config_text, &run.config(), |text| Ok(text.parse()?), &mut notes);
        let mut or_note = |error: &dyn std::error::Error| notes.push(with_causes(error));
        let rows = run.rows().map_err(|e| or_note(&e)).unwrap_or_default();
        let answers = Prediction::read(&run).map_err(|e| or_note(&e)).unwrap_or_default();
        let negatives = NegativePrediction::read(&run).map_err(|e| or_note(&e)).unwrap_or_default();
        let data = DataSummary::read(&run).map_err(|e| or_note(&e)).unwrap_or_default();
        let audit = match audit {
            Some(path) => Some(audited(path)?),
            None if run.audit().is_file() => {
                audited(&run.audit()).map_err(|e| notes.push(format!("{e:#}"))).ok()
            }
            None => None,
        };
        let calibrated = calibrated(&run.best());
        let absolute = fs_err::canonicalize(folder)?;
        let name = absolute.file_name().unwrap_or(absolute.as_os_str()).to_string_lossy().into_owned();
        let classes = classes(&record, data.as_ref(), &answers);
        let judged = answers.iter().enumerate().map(|(i, answer)| answer.judged(i)).collect();
        let presence = presence(&answers, &negatives, data.as_ref());
        let config_text = config_text.trim_end().to_owned();
        Ok(Self {
            run,
            name,
            record,
            config,
            config_text,
            rows,
            answers,
            judged,
            presence,
            classes,
            data,
            calibrated,
            audit,
            notes,
        })
    }

    /// The metrics of the best epoch, from its answers; without answers from the best row of `results.csv`.
    pub(super) fn evaluation(&self) -> Option<Evaluation> {
        if !self.judged.is_empty() {
            let constant = self.data.as_ref().and_then(|data| data.constant);
            let baseline = constant.and_then(|c| Baseline::of(c.class, c.bbox, c.present, &self.judged));
            let mut evaluation = Evaluation::of(&self.judged, &self.classes, baseline);
            evaluation.intervals = Intervals::of(&self.judged);
            return Some(evaluation);
        }
        let best = self.best_row()?;
        let mut evaluation = Evaluation::of(&[], &self.classes, None);
        evaluation.accuracy = finite(best.val_acc);
        evaluation.mean_iou = finite(best.val_iou);
        evaluation.localization_accuracy = finite(best.val_acc_iou50);
        Some(evaluation)
    }

    /// The row of the best epoch, as training chooses it.
    pub(super) fn best_row(&self) -> Option<&Row> {
        let key = |row: &Row| (row.val_acc_iou50, row.val_iou);
        self.rows.iter().reduce(|best, row| if key(row) > key(best) { row } else { best })
    }

    /// A text in `run.json`, by its path of keys; numbers as they are written.
    pub(super) fn recorded(&self, keys: &[&str]) -> Option<String> {
        let value = keys.iter().fold(&self.record, |value, key| &value[*key]);
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A value of the configuration, as it would be written on a command line.
    pub(super) fn configured(&self, key: &str) -> Option<String> {
        Some(match self.config.get(key)? {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// Where a photo may be now: where the training read it, relative to the current folder or to one above the run.
    pub(super) fn places(&self, photo: &Path) -> Vec<PathBuf> {
        let mut places = vec![photo.to_owned()];
        if photo.is_relative()
            && let Ok(folder) = fs_err::canonicalize(self.run.path())
        {
            places.extend(folder.ancestors().skip(1).map(|above| above.join(photo)));
        }
        places
    }
}

fn read_as<T: Default>(
    text: &str,
    path: &Path,
    parse: impl Fn(&str) -> Result<T>,
    notes: &mut Vec<String>,
) -> T {
    if text.is_empty() {
        return T::default();
    }
    parse(text).map_err(|e| notes.push(format!("{}: {e:#}", path.display()))).unwrap_or_default()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The calibration of a model file. A file that is missing or damaged has none: the page needs no model.
fn calibrated(model: &Path) -> Option<CalibrationRecord> {
    let file = WeightFile::parse(&fs_err::read(model).ok()?).ok()?;
    ModelFile::from_json(&file.metadata?).ok()?.calibrated
}

/// The class names, from the first place that has them.
fn classes(record: &Value, data: Option<&DataSummary>, answers: &[Prediction]) -> Vec<String> {
    let named = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    if let Some(names) = record["classes"].as_array() {
        return names.iter().map(named).collect();
    }
    if let Some(data) = data {
        return data.classes.iter().map(|class| class.name.clone()).collect();
    }
    let pairs = || answers.iter().flat_map(|a| [(a.class, &a.name), (a.truth.class, &a.truth.name)]);
    // A damaged file may name any index.
    let most = pairs().map(|(class, _)| class).filter(|class| *class < 10_000).max();
    let name = |class: usize| pairs().find(|(c, _)| *c == class).map_or("?", |(_, name)| name).to_owned();
    most.map_or_else(Vec::new, |most| (0..=most).map(name).collect())
}

/// The rows of an audit (`loc.audit/1`).
fn audited(path: &Path) -> Result<Vec<Value>> {
    let at = || path.display().to_string();
    let json: Value = serde_json::from_str(&fs_err::read_to_string(path)?).with_context(at)?;
    match (json["schema"].as_str(), json["photos"].as_array()) {
        (Some("loc.audit/1"), Some(photos)) => Ok(photos.clone()),
        _ => bail!("{}: is not an audit (hint: `loc data audit DATA --format json` prints one)", at()),
    }
}

/// A number that is one.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The figures of presence at the threshold that the validation photos decide, as training does.
fn presence(
    answers: &[Prediction],
    negatives: &[NegativePrediction],
    data: Option<&DataSummary>,
) -> Option<Presence> {
    let of_answers = answers.iter().map(|answer| answer.presence.map(|probability| (true, probability)));
    let of_negatives = negatives.iter().map(|negative| Some((false, negative.presence)));
    let seen = of_answers.chain(of_negatives).flatten().enumerate();
    let seen: Vec<Seen> =
        seen.map(|(sample, (present, probability))| Seen { sample, present, probability }).collect();
    let threshold = equal_error_threshold(&seen);
    let majority = data.and_then(|data| data.constant).map(|constant| constant.present);
    (!seen.is_empty()).then(|| Presence::of(seen, threshold, majority))
}
