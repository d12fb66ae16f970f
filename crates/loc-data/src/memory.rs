//! An estimate of the memory for decoded photos, and the memory available: an error with numbers instead of a killed
//! process.

use crate::{DataError, Dataset, ImageSize};

/// Returns an error if the decoded photos do not fit in the memory available now; never where that is unknown.
///
/// # Errors
///
/// [`DataError::Memory`] with both numbers.
pub(crate) fn ensure_fits(
    dataset: &Dataset,
    indices: &[usize],
    input: ImageSize,
    workers: usize,
) -> Result<(), DataError> {
    refuse_above(needed(dataset, indices, input, workers), indices.len(), input)
}

/// Returns an error if so many bytes, needed for so many photos, are not available.
///
/// # Errors
///
/// [`DataError::Memory`] with both numbers.
pub(crate) fn refuse_above(needed: u64, photos: usize, input: ImageSize) -> Result<(), DataError> {
    match available() {
        Some(available) if needed > available => {
            Err(DataError::Memory { photos, width: input.width, height: input.height, needed, available })
        }
        _ => Ok(()),
    }
}

/// Bytes of the decoded photos at the input size, plus those of decoding the largest photo on each worker (stored pixels,
/// RGB, and rows in f32 for resizing: about three times its RGB bytes).
fn needed(dataset: &Dataset, indices: &[usize], input: ImageSize, workers: usize) -> u64 {
    let rgb = |size: ImageSize| 3 * u64::from(size.width) * u64::from(size.height);
    let kept = rgb(input).saturating_mul(indices.len() as u64);
    let largest = indices.iter().filter_map(|i| dataset.samples.get(*i)).map(|s| rgb(s.size)).max();
    let decoding = largest.unwrap_or(0).saturating_mul(3 * workers as u64);
    kept.saturating_add(decoding)
}

/// Bytes available without swapping: the kernel's estimate, bounded by the limits of the control group and of the process's
/// address space. `None` where that is unknown (anywhere but on Linux).
#[must_use]
pub fn available() -> Option<u64> {
    let meminfo = fs_err::read_to_string("/proc/meminfo").ok()?;
    let machine = kilobytes(&meminfo, "MemAvailable:")?;
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|p| fs_err::read_to_string(p).ok()?.trim().parse::<u64>().ok());
    let addresses = fs_err::read_to_string("/proc/self/limits").ok().and_then(|text| address_limit(&text));
    let status = fs_err::read_to_string("/proc/self/status").ok();
    let used = status.and_then(|text| kilobytes(&text, "VmRSS:")).unwrap_or(0);
    let own = addresses.map_or(u64::MAX, |limit| limit.saturating_sub(used));
    Some(machine.min(limit.unwrap_or(u64::MAX)).min(own))
}

/// The soft limit in the line `Max address space   123   unlimited   bytes`.
fn address_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|l| l.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Parses a line such as `MemAvailable:    123 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BBox, LabelledObject, Sample};

    fn dataset(sizes: &[(u32, u32)]) -> Dataset {
        let sample = |(width, height): &(u32, u32)| Sample {
            image: "a.jpg".into(),
            file: "a.jpg".into(),
            size: ImageSize { width: *width, height: *height },
            object: Some(LabelledObject { class: 0, bbox: BBox { x1: 0.0, y1: 0.0, x2: 1.0, y2: 1.0 } }),
            subset: None,
            digest: [0; 32],
            group: None,
        };
        Dataset { root: ".".into(), classes: vec!["a".into()], samples: sizes.iter().map(sample).collect() }
    }

    #[test]
    fn the_tutorials_photos_need_236_mb() {
        let set = dataset(&[(256, 256); 1200]);
        let all: Vec<usize> = (0..1200).collect();
        let input = ImageSize { width: 256, height: 256 };
        assert_eq!(needed(&set, &all, input, 2), 1200 * 196_608 + 2 * 3 * 196_608);
        assert_eq!(needed(&set, &[], input, 2), 0);
    }

    #[test]
    fn what_cannot_fit_is_refused_with_numbers() {
        let set = dataset(&[(4096, 4096)]);
        let many = vec![0; 2_000_000];
        let input = ImageSize { width: 4096, height: 4096 };
        ensure_fits(&set, &[0], ImageSize { width: 64, height: 64 }, 1).unwrap();
        if available().is_some() {
            let message = ensure_fits(&set, &many, input, 1).unwrap_err().to_string();
            assert!(message.contains("2000000 photos decoded to 4096×4096 need"), "{message}");
        }
    }

    #[test]
    fn reads_the_kernels_estimate() {
        let text = "MemTotal:       24 kB\nMemFree: 1 kB\nMemAvailable:   20 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(20_480));
        assert_eq!(kilobytes("MemTotal: 24 kB\n", "MemAvailable:"), None);
        assert_eq!(kilobytes("MemAvailable: lots kB\n", "MemAvailable:"), None);
    }

    #[test]
    fn reads_the_limit_of_addresses() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max address space         1536000              unlimited            bytes     \n";
        assert_eq!(address_limit(text), Some(1_536_000));
        assert_eq!(
            address_limit("Max address space         unlimited            unlimited            bytes\n"),
            None
        );
    }
}
