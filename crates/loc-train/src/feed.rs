//! What training reads: photos, batch by batch, or what a frozen backbone made of them, computed once and kept.

use candle_core::{DType, Device, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt;
use loc_data::{Augment, Batch, Loader, loader};
use loc_model::Input;
use loc_net::{Forward, ImageBatch, Network, Op, Source, Weights};

use crate::event::Watch;
use crate::{Config, Event, TrainError, memory};

/// Photos that go through the backbone together.
const AT_ONCE: usize = 32;

/// A batch on the model's device.
pub(crate) struct Tensors {
    /// Photos `[N, H, W, 3]` in u8, or features.
    pub(crate) input: Input,
    /// `[N, 4]`
    pub(crate) boxes: Tensor,
    /// `[N]`, u32
    pub(crate) labels: Tensor,
    pub(crate) n: usize,
    /// Samples' indices in the data set.
    pub(crate) indices: Vec<usize>,
}

impl Tensors {
    pub(crate) fn of(batch: Batch, device: &Device) -> Result<Self, TrainError> {
        let Batch { images, boxes, labels, indices } = batch;
        let (n, image_dims, box_dims) = (labels.len(), images.dim(), boxes.dim());
        Ok(Self {
            // Fresh arrays, so their raw values are in order.
            input: Input::Images(Tensor::from_vec(images.into_raw_vec_and_offset().0, image_dims, device)?),
            boxes: Tensor::from_vec(boxes.into_raw_vec_and_offset().0, box_dims, device)?,
            labels: Tensor::from_vec(labels, n, device)?,
            n,
            indices,
        })
    }
}

/// Batches, one after the other.
pub(crate) type Batches<'a> = Box<dyn ExactSizeIterator<Item = Result<Tensors, TrainError>> + 'a>;

/// Samples ready for any number of epochs.
#[derive(Debug)]
pub(crate) enum Feed {
    Photos(Loader, Device),
    Features(Features),
}

impl Feed {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Photos(loader, _) => loader.len(),
            Self::Features(features) => features.samples,
        }
    }

    /// One epoch, from 1 on, in orders drawn by (seed, pass): a small set is gone through as often as `least_steps` asks.
    pub(crate) fn epoch<'a>(&'a self, config: &'a Config, epoch: usize) -> Batches<'a> {
        let steps = self.len().div_ceil(config.batch);
        let count = config.least_steps.div_ceil(steps.max(1));
        let first = (epoch - 1) * count + 1;
        let still = config.is_still(epoch);
        let passes = (first..first + count).map(move |pass| self.pass(config, pass as u64, still));
        Box::new(Passes { passes: Box::new(passes), current: None, left: count * steps })
    }

    /// Each sample once; moved, unless it is to keep still.
    fn pass(&self, config: &Config, pass: u64, still: bool) -> Batches<'_> {
        match self {
            Self::Photos(loader, device) => {
                let augment = if still { config.augment.still() } else { config.augment };
                let batches = loader.epoch(config.seed, pass, config.batch, &augment);
                Box::new(batches.map(move |batch| Tensors::of(batch?, device)))
            }
            Self::Features(features) => {
                let order = loader::order(features.samples, config.seed, pass);
                let rows = match still {
                    true => order,
                    false => order.into_iter().map(|sample| features.view(sample, pass)).collect(),
                };
                features.batches_of(rows, config.batch)
            }
        }
    }

    /// All samples as they are, in their order.
    pub(crate) fn in_order(&self, batch: usize) -> Batches<'_> {
        match self {
            Self::Photos(loader, device) => {
                Box::new(loader.in_order(batch).map(move |batch| Tensors::of(batch?, device)))
            }
            Self::Features(features) => features.batches_of((0..features.samples).collect(), batch),
        }
    }
}

/// The batches of some passes, each begun when the one before has ended.
struct Passes<'a> {
    passes: Box<dyn Iterator<Item = Batches<'a>> + 'a>,
    current: Option<Batches<'a>>,
    left: usize,
}

impl Iterator for Passes<'_> {
    type Item = Result<Tensors, TrainError>;

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

/// What a backbone made of photos and their moved copies.
#[derive(Debug)]
pub(crate) struct Features {
    /// For each layer that the heads read `[copies · samples, …]` in f16: half the memory, and far finer than what the
    /// standardisation leaves matters. The first copies are the photos as they are.
    layers: Vec<Tensor>,
    /// Boxes `[copies · samples, 4]`.
    boxes: Vec<[f32; 4]>,
    labels: Vec<u32>,
    indices: Vec<usize>,
    samples: usize,
    copies: usize,
    /// Where batches go; the features themselves stay in the machine's memory.
    device: Device,
}

/// Where features come from.
pub(crate) struct Backbone<'a> {
    pub(crate) forward: &'a Forward,
    pub(crate) augment: &'a Augment,
    pub(crate) seed: u64,
}

