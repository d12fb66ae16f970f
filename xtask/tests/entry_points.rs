//! Checks the table "Entry points" of `docs/architecture.md`: the files that it names exist, and all existing layers,
//! losses, recipes and so on follow it.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the project fails")]

use std::path::{Path, PathBuf};

use fs_err as fs;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The rows of the table: what to add, and the paths to change.
fn rows() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let section = page.split("## Entry points").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| a") && line.contains('`'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let paths = cells[1].split('`').skip(1).step_by(2).filter(|path| path.contains('/'));
        (cells[0].to_owned(), paths.map(str::to_owned).collect())
    })
    .collect()
}

/// The paths of the row for `what`.
fn row(what: &str) -> Vec<String> {
    let found = rows().into_iter().find(|(name, _)| name == what);
    found.unwrap_or_else(|| panic!("docs/architecture.md has no row for {what}")).1
}

/// The names of the files in a folder without extension, except `mod`, `tests` and those of `except`.
fn names(folder: &str, except: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "mod" && name != "tests" && !except.contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

/// The text of a file.
fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// `max_pool2d` as `MaxPool2d`.
fn camel(name: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(upper).collect()
}

#[test]
fn the_files_and_folders_of_the_table_exist() {
    let rows = rows();
    assert!(rows.len() >= 8, "{rows:?}");
    for (what, paths) in rows {
        assert!(!paths.is_empty(), "{what}");
        for path in paths {
            let path = path.split("NAME").next().unwrap().trim_end_matches('/').to_owned();
            assert!(root().join(&path).exists(), "{what}: {path} does not exist");
        }
    }
}

#[test]
fn a_layer_is_a_file_in_two_crates_and_a_line_in_the_table_of_kernels() {
    let paths = row("a layer");
    assert_eq!(paths.len(), 4, "{paths:?}");
    // `pool`: a window and its stride, which two operations share; `windows`: its Candle implementation.
    let operations = names("crates/loc-net/src/graph/ops", &["pool"]);
    assert_eq!(names("crates/loc-model/src/layers", &["windows"]), operations);
    let table = text("crates/loc-net/src/exec/table.rs");
    for name in operations {
        assert!(table.contains(&format!("Op::{}(", camel(&name))), "{name} has no kernel");
    }
}

#[test]
fn a_loss_is_a_file_and_a_line() {
    assert_eq!(row("a loss").len(), 2);
    let kinds = text("crates/loc-model/src/loss/kinds.rs");
    // The losses of edges, features and presence have their own weights instead of a selectable name.
    let others = ["kinds", "testing", "tests", "reduce", "edges", "features", "presence"];
    for name in names("crates/loc-model/src/loss", &others) {
        assert!(kinds.contains(&format!("{name}::")), "the loss {name} has no line");
    }
}

#[test]
fn a_backbone_is_a_file_and_a_variant() {
    let list = text("crates/loc-net/src/graph/backbones/mod.rs");
    for name in names("crates/loc-net/src/graph/backbones", &[]) {
        assert!(list.contains(&camel(&name)), "the backbone {name} has no variant");
    }
}

#[test]
fn a_recipe_is_a_file_and_a_line() {
    let list = text("crates/loc-train/src/config/recipes.rs");
    for name in names("crates/loc-train/recipes", &[]) {
        assert!(list.contains(&format!("(\"{name}\", include_str!")), "the recipe {name} is not listed");
    }
}

#[test]
fn a_configuration_key_is_declared_in_one_file() {
    let [keys] = &row("a configuration key")[..] else { panic!("a key must need only one file") };
    let declared = text(keys);
    // Every key of a recipe is declared in that file.
    for recipe in names("crates/loc-train/recipes", &[]) {
        let table: toml::Table = text(&format!("crates/loc-train/recipes/{recipe}.toml")).parse().unwrap();
        for key in table.keys().filter(|key| *key != "augment" && *key != "expect") {
            let is_declared = declared.lines().any(|line| {
                let line = line.trim_start();
                line.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with([':', ' ']))
            });
            assert!(is_declared, "{recipe}: {key} is not declared in {keys}");
        }
    }
}

#[test]
fn a_format_has_a_line_and_a_subcommand_a_section_of_the_reference() {
    let [_, table, fixtures] = &row("an annotation format")[..] else { panic!("a reader, a row, a fixture") };
    let (table, fixtures) = (text(table), text(fixtures));
    // What readers share is in the others.
    for name in names("crates/loc-data/src/formats", &["header", "json", "number", "registry", "text"]) {
        let reader = format!(", {name}::READER;");
        let row = table.lines().find(|line| line.contains(&reader));
        let row = row.unwrap_or_else(|| panic!("the format {name} has no row"));
        let format = format!("Format::{},", row.trim().split(',').next().unwrap());
        assert!(fixtures.contains(&format), "the format {name} has no fixture");
    }
    let reference = text("docs/cli.md");
    for command in
        ["data", "export", "import", "info", "lr-find", "predict", "shard", "train", "val", "weights"]
    {
        assert!(names("crates/loc-cli/src/commands", &[]).contains(&command.replace('-', "_")), "{command}");
        assert!(reference.contains(&format!("loc {command}")), "docs/cli.md has no {command}");
    }
}
