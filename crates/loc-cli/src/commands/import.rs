//! `loc import`: converts PyTorch weights to a model file.

use anyhow::{Context, Result, bail};
use loc_infer::{ImageSize, InputSpec, ModelMeta};
use loc_net::{InputShape, NetworkConfig};
use loc_train::ModelFile;

use super::model::check_importable;
use crate::args::ImportArgs;
use crate::output::{Exit, Output, Usage};
use crate::outputs::{Inputs, Kind, Target};

pub(crate) fn run(args: &ImportArgs, output: &Output) -> Result<Exit> {
    let usage = |text: String| Usage(text);
    let size = ImageSize { width: args.imgsz, height: args.imgsz };
    let classes = loc_data::class_list(&args.classes)?;
    let meta = ModelMeta::new(classes.clone(), InputSpec { size, ..InputSpec::default() })
        .map_err(|e| usage(format!("--imgsz: {e}")))?;
    let side = usize::try_from(args.imgsz)?;
    let network = NetworkConfig::five_conv(InputShape { height: side, width: side }, classes.len());
    let file = ModelFile::new(meta, network);
    let layers = file.build().map_err(|e| usage(format!("--imgsz {}: {e}", args.imgsz)))?;

    let inputs = Inputs::default().files([&args.input]);
    let target = Target::file(&args.output, Kind::Model, &inputs, args.overwrite.force)?;
    check_importable(&args.input)?;
    let found = loc_model::import::read(&args.input)?;
    if found.metadata.is_some() {
        bail!("{}: is a loc model already (hint: use it without importing it)", args.input.display());
    }
    let weights = found.weights;
    weights.check(&layers).with_context(|| args.input.display().to_string())?;
    target.write(loc_model::weights::to_bytes(&weights, Some(&file.to_json()?))?)?;
    output.note(&format!("{} parameters, classes {}", layers.parameter_count(), classes.join(", ")));
    output.made(&target)?;
    Ok(Exit::Ok)
}