impl Features {
    /// Runs a loader's photos through the backbone, and as many copies of them, each moved anew.
    pub(crate) fn of(
        backbone: &Backbone,
        loader: &Loader,
        copies: usize,
        device: &Device,
        watch: &mut Watch,
    ) -> Result<Self, TrainError> {
        let network = backbone.forward.network();
        let taps = network.taps();
        let rows = copies * loader.len();
        // All the room at once: they are written where they stay, and never twice in memory.
        let mut layers: Vec<Vec<f16>> = Vec::with_capacity(taps.len());
        for tap in &taps {
            let mut values = Vec::new();
            let room = values.try_reserve_exact(rows * network.shape(*tap).len());
            room.map_err(|_| memory::no_room(network, rows))?;
            layers.push(values);
        }
        let (mut boxes, mut labels, mut indices) = (Vec::new(), Vec::new(), Vec::new());
        for copy in 0..copies {
            let batches = match copy {
                0 => loader.in_order(AT_ONCE),
                _ => loader.in_order_moved(backbone.seed, copy as u64, AT_ONCE, backbone.augment),
            };
            for batch in batches {
                let batch = batch?;
                let n = batch.labels.len();
                let bytes = batch.images.as_slice().unwrap_or_default();
                let values = backbone.forward.features(ImageBatch::Bytes(bytes), n, &taps)?;
                for (layer, values) in layers.iter_mut().zip(values) {
                    let before = layer.len();
                    layer.resize(before + values.len(), f16::ZERO);
                    layer[before..].convert_from_f32_slice(&values);
                }
                boxes.extend(batch.boxes.rows().into_iter().map(|b| [b[0], b[1], b[2], b[3]]));
                if copy == 0 {
                    labels.extend(batch.labels);
                    indices.extend(batch.indices);
                }
                watch.tell(Event::Features { done: boxes.len(), of: rows })?;
            }
        }
        let tensor = |(values, tap): (Vec<f16>, &usize)| {
            let dims = [&[rows][..], &network.shape(*tap).0].concat();
            Tensor::from_vec(values, dims, &Device::Cpu)
        };
        let layers = layers.into_iter().zip(&taps).map(tensor).collect::<Result<_, _>>()?;
        let samples = labels.len();
        Ok(Self { layers, boxes, labels, indices, samples, copies, device: device.clone() })
    }

    /// The row of a sample by a copy that changes from pass to pass.
    fn view(&self, sample: usize, pass: u64) -> usize {
        (pass as usize + sample) % self.copies * self.samples + sample
    }

    fn batches_of(&self, rows: Vec<usize>, batch: usize) -> Batches<'_> {
        let chunks: Vec<Vec<usize>> = rows.chunks(batch).map(<[usize]>::to_vec).collect();
        Box::new(chunks.into_iter().map(|rows| self.batch(&rows)))
    }

    fn batch(&self, rows: &[usize]) -> Result<Tensors, TrainError> {
        let n = rows.len();
        let ids: Vec<u32> = rows.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)).collect();
        let ids = Tensor::from_vec(ids, n, &Device::Cpu)?;
        let pick =
            |layer: &Tensor| layer.index_select(&ids, 0)?.to_dtype(DType::F32)?.to_device(&self.device);
        let boxes: Vec<f32> = rows.iter().flat_map(|row| self.boxes[*row]).collect();
        let samples = rows.iter().map(|row| row % self.samples);
        Ok(Tensors {
            input: Input::Features(self.layers.iter().map(pick).collect::<Result<_, _>>()?),
            boxes: Tensor::from_vec(boxes, (n, 4), &self.device)?,
            labels: Tensor::from_vec(samples.clone().map(|s| self.labels[s]).collect(), n, &self.device)?,
            n,
            indices: samples.map(|s| self.indices[s]).collect(),
        })
    }
}

/// Gives each layer that standardises the backbone's features its values: over the loader's photos, each channel's mean
/// becomes 0 and its deviation 1.
pub(crate) fn standardise(
    network: &Network,
    weights: &mut Weights,
    loader: &Loader,
    watch: &mut Watch,
) -> Result<(), TrainError> {
    let layers: Vec<(usize, usize)> = network.layers()[..network.backbone_layers()]
        .iter()
        .enumerate()
        .filter_map(|(index, layer)| match (&layer.op, layer.inputs[0]) {
            (Op::ChannelAffine(_), Source::Layer(before)) => Some((index, before)),
            _ => None,
        })
        .collect();
    if layers.is_empty() {
        return Ok(());
    }
    let forward = Forward::new(network.clone(), weights.clone())?;
    let read: Vec<usize> = layers.iter().map(|(_, before)| *before).collect();
    // For each layer and channel the sums of values and squares, in the photos' order.
    let mut sums: Vec<Vec<[f64; 2]>> = read.iter().map(|l| vec![[0.0; 2]; network.shape(*l).0[0]]).collect();
    let mut done = 0;
    for batch in loader.in_order(AT_ONCE) {
        let batch = batch?;
        let n = batch.labels.len();
        let values =
            forward.features(ImageBatch::Bytes(batch.images.as_slice().unwrap_or_default()), n, &read)?;
        for (sums, values) in sums.iter_mut().zip(values) {
            let cells = values.len() / n / sums.len();
            for photo in values.chunks_exact(cells * sums.len()) {
                for (sum, plane) in sums.iter_mut().zip(photo.chunks_exact(cells)) {
                    for v in plane {
                        sum[0] += f64::from(*v);
                        sum[1] += f64::from(*v) * f64::from(*v);
                    }
                }
            }
        }
        done += n;
        watch.tell(Event::Features { done, of: loader.len() })?;
    }
    for ((index, before), sums) in layers.iter().zip(sums) {
        let count = (network.shape(*before).len() / sums.len() * loader.len()) as f64;
        let name = &network.layers()[*index].name;
        for (channel, [sum, squares]) in sums.into_iter().enumerate() {
            let mean = sum / count;
            let deviation = (squares / count - mean * mean).max(0.0).sqrt();
            // A channel that never varies says nothing.
            let scale = if deviation > 1e-6 { 1.0 / deviation } else { 0.0 };
            for (what, value) in [("weight", scale), ("bias", -mean * scale)] {
                if let Some(w) = weights.0.get_mut(&format!("{name}.{what}")) {
                    w.data[channel] = value as f32;
                }
            }
        }
    }
    Ok(())
}
