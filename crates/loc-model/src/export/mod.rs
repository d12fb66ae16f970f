//! ONNX export: writes a network and its weights as one file that other runtimes can run.
//!
//! The input is `input`, `[batch, 3, height, width]`, RGB in 0..1; the normalisation is part of the graph. The outputs
//! are `cls`, `[batch, classes]`, the probabilities, and `loc`, `[batch, 4]`, the box x1, y1, x2, y2 in 0..1 of the
//! input; of networks with a logit of presence also `presence`, `[batch, 1]`, its sigmoid. Weights keep PyTorch's names. The protobuf messages are defined in `messages`, so `protoc` is not needed;
//! with the feature `onnx` a file can be run and compared (`check`).

#[cfg(feature = "onnx")]
mod check;
mod graph;
mod messages;
mod summary;

use loc_net::{METADATA_KEY, Network, Weights};
use prost::Message;
use serde_json::Value;

#[cfg(feature = "onnx")]
pub use check::{Difference, check};
pub(crate) use graph::{LastNode, LayerNodes, int, ints, pair, size};
pub use summary::{Summary, summary};

use crate::ModelError;

/// Name of the input.
pub const INPUT: &str = "input";
/// Name of the output that holds the probabilities.
pub const PROBABILITIES: &str = "cls";
/// Name of the output that holds the box.
pub const BOXES: &str = "loc";
/// Name of the output that holds the probability of presence, of networks that have its logit.
pub const PRESENCE: &str = "presence";

/// The default operator set of an export.
pub const DEFAULT_OPSET: i64 = 13;
/// The supported operator sets, each with the version of the file format that was current with it.
const OPSETS: [(i64, i64); 2] = [(11, 6), (DEFAULT_OPSET, 7)];

/// Returns the supported operator sets.
#[must_use]
pub fn opsets() -> [i64; 2] {
    OPSETS.map(|(version, _)| version)
}

/// The largest file, in bytes: the limit of protobuf.
const MAX_BYTES: usize = i32::MAX as usize;

/// Returns the network as an ONNX file. The same arguments always give the same bytes.
///
/// `metadata` is the JSON of the model file. It is stored in the properties as `loc`; two more properties hold parts of
/// it in a form that is easier to read: `classes` (a JSON list of names, in the order of the probabilities) and `input`
/// (one sentence). If it has a `temperature`, the graph divides the logits by it before the softmax, as prediction does.
///
/// # Errors
///
/// [`ModelError::Net`] if the weights are not those of the network; [`ModelError::Export`] for an operator set other
/// than 11 and 13, for metadata that is not JSON, has another number of classes or a temperature that is not above 0, and
/// for a file of more than 2 GiB.
pub fn onnx(network: &Network, weights: &Weights, metadata: &str, opset: i64) -> Result<Vec<u8>, ModelError> {
    let Some((_, ir_version)) = OPSETS.into_iter().find(|(version, _)| *version == opset) else {
        let known: Vec<String> = OPSETS.iter().map(|(version, _)| version.to_string()).collect();
        return Err(ModelError::Export(format!(
            "operator set {opset} is not supported; supported are {} (hint: the default is {DEFAULT_OPSET})",
            known.join(", ")
        )));
    };
    weights.check(network)?;
    let json: Value = serde_json::from_str(metadata)
        .map_err(|e| ModelError::Export(format!("the model's metadata is not JSON: {e}")))?;
    let metadata_props = properties(network, metadata, &json)?;
    let model = messages::Model {
        ir_version: Some(ir_version),
        producer_name: "loc".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph::graph(network, weights, temperature(&json)?)?),
        opset_import: vec![messages::OperatorSet { domain: Some(String::new()), version: Some(opset) }],
        metadata_props,
    };
    let size = model.encoded_len();
    if size > MAX_BYTES {
        return Err(ModelError::Export(format!(
            "the file would have {size} bytes, but at most {MAX_BYTES} are possible"
        )));
    }
    Ok(model.encode_to_vec())
}

/// The temperature in a model's metadata; 1 if there is none.
fn temperature(json: &Value) -> Result<f32, ModelError> {
    match &json["temperature"] {
        Value::Null => Ok(1.0),
        value => (value.as_f64().map(|t| t as f32).filter(|t| *t > 0.0 && t.is_finite()))
            .ok_or_else(|| ModelError::Export(format!("the model's temperature {value} is not above 0"))),
    }
}

fn properties(
    network: &Network,
    metadata: &str,
    json: &Value,
) -> Result<Vec<messages::Property>, ModelError> {
    let mut properties = vec![property(METADATA_KEY, metadata.to_owned())];
    if let Some(classes) = json["classes"].as_array() {
        if classes.len() != network.classes() {
            return Err(ModelError::Export(format!(
                "the model's metadata has {} classes, but its network has {}",
                classes.len(),
                network.classes()
            )));
        }
        properties.push(property("classes", json["classes"].to_string()));
    }
    properties.push(property("input", describe_input(network, &json["input"])));
    Ok(properties)
}

/// Describes the input of the graph in one sentence.
fn describe_input(network: &Network, input: &Value) -> String {
    let mut text = "RGB in 0..1, planar".to_owned();
    if let [_, height, width] = network.input().0[..] {
        text.push_str(&format!(", {width} wide and {height} high"));
    }
    if let Some(fit) = input["fit"].as_str() {
        text.push_str(&format!("; photos are fitted by {fit}"));
        if let Some(filter) = input["filter"].as_str() {
            text.push_str(&format!(" with the filter {filter}"));
        }
    }
    text.push_str("; mean and deviation are applied inside the graph");
    text
}

