//! Where batches are computed.

use candle_core::Device;

use crate::collective::Processes;

/// Where batches are computed: a device, and the processes that share each batch.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) device: Device,
    pub(crate) processes: Processes,
}

impl Place {
    /// A device of this process, which computes whole batches.
    pub(crate) fn alone(device: &Device) -> Self {
        Self { device: device.clone(), processes: Processes::default() }
    }
}
