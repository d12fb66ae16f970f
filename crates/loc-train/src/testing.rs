//! What the unit tests share: a small model, and two of its parameters.

use candle_core::Device;
use loc_model::Model;
use loc_model::init::{self, Scheme};
use loc_net::{InputShape, NetworkConfig, Normalization};

pub(crate) fn model() -> Model {
    let input = InputShape { height: 188, width: 188 };
    let network = NetworkConfig::five_conv(input, 2).build(&Normalization::IDENTITY).unwrap();
    let weights = init::weights(&network, Scheme::He, 0);
    Model::new(network, &weights, &Device::Cpu).unwrap()
}

/// The bias of the classes.
pub(crate) fn bias(model: &Model) -> Vec<f64> {
    let values: Vec<f32> = model.vars()["class_out.bias"].to_vec1().unwrap();
    values.into_iter().map(f64::from).collect()
}
