//! From samples to batches: each photo is decoded once and kept as bytes at the network's input size; the order is
//! shuffled in every epoch; the next batches are prepared while the current one is used.

mod batches;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use image::RgbImage;
use loc_infer::preprocess::{decode_path, fit, fit_window};
use loc_infer::{InputSpec, Limits, Window};
use ndarray::{Array2, Array4, Axis};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::augment::Transform;
use crate::memory;
use crate::random::Random;
use crate::{Augment, DataError, Dataset, Diagnostic, DiagnosticKind, LoaderError, NormBox};
pub use batches::Batches;

/// What stands for the box of a negative: a box with an area, so that every loss of it is finite.
pub const NO_BOX: [f32; 4] = [0.25, 0.25, 0.75, 0.75];

/// Prepared batches in the queue, besides the one in preparation and the one in use.
const PREFETCH: usize = 2;

/// The input of one training step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Photos `[N, H, W, 3]`: RGB bytes. The network scales them to 0..1; as bytes they take a quarter of the memory.
    /// Of a loader with [`Loader::with_rows`] only these photos, in their order.
    pub images: Array4<u8>,
    /// Boxes `[N, 4]`: x1, y1, x2, y2 in 0..1 of the network's input; of a negative [`NO_BOX`], which means nothing.
    pub boxes: Array2<f32>,
    /// Class indices `[N]`; of a negative 0, which means nothing.
    pub labels: Vec<u32>,
    /// Whether there is an object `[N]`.
    pub present: Vec<bool>,
    /// The samples' indices in [`Dataset::samples`] `[N]`.
    pub indices: Vec<usize>,
}

/// Decoded samples of a data set, for any number of epochs. A clone shares their memory.
#[derive(Debug, Clone)]
pub struct Loader {
    store: Arc<DecodedSamples>,
    pool: Arc<ThreadPool>,
    rows: Rows,
}

/// Which photos of a batch of so many are prepared.
#[derive(Clone)]
struct Rows(Arc<dyn Fn(usize) -> Range<usize> + Send + Sync>);

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Rows")
    }
}

/// The augmentation of an epoch.
#[derive(Debug, Clone, Copy)]
struct EpochAugment {
    augment: Augment,
    seed: u64,
    epoch: u64,
}

#[derive(Debug)]
struct DecodedSamples {
    input: InputSpec,
    images: Vec<RgbImage>,
    /// The boxes; none of negatives.
    boxes: Vec<Option<NormBox>>,
    labels: Vec<u32>,
    indices: Vec<usize>,
}

impl Loader {
    /// Decodes the samples with these `indices` in parallel on `workers` threads (0: one per core), and keeps each as RGB8 at
    /// the input size, exactly as prediction sees it: 3 × width × height bytes a photo.
    ///
    /// # Errors
    ///
    /// [`DataError::Changed`] with all photos that can no longer be decoded, [`DataError::Memory`] if they do not fit in memory,
    /// [`DataError::Input`] if the input size is out of range.
    ///
    /// # Panics
    ///
    /// If an index is not below the number of samples.
    pub fn new(
        dataset: &Dataset,
        indices: &[usize],
        input: InputSpec,
        workers: usize,
    ) -> Result<Self, DataError> {
        let whole: Vec<Option<Window>> = vec![None; indices.len()];
        Self::decode(dataset, indices, &whole, input, workers)
    }

    /// As [`Loader::new`], with a window of each photo instead of the whole photo. Boxes are in fractions of the window; of an
    /// object that reaches beyond it, in unchanged photos, below 0 or above 1.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`].
    ///
    /// # Panics
    ///
    /// If an index is not below the number of samples, or there is not a window for each.
    pub fn of_windows(
        dataset: &Dataset,
        indices: &[usize],
        windows: &[Window],
        input: InputSpec,
        workers: usize,
    ) -> Result<Self, DataError> {
        assert_eq!(windows.len(), indices.len(), "a window for each sample");
        let windows: Vec<Option<Window>> = windows.iter().copied().map(Some).collect();
        Self::decode(dataset, indices, &windows, input, workers)
    }

