//! Each image in `src/bin` breaks one rule: it is ended with exactly the right report, and a neighbour
//! goes on forwarding every frame in order.
#![allow(missing_docs)]

mod breaches;
mod endings;
mod lies;
mod meanwhile;
mod switch;
mod world;
