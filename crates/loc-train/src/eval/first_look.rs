//! What the first of two looks answers: where the second looks, and whether there is an object.

use std::collections::HashMap;

use loc_data::Dataset;
use loc_infer::{Frame, ModelMeta, Window};

use crate::eval::judged::Judged;
use crate::eval::presence::{Presence, Seen};

/// The first look's answers to samples, by the samples' indices.
#[derive(Debug, Clone, Default)]
pub struct FirstAnswers {
    windows: HashMap<usize, Window>,
    pub(super) seen: Vec<Seen>,
}

impl FirstAnswers {
    /// Those of a model with a second look, from the evaluation of its first.
    #[must_use]
    pub fn of(meta: &ModelMeta, judged: &[Judged], presence: Option<&Presence>) -> Self {
        let margin = meta.second_look.map_or(1.0, |look| look.margin);
        let windows = judged.iter().map(|one| (one.sample, Window::around(one.bbox, margin)));
        let seen = presence.map_or_else(Vec::new, |presence| presence.seen.clone());
        Self { windows: windows.collect(), seen }
    }

    /// The samples with a window, in the data set's order, and their windows.
    #[must_use]
    pub fn windows(&self) -> (Vec<usize>, Vec<Window>) {
        let mut samples: Vec<(usize, Window)> =
            self.windows.iter().map(|(i, window)| (*i, *window)).collect();
        samples.sort_unstable_by_key(|(sample, _)| *sample);
        samples.into_iter().unzip()
    }

    /// The frame of the second look at a sample.
    pub(super) fn frame(&self, dataset: &Dataset, meta: &ModelMeta, sample: usize) -> Option<Frame> {
        let window = Some(*self.windows.get(&sample)?);
        let input = meta.second_look?.input(&meta.input);
        Some(Frame { window, ..Frame::of(dataset.samples[sample].size, &input) })
    }
}
