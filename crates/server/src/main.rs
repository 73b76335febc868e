//! The `bastide` binary.
fn main() {}
