//! Whether a step will fit into memory: an error with numbers instead of a killed process.

use loc_net::{Network, Op, Source};

use crate::TrainError;

/// Bytes that a step keeps of each photo, at least: the photo as bytes, and in f32 what each layer gives from layer
/// `first` on. What a layer gives is not counted if only a pooling or a relu reads it: those may be one with it.
fn of_a_photo(network: &Network, first: usize) -> u64 {
    let layers = network.layers();
    let kept = |index: usize| {
        let mut readers = layers.iter().filter(|l| l.inputs.contains(&Source::Layer(index))).peekable();
        readers.peek().is_none()
            || readers.any(|l| !matches!(l.op, Op::MaxPool2d(_) | Op::AvgPool2d(_) | Op::Relu | Op::Relu6))
    };
    let values: usize = (first..layers.len()).filter(|i| kept(*i)).map(|i| network.shape(i).len()).sum();
    let photo = if first == 0 { network.input().len() } else { 0 };
    (photo + 4 * values) as u64
}

/// Refuses a batch that could not fit into the memory that is available now, even if today's photos are fewer: the
/// configuration is for any. Where the memory is unknown, nothing is refused.
pub(crate) fn check(network: &Network, frozen: bool, batch: usize) -> Result<(), TrainError> {
    let first = if frozen { network.backbone_layers() } else { 0 };
    check_within(of_a_photo(network, first), batch, loc_data::available_memory())
}

fn check_within(each: u64, batch: usize, available: Option<u64>) -> Result<(), TrainError> {
    let needed = each.saturating_mul(batch as u64);
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    match available {
        Some(available) if needed > available => Err(TrainError::Config {
            origin: "configuration".into(),
            reason: format!(
                "batch is {batch}: a step on so many photos needs at least {} MiB of memory, {} MiB are available \
                 (hint: at most {} photos fit; a smaller `--imgsz` needs less)",
                mib(needed),
                available >> 20,
                available / each.max(1)
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use loc_net::{InputShape, NetworkConfig, Normalization};

    use super::*;

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
        check_within(each, 100, available).unwrap();
        check_within(each, 100_000, None).unwrap();
        let message = check_within(each, 100_000, available).unwrap_err().to_string();
        let (needed, there) = ((100_000 * each).div_ceil(1 << 20), (100 * each) >> 20);
        for part in ["batch is 100000", "at most 100 photos"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(
            message.contains(&format!("{needed} MiB")) && message.contains(&format!("{there} MiB")),
            "{message}"
        );
    }
}
