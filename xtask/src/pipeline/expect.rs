//! The expected results of a recipe: its `[expect]` table, by data set.
//!
//! ```toml
//! [expect]
//! shapes = { iou_gain = 0.2, acc_gain = 0.4 }   # gain over the constant answer
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;
use serde::Deserialize;

use super::results::Validation;
use crate::workspace::Workspace;

/// The `[expect]` table of one recipe.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Expectation {
    #[serde(default)]
    expect: BTreeMap<String, Least>,
}

/// The minimum of each metric; gains are differences to the constant answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Least {
    acc_gain: Option<f64>,
    iou_gain: Option<f64>,
    accuracy: Option<f64>,
    mean_iou: Option<f64>,
    iou50: Option<f64>,
    iou75: Option<f64>,
    localization_accuracy: Option<f64>,
}

/// The expected results of a built-in recipe on one data set.
pub(crate) struct Promise {
    pub(crate) recipe: String,
    pub(crate) dataset: String,
    /// `mean IoU ≥ 0.720`, and so on.
    pub(crate) least: Vec<String>,
}

/// The `[expect]` tables of all built-in recipes, by name.
pub(crate) fn promises(workspace: &Workspace) -> Result<Vec<Promise>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace.root.join("crates/loc-train/recipes"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    let mut promises = Vec::new();
    for recipe in names {
        for (dataset, least) in Expectation::of_recipe(workspace, &recipe)?.expect {
            let rows = least.rows().into_iter();
            let least = rows.filter_map(|(name, least)| Some(format!("{name} ≥ {:.3}", least?))).collect();
            promises.push(Promise { recipe: recipe.clone(), dataset, least });
        }
    }
    Ok(promises)
}

impl Expectation {
    /// Reads a recipe: a built-in one by name, or a `.toml` file.
    pub(super) fn of_recipe(workspace: &Workspace, recipe: &str) -> Result<Self> {
        let path = if Path::new(recipe).extension().is_some_and(|extension| extension == "toml") {
            workspace.root.join(recipe)
        } else {
            workspace.root.join(format!("crates/loc-train/recipes/{recipe}.toml"))
        };
        Self::parse(&fs::read_to_string(&path)?).with_context(|| format!("reading {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// Prints one line per expectation; returns those that are not met.
    pub(super) fn report(&self, data: &str, got: &Validation) -> Vec<String> {
        let Some(least) = self.expect.get(data) else {
            println!("the recipe has no expected results for {data}");
            return Vec::new();
        };
        let checked = least.check(got);
        for (line, met) in &checked {
            println!("expected {line}: {}", if *met { "met" } else { "NOT met" });
        }
        checked.into_iter().filter(|(_, met)| !met).map(|(line, _)| line).collect()
    }
}

impl Least {
    /// The name and the minimum of each metric.
    fn rows(&self) -> [(&'static str, Option<f64>); 7] {
        [
            ("accuracy gain", self.acc_gain),
            ("mean IoU gain", self.iou_gain),
            ("accuracy", self.accuracy),
            ("mean IoU", self.mean_iou),
            ("IoU ≥ 0.5", self.iou50),
            ("IoU ≥ 0.75", self.iou75),
            ("localization accuracy", self.localization_accuracy),
        ]
    }

    fn check(&self, got: &Validation) -> Vec<(String, bool)> {
        let values = [
            got.accuracy_gain(),
            got.iou_gain(),
            got.accuracy,
            got.mean_iou,
            got.iou50,
            got.iou75,
            got.localization_accuracy,
        ];
        let check = |((name, least), got): ((&str, Option<f64>), Option<f64>)| {
            let least = least?;
            let shown = got.map_or_else(|| "n/a".to_owned(), |got| format!("{got:.3}"));
            Some((format!("{name} at least {least:.3}, got {shown}"), got.is_some_and(|got| got >= least)))
        };
        self.rows().into_iter().zip(values).filter_map(check).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::RECORD;
    use super::*;

    #[test]
    fn each_expectation_is_checked_against_its_own_metric() {
        let recipe = "lr = 0.1\n[expect]\n\
            shapes = { iou_gain = 0.2, acc_gain = 0.6, iou75 = 0.1, localization_accuracy = 0.9 }";
        let expectation = Expectation::parse(recipe).unwrap();
        let got = Validation::parse(RECORD).unwrap();
        assert_eq!(
            expectation.report("shapes", &got),
            ["accuracy gain at least 0.600, got 0.500", "IoU ≥ 0.75 at least 0.100, got n/a"]
        );
        assert!(expectation.report("other", &got).is_empty());
        assert!(Expectation::parse("lr = 0.1").unwrap().report("shapes", &got).is_empty());
    }

    #[test]
    fn a_misspelt_metric_is_an_error() {
        let error = Expectation::parse("[expect]\nshapes = { iou_gian = 0.2 }").unwrap_err().to_string();
        assert!(error.contains("unknown field `iou_gian`"), "{error}");
    }

    #[test]
    fn every_recipe_has_a_table_that_can_be_read() {
        let workspace = Workspace::locate().unwrap();
        let promises = promises(&workspace).unwrap();
        for entry in fs::read_dir(workspace.root.join("crates/loc-train/recipes")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let recipe = name.trim_end_matches(".toml");
            let promised = promises.iter().any(|p| p.recipe == recipe && !p.least.is_empty());
            assert!(promised, "{name} has no [expect] table");
        }
    }
}
