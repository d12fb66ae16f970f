//! Malicious ONNX files: garbage, tensors in other files, unsupported operators, shapes of gigabytes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails is a test that fails")]
#![cfg(all(feature = "native", feature = "candle", feature = "onnx"))]

mod common;

use candle_onnx::onnx::attribute_proto::AttributeType;
use candle_onnx::onnx::tensor_proto::{DataLocation, DataType};
use candle_onnx::onnx::{AttributeProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};
use common::model::Model;
use loc_infer::{ImageSize, LoadOptions, Localizer};
use prost::Message;

fn exported() -> Vec<u8> {
    let model = Model::of(ImageSize { width: 188, height: 188 }, &["cat", "dog"], 1);
    loc_model::export::onnx(&model.network(), &model.weights, &model.json(), 13).unwrap()
}

/// The exported file with a change.
fn with(change: impl Fn(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(&exported()[..]).unwrap();
    change(&mut model);
    model.encode_to_vec()
}

fn tensor<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut TensorProto {
    model.graph.as_mut().unwrap().initializer.iter_mut().find(|t| t.name == name).unwrap()
}

fn node<'a>(model: &'a mut ModelProto, op: &str) -> &'a mut NodeProto {
    model.graph.as_mut().unwrap().node.iter_mut().find(|n| n.op_type == op).unwrap()
}

fn attribute<'a>(model: &'a mut ModelProto, op: &str, name: &str) -> &'a mut AttributeProto {
    node(model, op).attribute.iter_mut().find(|a| a.name == name).unwrap()
}

#[track_caller]
fn refused(what: &str, bytes: &[u8], parts: &[&str]) {
    let message = Localizer::from_bytes(bytes).expect_err(what).to_string();
    for part in parts {
        assert!(message.contains(part), "{what}: {message}\nmissing: {part}");
    }
}

#[test]
fn garbage_is_refused() {
    refused("garbage", b"\x08\x07\x12\xff\xff\xff\xff", &["not a model file: ONNX cannot be read"]);
    refused("no graph", &with(|m| m.graph = None), &["the file has no graph"]);
    refused("no metadata", &with(|m| m.metadata_props.clear()), &["no metadata under the key `loc`"]);
}

#[test]
fn a_tensor_in_another_file_is_refused() {
    let outside = |m: &mut ModelProto| {
        let weight = tensor(m, "conv2.weight");
        weight.data_location = DataLocation::External as i32;
        weight.raw_data.clear();
        let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
        weight.external_data = vec![entry("location", "../../etc/passwd"), entry("length", "100")];
    };
    refused(
        "external",
        &with(outside),
        &["tensor `conv2.weight` is in another file, which is never read", "hint"],
    );
    // Without the flag, but with the entries that name the file.
    let unflagged = |m: &mut ModelProto| {
        outside(m);
        tensor(m, "conv2.weight").data_location = DataLocation::Default as i32;
    };
    refused("unflagged", &with(unflagged), &["is in another file"]);
}

#[test]
fn the_error_names_an_unsupported_operator_and_its_node() {
    for op in ["FancyOp", "ConstantOfShape", "Loop", "If", "Expand"] {
        let bytes = with(|m| {
            let node = node(m, "Relu");
            (node.op_type, node.name) = (op.into(), "the-node".into());
        });
        let named = format!("node `the-node` (operator `{op}`): the operator is not supported");
        refused(op, &bytes, &[&named, "only graphs that loc exported can be run"]);
    }
    let bytes = with(|m| node(m, "Relu").domain = "com.example".into());
    refused("a domain", &bytes, &["the domain `com.example` is not supported"]);
}

#[test]
fn shapes_that_do_not_match_the_values_are_refused() {
    let claim = |dims: Vec<i64>| with(|m| tensor(m, "conv1.weight").dims = dims.clone());
    refused(
        "2 GB",
        &claim(vec![536_870_912]),
        &["tensor `conv1.weight` has the shape [536870912] and 450 values"],
    );
    refused("overflow", &claim(vec![i64::MAX, i64::MAX]), &["tensor `conv1.weight`"]);
    refused("negative", &claim(vec![-1, 3]), &["tensor `conv1.weight`"]);
    let kind = |kind: DataType| with(|m| tensor(m, "conv1.weight").data_type = kind as i32);
    refused(
        "F16",
        &kind(DataType::Float16),
        &["tensor `conv1.weight` is FLOAT16, but only FLOAT and INT64 are supported"],
    );
    refused("I32", &kind(DataType::Int32), &["tensor `conv1.weight` is INT32"]);
    refused("I64", &kind(DataType::Int64), &["tensor `conv1.weight` has the shape"]);
}

