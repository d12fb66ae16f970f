//! What a run folder says of a run: its record, its rows, its configuration, its answers.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use loc_infer::BBox;
use loc_train::Row;
use serde::Deserialize;

/// A run as its folder has it.
pub(super) struct Gathered {
    pub(super) name: String,
    pub(super) record: Record,
    pub(super) rows: Vec<Row>,
    pub(super) config: toml::Table,
    pub(super) config_text: String,
    /// What the best epoch reached; none where the run has not come so far.
    pub(super) evaluation: Option<Evaluated>,
    pub(super) answers: Vec<Answer>,
}

/// `evaluation.json`, as far as the page shows it.
#[derive(Deserialize)]
pub(super) struct Evaluated {
    pub(super) samples: usize,
    pub(super) accuracy: Option<f64>,
    pub(super) mean_iou: Option<f64>,
    pub(super) iou50: Option<f64>,
    pub(super) iou75: Option<f64>,
    pub(super) localization_accuracy: Option<f64>,
    pub(super) baseline: Option<Baseline>,
    pub(super) intervals: Option<Intervals>,
    pub(super) verdict: String,
}

#[derive(Deserialize)]
pub(super) struct Baseline {
    pub(super) majority_accuracy: f64,
    pub(super) median_box: MedianBox,
}

#[derive(Deserialize)]
pub(super) struct MedianBox {
    pub(super) mean_iou: f64,
    pub(super) iou50: f64,
    pub(super) iou75: f64,
}

#[derive(Deserialize)]
pub(super) struct Intervals {
    pub(super) accuracy: [f64; 2],
    pub(super) mean_iou: [f64; 2],
    pub(super) iou50: [f64; 2],
    pub(super) iou75: [f64; 2],
    pub(super) localization_accuracy: [f64; 2],
}

/// `run.json`, as far as the page shows it.
#[derive(Deserialize)]
pub(super) struct Record {
    pub(super) status: String,
    pub(super) versions: Versions,
    pub(super) machine: Machine,
    pub(super) threads: usize,
    pub(super) arguments: Vec<String>,
    pub(super) seed: u64,
    pub(super) dataset: Dataset,
    pub(super) classes: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Versions {
    pub(super) loc: String,
}

#[derive(Deserialize)]
pub(super) struct Machine {
    pub(super) os: String,
    pub(super) arch: String,
    pub(super) cores: usize,
}

#[derive(Deserialize)]
pub(super) struct Dataset {
    pub(super) path: PathBuf,
    pub(super) digest: String,
    pub(super) train: usize,
    pub(super) val: usize,
}

/// A line of `predictions.jsonl`.
#[derive(Deserialize, Clone)]
pub(super) struct Answer {
    pub(super) path: PathBuf,
    pub(super) file: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) class: usize,
    pub(super) confidence: f64,
    #[serde(rename = "box")]
    pub(super) bbox: BBox,
    pub(super) probs: serde_json::Map<String, serde_json::Value>,
    pub(super) truth: Truth,
    pub(super) iou: f64,
}

#[derive(Deserialize, Clone)]
pub(super) struct Truth {
    pub(super) class: usize,
    #[serde(rename = "box")]
    pub(super) bbox: BBox,
}

/// Reads a run folder.
///
/// # Errors
///
/// Which of its files is missing or cannot be read.
pub(super) fn run(folder: &Path) -> Result<Gathered> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs_err::read_to_string(&path).with_context(|| format!("{} is no run folder", folder.display()))
    };
    let record = serde_json::from_str(&read("run.json")?)
        .with_context(|| format!("{}: run.json", folder.display()))?;
    let config_text = read("config.toml")?;
    let config = config_text.parse().with_context(|| format!("{}: config.toml", folder.display()))?;
    let table = read("results.csv").unwrap_or_default();
    let rows: Result<Vec<Row>, csv::Error> = csv::Reader::from_reader(table.as_bytes()).deserialize().collect();
    let rows = rows.with_context(|| format!("{}: results.csv", folder.display()))?;
    let name = fs_err::canonicalize(folder)?
        .file_name()
        .map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned());
    let evaluation = match fs_err::read_to_string(folder.join("evaluation.json")) {
        Ok(text) => Some(
            serde_json::from_str(&text).with_context(|| format!("{}: evaluation.json", folder.display()))?,
        ),
        Err(_) => None,
    };
    Ok(Gathered { name, record, rows, config, config_text, evaluation, answers: answers(folder)? })
}

/// The answers of the best epoch; none where the run has not kept them.
fn answers(folder: &Path) -> Result<Vec<Answer>> {
    let path = folder.join("predictions.jsonl");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let file = std::io::BufReader::new(fs_err::File::open(&path)?);
    file.lines()
        .enumerate()
        .map(|(i, line)| {
            serde_json::from_str(&line?).with_context(|| format!("{}:{}", path.display(), i + 1))
        })
        .collect()
}
