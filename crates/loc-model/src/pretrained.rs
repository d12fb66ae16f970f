//! Converts pretrained weights to those of a backbone.

use loc_net::{Network, Op, Weight, Weights};

use crate::ModelError;

/// The constant that TensorFlow adds to the variance in EfficientNet's batch normalisation.
const EPSILON: f64 = 1e-3;

/// Converts the state dict of EfficientNet-Lite0 in PyTorch to the parameters of the backbone `lite0`. Each batch
/// normalisation is folded into the convolution before it:
///
/// ```text
/// w ← w · γ / √(var + ε)      b ← β − μ · γ / √(var + ε)
/// ```
///
/// The standardisation after the backbone becomes the identity: its values are computed from photos later. Tensors that
/// the backbone does not need, those of the classifier, are ignored.
///
/// # Errors
///
/// [`ModelError::Pretrained`] with every tensor that is missing or has another shape.
pub fn lite0(network: &Network, state_dict: &Weights) -> Result<Weights, ModelError> {
    let mut problems = Vec::new();
    let mut folded = Weights::default();
    for (index, layer) in network.layers()[..network.backbone_layers()].iter().enumerate() {
        let channels = network.shape(index).0[0];
        let mut put = |what: &str, shape: Vec<usize>, data: Vec<f32>| {
            folded.0.insert(format!("{}.{what}", layer.name), Weight { shape, data });
        };
        match &layer.op {
            Op::ChannelAffine(_) => {
                put("weight", vec![channels], vec![1.0; channels]);
                put("bias", vec![channels], vec![0.0; channels]);
            }
            Op::Conv2d(_) => {
                let Some((conv, norm)) = names(&layer.name) else {
                    return Err(ModelError::Pretrained(format!("`{}` is not a layer of lite0", layer.name)));
                };
                let shape = network
                    .params()
                    .iter()
                    .find(|p| p.layer == index)
                    .map(|p| p.shape.clone())
                    .unwrap_or_default();
                let mut find = |name: String, shape: &[usize]| match state_dict.0.get(&name) {
                    Some(w) if w.shape == shape => Some(&w.data[..]),
                    Some(w) => {
                        problems
                            .push(format!("`{name}` has the shape {:?}, but must have {shape:?}", w.shape));
                        None
                    }
                    None => {
                        problems.push(format!("`{name}` is missing"));
                        None
                    }
                };
                let w = find(format!("{conv}.weight"), &shape);
                let [gamma, beta, mean, var] = ["weight", "bias", "running_mean", "running_var"]
                    .map(|what| find(format!("{norm}.{what}"), &[channels]));
                let (Some(w), Some(gamma), Some(beta), Some(mean), Some(var)) = (w, gamma, beta, mean, var)
                else {
                    continue;
                };
                let scale: Vec<f64> = gamma
                    .iter()
                    .zip(var)
                    .map(|(g, v)| f64::from(*g) / (f64::from(*v) + EPSILON).sqrt())
                    .collect();
                let each = w.len() / channels;
                let w = w.iter().enumerate().map(|(i, w)| (f64::from(*w) * scale[i / each]) as f32).collect();
                let b = (0..channels)
                    .map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * scale[c]) as f32)
                    .collect();
                put("weight", shape, w);
                put("bias", vec![channels], b);
            }
            _ => {}
        }
    }
    if problems.is_empty() {
        return Ok(folded);
    }
    let (shown, count) = (problems.iter().take(10).cloned().collect::<Vec<_>>().join(", "), problems.len());
    Err(ModelError::Pretrained(format!(
        "these are not the weights of EfficientNet-Lite0 ({count} differences): {shown}"
    )))
}

/// Returns the names in the state dict of a convolution and of its batch normalisation.
fn names(layer: &str) -> Option<(String, String)> {
    let pair = |conv: &str, norm: &str| Some((conv.to_owned(), norm.to_owned()));
    match layer {
        "stem" => return pair("_conv_stem", "_bn0"),
        "top" => return pair("_conv_head", "_bn1"),
        _ => {}
    }
    let (block, part) = layer.strip_prefix("block")?.split_once('.')?;
    let (conv, norm) = match part {
        "expand" => ("_expand_conv", "_bn0"),
        "depthwise" => ("_depthwise_conv", "_bn1"),
        "project" => ("_project_conv", "_bn2"),
        _ => return None,
    };
    Some((format!("_blocks.{block}.{conv}"), format!("_blocks.{block}.{norm}")))
}
