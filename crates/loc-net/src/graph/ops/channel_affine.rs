//! A scale and a shift for each channel.

use super::{Operation, ParamSpec, weight_and_bias};
use crate::{ParamKind, Shape};

/// `x · weight + bias` for each channel or feature, clipped at ± `limit`; parameters `NAME.weight [c]` and
/// `NAME.bias [c]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChannelAffine {
    /// Outputs are clipped to `-limit..=limit`; above 0.
    pub limit: f32,
}

impl Operation for ChannelAffine {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        if self.limit.is_nan() || self.limit <= 0.0 {
            return Err(format!("the limit {} is not above 0", self.limit));
        }
        Ok(inputs[0].clone())
    }

    fn params(&self, inputs: &[&Shape]) -> Vec<ParamSpec> {
        let channels = inputs[0].0[0];
        weight_and_bias(vec![channels], channels, ParamKind::Scale, 1)
    }

    fn describe(&self) -> String {
        format!("scale and shift, clipped at ±{}", self.limit)
    }
}
