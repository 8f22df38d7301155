//! Keys, what they hold, and until when.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::mem;
use core::ops::Bound;

use crate::command::Refusal;

/// What a key holds.
#[derive(Debug)]
pub(crate) enum Value {
    Text(Vec<u8>),
    List(VecDeque<Box<[u8]>>),
    Hash(BTreeMap<Box<[u8]>, Box<[u8]>>),
    Set(BTreeSet<Box<[u8]>>),
}

impl Value {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(list) => list.iter().map(|element| element.len()).sum(),
            Self::Hash(fields) => fields.iter().map(|(f, value)| f.len() + value.len()).sum(),
            Self::Set(members) => members.iter().map(|member| member.len()).sum(),
        }
    }

    /// What `TYPE` says of it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// When it ends, in milliseconds since the Unix epoch.
    expires: Option<i64>,
}

impl Entry {
    pub(crate) fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// Whether its time is not over. While the log is written anew, what is over is still there.
    pub(crate) fn is_live(&self, now: i64) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// Keys stand in the order of a number made of them, which is the cursor of `SCAN`: whatever comes and
/// goes between two calls, a key that stays is met once.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) key: Box<[u8]>,
}

/// A place, or what stands for one where it is looked up: no key is copied for that.
trait Placed {
    fn parts(&self) -> (u64, &[u8]);
}

impl Placed for Place {
    fn parts(&self) -> (u64, &[u8]) {
        (self.number, &self.key)
    }
}

impl Placed for (u64, &[u8]) {
    fn parts(&self) -> (u64, &[u8]) {
        *self
    }
}

impl<'p> Borrow<dyn Placed + 'p> for Place {
    fn borrow(&self) -> &(dyn Placed + 'p) {
        self
    }
}

impl PartialEq for dyn Placed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Placed + '_ {}

impl PartialOrd for dyn Placed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Database {
    entries: BTreeMap<Place, Entry>,
    /// Keys that end, the earliest first.
    ends: BTreeSet<(i64, Box<[u8]>)>,
    /// About how many bytes the log has too many for what was removed.
    freed: u64,
}

/// FNV-1a, with its high bits mixed into all.
fn number(key: &[u8]) -> u64 {
    let mut number = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key {
        number = (number ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    (number ^ number >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1
}

/// Where a key stands, to look it up.
fn place(key: &[u8]) -> (u64, &[u8]) {
    (number(key), key)
}

/// Where a key stands, to put something there.
fn new_place(key: &[u8]) -> Place {
    Place {
        number: number(key),
        key: key.into(),
    }
}

impl Database {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many keys end by themselves.
    pub(crate) fn ending(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(&place(key) as &dyn Placed)
    }

    /// What a key holds whose time is not over.
    pub(crate) fn live(&self, key: &[u8], now: i64) -> Option<&Entry> {
        let entry = self.get(key)?;
        entry.is_live(now).then_some(entry)
    }

    /// The same, if it is of this kind.
    pub(crate) fn look<T>(
        &self,
        key: &[u8],
        now: i64,
        kind: fn(&Value) -> Option<&T>,
    ) -> Result<Option<&T>, Refusal> {
        match self.live(key, now) {
            Some(entry) => kind(&entry.value).map(Some).ok_or(Refusal::WrongType),
            None => Ok(None),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Value> {
        let entry = self.entries.get_mut(&place(key) as &dyn Placed)?;
        Some(&mut entry.value)
    }

    /// What a key holds; `empty` where it holds nothing yet.
    pub(crate) fn get_or_insert(&mut self, key: &[u8], empty: fn() -> Value) -> &mut Value {
        let entry = self.entries.entry(new_place(key)).or_insert_with(|| Entry {
            value: empty(),
            expires: None,
        });
        &mut entry.value
    }

    /// Has a key hold something else, until then.
    pub(crate) fn set(&mut self, key: &[u8], value: Value, expires: Option<i64>) {
        let new = Entry { value, expires };
        let old = match self.entries.get_mut(&place(key) as &dyn Placed) {
            Some(entry) => Some(mem::replace(entry, new)),
            None => self.entries.insert(new_place(key), new),
        };
        if let Some(old) = old {
            self.forget_end(key, old.expires);
            self.free(old.value.size());
        }
        if let Some(expires) = expires {
            self.ends.insert((expires, key.into()));
        }
    }

    /// A key does not end then any more.
    fn forget_end(&mut self, key: &[u8], expires: Option<i64>) {
        if let Some(expires) = expires {
            self.ends.remove(&(expires, key.into()));
        }
    }

    /// Notes that so many bytes are no longer there.
    pub(crate) fn free(&mut self, bytes: usize) {
        self.freed = self.freed.saturating_add(bytes as u64);
    }

    /// How many bytes are no longer there that were when the log was last written anew.
    pub(crate) fn freed(&self) -> u64 {
        self.freed
    }

    /// Says that the log is being written anew.
    pub(crate) fn start_afresh(&mut self) {
        self.freed = 0;
    }

    /// Has a key end then, or not at all; whether it is there.
    pub(crate) fn expire(&mut self, key: &[u8], expires: Option<i64>) -> bool {
        let Some(entry) = self.entries.get_mut(&place(key) as &dyn Placed) else {
            return false;
        };
        let before = mem::replace(&mut entry.expires, expires);
        self.forget_end(key, before);
        if let Some(expires) = expires {
            self.ends.insert((expires, key.into()));
        }
        true
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Value> {
        let entry = self.entries.remove(&place(key) as &dyn Placed)?;
        self.forget_end(key, entry.expires);
        self.free(entry.value.size() + key.len());
        Some(entry.value)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
        // Whatever the log has.
        self.freed = u64::MAX;
    }

    /// The key that ends first, and when.
    pub(crate) fn first_end(&self) -> Option<(i64, &[u8])> {
        let (expires, key) = self.ends.first()?;
        Some((*expires, key))
    }

    /// Whether a key's time is over.
    pub(crate) fn is_over(&self, key: &[u8], now: i64) -> bool {
        // Most often there is none that ends.
        !self.ends.is_empty() && self.get(key).is_some_and(|entry| !entry.is_live(now))
    }

    /// All keys whose time is not over.
    pub(crate) fn keys(&self, now: i64) -> impl Iterator<Item = &[u8]> {
        self.from(0)
            .filter(move |(_, entry)| entry.is_live(now))
            .map(|(place, _)| &*place.key)
    }

    /// All entries from a cursor on.
    pub(crate) fn from(&self, cursor: u64) -> impl Iterator<Item = (&Place, &Entry)> {
        let start = (cursor, &[][..]);
        let start: Bound<&dyn Placed> = Bound::Included(&start);
        self.entries
            .range::<dyn Placed, _>((start, Bound::Unbounded))
    }

    /// All entries after a key; from the beginning where there is none.
    pub(crate) fn after(&self, key: Option<&[u8]>) -> impl Iterator<Item = (&[u8], &Entry)> {
        let last = key.map(place);
        let start: Bound<&dyn Placed> = match &last {
            Some(last) => Bound::Excluded(last),
            None => Bound::Unbounded,
        };
        let entries = self
            .entries
            .range::<dyn Placed, _>((start, Bound::Unbounded));
        entries.map(|(place, entry)| (&*place.key, entry))
    }
}
