//! The backend that computes a model.

use candle_core::Device;

/// The code that computes a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// loc-net's kernels, the whole network as one operation; on the CPU only.
    Kernels,
    /// Candle's operations, layer by layer; on any device.
    Composed,
}

impl Backend {
    /// Returns the backend for a device.
    #[must_use]
    pub fn of(device: &Device) -> Self {
        match device {
            Device::Cpu => Self::Kernels,
            _ => Self::Composed,
        }
    }
}
