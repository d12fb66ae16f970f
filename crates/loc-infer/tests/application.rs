//! An application outside the workspace that depends only on loc-infer: it builds, predicts, and has few dependencies.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::model::Model;
use common::{jpeg_of, photo};
use loc_infer::Localizer;

/// The whole program of the application.
const MAIN: &str = r#"
fn main() -> Result<(), loc_infer::Error> {
    let mut args = std::env::args().skip(1);
    let (model, photo) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let found = loc_infer::Localizer::load(model)?.predict_path(photo)?.found().expect("an object");
    println!("{} {} {:?}", found.name, found.confidence, found.bbox.xyxy());
    Ok(())
}
"#;

/// An application in a folder of its own, with the workspace's lock file and profiles: with the same versions, compiled
/// the same way, most of its crates are already in the workspace's target folder.
fn application(features: &str) -> tempfile::TempDir {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = fs_err::read_to_string(here.join("../../Cargo.toml")).unwrap();
    let profiles = workspace.split_once("\n[profile.").map_or("", |(_, profiles)| profiles);
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[package]\nname = \"application\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nloc-infer = {{ path = {here:?}, {features} }}\n\n\
         [workspace]\n\n[profile.{profiles}"
    );
    fs_err::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs_err::create_dir(folder.path().join("src")).unwrap();
    fs_err::write(folder.path().join("src/main.rs"), MAIN).unwrap();
    fs_err::copy(here.join("../../Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    folder
}

/// Runs cargo in the application's folder, with the target folder that this test was built in.
fn cargo(folder: &Path, args: &[&str]) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let run = |offline: bool| {
        Command::new(env!("CARGO"))
            .args(offline.then_some("--offline"))
            .args(args)
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", target)
            .output()
            .unwrap()
    };
    // The crates were already downloaded to build this test; if not, the registry is used.
    let mut output = run(true);
    if !output.status.success() {
        output = run(false);
    }
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "cargo {args:?} failed:\n{stderr}");
    stdout.into_owned()
}

/// The packages on which an application depends, without itself.
fn packages(features: &str, edges: &str) -> Vec<String> {
    let folder = application(features);
    let tree = cargo(folder.path(), &["tree", "--edges", edges, "--prefix", "none", "--format", "{p}"]);
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut packages: Vec<String> = tree.lines().filter(|l| !l.is_empty()).map(name).collect();
    packages.sort();
    packages.dedup();
    packages.retain(|p| !p.starts_with("application "));
    packages
}

#[test]
fn dependencies_stay_within_their_budget() {
    for (what, features, budget) in [
        ("core", "default-features = false", 35),
        ("native", "", 45),
        ("with drawing", "features = [\"draw\"]", 75),
    ] {
        for edges in ["normal", "normal,build"] {
            let packages = packages(features, edges);
            println!("{what}, edges {edges}: {} packages", packages.len());
            assert!(packages.iter().any(|p| p.starts_with("loc-infer ")), "{packages:?}");
            assert!(
                packages.len() <= budget,
                "{what}, edges {edges}: {} packages, the limit is {budget}:\n{}",
                packages.len(),
                packages.join("\n")
            );
            for framework in ["candle", "ndarray", "tokio", "loc-model", "loc-data"] {
                assert!(!packages.iter().any(|p| p.starts_with(framework)), "{what} depends on {framework}");
            }
        }
    }
}

#[test]
fn an_application_predicts_what_the_workspace_predicts() {
    let folder = application("");
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path
    };
    let (model, photo) = (Model::new(4).file(), jpeg_of(&photo(320, 240, 6)));
    let found = Localizer::from_bytes(&model).unwrap().predict_encoded(&photo).unwrap().found().unwrap();
    let (model, photo) = (file("model.safetensors", &model), file("photo.jpg", &photo));
    // The profile of this test itself.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let args =
        ["run", "--quiet", "--profile", profile, "--", &model.to_string_lossy(), &photo.to_string_lossy()];
    let printed = cargo(folder.path(), &args);
    // Not bit by bit: the two are compiled with different options.
    let numbers = |text: &str| -> Vec<f32> {
        text.split(|c: char| !(c.is_ascii_digit() || c == '.')).filter_map(|n| n.parse().ok()).collect()
    };
    let expected = format!("{} {} {:?}", found.name, found.confidence, found.bbox.xyxy());
    assert!(printed.starts_with(&found.name), "{printed} and {expected}");
    let (got, expected) = (numbers(&printed), numbers(&expected));
    assert_eq!(got.len(), 5, "{printed}");
    assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-2), "{got:?} and {expected:?}");
}
