//! Everything that developers and CI run.
fn main() {}
