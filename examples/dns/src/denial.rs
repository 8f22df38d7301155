//! What proves that something is not there: the records that say which names follow each other, in
//! plain (RFC 4035, section 3.1.3) or by their hashes (RFC 5155, section 7.2).

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;

use sha1::{Digest as _, Sha1};
use sprat::net::dns::{Kind, Name};

use crate::digits::BASE_32;
use crate::kinds::{NSEC, NSEC3, NSEC3PARAM};
use crate::names::Names;
use crate::zone::{Set, Zone};

/// The only hash there is for names.
const SHA_1: u8 = 1;

/// How often a name may be hashed on top of the first time. None is what RFC 9276 asks for, and
/// those who check need not go further than this.
const ITERATIONS: u16 = 150;

/// What is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The name, nor a wildcard that stands for it.
    Name,
    /// A set of that name, or of the wildcard that stands for it.
    Set,
    /// The name; a wildcard has answered for it.
    Expanded,
}

/// The names that have a record which says what follows, in the order in which they follow.
#[derive(Debug, Default)]
pub(crate) struct Denial {
    hashing: Option<Hashing>,
    /// By what the order goes by; where they stand among the zone's names.
    chain: Vec<(Vec<u8>, usize)>,
}

/// How names are hashed.
#[derive(Debug)]
struct Hashing {
    iterations: u16,
    salt: Vec<u8>,
}

impl Hashing {
    /// From the data of an NSEC3PARAM record, which that of an NSEC3 record begins like.
    fn read(data: &[u8]) -> Option<Self> {
        let &[SHA_1, _, high, low, length, ref rest @ ..] = data else {
            return None;
        };
        Some(Self {
            iterations: u16::from_be_bytes([high, low]),
            salt: rest.get(..usize::from(length))?.to_vec(),
        })
    }

    fn hash(&self, name: &Name) -> Vec<u8> {
        let mut hash = name.as_bytes().to_vec();
        for _ in 0..=self.iterations {
            let digest = Sha1::new().chain_update(&hash).chain_update(&self.salt);
            hash.clear();
            hash.extend_from_slice(&digest.finalize());
        }
        hash
    }
}

/// The hash that a name of an NSEC3 record begins with.
pub(crate) fn hash_in(name: &Name) -> Option<Vec<u8>> {
    let mut hash = Vec::new();
    BASE_32.read(name.labels().next()?.iter().copied(), &mut hash)?;
    (hash.len() == 20).then_some(hash)
}

/// Bytes that are in order as names are (RFC 4034, section 6.1): label by label from the end.
fn place(name: &Name) -> Vec<u8> {
    let mut labels: Vec<&[u8]> = name.labels().collect();
    labels.reverse();
    let mut place = Vec::with_capacity(name.as_bytes().len());
    for label in labels {
        for byte in label {
            // Zero is less than every byte of a label and ends it.
            match byte {
                0 | 1 => place.extend([1, byte + 1]),
                _ => place.push(*byte),
            }
        }
        place.push(0);
    }
    place
}

impl Denial {
    /// Of a zone with these names, and with these hashes of names.
    pub(crate) fn new(origin: &Name, names: &Names, hashed: &Names) -> Result<Self, &'static str> {
        let of = |sets: &[Set], kind| -> Option<Vec<u8>> {
            let set = sets.iter().find(|set| set.kind == kind)?;
            set.data.first().cloned()
        };
        let apex = names.get(origin).map_or(&[][..], |(_, sets)| sets);
        let hashing = of(apex, NSEC3PARAM).and_then(|data| Hashing::read(&data));
        // Its sort is a fifth as long as that of slices.
        let mut chain = BinaryHeap::new();
        match &hashing {
            Some(hashing) if hashing.iterations > ITERATIONS => {
                return Err("names are hashed more than 150 times: sign it with fewer iterations");
            }
            Some(hashing) => {
                for (at, (name, sets)) in hashed.iter().enumerate() {
                    let own = of(sets, NSEC3).and_then(|data| Hashing::read(&data));
                    // A zone may have others beside them, as it goes over from one way to another.
                    let same = |own: Hashing| {
                        (own.iterations, own.salt) == (hashing.iterations, hashing.salt.clone())
                    };
                    chain.extend(
                        hash_in(name)
                            .filter(|_| own.is_some_and(same))
                            .map(|hash| (hash, at)),
                    );
                }
            }
            None => {
                let signed = names.iter().enumerate();
                let signed =
                    signed.filter(|(_, (_, sets))| sets.iter().any(|set| set.kind == NSEC));
                chain.extend(signed.map(|(at, (name, _))| (place(name), at)));
            }
        }
        let chain = chain.into_sorted_vec();
        Ok(Self { hashing, chain })
    }

    fn place(&self, name: &Name) -> Vec<u8> {
        match &self.hashing {
            Some(hashing) => hashing.hash(name),
            None => place(name),
        }
    }

    /// Whether a record shows that there is this name, which there is. Where names are hashed, those
    /// that only lead to others may have been left out.
    fn shows(&self, name: &Name) -> bool {
        self.hashing.is_none() || {
            let place = self.place(name);
            self.chain
                .binary_search_by(|(other, _)| other.cmp(&place))
                .is_ok()
        }
    }

    /// Where the record stands that shows whether there is a name.
    fn at(&self, name: &Name) -> Option<usize> {
        let place = self.place(name);
        let behind = self.chain.partition_point(|(other, _)| *other <= place);
        // The last one goes around to the first.
        let last = self.chain.last();
        let found = behind
            .checked_sub(1)
            .and_then(|at| self.chain.get(at))
            .or(last);
        found.map(|(_, at)| *at)
    }
}

impl Zone {
    /// Owners of the records that show what is absent of a name, each with its sets, and the kind of
    /// these records. There are none where the zone is not signed.
    pub(crate) fn proof(&self, absent: Absent, name: &Name) -> (Kind, Vec<(&Name, &[Set])>) {
        let denial = self.denial();
        let (kind, names) = match denial.hashing {
            Some(_) => (NSEC3, self.hashed()),
            None => (NSEC, self.names()),
        };
        let mut places = Vec::new();
        if !denial.chain.is_empty() {
            self.places(absent, name, |name| {
                places.extend(denial.at(name).filter(|at| !places.contains(at)));
            });
        }
        let owners = places.into_iter().filter_map(|at| names.nth(at)).collect();
        (kind, owners)
    }

    /// Names about which the records say enough.
    fn places(&self, absent: Absent, name: &Name, mut show: impl FnMut(&Name)) {
        let denial = self.denial();
        let there = self.sets(name).is_some();
        if absent == Absent::Set && there && denial.shows(name) {
            return show(name);
        }
        // The nearest name above that is shown to be there, and the one that is not.
        let (mut encloser, mut next) = (*name, *name);
        while self.sets(&encloser).is_none() || !denial.shows(&encloser) {
            let Some(above) = encloser.parent().filter(|_| encloser != *self.origin()) else {
                break;
            };
            next = encloser;
            encloser = above;
        }
        if denial.hashing.is_some() && absent != Absent::Expanded {
            show(&encloser);
        }
        show(&next);
        if absent == Absent::Name || absent == Absent::Set && !there {
            let wildcard = encloser.child(b"*");
            wildcard.iter().for_each(show);
        }
    }
}