    fn decode(
        dataset: &Dataset,
        indices: &[usize],
        windows: &[Option<Window>],
        input: InputSpec,
        workers: usize,
    ) -> Result<Self, DataError> {
        input.check()?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(|i| format!("loader-{i}"))
            .build()
            .map_err(|error| DataError::Threads(LoaderError::Pool(error)))?;
        memory::ensure_fits(dataset, indices, input.size, pool.current_num_threads())?;
        let limits = Limits::default();
        let decode = |(index, window): (&usize, &Option<Window>)| {
            let sample = &dataset.samples[*index];
            let wrong =
                |reason: String| Diagnostic::error(DiagnosticKind::PhotoDamaged, &sample.image, None, reason);
            let photo = decode_path(&sample.image, &limits).map_err(|e| wrong(e.reason().to_string()))?;
            let found = photo.size();
            if found != sample.size {
                return Err(wrong(format!("is {found}, was {} when the data set was read", sample.size)));
            }
            let (image, frame) = match window {
                None => {
                    let (image, frame) = fit(Cow::Owned(photo.rgb), &input);
                    (image.into_owned(), frame)
                }
                Some(window) => fit_window(&photo.rgb, *window, &input),
            };
            Ok((image, sample.object.map(|object| frame.to_input(object.bbox))))
        };
        let decoded: Vec<Result<(RgbImage, Option<NormBox>), Diagnostic>> =
            pool.install(|| indices.par_iter().zip(windows).map(decode).collect());
        let (mut images, mut boxes, mut diagnostics) = (Vec::new(), Vec::new(), Vec::new());
        for photo in decoded {
            match photo {
                Ok((image, bbox)) => {
                    images.push(image);
                    boxes.push(bbox);
                }
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
        if !diagnostics.is_empty() {
            return Err(DataError::Changed { path: dataset.root.clone(), diagnostics });
        }
        let label = |i: &usize| u32::try_from(dataset.samples[*i].class().unwrap_or(0)).unwrap_or(u32::MAX);
        let labels = indices.iter().map(label).collect();
        let store = DecodedSamples { input, images, boxes, labels, indices: indices.to_vec() };
        Ok(Self { store: Arc::new(store), pool: Arc::new(pool), rows: Rows(Arc::new(|n| 0..n)) })
    }

    /// The same samples; of a batch of `n` only the photos `rows(n)` are prepared, as one of several processes needs them.
    /// Boxes, labels and indices are still those of the whole batch, and no photo depends on `rows`.
    #[must_use]
    pub fn with_rows(&self, rows: impl Fn(usize) -> Range<usize> + Send + Sync + 'static) -> Self {
        Self { rows: Rows(Arc::new(rows)), ..self.clone() }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.images.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The input specification that the photos were prepared for.
    #[must_use]
    pub fn input(&self) -> &InputSpec {
        &self.store.input
    }

    /// Mean and standard deviation of red, green and blue over all pixels of all samples, in 0..1. Without samples they are 0
    /// and 1; the deviation of a constant channel is 1.
    #[must_use]
    pub fn mean_and_std(&self) -> ([f32; 3], [f32; 3]) {
        // Integer sums are exact, so their order does not matter.
        let sums = |image: &RgbImage| {
            image.as_raw().chunks_exact(3).fold([[0_u64; 2]; 3], |mut sums, pixel| {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    let value = u64::from(*value);
                    *sum = [sum[0] + value, sum[1] + value * value];
                }
                sums
            })
        };
        let add =
            |a: [[u64; 2]; 3], b: [[u64; 2]; 3]| [0, 1, 2].map(|c| [a[c][0] + b[c][0], a[c][1] + b[c][1]]);
        let images = &self.store.images;
        let totals = self.pool.install(|| images.par_iter().map(sums).reduce(|| [[0; 2]; 3], add));
        let pixels: u64 = images.iter().map(|i| i.as_raw().len() as u64 / 3).sum();
        let (mut mean, mut std) = ([0.0; 3], [1.0; 3]);
        if pixels > 0 {
            for (channel, [sum, squares]) in totals.into_iter().enumerate() {
                let (m, deviation) = moments(sum, squares, pixels);
                mean[channel] = m;
                std[channel] = if deviation > 0.0 { deviation } else { 1.0 };
            }
        }
        (mean, std)
    }

    /// The batches of one epoch, the last one possibly smaller. The order is a function of (`seed`, `epoch`) and the number of
    /// samples: Fisher–Yates with SplitMix64 keyed by them.
    ///
    /// Photos and boxes are augmented as `augment` draws for (`seed`, `epoch`, the sample's index in the data set).
    #[must_use]
    pub fn epoch(&self, seed: u64, epoch: u64, batch: usize, augment: &Augment) -> Batches {
        self.batches(order(self.len(), seed, epoch), batch, EpochAugment::of(augment, seed, epoch))
    }

    /// As [`Loader::in_order`], with photos and boxes augmented as in an epoch.
    #[must_use]
    pub fn in_order_augmented(&self, seed: u64, epoch: u64, batch: usize, augment: &Augment) -> Batches {
        self.batches((0..self.len()).collect(), batch, EpochAugment::of(augment, seed, epoch))
    }

    /// All samples in the order of the indices given to [`Loader::new`], in batches of `batch` samples.
    #[must_use]
    pub fn in_order(&self, batch: usize) -> Batches {
        self.batches((0..self.len()).collect(), batch, None)
    }

    fn batches(&self, order: Vec<usize>, batch: usize, augment: Option<EpochAugment>) -> Batches {
        let store = Arc::clone(&self.store);
        if batch == 0 {
            let range = "at least one sample is needed".into();
            return Batches::failed(DataError::Argument { what: "batch", value: "0".into(), range });
        }
        let left = order.len().div_ceil(batch);
        let (sender, receiver) = sync_channel(PREFETCH);
        let (pool, Rows(rows)) = (Arc::clone(&self.pool), self.rows.clone());
        let prepare = move || {
            for positions in order.chunks(batch) {
                let rows = rows(positions.len());
                let ready = match &augment {
                    None => store.batch(positions, rows),
                    Some(augment) => pool.install(|| store.augmented(positions, rows, augment)),
                };
                // The receiver was dropped: the epoch was abandoned.
                if sender.send(ready).is_err() {
                    return;
                }
            }
        };
        match std::thread::Builder::new().name("batches".into()).spawn(prepare) {
            Ok(thread) => Batches::prepared(receiver, thread, left),
            Err(error) => Batches::failed(DataError::Threads(LoaderError::Spawn(error))),
        }
    }
}

/// The order of `n` samples in an epoch, a function of (`seed`, `epoch`).
#[must_use]
pub fn order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    Random::keyed(&[ORDER, seed, epoch]).shuffle(&mut order);
    order
}

impl EpochAugment {
    fn of(augment: &Augment, seed: u64, epoch: u64) -> Option<Self> {
        (!augment.is_off()).then_some(Self { augment: *augment, seed, epoch })
    }
}

/// Domain separation: the first part of the shuffle's random key.
const ORDER: u64 = 0x6F72_6465_7200_0001;

/// Mean and standard deviation in 0..1 from sums over bytes.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "sums of bytes stay below 2^53 for less than 10^11 pixels; the result is an f32 parameter"
)]
fn moments(sum: u64, squares: u64, count: u64) -> (f32, f32) {
    let n = count as f64;
    let mean = sum as f64 / n;
    let variance = (squares as f64 / n - mean * mean).max(0.0);
    ((mean / 255.0) as f32, (variance.sqrt() / 255.0) as f32)
}

