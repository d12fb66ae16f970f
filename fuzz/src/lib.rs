//! The fuzz targets, which the tests of loc-cli also call (`crates/loc-cli/tests/fuzz.rs`).

#[path = "../../crates/loc-cli/tests/fuzz/targets.rs"]
pub mod targets;
