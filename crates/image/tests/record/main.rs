//! An image is built again from its record alone; whoever changed the record is found out.
#![cfg(feature = "store")]

mod again;
mod booting;
mod changed;
mod documents;
mod making;
#[path = "../scratch/mod.rs"]
mod scratch;
mod signatures;
mod sources;
