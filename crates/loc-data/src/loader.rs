//! From samples to batches: each photo is prepared as bytes at the network's input size, and kept or not; the order is
//! shuffled in every epoch; the next batches are prepared while the current one is used.

mod batches;
mod samples;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use loc_infer::{InputSpec, Window};
use ndarray::{Array2, Array4};
use rayon::{ThreadPool, ThreadPoolBuilder};

pub use self::batches::Batches;
use self::samples::Samples;
use crate::memory;
use crate::random::Random;
use crate::{Augment, DataError, Dataset, LoaderError, PhotoStore};

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
    samples: Arc<Samples>,
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

impl Loader {
    /// Decodes the samples with these `indices` in parallel on `workers` threads (0: one per core), and keeps each in memory as RGB8
    /// at the input size, exactly as prediction sees it: 3 × width × height bytes a photo.
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
        Self::from_store(dataset, indices, &PhotoStore::in_memory(input), workers)
    }

    /// As [`Loader::new`], with the photos of a store: those that it keeps and lacks are prepared now, those that it does not keep
    /// whenever a batch needs them.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`]; of photos that the store does not keep, their batch returns [`DataError::Changed`].
    ///
    /// # Panics
    ///
    /// As [`Loader::new`].
    pub fn from_store(
        dataset: &Dataset,
        indices: &[usize],
        store: &PhotoStore,
        workers: usize,
    ) -> Result<Self, DataError> {
        let whole: Vec<Option<Window>> = vec![None; indices.len()];
        Self::of_parts(dataset, indices, &whole, store, workers)
    }

    /// As [`Loader::from_store`], with a window of each photo instead of the whole photo, kept in memory or not at all. Boxes are
    /// in fractions of the window; of an object that reaches beyond it, in unchanged photos, below 0 or above 1.
    ///
    /// # Errors
    ///
    /// As [`Loader::from_store`].
    ///
    /// # Panics
    ///
    /// If an index is not below the number of samples, or there is not a window for each.
    pub fn of_windows(
        dataset: &Dataset,
        indices: &[usize],
        windows: &[Window],
        store: &PhotoStore,
        workers: usize,
    ) -> Result<Self, DataError> {
        assert_eq!(windows.len(), indices.len(), "a window for each sample");
        let windows: Vec<Option<Window>> = windows.iter().copied().map(Some).collect();
        Self::of_parts(dataset, indices, &windows, store, workers)
    }

    fn of_parts(
        dataset: &Dataset,
        indices: &[usize],
        windows: &[Option<Window>],
        store: &PhotoStore,
        workers: usize,
    ) -> Result<Self, DataError> {
        store.input().check()?;
        let pool = ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(|i| format!("loader-{i}"))
            .build()
            .map_err(|error| DataError::Threads(LoaderError::Pool(error)))?;
        store.begin(&dataset.root, indices.len())?;
        if store.is_in_ram() {
            memory::ensure_fits(dataset, indices, store.input().size, pool.current_num_threads())?;
        }
        let samples = pool.install(|| Samples::new(dataset, indices, windows, store))?;
        Ok(Self { samples: Arc::new(samples), pool: Arc::new(pool), rows: Rows(Arc::new(|n| 0..n)) })
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
        self.samples.len()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The input specification that the photos were prepared for.
    #[must_use]
    pub fn input(&self) -> &InputSpec {
        &self.samples.input
    }

    /// Mean and standard deviation of red, green and blue over all pixels of all samples, in 0..1. Without samples they are 0
    /// and 1; the deviation of a constant channel is 1.
    ///
    /// # Errors
    ///
    /// [`DataError::Changed`] if a photo that is not kept can no longer be decoded.
    pub fn mean_and_std(&self) -> Result<([f32; 3], [f32; 3]), DataError> {
        // Integer sums are exact, so their order does not matter.
        let sums = |pixels: &[u8]| {
            pixels.chunks_exact(3).fold([[0_u64; 2]; 3], |mut sums, pixel| {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    let value = u64::from(*value);
                    *sum = [sum[0] + value, sum[1] + value * value];
                }
                sums
            })
        };
        let add =
            |a: [[u64; 2]; 3], b: [[u64; 2]; 3]| [0, 1, 2].map(|c| [a[c][0] + b[c][0], a[c][1] + b[c][1]]);
        let totals = self.pool.install(|| self.samples.sum_of(sums, add))?;
        let size = self.input().size;
        let pixels = self.len() as u64 * u64::from(size.width) * u64::from(size.height);
        let (mut mean, mut std) = ([0.0; 3], [1.0; 3]);
        if pixels > 0 {
            for (channel, [sum, squares]) in totals.into_iter().enumerate() {
                let (m, deviation) = moments(sum, squares, pixels);
                mean[channel] = m;
                std[channel] = if deviation > 0.0 { deviation } else { 1.0 };
            }
        }
        Ok((mean, std))
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
        let samples = Arc::clone(&self.samples);
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
                let ready = pool.install(|| match &augment {
                    None => samples.batch(positions, rows),
                    Some(augment) => samples.augmented(positions, rows, augment),
                });
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
