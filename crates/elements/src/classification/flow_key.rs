//! What identifies the values of all fields that a program looks at: 112 bits.

use alloc::vec::Vec;

use super::dimension::Dimension;
use super::expression::{Field, Headers};
use super::flow_cache::Key;
use super::records::Records;
use super::workspace::LANES;

/// Where a field stands in a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    second: bool,
    shift: u32,
}

impl Place {
    /// The field's value.
    pub(super) fn read(self, field: Field, key: &Key) -> u32 {
        let word = key[usize::from(self.second)] >> self.shift;
        (word & 0xffff_ffff) as u32 & field.maximum()
    }
}

/// How keys are made.
#[derive(Clone, Debug)]
pub(super) struct KeyLayout {
    /// Where each field of the program stands.
    pub(super) places: Vec<Place>,
    /// Which bits of [`tuple()`] count, where the program looks at nothing else.
    tuple: Option<Key>,
}

/// The fields of flows, and where they stand in a key that is made of all of them at once.
const TUPLE: [(Field, Place); 5] = [
    (Field::network(12, 4), place(false, 32)),
    (Field::network(16, 4), place(false, 0)),
    (Field::transport(0, 2), place(true, 48)),
    (Field::transport(2, 2), place(true, 32)),
    (Field::network(9, 1), place(true, 24)),
];

/// The ports' bits.
const PORTS: u64 = 0xffff_ffff << 32;

const fn place(second: bool, shift: u32) -> Place {
    Place { second, shift }
}

/// Addresses, ports and protocol of a packet; `None` where it has not all of them.
#[inline]
fn tuple(headers: &Headers<'_>, ports: bool) -> Option<Key> {
    let network = headers.network.first_chunk::<20>()?;
    let [.., a, b, c, d, e, f, g, h] = *network;
    let ports = match ports {
        true => u32::from_be_bytes(*headers.transport.first_chunk()?),
        false => 0,
    };
    Some([
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from(ports) << 32 | u64::from(network[9]) << 24,
    ])
}

impl KeyLayout {
    /// How keys of these fields are made, where there is room for them.
    pub(super) fn new(dimensions: &[Dimension]) -> Option<Self> {
        let mut mask = [0; 2];
        let known = dimensions.iter().map(|dimension| {
            let known = TUPLE.iter().find(|(field, _)| *field == dimension.field);
            let place = known?.1;
            mask[usize::from(place.second)] |= u64::from(dimension.field.maximum()) << place.shift;
            Some(place)
        });
        if let Some(places) = known.collect::<Option<Vec<_>>>() {
            return Some(Self {
                places,
                tuple: Some(mask),
            });
        }
        // One after the other; the low 16 bits of the second word are the rule's.
        let mut free = [64, 48];
        let places = dimensions.iter().map(|dimension| {
            let bits = 8 * u32::from(dimension.field.width);
            let which = (0..2).find(|&which| free[which] >= bits)?;
            free[which] -= bits;
            let second = which == 1;
            Some(place(second, free[which] + if second { 16 } else { 0 }))
        });
        Some(Self {
            places: places.collect::<Option<_>>()?,
            tuple: None,
        })
    }

    /// Whether keys are made straight from packets.
    pub(super) fn is_direct(&self) -> bool {
        self.tuple.is_some()
    }

    /// Makes keys straight from packets, where the layout is such; returns a bit for each packet
    /// that has not all the fields.
    #[inline]
    pub(super) fn keys_of_packets<'p>(
        &self,
        packets: usize,
        headers: &impl Fn(usize) -> Headers<'p>,
        keys: &mut [Key; LANES],
    ) -> Option<u64> {
        let mask = self.tuple?;
        let ports = mask[1] & PORTS != 0;
        let mut incomplete = 0;
        for (lane, key) in keys.iter_mut().enumerate().take(packets) {
            match tuple(&headers(lane), ports) {
                Some(tuple) => *key = [tuple[0] & mask[0], tuple[1] & mask[1]],
                None => incomplete |= 1 << lane,
            }
        }
        Some(incomplete)
    }

    /// Makes keys from what was copied out of packets.
    pub(super) fn keys_of_records(
        &self,
        dimensions: &[Dimension],
        records: &Records<LANES>,
        keys: &mut [Key; LANES],
    ) {
        for (dimension, place) in dimensions.iter().zip(&self.places) {
            let mut values = [0; LANES];
            records.read(dimension.field, &mut values);
            for (key, value) in keys.iter_mut().zip(values) {
                key[usize::from(place.second)] |= u64::from(value) << place.shift;
            }
        }
    }
}