fn property(key: &str, value: String) -> messages::Property {
    messages::Property { key: key.to_owned(), value }
}

#[cfg(test)]
mod tests {
    use loc_net::ops::{Flatten, Linear, Normalize, Sigmoid};
    use loc_net::{NetworkBuilder, Op, Source, Weight};

    use super::*;

    /// The smallest network with both outputs; no other layer reads its box.
    fn network() -> (Network, Weights) {
        let mut net = NetworkBuilder::new(1, 2);
        let mean = [0.5; 3];
        let x =
            net.add("normalize", Op::Normalize(Normalize { mean, std: [0.25; 3] }), Source::Input).unwrap();
        let x = net.add("features", Op::Flatten(Flatten), x).unwrap();
        let logits = net.add("class_out", Op::Linear(Linear { out_features: 2 }), x).unwrap();
        let raw = net.add("box_out", Op::Linear(Linear { out_features: 4 }), x).unwrap();
        let boxes = net.add("box", Op::Sigmoid(Sigmoid), raw).unwrap();
        let network = net.finish(logits, boxes).unwrap();
        let weights = network.params().iter().map(|p| {
            let count = p.shape.iter().product();
            (p.name.clone(), Weight { shape: p.shape.clone(), data: vec![0.5; count] })
        });
        let weights = Weights(weights.collect());
        (network, weights)
    }

    fn decode(metadata: &str, opset: i64) -> messages::Model {
        let (network, weights) = network();
        let bytes = onnx(&network, &weights, metadata, opset).unwrap();
        messages::Model::decode(&bytes[..]).unwrap()
    }

    #[test]
    fn the_file_describes_its_classes_and_its_input() {
        let metadata = r#"{"classes":["cat","dog"],"input":{"fit":"letterbox","filter":"bilinear"}}"#;
        let model = decode(metadata, 13);
        assert_eq!((model.producer_name.as_str(), model.ir_version), ("loc", Some(7)));
        assert_eq!(model.opset_import[0].version, Some(13));
        let properties: Vec<(&str, &str)> =
            model.metadata_props.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        let input = "RGB in 0..1, planar, 2 wide and 1 high; photos are fitted by letterbox with the filter bilinear; \
                     mean and deviation are applied inside the graph";
        assert_eq!(properties, [("loc", metadata), ("classes", r#"["cat","dog"]"#), ("input", input)]);

        let model = decode("{}", 11);
        assert_eq!((model.ir_version, model.opset_import[0].version), (Some(6), Some(11)));
        let keys: Vec<&str> = model.metadata_props.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(keys, ["loc", "input"]);
    }

    #[test]
    fn the_graph_has_exactly_these_nodes() {
        let graph = decode("{}", DEFAULT_OPSET).graph.unwrap();
        let nodes: Vec<String> = graph
            .node
            .iter()
            .map(|n| format!("{}({}) -> {}", n.op_type, n.input.join(", "), n.output.join(", ")))
            .collect();
        assert_eq!(
            nodes,
            [
                "Sub(input, normalize.mean) -> normalize.centered",
                "Div(normalize.centered, normalize.std) -> normalize",
                "Flatten(normalize) -> features",
                "Gemm(features, class_out.weight, class_out.bias) -> class_out",
                "Gemm(features, box_out.weight, box_out.bias) -> box_out",
                "Sigmoid(box_out) -> loc",
                "Softmax(class_out) -> cls",
            ]
        );
        let scaled = decode(r#"{"temperature":2.5}"#, DEFAULT_OPSET).graph.unwrap();
        let last: Vec<&str> = scaled.node.iter().rev().take(2).map(|n| n.op_type.as_str()).collect();
        assert_eq!(last, ["Softmax", "Div"]);
        assert_eq!(scaled.node.len(), graph.node.len() + 1);
        let divisor = scaled.initializer.iter().find(|t| t.name == "softmax.temperature").unwrap();
        assert_eq!(divisor.raw_data, 2.5f32.to_le_bytes());
        let initializers: Vec<(&str, &[i64])> =
            graph.initializer.iter().map(|t| (t.name.as_str(), &t.dims[..])).collect();
        assert_eq!(
            initializers,
            [
                ("class_out.weight", &[2, 6][..]),
                ("class_out.bias", &[2]),
                ("box_out.weight", &[4, 6]),
                ("box_out.bias", &[4]),
                ("normalize.mean", &[1, 3, 1, 1]),
                ("normalize.std", &[1, 3, 1, 1]),
            ]
        );
        let shape = |value: &messages::ValueInfo| -> Vec<String> {
            let shape = value.value_type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
            let text = |d: messages::Dimension| d.dim_param.or(d.dim_value.map(|v| v.to_string())).unwrap();
            shape.dim.into_iter().map(text).collect()
        };
        assert_eq!(shape(&graph.input[0]), ["batch", "3", "1", "2"]);
        assert_eq!(shape(&graph.output[0]), ["batch", "2"]);
        assert_eq!(shape(&graph.output[1]), ["batch", "4"]);
    }
}
