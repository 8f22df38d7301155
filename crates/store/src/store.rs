//! Values by key over a log.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use sprat_devices::{Block, KeyValue, KeyValueMut};

use crate::lock::Lock;
use crate::{Log, LogError, Place, Recovered};

/// Values by key that last: what [`KeyValueMut`] promises is done outlives the program and what runs it.
///
/// The keys are in memory, the values on the device, which is read for each. Where the log has no room
/// for another value, it is written anew with those that count.
#[derive(Debug)]
pub struct LogStore<B> {
    log: Lock<Log<B>>,
    places: RefCell<BTreeMap<String, Place>>,
    nonce: u64,
}

/// A record gives a key a value (with the length of the key before both), or takes it away.
const SET: u8 = 1;
const REMOVE: u8 = 2;

/// Bytes of a record before the key.
const HEAD: usize = 5;

fn record(kind: u8, key: &str, value: &[u8]) -> Result<Vec<u8>, LogError> {
    let length = u32::try_from(key.len()).map_err(|_| LogError::Long)?;
    Ok([&[kind], &length.to_le_bytes()[..], key.as_bytes(), value].concat())
}

/// Kind, key and value of a record.
fn parts(record: &[u8]) -> Option<(u8, &str, &[u8])> {
    let (&[kind, l0, l1, l2, l3], rest) = record.split_first_chunk::<HEAD>()?;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let (key, value) = rest.split_at_checked(length)?;
    Some((kind, core::str::from_utf8(key).ok()?, value))
}

impl<B: Block> LogStore<B> {
    /// Opens the store of a device. `nonce` is a random number, another one at each opening.
    ///
    /// # Errors
    /// As for [`Log::open`].
    pub async fn open(block: B, nonce: u64) -> Result<(Self, Recovered), LogError> {
        let mut places = BTreeMap::new();
        let mut sound = true;
        let (log, recovered) = Log::open(block, nonce, &mut |place, record| match parts(record) {
            Some((SET, key, _)) => {
                places.insert(key.into(), place);
            }
            Some((REMOVE, key, _)) => {
                places.remove(key);
            }
            _ => sound = false,
        })
        .await?;
        if !sound {
            return Err(LogError::Foreign);
        }
        let store = Self {
            log: Lock::new(log),
            places: RefCell::new(places),
            nonce,
        };
        Ok((store, recovered))
    }

    /// Waits until everything outlives the host.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn flush(&self) -> Result<(), LogError> {
        self.log.lock().await.flush().await
    }

    /// Commits what a key has from now on: the record of its value, or of that it has none.
    async fn commit(&self, key: &str, record: &[u8], kind: u8) -> Result<(), LogError> {
        let mut log = self.log.lock().await;
        match log.append(record) {
            Err(LogError::Full) => {
                let record = (kind == SET).then_some(record);
                return self.compact(&mut log, key, record).await;
            }
            place => {
                let place = place?;
                log.commit().await?;
                let mut places = self.places.borrow_mut();
                match kind {
                    SET => places.insert(key.into(), place),
                    _ => places.remove(key),
                };
            }
        }
        Ok(())
    }

    /// Writes the log anew with the values that count; one key's is this record, or none.
    async fn compact(
        &self,
        log: &mut Log<B>,
        key: &str,
        record: Option<&[u8]>,
    ) -> Result<(), LogError> {
        let mut old = self.places.borrow().clone();
        old.remove(key);
        let mut rewrite = log.rewrite(self.nonce);
        let mut places = BTreeMap::new();
        for (key, place) in old {
            let record = log.read(place).await?;
            places.insert(key, rewrite.append(log, &record).await?);
        }
        if let Some(record) = record {
            places.insert(key.into(), rewrite.append(log, record).await?);
        }
        rewrite.finish(log).await?;
        *self.places.borrow_mut() = places;
        Ok(())
    }
}

impl<B: Block> KeyValue for LogStore<B> {
    type Error = LogError;

    async fn get(&self, key: &str) -> Result<Option<Cow<'_, [u8]>>, LogError> {
        let log = self.log.lock().await;
        let Some(place) = self.places.borrow().get(key).copied() else {
            return Ok(None);
        };
        let mut record = log.read(place).await?;
        record.drain(..HEAD + key.len());
        Ok(Some(Cow::Owned(record)))
    }
}

impl<B: Block> KeyValueMut for LogStore<B> {
    async fn set(&self, key: &str, value: &[u8]) -> Result<(), LogError> {
        let record = record(SET, key, value)?;
        self.commit(key, &record, SET).await
    }

    async fn remove(&self, key: &str) -> Result<bool, LogError> {
        if !self.places.borrow().contains_key(key) {
            return Ok(false);
        }
        let record = record(REMOVE, key, &[])?;
        self.commit(key, &record, REMOVE).await?;
        Ok(true)
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
