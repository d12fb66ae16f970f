//! The features of photos and their novelty, by the network of a model file.

use loc_data::Loader;
use loc_infer::confidence::Novelty;
use loc_net::{Forward, ImageBatch, Network, Weights};

use crate::error::TrainError;
use crate::eval::fit_novelty;

/// Photos per batch.
const BATCH: usize = 32;
/// The share of photos of the known kind that is to be accepted.
const ACCEPTED: f64 = 0.95;
/// The most photos that the directions are fitted to; more make little difference.
pub const KNOWN_PHOTOS: usize = 500;

/// Fits a novelty to a model: its directions to photos that the model was trained on, at most [`KNOWN_PHOTOS`] of them, its
/// threshold to others, so that 95 % of photos of their kind are accepted.
///
/// None with fewer than 32 known photos or 19 others.
///
/// # Errors
///
/// [`TrainError`] of a loader or the network.
pub fn novelty(
    network: &Network,
    weights: &Weights,
    known: &Loader,
    held_back: &Loader,
) -> Result<Option<Novelty>, TrainError> {
    let forward = Forward::new(network.clone(), weights.clone())?.with_features()?;
    let of = |loader: &Loader| features(&forward, loader);
    Ok(fit_novelty(&of(known)?, &of(held_back)?, network.class_feature_count(), ACCEPTED))
}

/// The novelty of each photo of a loader, in its order.
///
/// # Errors
///
/// [`TrainError`] of the loader or the network.
pub fn novelties(
    network: &Network,
    weights: &Weights,
    model: &Novelty,
    photos: &Loader,
) -> Result<Vec<f32>, TrainError> {
    let all = features(&Forward::new(network.clone(), weights.clone())?.with_features()?, photos)?;
    Ok(all.chunks_exact(network.class_feature_count().max(1)).map(|features| model.of(features)).collect())
}

/// The features of the whole photos that the class is read from.
fn features(forward: &Forward, photos: &Loader) -> Result<Vec<f32>, TrainError> {
    let mut all = Vec::new();
    for batch in photos.in_order(BATCH) {
        let images = batch?.images;
        let n = images.dim().0;
        // A batch is made in one piece.
        let bytes = images.as_slice().unwrap_or_default();
        all.extend(forward.run(ImageBatch::Bytes(bytes), n)?.features);
    }
    Ok(all)
}
