//! The photos that a training reads: whole, or the parts around their objects for a second look.

use loc_data::{BBox, CropJitter, Dataset, Loader, PhotoStore};
use loc_infer::{InputSpec, Window};

use crate::collective::Processes;
use crate::config::Config;
use crate::error::TrainError;

/// Parts of photos around their objects, drawn anew for each pass. The photos are decoded in each pass.
#[derive(Debug)]
pub(crate) struct Crops {
    dataset: Dataset,
    /// Samples with an object, by their index in the data set, and their boxes.
    objects: Vec<(usize, BBox)>,
    input: InputSpec,
    jitter: CropJitter,
    workers: usize,
    seed: u64,
}

/// Photos, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Photos<'a> {
    Whole(&'a Loader),
    Crops(&'a Crops),
}

impl Crops {
    /// Those of the samples with an object; `input` is the second look's.
    pub(crate) fn new(config: &Config, dataset: &Dataset, samples: &[usize], input: InputSpec) -> Self {
        let objects = samples.iter().filter_map(|i| Some((*i, dataset.samples[*i].object?.bbox))).collect();
        let jitter = CropJitter {
            margin: config.crop_margin as f32,
            shift: config.crop_shift as f32,
            scale: config.crop_scale as f32,
        };
        Self { dataset: dataset.clone(), objects, input, jitter, workers: config.workers, seed: config.seed }
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// The parts of a pass.
    pub(crate) fn pass(&self, pass: u64) -> Result<Loader, TrainError> {
        let window = |(sample, bbox): &(usize, BBox)| self.jitter.draw(self.seed, pass, *sample, *bbox);
        let windows: Vec<Window> = self.objects.iter().map(window).collect();
        let samples: Vec<usize> = self.objects.iter().map(|(sample, _)| *sample).collect();
        Ok(Loader::of_windows(
            &self.dataset,
            &samples,
            &windows,
            &PhotoStore::on_demand(self.input),
            self.workers,
        )?)
    }
}

impl Photos<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Whole(loader) => loader.len(),
            Self::Crops(crops) => crops.len(),
        }
    }

    /// The batches of a copy of all photos, in order, of which each process prepares its own: the first copy is not augmented.
    pub(crate) fn copy(
        self,
        config: &Config,
        copy: u64,
        batch: usize,
        processes: &Processes,
    ) -> Result<loc_data::Batches, TrainError> {
        let augmented = |loader: &Loader, augment| {
            let loader = loader.with_rows(processes.rows());
            match copy {
                0 => loader.in_order(batch),
                _ => loader.in_order_augmented(config.seed, copy, batch, augment),
            }
        };
        Ok(match self {
            Self::Whole(loader) => augmented(loader, &config.augment),
            Self::Crops(crops) => augmented(&crops.pass(copy)?, &config.augment.flips_and_colours()),
        })
    }
}
