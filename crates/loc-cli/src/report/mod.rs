//! The page about runs, `report.html`: one file without script and network. Reads run folders and photos; nothing is trained
//! or evaluated here. It is in this crate, not in loc-train, because it is output for a person: no other program needs it, and
//! its libraries stay out of the ones that train.

mod compare;
mod gather;
mod page;
mod photos;
mod presence;
mod section;
mod tables;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loc_train::Comparison;
use sha2::{Digest, Sha256};

use self::gather::Gathered;
use self::page::Page;
use self::photos::Small;
use self::words::{counted, figure, shown};

/// Largest page, in bytes: it fits in a mail.
const LARGEST: usize = 2_000_000;
/// Most runs on a page.
const MOST_RUNS: usize = 8;
/// Photos with the worst and with the best answers, of all runs together.
const WORST: usize = 24;
const BEST: usize = 6;
/// The sizes of photos that are tried until the page is small enough.
const SIZES: [Small; 4] = [
    Small { side: 320, quality: 75 },
    Small { side: 240, quality: 70 },
    Small { side: 160, quality: 60 },
    Small { side: 96, quality: 50 },
];

const STYLE: &str = include_str!("../../templates/report.css");

/// What the page is made from.
pub(crate) struct Report {
    runs: Vec<Gathered>,
}

impl Report {
    /// Reads run folders. An `audit` replaces those in the folders.
    ///
    /// # Errors
    ///
    /// A folder that is no run's, too many of them, an audit that cannot be read.
    pub(crate) fn gather(folders: &[PathBuf], audit: Option<&Path>) -> Result<Self> {
        let most = folders.len() <= MOST_RUNS;
        ensure!(
            most,
            crate::output::Usage(format!("a page shows at most {MOST_RUNS} runs, not {}", folders.len()))
        );
        let runs = folders.iter().map(|folder| Gathered::of(folder, audit)).collect::<Result<Vec<_>>>()?;
        Ok(Self { runs })
    }

    /// Where the page is written if nothing else is said.
    pub(crate) fn default_path(&self) -> PathBuf {
        match &self.runs[..] {
            [one] => one.run.report(),
            _ => "report.html".into(),
        }
    }

    /// The photos of the runs, which must not be overwritten.
    pub(crate) fn photos(&self) -> Vec<PathBuf> {
        let of = |run: &Gathered| run.answers.iter().flat_map(|a| run.places(&a.path)).collect::<Vec<_>>();
        self.runs.iter().flat_map(of).collect()
    }

    /// What could not be read in the run folders.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.runs.iter().flat_map(|run| run.notes.iter().cloned()).collect()
    }

    /// The page: at most 2 MB, with smaller photos if it would be larger, and none if that is not enough.
    ///
    /// # Errors
    ///
    /// A plot cannot be drawn.
    pub(crate) fn html(&self) -> Result<String> {
        let sizes = SIZES.into_iter().map(Some).chain([None]);
        let mut html = String::new();
        for size in sizes {
            html = self.with_photos(size)?;
            if html.len() <= LARGEST {
                break;
            }
        }
        Ok(html)
    }

    fn with_photos(&self, small: Option<Small>) -> Result<String> {
        let n = self.runs.len().max(1);
        let shown_photos = small.map(|small| section::Shown { worst: WORST / n, best: BEST / n, small });
        let mut sections = Vec::with_capacity(n);
        for (i, run) in self.runs.iter().enumerate() {
            sections.push(section::of(run, &format!("run-{}", i + 1), shown_photos)?);
        }
        let title = match &self.runs[..] {
            [one] => format!("Report of {}", shown(&one.name)),
            all => format!("Report of {} runs", all.len()),
        };
        let page = Page {
            style: STYLE,
            style_digest: STANDARD.encode(Sha256::digest(STYLE)),
            title,
            lead: self.lead(),
            version: env!("CARGO_PKG_VERSION"),
            metric_names: tables::METRICS,
            comparison: (n > 1).then(|| compare::of(&self.runs)).transpose()?,
            runs: sections,
        };
        Ok(page.render()?)
    }

    /// The first sentence: whether the model is better than an answer that ignores the photo.
    fn lead(&self) -> String {
        let [run] = &self.runs[..] else {
            return "Results, differences with their uncertainty, then each run.".into();
        };
        let Some(e) = run.evaluation() else {
            return "No epoch of this run is finished, so there are no results yet.".into();
        };
        let reached = format!("Accuracy {}, mean IoU {}", figure(e.accuracy), figure(e.mean_iou));
        let Some(constant) = e.baseline else { return format!("{reached}.") };
        let how = match e.against_constant() {
            Some(Comparison::Beats) => "the model beats",
            Some(Comparison::DoesNotBeat) => "the model does not beat",
            _ => "the model cannot be told apart from",
        };
        format!(
            "{reached}: {how} the constant answer, which ignores the photo (accuracy {:.3}, mean IoU {:.3}; {}).",
            constant.majority_accuracy,
            constant.median_box.mean_iou,
            counted(e.samples, "validation photo", "validation photos")
        )
    }
}
