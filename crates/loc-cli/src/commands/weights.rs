//! `loc weights`: pretrained weights in the user's cache.

use anyhow::{Context, Result, anyhow};
use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization};
use loc_train::pretrained::{CATALOGUE, cached};

use super::shared::write_whole;
use crate::args::AddArgs;
use crate::output::{Exit, Output};

pub(crate) fn list(output: &Output) -> Result<Exit> {
    for known in CATALOGUE {
        let path = cached(known.name).ok_or_else(no_cache)?;
        let there = if path.is_file() { "is at" } else { "would be at" };
        output.data(&format!(
            "{}: for the backbone {}; {}; {}; {there} {}",
            known.name,
            known.backbone,
            known.licence,
            known.origin,
            path.display()
        ))?;
    }
    Ok(Exit::Ok)
}

/// Keeps a file's tensors as they are, once they are known to be those of a backbone.
pub(crate) fn add(args: &AddArgs, output: &Output) -> Result<Exit> {
    let known = CATALOGUE[0];
    let weights = loc_model::import::read_published(&args.input)?;
    let config = NetworkConfig {
        input: InputShape { height: 224, width: 224 },
        classes: 1,
        backbone: Backbone::Lite0,
        head: Head::Edges,
    };
    let network = config.build(&Normalization::IDENTITY)?;
    loc_model::pretrained::lite0(&network, &weights).with_context(|| args.input.display().to_string())?;
    let path = cached(known.name).ok_or_else(no_cache)?;
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    write_whole(&path, &loc_model::weights::to_bytes(&weights, None)?)?;
    output.note(&format!("{} ({}, {})", known.name, known.licence, known.origin));
    output.data(&path.display().to_string())?;
    Ok(Exit::Ok)
}

fn no_cache() -> anyhow::Error {
    anyhow!("there is no folder for weights (hint: set LOC_WEIGHTS)")
}
