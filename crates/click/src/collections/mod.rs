//! Collections that are compiled once, whatever they hold.
//!
//! An image has every element, and each generic map and sort that reading a configuration takes
//! would be in it again for each type. These do their work on positions, behind a `dyn` call for
//! each comparison, and only what touches the items is made for a type. Nothing here is for the
//! path of a packet.

mod map;
mod sort;

pub use map::{Map, Set};
pub use sort::{sort, sort_by_key};
