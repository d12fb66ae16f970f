//! What the first of two looks answers: where the second looks, and whether there is an object.

use std::collections::HashMap;

use loc_data::Dataset;
use loc_infer::confidence::LookBox;
use loc_infer::{Frame, ModelMeta, Window};

use crate::eval::judged::Judged;
use crate::eval::presence::{Presence, Seen};

/// The first look's answers to samples, by the samples' indices.
#[derive(Debug, Clone, Default)]
pub struct FirstAnswers {
    looks: HashMap<usize, (Window, LookBox)>,
    pub(super) seen: Vec<Seen>,
}

impl FirstAnswers {
    /// Those of a model with a second look, from the evaluation of its first.
    #[must_use]
    pub fn of(meta: &ModelMeta, judged: &[Judged], presence: Option<&Presence>) -> Self {
        let margin = meta.second_look.map_or(1.0, |look| look.margin);
        let look = |one: &Judged| {
            let first = LookBox { bbox: one.bbox, spread: one.spread };
            (one.sample, (Window::around(one.bbox, margin), first))
        };
        let seen = presence.map_or_else(Vec::new, |presence| presence.seen.clone());
        Self { looks: judged.iter().map(look).collect(), seen }
    }

    /// The samples with a window, in the data set's order, and their windows.
    #[must_use]
    pub fn windows(&self) -> (Vec<usize>, Vec<Window>) {
        let looks = self.looks.iter();
        let mut samples: Vec<(usize, Window)> = looks.map(|(i, (window, _))| (*i, *window)).collect();
        samples.sort_unstable_by_key(|(sample, _)| *sample);
        samples.into_iter().unzip()
    }

    /// The first look's box of a sample, and the frame of the second look.
    pub(super) fn look(
        &self,
        dataset: &Dataset,
        meta: &ModelMeta,
        sample: usize,
    ) -> Option<(LookBox, Frame)> {
        let (window, first) = *self.looks.get(&sample)?;
        let input = meta.second_look?.input(&meta.input);
        Some((first, Frame { window: Some(window), ..Frame::of(dataset.samples[sample].size, &input) }))
    }
}
