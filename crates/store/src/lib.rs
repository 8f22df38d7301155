//! What lasts on a block device: an append-only [`Log`], and values by key over it ([`LogStore`]).
//!
//! A log is a sequence of records. Each has a checksum that depends on everything before it, so what a
//! write left half done, or what an earlier use of the same blocks left, is never taken for a record:
//! opening a log replays it up to there and cuts the rest off. The device has room for two logs, of
//! which one counts; [`Log::rewrite`] writes the other, shorter one and then has that count.
//!
//! The way of a record: [`Log::append`] puts it in memory, [`Log::commit`] writes all that were
//! appended at once (from then on they outlive the instance and its monitor), [`Log::flush`] has the
//! host keep them where they outlive the host.
//!
//! There are no tasks, clocks or devices in here: who writes, and when, is the application's.
//!
//! ```
//! use sprat_devices::{Block, KeyValue, KeyValueMut, Random};
//! use sprat_store::{LogError, LogStore};
//!
//! async fn count(device: impl Block, mut random: impl Random) -> Result<u8, LogError> {
//!     let (store, _) = LogStore::open(device, random.next()).await?;
//!     let before = store.get("visits").await?.map_or(0, |value| value[0]);
//!     store.set("visits", &[before + 1]).await?;
//!     Ok(before + 1)
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod checksum;
mod error;
mod layout;
mod lock;
mod log;
mod recovery;
mod rewrite;
mod store;
#[cfg(test)]
mod testing;
mod writer;

pub use error::LogError;
pub use log::{Log, Recovered};
pub use rewrite::Rewrite;
pub use store::LogStore;
pub use writer::{Place, RECORD_LIMIT};
