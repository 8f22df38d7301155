//! The bytes that a program looks at, copied out of a group of packets to fixed places.
//!
//! Packets differ in where their headers lie and end. Settling that once for each packet leaves
//! nothing to decide when the fields are read one after the other, which is where time goes.

use super::dimension::Dimension;
use super::expression::{Base, Field, Headers};

/// Bytes of a record.
const RECORD: usize = 64;

/// Where the transport header begins in a record; before it is the network header.
const TRANSPORT: usize = 48;

/// Records of a group of packets.
pub(super) struct Records<const N: usize> {
    bytes: [[u8; RECORD]; N],
    /// A bit for each packet that ends before a field: its record is no use.
    pub(super) incomplete: u64,
}

/// How records are filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordLayout {
    /// Bytes of the network header that are looked at.
    network: usize,
    /// Bytes of the transport header that are looked at.
    transport: usize,
}

/// Where a field is in a record.
fn place(field: Field) -> usize {
    usize::from(field.offset)
        + match field.base {
            Base::Network => 0,
            Base::Transport => TRANSPORT,
            // Records have no link header: there is no layout with one.
            Base::Link => RECORD,
        }
}

impl RecordLayout {
    /// The layout for these fields, or `None` where they do not fit a record.
    pub(super) fn new(dimensions: &[Dimension]) -> Option<Self> {
        if dimensions
            .iter()
            .any(|dimension| dimension.field.base == Base::Link)
        {
            return None;
        }
        let end = |base: Base| {
            dimensions
                .iter()
                .filter(|dimension| dimension.field.base == base)
                .map(|dimension| {
                    usize::from(dimension.field.offset) + usize::from(dimension.field.width)
                })
                .max()
                .unwrap_or(0)
        };
        let (network, transport) = (end(Base::Network), end(Base::Transport));
        let room = if transport == 0 { RECORD } else { TRANSPORT };
        let fits = network <= room && transport <= RECORD - TRANSPORT;
        fits.then_some(Self { network, transport })
    }

    /// Copies what is looked at from the first `count` packets.
    #[inline]
    pub(super) fn fill<'p, const N: usize>(
        &self,
        count: usize,
        packet: &impl Fn(usize) -> Headers<'p>,
        records: &mut Records<N>,
    ) {
        // Whole vectors of bytes, whose number the compiler knows, are copied fastest.
        match (self.network, self.transport) {
            (..=20, 0) => self.fill_with::<N, 20, 0>(count, packet, records),
            (..=20, ..=4) => self.fill_with::<N, 20, 4>(count, packet, records),
            (_, 0) => self.fill_with::<N, 48, 0>(count, packet, records),
            _ => self.fill_with::<N, 20, 16>(count, packet, records),
        }
    }

    #[inline]
    fn fill_with<'p, const N: usize, const NETWORK: usize, const TRANSPORTED: usize>(
        &self,
        count: usize,
        packet: &impl Fn(usize) -> Headers<'p>,
        records: &mut Records<N>,
    ) {
        records.incomplete = 0;
        for (lane, record) in records.bytes.iter_mut().enumerate().take(count) {
            let headers = packet(lane);
            let whole = copy::<NETWORK>(record, headers.network, self.network)
                & (self.transport == 0
                    || copy::<TRANSPORTED>(
                        &mut record[TRANSPORT..],
                        headers.transport,
                        self.transport,
                    ));
            records.incomplete |= u64::from(!whole) << lane;
        }
    }
}

/// Copies the first `needed` bytes, `USUAL` at once where they are all there and enough; returns
/// whether there were as many as needed.
#[inline]
fn copy<const USUAL: usize>(to: &mut [u8], from: &[u8], needed: usize) -> bool {
    match (to.first_chunk_mut::<USUAL>(), from.first_chunk::<USUAL>()) {
        (Some(to), Some(from)) if needed <= USUAL => {
            *to = *from;
            true
        }
        _ => copy_exactly(to, from, needed),
    }
}

/// Copies the first `needed` bytes; returns whether there were as many.
#[cold]
fn copy_exactly(to: &mut [u8], from: &[u8], needed: usize) -> bool {
    match (to.get_mut(..needed), from.get(..needed)) {
        (Some(to), Some(from)) => {
            to.copy_from_slice(from);
            true
        }
        _ => false,
    }
}

impl<const N: usize> Records<N> {
    /// Empty ones.
    pub(super) fn new() -> Self {
        Self {
            bytes: [[0; RECORD]; N],
            incomplete: 0,
        }
    }

    /// The values of a field that the records were laid out for.
    #[inline]
    pub(super) fn read(&self, field: Field, values: &mut [u32; N]) {
        let at = place(field);
        // Said once, it need not be checked for each record.
        assert!(at + usize::from(field.width) <= RECORD);
        let records = values.iter_mut().zip(&self.bytes);
        match field.width {
            1 => records.for_each(|(value, record)| *value = record[at].into()),
            2 => records.for_each(|(value, record)| {
                *value = u16::from_be_bytes([record[at], record[at + 1]]).into();
            }),
            _ => records.for_each(|(value, record)| {
                let bytes = [record[at], record[at + 1], record[at + 2], record[at + 3]];
                *value = u32::from_be_bytes(bytes);
            }),
        }
    }
}
