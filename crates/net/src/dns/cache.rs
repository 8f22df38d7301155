//! What name servers said, for as long as they said it holds.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::{Kind, Name};

/// Names that are kept.
const LIMIT: usize = 128;

/// Longest time in seconds that an answer is kept, whatever it says.
const LONGEST: u32 = 86_400;

struct Entry {
    name: Name,
    kind: Kind,
    /// None for a name that does not exist.
    addresses: Vec<IpAddr>,
    expires: u64,
}

/// Answers, few enough to search one by one.
#[derive(Default)]
pub(crate) struct Cache {
    entries: Vec<Entry>,
}

impl Cache {
    pub(crate) fn find(&self, name: &Name, kind: Kind, now: u64) -> Option<Vec<IpAddr>> {
        self.entries
            .iter()
            .find(|entry| entry.kind == kind && entry.expires > now && entry.name == *name)
            .map(|entry| entry.addresses.clone())
    }

    // In a future, each of its variables would be far away in memory, and long instructions.
    #[inline(never)]
    pub(crate) fn add(
        &mut self,
        name: Name,
        kind: Kind,
        addresses: Vec<IpAddr>,
        lifetime: u32,
        now: u64,
    ) {
        self.entries
            .retain(|entry| entry.expires > now && !(entry.kind == kind && entry.name == name));
        if self.entries.len() >= LIMIT
            && let Some(soonest) = (0..LIMIT).min_by_key(|index| self.entries[*index].expires)
        {
            self.entries.swap_remove(soonest);
        }
        self.entries.push(Entry {
            name,
            kind,
            addresses,
            expires: now + u64::from(lifetime.min(LONGEST)) * 1_000_000_000,
        });
    }
}
