//! The weights that a run starts from: random, of a pretrained backbone, or of a model.

use std::path::PathBuf;

use loc_data::Loader;
use loc_model::{init, weights};
use loc_net::ImageBatch;
use loc_net::{Forward, Network, Op, Source, Weights};

use crate::checkpoint::ModelFile;
use crate::collective::Processes;
use crate::config::Config;
use crate::error::{ModelFileError, TrainError};
use crate::event::{Event, Progress};
use crate::input::AT_ONCE;

/// Returns the initial weights of a run's network, and with a second look those of its network, if `init` has them.
pub(crate) fn initial(
    config: &Config,
    pretrained: Option<PathBuf>,
    (layers, second): (&Network, Option<&Network>),
    classes: &[String],
    train: &Loader,
    processes: &Processes,
    progress: &mut Progress,
) -> Result<(Weights, Option<Weights>), TrainError> {
    if let Some(path) = &config.init {
        let mut found = weights::load_floats(path)?;
        let fail = |kind: ModelFileError| TrainError::model(path, kind);
        let mut of_second = None;
        if let Some(json) = &found.metadata {
            let file = ModelFile::from_json(json).map_err(|e| fail(e.into()))?;
            same_classes(path, &file.meta.classes, classes)?;
            if let Some(its_second) = file.build_second()? {
                let (first, weights) = found.weights.split_looks(&its_second);
                found.weights = first;
                of_second = Some(weights);
            }
        }
        fit_presence(config, layers, &mut found.weights, progress)?;
        found.weights.check(layers).map_err(|e| fail(ModelFileError::Weights(e)))?;
        if let (Some(weights), Some(second)) = (&of_second, second) {
            weights.check(second).map_err(|e| fail(ModelFileError::Weights(e)))?;
        }
        return Ok((found.weights, of_second.filter(|_| second.is_some())));
    }
    let mut initial = init::weights(layers, config.scheme(), config.seed);
    if let Some(path) = pretrained {
        let found = weights::load_floats(&path)?.weights;
        let own = loc_model::pretrained::lite0(layers, &found)
            .map_err(|e| TrainError::model(path, ModelFileError::Pretrained(e)))?;
        initial.0.extend(own.0);
    }
    standardise(layers, &mut initial, train, processes, progress)?;
    Ok((initial, None))
}

/// Gives a model that always answers the random weights of a logit of presence, where one is to be trained; takes that of
/// another model away where the training photos have no negatives.
fn fit_presence(
    config: &Config,
    layers: &Network,
    found: &mut Weights,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    let is_presence = |name: &str| name.starts_with("presence_out.");
    let has = found.0.keys().any(|name| is_presence(name));
    if layers.presence().is_some() && !has {
        let fresh = init::weights(layers, config.scheme(), config.seed).0;
        found.0.extend(fresh.into_iter().filter(|(name, _)| is_presence(name)));
    } else if layers.presence().is_none() && has {
        found.0.retain(|name, _| !is_presence(name));
        let message = "the initial model says whether there is an object, but no training photo is without one: the new \
                       model always answers";
        progress.report(Event::Warning(message.into()))?;
    }
    Ok(())
}

/// Checks that a model was made for the data set's classes.
fn same_classes(path: &std::path::Path, model: &[String], data: &[String]) -> Result<(), TrainError> {
    if model == data {
        return Ok(());
    }
    let kind = ModelFileError::Classes { model: model.to_vec(), data: data.to_vec() };
    Err(TrainError::model(path, kind))
}

/// Sets the layers that standardise the backbone's features, so that each channel has mean 0 and standard deviation 1
/// over the loader's photos.
pub(crate) fn standardise(
    network: &Network,
    weights: &mut Weights,
    loader: &Loader,
    processes: &Processes,
    progress: &mut Progress,
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
    // Sums of values and of squares for each layer and channel: of each photo, then over the photos in their order.
    let mut sums: Vec<Vec<[f64; 2]>> = read.iter().map(|l| vec![[0.0; 2]; network.shape(*l).0[0]]).collect();
    let mut done = 0;
    for batch in loader.with_rows(processes.rows()).in_order(AT_ONCE * processes.size()) {
        let batch = batch?;
        let (n, own) = (batch.labels.len(), batch.images.dim().0);
        let bytes = ImageBatch::Bytes(batch.images.as_slice().unwrap_or_default());
        let values = if own == 0 { Vec::new() } else { forward.features(bytes, own, &read)? };
        let photos: Vec<f64> = (0..own).flat_map(|photo| sums_of(&values, (photo, own), &sums)).collect();
        for photo in processes.gather_f64(&photos)?.chunks_exact(2 * sums.iter().map(Vec::len).sum::<usize>())
        {
            for (sum, own) in sums.iter_mut().flatten().zip(photo.chunks_exact(2)) {
                *sum = [sum[0] + own[0], sum[1] + own[1]];
            }
        }
        done += n;
        progress.report(Event::Features { done, of: loader.len() })?;
    }
    for ((index, before), sums) in layers.iter().zip(sums) {
        let count = (network.shape(*before).len() / sums.len() * loader.len()) as f64;
        let name = &network.layers()[*index].name;
        for (channel, [sum, squares]) in sums.into_iter().enumerate() {
            let mean = sum / count;
            let deviation = (squares / count - mean * mean).max(0.0).sqrt();
            // A constant channel carries no information.
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

/// The sums of values and of squares of one of `n` photos, for each layer and channel.
fn sums_of(
    values: &[Vec<f32>],
    (photo, n): (usize, usize),
    channels: &[Vec<[f64; 2]>],
) -> impl Iterator<Item = f64> {
    values.iter().zip(channels).flat_map(move |(values, channels)| {
        let photo = &values[photo * (values.len() / n)..][..values.len() / n];
        photo.chunks_exact(photo.len() / channels.len()).flat_map(|plane| {
            let [mut sum, mut squares] = [0.0; 2];
            for v in plane {
                sum += f64::from(*v);
                squares += f64::from(*v) * f64::from(*v);
            }
            [sum, squares]
        })
    })
}
