//! The linear layer.

use super::{Operation, ParamSpec, weight_and_bias};
use crate::{ParamKind, Shape};

/// `x · weightᵀ + bias`; parameters `NAME.weight [out, in]` and `NAME.bias [out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Number of output features.
    pub out_features: usize,
}

impl Operation for Linear {
    fn output(&self, inputs: &[&Shape]) -> Result<Shape, String> {
        match inputs[0].0[..] {
            [_] => Ok(Shape(vec![self.out_features])),
            _ => Err(format!("needs a vector, got {}", inputs[0])),
        }
    }

    fn params(&self, inputs: &[&Shape]) -> Vec<ParamSpec> {
        let (out, features) = (self.out_features, inputs[0].len());
        weight_and_bias(vec![out, features], out, ParamKind::Weight, features)
    }

    fn multiply_adds(&self, inputs: &[&Shape], output: &Shape) -> usize {
        inputs[0].len() * output.len()
    }

    fn describe(&self) -> String {
        format!("linear → {}", self.out_features)
    }
}
