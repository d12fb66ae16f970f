//! The page as data: what the template `report.html` shows, in the words it shows.

use askama::Template;

/// The whole page.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) verdict: String,
    pub(super) version: &'static str,
    pub(super) metric_names: Vec<&'static str>,
    pub(super) runs: Vec<RunSection>,
    pub(super) differences: Vec<DifferenceRow>,
    pub(super) settings: Vec<SettingRow>,
}

/// Everything about a run.
pub(super) struct RunSection {
    pub(super) anchor: String,
    pub(super) name: String,
    /// Validation photos.
    pub(super) photos: usize,
    pub(super) metrics: Vec<Metric>,
    pub(super) summary: String,
    pub(super) curves: Vec<Plot>,
    pub(super) classes: Vec<ClassRow>,
    pub(super) confusion: Vec<ConfusionRow>,
    pub(super) plots: Vec<Plot>,
    pub(super) worst: Vec<Plot>,
    pub(super) best: Vec<Plot>,
    /// What could not be shown, and why.
    pub(super) missing: String,
    pub(super) data_plots: Vec<Plot>,
    pub(super) command: String,
    pub(super) config: String,
    pub(super) environment: String,
}

/// A figure, its interval, and the constant answer's.
pub(super) struct Metric {
    pub(super) value: String,
    pub(super) interval: String,
    pub(super) constant: String,
}

/// A picture with its caption.
pub(super) struct Plot {
    pub(super) svg: String,
    pub(super) caption: String,
}

pub(super) struct ClassRow {
    pub(super) name: String,
    pub(super) photos: usize,
    pub(super) accuracy: String,
    pub(super) iou: String,
}

pub(super) struct ConfusionRow {
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
}

pub(super) struct Cell {
    pub(super) count: usize,
    /// 0 to 3: how dark.
    pub(super) heat: usize,
}

pub(super) struct DifferenceRow {
    pub(super) name: String,
    pub(super) photos: usize,
    pub(super) cells: Vec<String>,
}

pub(super) struct SettingRow {
    pub(super) key: String,
    pub(super) values: Vec<String>,
}
