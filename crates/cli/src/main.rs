//! The `sprat` command.
fn main() {}
