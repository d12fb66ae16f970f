//! Parses the name of a device.

use candle_core::Device;

use crate::ModelError;

/// Returns the device with a name: `cpu`, or `cuda:N` with the number N of the GPU, from 0.
///
/// # Errors
///
/// [`ModelError::Device`] for any other name; for `cuda:N` in a build without the feature `cuda`, with a hint how to
/// build with it; and if the GPU or its driver is not available.
pub fn parse(name: &str) -> Result<Device, ModelError> {
    let fail = |reason: String| ModelError::Device { name: name.to_owned(), reason };
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let ordinal = name.strip_prefix("cuda:").filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let Some(ordinal) = ordinal.and_then(|n| n.parse::<usize>().ok()) else {
        return Err(fail("there is no such device (hint: `cpu`, or `cuda:0` for the first GPU)".into()));
    };
    if !cfg!(feature = "cuda") {
        return Err(fail(
            "this build has no CUDA (hint: `cargo build --release --features cuda` on a machine with the CUDA \
             toolkit)"
                .into(),
        ));
    }
    Device::new_cuda(ordinal).map_err(|e| {
        // Candle's message has several lines; the first one describes the failure.
        let message = e.to_string();
        let first = message.lines().next().unwrap_or_default().trim();
        fail(format!("no such GPU, or no driver for it: {first} (hint: `nvidia-smi` lists the GPUs)"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> String {
        parse(name).unwrap_err().to_string()
    }

    #[test]
    fn cpu_is_always_available() {
        assert!(matches!(parse("cpu").unwrap(), Device::Cpu));
    }

    #[test]
    fn an_unknown_name_gives_an_error_that_lists_the_devices() {
        for name in
            ["", "CPU", "cpu:0", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "cuda:0 ", "metal"]
        {
            let message = message(name);
            assert!(message.starts_with(&format!("device `{name}`:")), "{message}");
            assert!(message.contains("`cpu`") && message.contains("`cuda:0`"), "{message}");
        }
        assert!(message("cuda:99999999999999999999").contains("no such device"));
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_cuda_the_hint_is_how_to_build_with_it() {
        assert!(message("cuda:0").contains("cargo build --release --features cuda"));
    }

    #[test]
    #[cfg(feature = "cuda")]
    fn a_missing_gpu_is_a_clear_error() {
        assert!(message("cuda:250").contains("nvidia-smi"));
    }
}
