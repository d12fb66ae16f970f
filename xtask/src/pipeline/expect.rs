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
    expect: BTreeMap<String, Minimums>,
}

/// The minimum of each metric; a gain is the difference to the constant answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Minimums {
    acc_gain: Option<f64>,
    iou_gain: Option<f64>,
    accuracy: Option<f64>,
    mean_iou: Option<f64>,
    iou50: Option<f64>,
    iou75: Option<f64>,
    localization_accuracy: Option<f64>,
}

/// The expected results of a built-in recipe on one data set.
pub(crate) struct ExpectedResult {
    pub(crate) recipe: String,
    pub(crate) dataset: String,
    /// For example `mean IoU ≥ 0.720`.
    pub(crate) minimums: Vec<String>,
}

/// The `[expect]` tables of all built-in recipes, by name.
pub(crate) fn expected_results(workspace: &Workspace) -> Result<Vec<ExpectedResult>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace.root.join("crates/loc-train/recipes"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    let mut expected_results = Vec::new();
    for recipe in names {
        for (dataset, minimums) in Expectation::of_recipe(workspace, &recipe)?.expect {
            let rows = minimums.rows().into_iter();
            let minimums =
                rows.filter_map(|(name, minimum)| Some(format!("{name} ≥ {:.3}", minimum?))).collect();
            expected_results.push(ExpectedResult { recipe: recipe.clone(), dataset, minimums });
        }
    }
    Ok(expected_results)
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
        let Some(minimums) = self.expect.get(data) else {
            println!("the recipe has no expected results for {data}");
            return Vec::new();
        };
        let checked = minimums.check(got);
        for (line, met) in &checked {
            println!("expected {line}: {}", if *met { "met" } else { "NOT met" });
        }
        checked.into_iter().filter(|(_, met)| !met).map(|(line, _)| line).collect()
    }
}

impl Minimums {
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
        let check = |((name, minimum), got): ((&str, Option<f64>), Option<f64>)| {
            let minimum = minimum?;
            let shown = got.map_or_else(|| "n/a".to_owned(), |got| format!("{got:.3}"));
            Some((
                format!("{name} at least {minimum:.3}, got {shown}"),
                got.is_some_and(|got| got >= minimum),
            ))
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
    fn every_recipe_has_a_valid_table_of_expected_results() {
        let workspace = Workspace::locate().unwrap();
        let expected_results = expected_results(&workspace).unwrap();
        for entry in fs::read_dir(workspace.root.join("crates/loc-train/recipes")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let recipe = name.trim_end_matches(".toml");
            let has_table = expected_results.iter().any(|p| p.recipe == recipe && !p.minimums.is_empty());
            assert!(has_table, "{name} has no [expect] table");
        }
    }
}