#[test]
fn graphs_that_would_panic_or_exhaust_memory_are_refused() {
    let ints = |op: &'static str, name: &'static str, values: Vec<i64>| {
        with(|m| attribute(m, op, name).ints = values.clone())
    };
    let cases = [
        ("no input", with(|m| node(m, "Conv").input.clear()), "(operator `Conv`): 0 inputs"),
        ("no output", with(|m| node(m, "Conv").output.clear()), "(operator `Conv`): 0 outputs"),
        (
            "no attribute",
            with(|m| node(m, "Conv").attribute.clear()),
            "(operator `Conv`): has no integer attribute `group`",
        ),
        (
            "unknown input",
            with(|m| node(m, "Conv").input[0] = "x\x1b".into()),
            "reads `x\\u{1b}`, which no earlier node",
        ),
        (
            "no groups",
            with(|m| attribute(m, "Conv", "group").i = 0),
            "(operator `Conv`): the number of groups is invalid",
        ),
        ("seven groups", with(|m| attribute(m, "Conv", "group").i = 7), "do not divide into 7 groups"),
        (
            "a text",
            with(|m| attribute(m, "Conv", "group").r#type = AttributeType::String as i32),
            "no integer attribute `group`",
        ),
        ("a stride of 0", ints("Conv", "strides", vec![0, 1]), "`strides` is [0, 1]"),
        ("padding for terabytes", ints("Conv", "pads", vec![0, 0, 1 << 40, 1 << 40]), "the padding is"),
        ("negative padding", ints("Conv", "pads", vec![-5, 0, 0, 0]), "the padding is"),
        ("another kernel", ints("Conv", "kernel_shape", vec![3, 3]), "the weight's shape is"),
        ("a window of 0", ints("MaxPool", "kernel_shape", vec![0, 0]), "`kernel_shape` is [0, 0]"),
        ("a window beyond the map", ints("MaxPool", "kernel_shape", vec![250, 250]), "does not fit"),
        (
            "an axis",
            with(|m| attribute(m, "Flatten", "axis").i = -9),
            "(operator `Flatten`): needs the axis 1",
        ),
        ("softmax's axis", with(|m| attribute(m, "Softmax", "axis").i = 9), "has no axis 9"),
    ];
    for (what, bytes, part) in cases {
        refused(what, &bytes, &["engine `onnx`: node `", part]);
    }
    // Two small vectors whose sum is a matrix of a trillion values.
    let bytes = with(|m| {
        let graph = m.graph.as_mut().unwrap();
        let vector = |name: &str, dims: [i64; 2]| TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            raw_data: vec![0; 4 << 20],
            ..TensorProto::default()
        };
        graph.initializer.extend([vector("tall", [1 << 20, 1]), vector("wide", [1, 1 << 20])]);
        let add = |op: &str| NodeProto {
            op_type: op.into(),
            name: "bomb".into(),
            input: vec!["tall".into(), "wide".into()],
            output: vec!["boom".into()],
            ..NodeProto::default()
        };
        graph.node.insert(0, add("Add"));
    });
    refused("a bomb", &bytes, &["node `bomb` (operator `Add`): the shape [1048576, 1048576]", "values"]);
}

#[test]
fn non_finite_weights_are_refused_unless_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let bytes =
        with(|m| tensor(m, "class_out.weight").raw_data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes()));
    fs_err::write(&path, bytes).unwrap();
    let message = Localizer::load(&path).unwrap_err().to_string();
    assert!(message.contains("tensor `class_out.weight` has 1 non-finite values"), "{message}");
    let allowed = LoadOptions::default().allow_nonfinite(true);
    assert!(Localizer::load_with(&path, &allowed).is_ok());
}

/// The check of shapes accepts every export: all backbones and heads, both operator sets.
#[test]
fn every_export_of_loc_can_be_run() {
    use loc_net::ClassFeatures::{Region, Whole};
    use loc_net::{Backbone, Head, InputShape, NetworkConfig};
    for (backbone, head, class_features) in [
        (Backbone::FiveConv, Head::Mlp, Whole),
        (Backbone::Compact, Head::Edges, Whole),
        (Backbone::Compact, Head::Edges, Region),
        (Backbone::Lite0, Head::Edges, Region),
        (Backbone::Lite0, Head::Edges4, Whole),
    ] {
        let mut model = Model::of(ImageSize { width: 224, height: 224 }, &["a", "b", "c"], 3);
        let input = InputShape { height: 224, width: 224 };
        model.config = NetworkConfig { class_features, ..NetworkConfig::new(input, 3, backbone, head) };
        let network = model.network();
        model.weights = loc_model::init::weights(&network, loc_model::init::Scheme::He, 1);
        for opset in loc_model::export::opsets() {
            let bytes = loc_model::export::onnx(&network, &model.weights, &model.json(), opset).unwrap();
            let localizer =
                Localizer::from_bytes(&bytes).unwrap_or_else(|e| panic!("{backbone:?}, {opset}: {e}"));
            assert!(localizer.predict(&common::photo(50, 40, 1)).is_ok());
        }
    }
}
