//! `cargo xtask recipes`: lists the expected results of each built-in recipe, or checks them.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::pipeline;
use crate::stages::Stages;
use crate::workspace::Workspace;

/// The flags of `cargo xtask recipes`.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:\n  cargo xtask recipes\n  \
                        cargo xtask recipes --check --recipe scratch --dataset shapes\n\n\
                        A check runs the whole pipeline with the unchanged recipe. Recipes with pretrained weights \
                        need them installed (`loc weights fetch`).")]
pub(crate) struct Options {
    /// Train each recipe on each data set of its table `expect`, and compare: over half an hour for all
    #[arg(long)]
    pub(crate) check: bool,
    /// Only this recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) recipe: Option<String>,
    /// Only on this data set
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// Read the data set from this .tar.gz instead of downloading it
    #[arg(long, value_name = "FILE", requires = "dataset")]
    pub(crate) archive: Option<PathBuf>,
}

/// Lists the expected results, or checks them.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let wanted = |name: &str, only: &Option<String>| only.as_deref().is_none_or(|only| only == name);
    let mut expected = pipeline::expected_results(workspace)?;
    expected.retain(|p| wanted(&p.recipe, &options.recipe) && wanted(&p.dataset, &options.dataset));
    ensure!(
        !expected.is_empty(),
        "no recipe has expected results for this selection (hint: `cargo xtask recipes` lists all)"
    );
    if !options.check {
        for result in expected {
            println!("{:10}{:11}{}", result.recipe, result.dataset, result.minimums.join(", "));
        }
        return Ok(());
    }
    let mut stages = Stages::new(true);
    for pipeline::ExpectedResult { recipe, dataset, .. } in expected {
        let archive = options.archive.clone();
        stages.run(&format!("{recipe} on {dataset}"), || {
            pipeline::run(workspace, &pipeline::Options::for_recipe(recipe, dataset, archive))
        });
    }
    stages.finish()
}
