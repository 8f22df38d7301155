//! The domain name system: names and messages as they travel, and the client that resolves names.

mod cache;
mod client;
mod message;
mod name;

pub(crate) use cache::Cache;
pub use message::{CLASS_IN, Header, Kind, Question, Reader, Record, flags, response};
pub use name::{Name, NameError};