impl DecodedSamples {
    fn batch(&self, positions: &[usize], rows: Range<usize>) -> Batch {
        let mut images = self.blank(rows.len());
        for (mut image, position) in images.axis_iter_mut(Axis(0)).zip(&positions[rows]) {
            // A fresh array is contiguous, and so is each photo in it.
            if let Some(out) = image.as_slice_mut() {
                out.copy_from_slice(self.images[*position].as_raw());
            }
        }
        let boxes = positions.iter().map(|position| edges_of(self.boxes[*position])).collect();
        self.labelled(positions, images, boxes)
    }

    /// As [`DecodedSamples::batch`], each photo augmented with its box.
    fn augmented(&self, positions: &[usize], rows: Range<usize>, augment: &EpochAugment) -> Batch {
        let (w, h) = (self.input.size.width as usize, self.input.size.height as usize);
        let draw = |position: &usize| {
            let EpochAugment { augment, seed, epoch } = augment;
            augment.draw(*seed, *epoch, self.indices[*position], self.boxes[*position])
        };
        let drawn: Vec<Transform> = positions.iter().map(draw).collect();
        let mut images = self.blank(rows.len());
        // A fresh array is contiguous.
        let pixels = images.as_slice_mut().unwrap_or_default();
        let places = pixels.par_chunks_exact_mut(3 * w * h).zip(&drawn[rows.clone()]).zip(&positions[rows]);
        places.for_each(|((out, drawn), position)| {
            drawn.apply(self.images[*position].as_raw(), w, h, out);
            if let Some(mix) = drawn.mix {
                mix.apply(self.images[mix.other(*position, self.images.len())].as_raw(), out);
            }
        });
        let bbox = |(position, drawn): (&usize, &Transform)| {
            edges_of(self.boxes[*position].map(|bbox| drawn.bbox(bbox)))
        };
        let boxes = positions.iter().zip(&drawn).map(bbox).collect();
        self.labelled(positions, images, boxes)
    }

    /// Black photos.
    fn blank(&self, count: usize) -> Array4<u8> {
        let (w, h) = (self.input.size.width as usize, self.input.size.height as usize);
        Array4::zeros((count, h, w, 3))
    }

    fn labelled(&self, positions: &[usize], images: Array4<u8>, boxes: Vec<[f32; 4]>) -> Batch {
        let boxes = Array2::from_shape_fn((positions.len(), 4), |(i, edge)| boxes[i][edge]);
        let labels = positions.iter().map(|p| self.labels[*p]).collect();
        let indices = positions.iter().map(|p| self.indices[*p]).collect();
        let present = positions.iter().map(|p| self.boxes[*p].is_some()).collect();
        Batch { images, boxes, labels, present, indices }
    }
}

/// The edges of a box, or what stands for it.
fn edges_of(bbox: Option<NormBox>) -> [f32; 4] {
    bbox.map_or(NO_BOX, |bbox| bbox.xyxy())
}
