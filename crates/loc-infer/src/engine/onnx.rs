//! Runs an ONNX file that loc exported, with candle-onnx. Its property `loc` has the classes and the input, as in a
//! model file.

mod graph;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::{Device, Tensor};
use candle_onnx::onnx::tensor_proto::{DataLocation, DataType};
use candle_onnx::onnx::{ModelProto, TensorProto};
use prost::Message;

use super::{Engine, RawOutput};
use crate::{BoxError, Error, LoadOptions, MetadataError, ModelMeta, NotAModelError};

/// Names in the file: photos `[n, 3, height, width]`, probabilities `[n, classes]`, boxes `[n, 4]`, and where the model has it
/// the probability of presence `[n, 1]`.
const INPUT: &str = "input";
const PROBABILITIES: &str = "cls";
const BOXES: &str = "loc";
const PRESENCE: &str = "presence";

/// The property with the metadata.
const PROPERTY: &str = "loc";

/// An ONNX graph.
#[derive(Debug)]
pub struct Onnx {
    model: ModelProto,
    /// `[3, height, width]`.
    input: [usize; 3],
}

impl Onnx {
    /// Reads an ONNX file's bytes and runs it once, so that an operator that candle-onnx does not support is an error
    /// here and not at the first photo.
    ///
    /// # Errors
    ///
    /// [`Error::NotAModel`] if the bytes are not ONNX, [`Error::NoMetadata`] if loc did not export them,
    /// [`Error::Weights`] for a tensor that is stored in another file or whose number of values does not fit its shape,
    /// [`Error::NonFiniteWeights`] for values that are not finite, [`Error::Engine`] with the node if the graph cannot
    /// be run.
    pub fn read(bytes: &[u8]) -> Result<(ModelMeta, Self), Error> {
        Self::read_with(bytes, &LoadOptions::default())
    }

    /// As [`Onnx::read`], with options.
    ///
    /// # Errors
    ///
    /// As [`Onnx::read`].
    pub fn read_with(bytes: &[u8], options: &LoadOptions) -> Result<(ModelMeta, Self), Error> {
        let mut model = ModelProto::decode(bytes)
            .map_err(|error| Error::NotAModel(NotAModelError::Onnx(error.into())))?;
        let json = model.metadata_props.iter().find(|p| p.key == PROPERTY).ok_or(Error::NoMetadata)?;
        // The graph's probabilities are those at the model's temperature: it is not applied again.
        let meta = ModelMeta { temperature: 1.0, ..ModelMeta::from_json(&json.value)? };
        for tensor in model.graph.iter().flat_map(|graph| &graph.initializer) {
            let name = tensor.name.escape_debug();
            check(tensor).map_err(|reason| Error::Weights(format!("tensor `{name}` {reason}").into()))?;
            let bad = if options.allow_nonfinite { 0 } else { nonfinite(tensor) };
            if bad > 0 {
                let reason = format!("tensor `{name}` has {bad} non-finite values");
                return Err(Error::NonFiniteWeights(reason.into()));
            }
        }
        // Weights may also be listed as inputs; candle-onnx would then require a value for each of them.
        if let Some(graph) = &mut model.graph {
            graph.input.retain(|input| input.name == INPUT);
        }
        let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let input = [3, side(meta.input.size.height), side(meta.input.size.width)];
        let fail = |reason: String| Error::Engine { engine: "onnx", error: reason.into() };
        let [channels, height, width] = input;
        let graph = model.graph.as_ref().ok_or_else(|| fail("the file has no graph".into()))?;
        graph::check(graph, (INPUT, &[1, channels, height, width])).map_err(fail)?;
        let engine = Self { model, input };
        let output = engine.run(&vec![0.0; meta.input.values()], 1)?;
        if output.logits.len() != meta.classes.len() {
            let (names, network) = (meta.classes, output.logits.len());
            return Err(Error::Metadata(MetadataError::ClassCount { names, network }));
        }
        Ok((meta, engine))
    }

    fn eval(&self, images: &[f32], n: usize) -> Result<RawOutput, BoxError> {
        let [channels, height, width] = self.input;
        let images = Tensor::from_slice(images, (n, channels, height, width), &Device::Cpu)?;
        let inputs = HashMap::from([(INPUT.to_owned(), images)]);
        // No graph that passes `graph::check` is known to panic.
        let outputs = catch_unwind(AssertUnwindSafe(|| candle_onnx::simple_eval(&self.model, inputs)))
            .map_err(|_| "the graph is malformed")??;
        let values = |name: &str| -> Result<Vec<f32>, BoxError> {
            let tensor = outputs.get(name).ok_or_else(|| format!("the graph has no output `{name}`"))?;
            if tensor.dims().first() != Some(&n) {
                return Err(
                    format!("output `{name}` has the shape {:?} for {n} photos", tensor.dims()).into()
                );
            }
            Ok(tensor.flatten_all()?.to_vec1()?)
        };
        // The logarithm of a probability is a logit: softmax returns the probability.
        let logits = values(PROBABILITIES)?.iter().map(|p| p.ln()).collect();
        let presence = match outputs.contains_key(PRESENCE) {
            // In f64: 1 − p of a p near 1 would lose its digits.
            true => values(PRESENCE)?.into_iter().map(logit).collect(),
            false => Vec::new(),
        };
        Ok(RawOutput { logits, boxes: values(BOXES)?, presence, ..RawOutput::default() })
    }
}

impl Engine for Onnx {
    fn run(&self, images: &[f32], n: usize) -> Result<RawOutput, Error> {
        self.eval(images, n).map_err(|error| Error::Engine { engine: "onnx", error })
    }
}

/// The logit of a probability.
#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is wanted")]
fn logit(probability: f32) -> f32 {
    let p = f64::from(probability);
    (p / (1.0 - p)).ln() as f32
}

/// Checks a stored tensor.
fn check(tensor: &TensorProto) -> Result<(), String> {
    if tensor.data_location == DataLocation::External as i32 || !tensor.external_data.is_empty() {
        return Err(
            "is in another file, which is never read (hint: export the model to a single file)".into()
        );
    }
    let values = tensor.dims.iter().try_fold(1_usize, |product, dim| {
        usize::try_from(*dim).ok().and_then(|dim| product.checked_mul(dim))
    });
    let (listed, size) = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => (tensor.float_data.len(), 4),
        // The shape for a Reshape.
        Ok(DataType::Int64) => (tensor.int64_data.len(), 8),
        other => {
            let found = other.map_or_else(|_| tensor.data_type.to_string(), |t| t.as_str_name().to_owned());
            return Err(format!("is {found}, but only FLOAT and INT64 are supported"));
        }
    };
    let stored = if listed == 0 { tensor.raw_data.len() / size } else { listed };
    if values != Some(stored) || !tensor.raw_data.len().is_multiple_of(size) {
        return Err(format!("has the shape {:?} and {stored} values", tensor.dims));
    }
    Ok(())
}

/// The number of values of a checked tensor that are infinite or NaN.
fn nonfinite(tensor: &TensorProto) -> usize {
    if tensor.data_type != DataType::Float as i32 {
        return 0;
    }
    let raw = tensor.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    raw.chain(tensor.float_data.iter().copied()).filter(|v| !v.is_finite()).count()
}
