//! The allowed dependencies between the crates, and the libraries that each crate may use, checked with the manifests.
//!
//! `docs/architecture.md` describes the same in prose. Edges that are not in the tables here are not allowed.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the project fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use serde_json::Value;

/// Each crate and the crates of the workspace that it uses; `?` marks optional dependencies (features).
const EDGES: &[(&str, &[&str])] = &[
    ("loc-cli", &["loc-data", "loc-infer", "loc-model", "loc-net", "loc-shard", "loc-train"]),
    ("loc-data", &["loc-infer"]),
    ("loc-infer", &["loc-model?", "loc-net?"]),
    ("loc-model", &["loc-net"]),
    ("loc-net", &[]),
    ("loc-shard", &["loc-infer"]),
    ("loc-train", &["loc-data", "loc-infer", "loc-model", "loc-net"]),
    ("xtask", &[]),
];

/// Libraries that only some crates may use, also in tests; `?` marks optional dependencies (features).
const RESERVED: &[(&str, &[&str])] = &[
    ("anyhow", &["loc-cli", "xtask"]),
    ("candle-core", &["loc-infer?", "loc-model", "loc-train"]),
    ("candle-nn", &["loc-model", "loc-train"]),
    ("candle-onnx", &["loc-infer?", "loc-model?"]),
    ("clap", &["loc-cli", "xtask"]),
    ("image", &["loc-cli", "loc-data", "loc-infer"]),
    ("indicatif", &["loc-cli", "xtask"]),
    ("parquet", &["loc-shard"]),
    ("roxmltree", &["loc-data"]),
    ("ureq", &["xtask"]),
];

struct Dependency {
    of: String,
    on: String,
    optional: bool,
    dev: bool,
}

impl Dependency {
    /// The name as in the tables: with `?` if the dependency is optional.
    fn marked(&self, name: &str) -> String {
        format!("{name}{}", if self.optional { "?" } else { "" })
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn dependencies() -> Vec<Dependency> {
    let mut all = Vec::new();
    for package in packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            all.push(Dependency {
                of: package["name"].as_str().unwrap().to_owned(),
                on: dependency["name"].as_str().unwrap().to_owned(),
                optional: dependency["optional"].as_bool().unwrap(),
                dev: dependency["kind"] == "dev",
            });
        }
    }
    all
}

fn is_ours(name: &str) -> bool {
    EDGES.iter().any(|(ours, _)| *ours == name)
}

#[test]
fn the_dependencies_between_crates_are_exactly_those_of_the_table() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        found.entry(package["name"].as_str().unwrap().to_owned()).or_default();
    }
    for dependency in dependencies().iter().filter(|d| !d.dev && is_ours(&d.on)) {
        found.entry(dependency.of.clone()).or_default().insert(dependency.marked(&dependency.on));
    }
    let plan: BTreeMap<String, BTreeSet<String>> = EDGES
        .iter()
        .map(|(of, on)| ((*of).to_owned(), on.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(found, plan);
}

#[test]
fn the_document_shows_the_edges() {
    let document = include_str!("../../docs/architecture.md");
    for (of, on) in EDGES {
        let on = if on.is_empty() { "none".to_owned() } else { on.join(", ") };
        let row = format!("| {of} | {on} ");
        assert!(document.contains(&row), "docs/architecture.md has no row `{row}|`");
    }
}

#[test]
fn tests_use_no_crate_above_their_own() {
    // A crate may use itself in tests, with a feature that exports more.
    for dependency in dependencies().iter().filter(|d| d.dev && is_ours(&d.on) && d.of != d.on) {
        let below = below(&dependency.of);
        assert!(below.contains(&dependency.on), "the tests of {} use {}", dependency.of, dependency.on);
    }
}

/// All direct and indirect dependencies of a crate in the table.
fn below(name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let edges = EDGES.iter().filter(|(of, _)| *of == name).flat_map(|(_, on)| on.iter());
    for on in edges.map(|on| on.trim_end_matches('?')) {
        all.insert(on.to_owned());
        all.extend(below(on));
    }
    all
}

#[test]
fn reserved_libraries_are_used_only_by_the_listed_crates() {
    for dependency in dependencies() {
        if let Some((_, crates)) = RESERVED.iter().find(|(library, _)| *library == dependency.on) {
            // A test may always use a library that the crate uses as an optional dependency.
            let user = dependency.marked(&dependency.of);
            let allowed =
                crates.contains(&user.as_str()) || dependency.dev && crates.contains(&&*(user + "?"));
            assert!(allowed, "{} may not use {}", dependency.of, dependency.on);
        }
    }
}

#[test]
fn every_crate_inherits_lints_versions_and_licence_from_the_workspace() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let manifest = package["manifest_path"].as_str().unwrap();
        let manifest: toml::Table = toml::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
        let inherits =
            |table: &toml::Value| table.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        assert!(manifest.get("lints").is_some_and(inherits), "{name}: lints");
        for key in ["version", "edition", "rust-version", "license"] {
            assert!(manifest["package"].get(key).is_some_and(inherits), "{name}: {key}");
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (library, line) in manifest.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
                // A version is defined once: if two crates use a library, in the workspace's manifest.
                let only_here = dependencies().iter().filter(|d| d.on == *library).count() == 1;
                assert!(
                    inherits(line) || only_here,
                    "{name}: {library} must inherit its version from the workspace"
                );
            }
        }
    }
}

#[test]
fn toolchain_and_manifests_name_the_same_rust_version() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let toolchain: toml::Table = toml::from_str(&toolchain).unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap().to_owned();
    assert_eq!(channel.split('.').count(), 3, "`{channel}` is not a full version number");
    let short = channel.rsplit_once('.').unwrap().0;
    for package in packages() {
        assert_eq!(package["rust_version"], short, "{}", package["name"]);
    }
    for file in ["README.md", "CONTRIBUTING.md", ".ci/run", "docs/architecture.md"] {
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        for (at, _) in text.match_indices("Rust 1.") {
            let number = text[at + 5..].split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap();
            let number = number.trim_end_matches('.');
            assert!(
                number == channel || number == short,
                "{file} mentions Rust {number}, the toolchain is {channel}"
            );
        }
    }
}
