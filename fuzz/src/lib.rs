//! The targets, which the tests of loc-cli call too (`crates/loc-cli/tests/fire.rs`).

#[path = "../../crates/loc-cli/tests/fire/targets.rs"]
pub mod targets;
