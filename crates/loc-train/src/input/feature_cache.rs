//! The cached features of a frozen backbone, computed once, on which the head is trained.

use std::collections::HashSet;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt;
use loc_data::loader;
use loc_model::Input;
use loc_net::ImageBatch;
use loc_net::{Forward, Network};

use crate::collective::Processes;
use crate::config::Config;
use crate::error::{ConfigError, TrainError};
use crate::event::{Event, Progress};
use crate::input::batch::{Batches, TensorBatch, mask_of};
use crate::input::crops::Photos;
use crate::input::feature_rows::{self, FeatureRows};
use crate::input::place::Place;

/// Photos that go through the backbone together.
pub(crate) const AT_ONCE: usize = 32;

/// The features of photos and of augmented copies.
#[derive(Debug)]
pub(crate) struct FeatureCache {
    /// For each layer that the head reads `[copies · samples, …]`. The first copy is the unchanged photo.
    layers: Arc<Vec<FeatureRows>>,
    /// Boxes `[copies · samples, 4]`.
    boxes: Vec<[f32; 4]>,
    labels: Vec<u32>,
    present: Vec<bool>,
    indices: Vec<usize>,
    /// Samples whose features there are.
    samples: usize,
    /// Those that batches are made of.
    members: Vec<usize>,
    copies: usize,
    /// Where batches are computed; the features stay in main memory, all of them in that of each process.
    place: Place,
}

/// The network that computes the features, and how copies are augmented.
pub(crate) struct FrozenBackbone<'a> {
    pub(crate) forward: &'a Forward,
    pub(crate) config: &'a Config,
}

impl FeatureCache {
    /// Computes the features of photos: the unchanged photos as the first copy, then augmented ones. After the
    /// first copy `limit` may reduce the number of copies.
    pub(crate) fn of(
        backbone: &FrozenBackbone,
        photos: Photos,
        wanted: usize,
        limit: &dyn Fn(usize) -> usize,
        place: &Place,
        progress: &mut Progress,
    ) -> Result<Self, TrainError> {
        let network = backbone.forward.network();
        let taps = network.taps();
        let (mut copies, mut rows) = (wanted, wanted * photos.len());
        let on_disk = feature_rows::are_on_disk(backbone.config, feature_bytes(network) * rows as u64);
        let mut layers: Vec<FeatureRows> = Vec::with_capacity(taps.len());
        for tap in &taps {
            let all = FeatureRows::new(&network.shape(*tap).0, rows, on_disk)?;
            layers.push(all.ok_or_else(|| no_room(network, rows))?);
        }
        let (mut boxes, mut labels, mut present) = (Vec::new(), Vec::new(), Vec::new());
        let mut indices = Vec::new();
        for copy in 0..wanted {
            if copy == 1 {
                copies = limit(wanted).clamp(1, wanted);
                rows = copies * photos.len();
            }
            if copy == copies {
                break;
            }
            let at_once = AT_ONCE * place.processes.size();
            for batch in photos.copy(backbone.config, copy as u64, at_once, &place.processes)? {
                let batch = batch?;
                let bytes = batch.images.as_slice().unwrap_or_default();
                let own = match batch.images.dim().0 {
                    0 => vec![Vec::new(); taps.len()],
                    n => backbone.forward.features(ImageBatch::Bytes(bytes), n, &taps)?,
                };
                add_features(own, &place.processes, &mut layers)?;
                boxes.extend(batch.boxes.rows().into_iter().map(|b| [b[0], b[1], b[2], b[3]]));
                if copy == 0 {
                    labels.extend(batch.labels);
                    present.extend(batch.present);
                    indices.extend(batch.indices);
                }
                progress.report(Event::Features { done: boxes.len(), of: rows })?;
            }
        }
        let layers = Arc::new(layers);
        let samples = labels.len();
        let members = (0..samples).collect();
        let place = place.clone();
        Ok(Self { layers, boxes, labels, present, indices, samples, members, copies, place })
    }

    /// A cache of so many samples without content, on which steps take as long as on any other.
    pub(crate) fn blank(network: &Network, samples: usize, device: &Device) -> Result<Self, TrainError> {
        let zeros = |tap: &usize| FeatureRows::zeros(&network.shape(*tap).0, samples);
        Ok(Self {
            layers: Arc::new(network.taps().iter().map(zeros).collect()),
            boxes: vec![[0.25, 0.25, 0.75, 0.75]; samples],
            labels: vec![0; samples],
            present: vec![true; samples],
            indices: (0..samples).collect(),
            samples,
            members: (0..samples).collect(),
            copies: 1,
            place: Place::alone(device),
        })
    }

