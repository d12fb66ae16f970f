//! Reads a summary of an ONNX file, without running it.

use prost::Message;

use super::messages;
use crate::ModelError;

/// The summary of an ONNX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The program that wrote the file.
    pub producer: String,
    /// That program's version.
    pub producer_version: String,
    /// Version of ONNX's own operator set; 0 if the file has none.
    pub opset: i64,
    /// Names and dimensions of the inputs. A dimension is a number, or a name if it is dynamic.
    pub inputs: Vec<(String, Vec<String>)>,
    /// Names and dimensions of the outputs.
    pub outputs: Vec<(String, Vec<String>)>,
    /// The nodes' operators, in order.
    pub nodes: Vec<String>,
    /// Number of values in the initialisers.
    pub parameters: i64,
    /// The properties: keys and values.
    pub metadata: Vec<(String, String)>,
}

/// The part of a model that is decoded: the operator of each node and the dimensions of each tensor. Such a message can
/// be as small as two bytes, so decoding complete messages could take a hundred times the file's size in memory.
#[derive(Clone, PartialEq, Message)]
struct Outline {
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphOutline>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<messages::OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<messages::Property>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphOutline {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Operator>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Dimensions>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<messages::ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<messages::ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Operator {
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct Dimensions {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
}

/// Reads the summary of an ONNX file.
///
/// # Errors
///
/// [`ModelError::Export`] if the bytes are not an ONNX file.
pub fn summary(bytes: &[u8]) -> Result<Summary, ModelError> {
    let fail = |reason: String| ModelError::Export(format!("not an ONNX file: {reason}"));
    let model = Outline::decode(bytes).map_err(|e| fail(e.to_string()))?;
    let graph = model.graph.ok_or_else(|| fail("the file has no graph".into()))?;
    let is_default_domain =
        |set: &&messages::OperatorSet| set.domain.as_deref().unwrap_or_default().is_empty();
    Ok(Summary {
        producer: model.producer_name,
        producer_version: model.producer_version,
        opset: model.opset_import.iter().find(is_default_domain).and_then(|set| set.version).unwrap_or(0),
        inputs: graph.input.iter().map(value).collect(),
        outputs: graph.output.iter().map(value).collect(),
        nodes: graph.node.into_iter().map(|n| n.op_type).collect(),
        parameters: graph
            .initializer
            .iter()
            .map(|t| t.dims.iter().copied().fold(1, i64::saturating_mul))
            .fold(0, i64::saturating_add),
        metadata: model.metadata_props.into_iter().map(|p| (p.key, p.value)).collect(),
    })
}

fn value(info: &messages::ValueInfo) -> (String, Vec<String>) {
    let shape = info.value_type.as_ref().and_then(|t| t.tensor_type.as_ref()).and_then(|t| t.shape.as_ref());
    let name = |d: &messages::Dimension| {
        d.dim_param.clone().or(d.dim_value.map(|v| v.to_string())).unwrap_or_else(|| "?".into())
    };
    (info.name.clone(), shape.map(|s| s.dim.iter().map(name).collect()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_not_an_onnx_file() {
        for bytes in [&b""[..], b"<html>", &[0x0a; 40]] {
            let message = summary(bytes).unwrap_err().to_string();
            assert!(message.contains("not an ONNX file"), "{message}");
        }
    }
}
