//! The targets, which the tests of loc-cli call too (`crates/loc-cli/tests/fuzz.rs`).

#[path = "../../crates/loc-cli/tests/fuzz/targets.rs"]
pub mod targets;