    /// The number of copies of each sample.
    pub(crate) fn copies(&self) -> usize {
        self.copies
    }

    /// The number of samples, copies not counted.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The same features, of the samples with these indices in the data set only.
    pub(crate) fn part(&self, indices: &[usize]) -> Self {
        let wanted: HashSet<usize> = indices.iter().copied().collect();
        let members = self.members.iter().copied().filter(|member| wanted.contains(&self.indices[*member]));
        Self {
            layers: Arc::clone(&self.layers),
            members: members.collect(),
            boxes: self.boxes.clone(),
            labels: self.labels.clone(),
            present: self.present.clone(),
            indices: self.indices.clone(),
            place: self.place.clone(),
            ..*self
        }
    }

    /// The same features, of which this process computes whole batches.
    pub(crate) fn alone(mut self) -> Self {
        self.place = Place::alone(&self.place.device);
        self
    }

    /// Iterates over all samples in order, unchanged.
    pub(crate) fn in_order(&self, batch: usize) -> Batches<'_> {
        self.batches_of(self.members.clone(), batch)
    }

    /// Iterates over all samples in order, one of the copies of each.
    pub(crate) fn copy_in_order(&self, copy: usize, batch: usize) -> Batches<'_> {
        self.batches_of(self.members.iter().map(|member| copy * self.samples + member).collect(), batch)
    }

    /// Iterates over each sample once, in an order drawn from (seed, pass): another copy in each pass if `moved`, else
    /// the unchanged photo.
    pub(crate) fn shuffled(&self, seed: u64, pass: u64, batch: usize, moved: bool) -> Batches<'_> {
        let copy = |sample: usize| (pass as usize + sample) % self.copies * self.samples + sample;
        let order = loader::order(self.members.len(), seed, pass).into_iter().map(|at| self.members[at]);
        let rows = order.map(|sample| if moved { copy(sample) } else { sample });
        self.batches_of(rows.collect(), batch)
    }

    fn batches_of(&self, rows: Vec<usize>, batch: usize) -> Batches<'_> {
        let chunks: Vec<Vec<usize>> = rows.chunks(batch).map(<[usize]>::to_vec).collect();
        Box::new(chunks.into_iter().map(|rows| self.batch(&rows)))
    }

    fn batch(&self, rows: &[usize]) -> Result<TensorBatch, TrainError> {
        let (n, device) = (rows.len(), &self.place.device);
        let share = self.place.processes.share(n);
        let own = &rows[share.rows.clone()];
        let boxes: Vec<f32> = rows.iter().flat_map(|row| self.boxes[*row]).collect();
        let samples = rows.iter().map(|row| row % self.samples);
        let present: Vec<bool> = samples.clone().map(|s| self.present[s]).collect();
        Ok(TensorBatch {
            input: Input::Features(
                self.layers.iter().map(|layer| layer.select(own, device)).collect::<Result<_, _>>()?,
            ),
            boxes: Tensor::from_vec(boxes, (n, 4), device)?,
            labels: Tensor::from_vec(samples.clone().map(|s| self.labels[s]).collect(), n, device)?,
            mask: mask_of(&present, device)?,
            present,
            n,
            indices: samples.map(|s| self.indices[s]).collect(),
            share,
            place: self.place.clone(),
        })
    }
}

/// Adds the features of a batch, which the processes computed photo by photo, one after the other for each layer.
fn add_features(
    own: Vec<Vec<f32>>,
    processes: &Processes,
    layers: &mut [FeatureRows],
) -> Result<(), TrainError> {
    // Layer by layer, so that the photos of a layer are in their order.
    for (layer, values) in layers.iter_mut().zip(&own) {
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(values);
        if processes.is_alone() {
            layer.push(&halves)?;
            continue;
        }
        let bytes: Vec<u8> = halves.into_iter().flat_map(f16::to_le_bytes).collect();
        for bytes in processes.gather(&bytes)? {
            let halves = bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]));
            layer.push(&halves.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// Returns the bytes that are cached for each photo: the features in f16, and the box.
pub(crate) fn feature_bytes(network: &Network) -> u64 {
    let values: usize = network.taps().into_iter().map(|tap| network.shape(tap).len()).sum();
    (2 * values + size_of::<[f32; 4]>()) as u64
}

/// Returns the error for features that cannot be allocated.
fn no_room(network: &Network, featured: usize) -> TrainError {
    let need = feature_bytes(network).saturating_mul(featured as u64).div_ceil(1 << 20);
    TrainError::config("configuration", ConfigError::NoFeatureMemory { photos: featured, needed: need })
}
