//! The page as data: what the template `report.html` shows, in the words it shows.

use askama::Template;

/// The whole page.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    /// The style sheet, and its digest for the security policy.
    pub(super) style: &'static str,
    pub(super) style_digest: String,
    pub(super) title: String,
    pub(super) lead: String,
    pub(super) version: &'static str,
    pub(super) metric_names: [&'static str; 5],
    pub(super) comparison: Option<Comparison>,
    pub(super) runs: Vec<RunSection>,
}

/// Several runs side by side.
pub(super) struct Comparison {
    pub(super) curves: Vec<Plot>,
    /// The run that the others are compared with.
    pub(super) first: String,
    pub(super) differences: Vec<DifferenceRow>,
    /// Why runs are not compared.
    pub(super) notes: Vec<String>,
    pub(super) settings: Vec<SettingRow>,
}

/// Everything about a run.
pub(super) struct RunSection {
    pub(super) anchor: String,
    pub(super) name: String,
    pub(super) summary: String,
    /// What could not be read or shown, and why.
    pub(super) notes: Vec<String>,
    /// Validation photos.
    pub(super) photos: String,
    pub(super) metrics: Vec<Metric>,
    pub(super) has_constant: bool,
    pub(super) worst: Vec<Picture>,
    pub(super) best: Vec<Picture>,
    pub(super) classes: Vec<ClassRow>,
    /// Classes that are not in the table.
    pub(super) more_classes: String,
    pub(super) confusion: Vec<ConfusionRow>,
    pub(super) mistakes: Vec<String>,
    pub(super) plots: Vec<Plot>,
    /// Whether there is an object; empty for a model that always answers.
    pub(super) presence: Vec<Fact>,
    pub(super) presence_plots: Vec<Plot>,
    pub(super) curves: Vec<Plot>,
    pub(super) epochs: Vec<EpochRow>,
    pub(super) data: Vec<Fact>,
    pub(super) data_plots: Vec<Plot>,
    pub(super) audit: Option<AuditTable>,
    pub(super) command: String,
    pub(super) typed: String,
    pub(super) config: String,
    pub(super) environment: Vec<Fact>,
}

/// A figure, its interval, and the constant answer's.
pub(super) struct Metric {
    pub(super) value: String,
    pub(super) interval: String,
    pub(super) constant: String,
}

/// A plot with its caption.
pub(super) struct Plot {
    pub(super) svg: String,
    pub(super) caption: String,
}

/// A photo with its boxes.
pub(super) struct Picture {
    pub(super) svg: String,
    pub(super) file: String,
    pub(super) predicted: String,
    pub(super) confidence: String,
    /// The annotated class, if another one was predicted.
    pub(super) annotated: String,
    pub(super) iou: String,
}

/// The cells of a class.
pub(super) struct ClassRow {
    pub(super) name: String,
    /// Training photos, validation photos, accuracy, mean IoU.
    pub(super) cells: [String; 4],
}

/// The photos of an annotated class, by predicted class.
pub(super) struct ConfusionRow {
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
}

/// A number of photos.
pub(super) struct Cell {
    pub(super) count: usize,
    /// The fraction of the class, 0 to 4, as a background.
    pub(super) shade: usize,
}

/// The cells of an epoch.
pub(super) struct EpochRow {
    pub(super) epoch: usize,
    pub(super) cells: [String; 6],
    pub(super) is_best: bool,
}

/// A name and a value.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// The photos that an audit doubts.
pub(super) struct AuditTable {
    pub(super) summary: String,
    pub(super) rows: Vec<AuditRow>,
}

/// A photo that an audit doubts.
pub(super) struct AuditRow {
    pub(super) rank: usize,
    pub(super) path: String,
    /// Reason, given, predicted.
    pub(super) texts: [String; 3],
    pub(super) score: String,
}

/// A run minus the first.
pub(super) struct DifferenceRow {
    pub(super) name: String,
    pub(super) photos: usize,
    pub(super) cells: Vec<DifferenceCell>,
}

/// A difference with its interval.
pub(super) struct DifferenceCell {
    pub(super) mean: String,
    pub(super) interval: String,
    /// Whether the interval excludes 0.
    pub(super) is_beyond_chance: bool,
}

/// A setting in which the runs differ.
pub(super) struct SettingRow {
    pub(super) key: String,
    pub(super) values: Vec<String>,
}
