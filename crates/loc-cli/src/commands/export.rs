//! `loc export`: writes a model as ONNX, a file for each look, and optionally checks it by running it.

use anyhow::{Result, bail};
use loc_infer::SECOND_LOOK_EXTENSION;
use loc_net::{Network, Weights};

use super::model::{self, Model};
use crate::args::{ExportArgs, ExportFormat};
use crate::output::{Exit, Output, Usage};
use crate::outputs::{Inputs, Kind, Target};

/// The largest difference from loc's own output that `--check` accepts, on `cls` and `loc` (0..1).
#[cfg(feature = "onnx")]
const TOLERANCE: f32 = 1e-5;

pub(crate) fn run(args: &ExportArgs, output: &Output) -> Result<Exit> {
    let ExportFormat::Onnx = args.format;
    if args.check && !cfg!(feature = "onnx") {
        bail!(Usage(
            "--check: this build cannot run ONNX files (hint: cargo install --path crates/loc-cli --features onnx, \
             with protoc installed)"
                .into()
        ));
    }
    let path = model::locate(&args.model)?;
    let file = args.output.clone().unwrap_or_else(|| path.with_extension("onnx"));
    let inputs = Inputs::default().model(&path);
    let target = Target::file(&file, Kind::Onnx, &inputs, args.overwrite.force)?;
    let model = Model::load(&path)?;
    let bytes = graph(&model.network, &model.weights, &model.json, args, output)?;
    let second = match &model.second {
        None => None,
        Some((network, weights)) => {
            let file = file.with_extension(SECOND_LOOK_EXTENSION);
            let target = Target::file(&file, Kind::Onnx, &inputs, args.overwrite.force)?;
            let json = model.file.second_look_alone()?.to_json()?;
            Some((target, graph(network, weights, &json, args, output)?))
        }
    };
    for (target, bytes) in [Some((target, bytes)), second].into_iter().flatten() {
        target.write(bytes)?;
        output.made(&target)?;
    }
    Ok(Exit::Ok)
}

/// Returns one network as an ONNX file, checked if that was asked for.
fn graph(
    network: &Network,
    weights: &Weights,
    json: &str,
    args: &ExportArgs,
    output: &Output,
) -> Result<Vec<u8>> {
    let bytes = loc_model::export::onnx(network, weights, json, args.opset)?;
    #[cfg(feature = "onnx")]
    if args.check {
        let difference = loc_model::export::check(&bytes, network, weights)?;
        let (cls, loc) = (difference.cls, difference.loc);
        let presence =
            difference.presence.map_or_else(String::new, |presence| format!(", presence by {presence:.1e}"));
        if difference.max() > TOLERANCE {
            bail!(
                "the outputs of the exported file differ: cls by {cls:e}, loc by {loc:e}{presence}, more than {TOLERANCE:e}"
            );
        }
        output.note(&format!(
            "checked with another engine: cls differs by {cls:.1e}, loc by {loc:.1e}{presence} at most"
        ));
    }
    #[cfg(not(feature = "onnx"))]
    let _ = output;
    Ok(bytes)
}
