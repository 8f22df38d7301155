//! What the end-to-end tests share: the command as it ships, captures read byte by byte, and what
//! an example says must come of it.
//!
//! Nothing here uses Sprat's own crates. What the command did is judged from outside.

#![forbid(unsafe_code)]

mod capture;
mod command;
mod expectation;
mod host;
mod live;
mod wall_clock;

pub use capture::{Record, read_capture};
pub use command::{
    Finished, binary, has_kvm, interrupted_sprat, project, sprat, sprat_with, unread_sprat,
};
pub use expectation::Expectation;
pub use host::{Host, kill, processor_time};
pub use live::{Live, in_namespace, in_namespaces, ip};
pub use wall_clock::WallClock;
