//! The source of batches: photos, or cached features of a frozen backbone.

use loc_data::Loader;

use crate::config::Config;
use crate::error::TrainError;
use crate::input::batch::{Batches, TensorBatch};
use crate::input::crops::Crops;
use crate::input::feature_cache::FeatureCache;
use crate::input::place::Place;

/// Samples ready for any number of epochs.
#[derive(Debug)]
pub(crate) enum BatchSource {
    Photos(Loader, Place),
    FeatureCache(FeatureCache),
    /// Parts of photos around their objects.
    Crops(Crops, Place),
}

impl BatchSource {
    /// Photos, of which each process prepares its own.
    pub(crate) fn photos(loader: &Loader, place: &Place) -> Self {
        Self::Photos(loader.with_rows(place.processes.rows()), place.clone())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Photos(loader, _) => loader.len(),
            Self::FeatureCache(features) => features.len(),
            Self::Crops(crops, _) => crops.len(),
        }
    }

    /// The samples with these indices in the data set only, where their features are cached.
    pub(crate) fn part(&self, indices: &[usize]) -> Option<Self> {
        match self {
            Self::Photos(..) | Self::Crops(..) => None,
            Self::FeatureCache(cache) => Some(Self::FeatureCache(cache.part(indices))),
        }
    }

    /// The same samples, of which this process computes whole batches.
    pub(crate) fn alone(self) -> Self {
        match self {
            Self::Photos(loader, place) => Self::photos(&loader, &Place::alone(&place.device)),
            Self::FeatureCache(cache) => Self::FeatureCache(cache.alone()),
            Self::Crops(crops, place) => Self::Crops(crops, Place::alone(&place.device)),
        }
    }

    /// Iterates over the batches of an epoch, from 1, in orders drawn from (seed, pass); a small set is passed over
    /// until there are `min_steps`.
    pub(crate) fn epoch<'a>(&'a self, config: &'a Config, epoch: usize) -> Batches<'a> {
        let steps = self.len().div_ceil(config.batch);
        let count = config.min_steps.div_ceil(steps.max(1));
        let first = (epoch - 1) * count + 1;
        let still = config.is_unaugmented(epoch);
        let passes = (first..first + count).map(move |pass| self.pass(config, pass as u64, still));
        Box::new(Passes { passes: Box::new(passes), current: None, left: count * steps })
    }

    /// Iterates over each sample once, augmented unless `still`.
    fn pass(&self, config: &Config, pass: u64, still: bool) -> Batches<'_> {
        match self {
            Self::Photos(loader, place) => {
                let augment = if still { config.augment.flips_and_colours() } else { config.augment };
                let batches = loader.epoch(config.seed, pass, config.batch, &augment);
                Box::new(batches.map(move |batch| TensorBatch::of(batch?, place)))
            }
            Self::FeatureCache(features) => features.shuffled(config.seed, pass, config.batch, !still),
            Self::Crops(crops, place) => {
                let augment = config.augment.flips_and_colours();
                of_crops(crops.pass(pass), place, |loader| {
                    loader.epoch(config.seed, pass, config.batch, &augment)
                })
            }
        }
    }

    /// Iterates over all samples in order, unchanged.
    pub(crate) fn in_order(&self, batch: usize) -> Batches<'_> {
        match self {
            Self::Photos(loader, place) => {
                Box::new(loader.in_order(batch).map(move |batch| TensorBatch::of(batch?, place)))
            }
            Self::FeatureCache(features) => features.in_order(batch),
            Self::Crops(crops, place) => of_crops(crops.pass(0), place, |loader| loader.in_order(batch)),
        }
    }
}

impl BatchSource {
    /// Passes over all samples in order: unchanged photos, and cached features of each of their copies.
    pub(crate) fn every_copy(&self, batch: usize) -> Vec<Batches<'_>> {
        match self {
            Self::Photos(..) | Self::Crops(..) => vec![self.in_order(batch)],
            Self::FeatureCache(cache) => {
                (0..cache.copies()).map(|copy| cache.copy_in_order(copy, batch)).collect()
            }
        }
    }
}

/// The batches of decoded parts of photos, or the error of decoding them.
fn of_crops<'a>(
    loader: Result<Loader, TrainError>,
    place: &'a Place,
    batches: impl FnOnce(&Loader) -> loc_data::Batches,
) -> Batches<'a> {
    match loader {
        Ok(loader) => Box::new(
            batches(&loader.with_rows(place.processes.rows()))
                .map(move |batch| TensorBatch::of(batch?, place)),
        ),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

/// The batches of several passes, one pass after another.
struct Passes<'a> {
    passes: Box<dyn Iterator<Item = Batches<'a>> + 'a>,
    current: Option<Batches<'a>>,
    left: usize,
}

impl Iterator for Passes<'_> {
    type Item = Result<TensorBatch, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.current.as_mut().and_then(Iterator::next) {
                self.left = self.left.saturating_sub(1);
                return Some(batch);
            }
            self.current = Some(self.passes.next()?);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Passes<'_> {}
