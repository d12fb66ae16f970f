//! Estimates of the memory that training needs: an error with numbers instead of a killed process.

use loc_net::ops::{Relu, Relu6};
use loc_net::{Network, Op, Source};

use crate::config::Config;
use crate::error::{ConfigError, TrainError};
use crate::input::{are_on_disk, feature_bytes};

/// Returns the bytes that a step keeps for each photo, at least: the photo, and the f32 output of each layer from
/// `first` on. An output that only a pooling or a ReLU reads is not counted: the layers may be fused.
fn of_a_photo(network: &Network, first: usize) -> u64 {
    let layers = network.layers();
    let kept = |index: usize| {
        let mut readers = layers.iter().filter(|l| l.inputs.contains(&Source::Layer(index))).peekable();
        readers.peek().is_none()
            || readers.any(|l| {
                !matches!(l.op, Op::MaxPool2d(_) | Op::AvgPool2d(_) | Op::Relu(Relu) | Op::Relu6(Relu6))
            })
    };
    let values: usize = (first..layers.len()).filter(|i| kept(*i)).map(|i| network.shape(i).len()).sum();
    let photo = if first == 0 { network.input().len() } else { 0 };
    (photo + 4 * values) as u64
}

/// The number of photos that a run keeps in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Photos {
    /// Decoded photos, at the size of the input.
    pub(crate) decoded: usize,
    /// Photos and copies whose features are cached for the head of a frozen backbone.
    pub(crate) featured: usize,
}

/// Checks that one process's share of a batch and the cached features fit into the available memory. The full batch size
/// counts, even if the data set is smaller. Where the memory is unknown, everything passes.
pub(crate) fn check(
    network: &Network,
    config: &Config,
    processes: usize,
    photos: Photos,
) -> Result<(), TrainError> {
    let first = if config.backbone_lr == 0.0 { network.backbone_layers() } else { 0 };
    let available = loc_data::available_memory();
    check_within(of_a_photo(network, first), (config.batch, processes), available)?;
    if are_on_disk(config, feature_bytes(network).saturating_mul(photos.featured as u64)) {
        return Ok(());
    }
    check_features(network, photos, available)
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

fn check_features(network: &Network, photos: Photos, available: Option<u64>) -> Result<(), TrainError> {
    let Photos { decoded, featured } = photos;
    let decoded = (network.input().len() as u64).saturating_mul(decoded as u64);
    let each = feature_bytes(network);
    let features = each.saturating_mul(featured as u64);
    match available {
        Some(available) if featured > 0 && decoded.saturating_add(features) > available => {
            let kind = ConfigError::FeatureMemory {
                photos: featured,
                needed: mib(features),
                decoded: mib(decoded),
                available: available >> 20,
                most: available.saturating_sub(decoded) / each,
            };
            Err(TrainError::config("configuration", kind))
        }
        _ => Ok(()),
    }
}

fn check_within(
    each: u64,
    (batch, processes): (usize, usize),
    available: Option<u64>,
) -> Result<(), TrainError> {
    let needed = each.saturating_mul(batch.div_ceil(processes) as u64);
    match available {
        Some(available) if needed > available => {
            let (needed, most) = (mib(needed), available / each.max(1) * processes as u64);
            let kind = ConfigError::BatchMemory { batch, needed, available: available >> 20, most };
            Err(TrainError::config("configuration", kind))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use loc_net::{InputShape, NetworkConfig, Normalization};

    use super::*;
    use crate::error::Remedy;

    fn network() -> Network {
        let input = InputShape { height: 256, width: 256 };
        NetworkConfig::five_conv(input, 2).build(&Normalization::IDENTITY).unwrap()
    }

    #[test]
    fn the_estimate_counts_what_is_kept() {
        let relus = 6 * 126 * 126 + 12 * 61 * 61 + 24 * 28 * 28 + 48 * 12 * 12 + 192 * 8 * 8;
        let each = of_a_photo(&network(), 0);
        // Of five convolutions the pooled relus but the last, which a pooling reads; the head adds a few thousand values.
        let least = 3 * 256 * 256 + 4 * (relus - 192 * 8 * 8) as u64;
        assert!((least..least + 200_000).contains(&each), "{each} for {least}");
        assert!(of_a_photo(&network(), network().backbone_layers()) < each / 10, "a head alone needs little");
    }

    #[test]
    fn a_batch_that_cannot_fit_is_refused_with_both_numbers() {
        let each = of_a_photo(&network(), 0);
        let available = Some(100 * each);
        check_within(each, (100, 1), available).unwrap();
        // Each of many processes has its own memory.
        check_within(each, (100_000, 1000), available).unwrap();
        check_within(each, (100_000, 1), None).unwrap();
        let error = check_within(each, (100_000, 1), available).unwrap_err();
        assert_eq!(error.remedy(), Some(Remedy::SmallerBatch { most: 100 }));
        let message = error.to_string();
        let (needed, there) = ((100_000 * each).div_ceil(1 << 20), (100 * each) >> 20);
        assert!(message.contains("batch is 100000"), "{message}");
        assert!(
            message.contains(&format!("{needed} MiB")) && message.contains(&format!("{there} MiB")),
            "{message}"
        );
    }

    #[test]
    fn features_that_cannot_fit_are_refused_before_work_with_all_numbers() {
        let input = InputShape { height: 224, width: 224 };
        let config = NetworkConfig::new(input, 2, loc_net::Backbone::Lite0, loc_net::Head::Edges);
        let network = config.build(&Normalization::IDENTITY).unwrap();
        let each = 2 * (112 * 14 * 14 + 320 * 7 * 7 + 1280) + 16;
        assert_eq!(feature_bytes(&network), each);
        let (photos, decoded) = (Photos { decoded: 1200, featured: 6000 }, 1200 * 3 * 224 * 224);
        let whole = decoded + 6000 * each;
        check_features(&network, photos, Some(whole)).unwrap();
        check_features(&network, photos, None).unwrap();
        check_features(&network, Photos { featured: 0, ..photos }, Some(decoded)).unwrap();
        let error = check_features(&network, photos, Some(whole - 1)).unwrap_err();
        assert_eq!(error.remedy(), Some(Remedy::FewerFeatures { most: Some(5999) }));
        let message = error.to_string();
        let numbers = [
            "6000 photos and augmented copies".to_owned(),
            format!("{} MiB of memory", (6000 * each).div_ceil(1 << 20)),
            format!("decoded photos {} MiB", decoded.div_ceil(1 << 20)),
            format!("{} MiB are available", (whole - 1) >> 20),
        ];
        for part in numbers {
            assert!(message.contains(&part), "no {part:?} in {message}");
        }
    }
}
