//! `(x − mean) / std` for each colour channel.

use super::layer::{ForwardPass, Gradients, LayerKernel, SavedPass};
use super::parts::Parts;

/// The normalisation of photos `[n, 3, cells]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalize {
    /// Mean of each colour channel.
    pub mean: [f32; 3],
    /// Standard deviation of each colour channel, above 0.
    pub std: [f32; 3],
    /// Cells per channel.
    pub cells: usize,
}

impl LayerKernel for Normalize {
    fn forward(&self, pass: ForwardPass) {
        let ForwardPass { inputs, y, .. } = pass;
        assert_eq!(inputs[0].len(), y.len(), "input and output");
        let planes = y.chunks_exact_mut(self.cells).zip(inputs[0].chunks_exact(self.cells));
        for ((y, x), (mean, std)) in planes.zip(self.mean.iter().zip(&self.std).cycle()) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) / std);
        }
    }

    fn backward(&self, _: &Parts, _: &SavedPass, gradients: Gradients) {
        let [Some(gx)] = gradients.inputs else { return };
        let planes = gx.chunks_exact_mut(self.cells).zip(gradients.output.chunks_exact(self.cells));
        for ((gx, gy), std) in planes.zip(self.std.iter().cycle()) {
            gx.iter_mut().zip(gy).for_each(|(gx, gy)| *gx = gy / std);
        }
    }
}
