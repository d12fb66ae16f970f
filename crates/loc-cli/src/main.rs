//! The `loc` command.
fn main() {}
