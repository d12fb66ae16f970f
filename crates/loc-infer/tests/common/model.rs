//! Model files made in memory: the tutorial's network with small random weights.

use loc_infer::{ImageSize, InputSpec, ModelMeta};
use loc_net::{Backbone, Head, InputShape, Network, NetworkConfig, Normalization, Weight, Weights};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// The parts of a model file.
pub(crate) struct Model {
    pub(crate) config: NetworkConfig,
    pub(crate) meta: ModelMeta,
    pub(crate) weights: Weights,
}

impl Model {
    /// Two classes, 256×256, weights uniform in ±1/√fan-in, the same on every machine.
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(ImageSize { width: 256, height: 256 }, &["cat", "dog"], seed)
    }

    pub(crate) fn of(size: ImageSize, classes: &[&str], seed: u64) -> Self {
        let input = InputShape { height: size.height as usize, width: size.width as usize };
        Self::with(NetworkConfig::five_conv(input, classes.len()), size, classes, seed)
    }

    /// As [`Model::of`], with a backbone that has no fused plan, and a head that uses feature maps.
    pub(crate) fn lite0(size: ImageSize, classes: &[&str], seed: u64) -> Self {
        let input = InputShape { height: size.height as usize, width: size.width as usize };
        let config = NetworkConfig::new(input, classes.len(), Backbone::Lite0, Head::Edges);
        Self::with(config, size, classes, seed)
    }

    pub(crate) fn with(config: NetworkConfig, size: ImageSize, classes: &[&str], seed: u64) -> Self {
        let spec = InputSpec { size, mean: [0.5, 0.4, 0.3], std: [0.25, 0.25, 0.5], ..InputSpec::default() };
        let meta = super::meta(classes, spec);
        let mut model = Self { config, meta, weights: Weights::default() };
        model.weights = random(&model.network(), seed);
        model
    }

    pub(crate) fn network(&self) -> Network {
        let InputSpec { mean, std, .. } = self.meta.input;
        self.config.build(&Normalization { mean, std }).unwrap()
    }

    /// The JSON of the metadata key `loc`.
    pub(crate) fn json(&self) -> String {
        let mut json = serde_json::to_value(&self.meta).unwrap();
        json["network"] = serde_json::to_value(&self.config).unwrap();
        json["recipe"] = serde_json::Value::Null;
        json["epoch"] = 30.into();
        json.to_string()
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        file(&self.weights, Some(&self.json()))
    }
}

/// A safetensors file of these weights, with the metadata key `loc` or as a plain one.
pub(crate) fn file(weights: &Weights, json: Option<&str>) -> Vec<u8> {
    let bytes: Vec<(&String, &Weight, Vec<u8>)> = weights
        .0
        .iter()
        .map(|(name, w)| (name, w, w.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, weight, bytes)| {
        (*name, TensorView::new(Dtype::F32, weight.shape.clone(), bytes).unwrap())
    });
    let metadata = json.map(|json| [("loc".to_owned(), json.to_owned())].into_iter().collect());
    safetensors::serialize(views, metadata).unwrap()
}

fn random(network: &Network, seed: u64) -> Weights {
    // Knuth's MMIX generator; only its high bits are used.
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 * 2.0 - 1.0
    };
    let weights = network.params().iter().map(|param| {
        let bound = 1.0 / (param.fan_in as f32).sqrt();
        let data = (0..param.shape.iter().product()).map(|_| next() * bound).collect();
        (param.name.clone(), Weight { shape: param.shape.clone(), data })
    });
    Weights(weights.collect())
}
