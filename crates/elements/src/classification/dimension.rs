//! Reading one field of a group of packets and looking it up.

use super::expression::{Base, Field, Headers};
use super::interval_map::IntervalMap;

/// One field and its classes.
#[derive(Clone, Debug)]
pub(super) struct Dimension {
    /// The field.
    pub(super) field: Field,
    /// The class of each value.
    pub(super) map: IntervalMap,
    /// The class of a packet without the field.
    pub(super) missing: u16,
}

/// The values of a field in a group of packets; a bit of `absent` says that there is none.
pub(super) struct Values<const N: usize> {
    pub(super) values: [u32; N],
    pub(super) absent: u64,
}

impl Dimension {
    /// Reads the field of each packet.
    #[inline]
    pub(super) fn read<const N: usize>(&self, packets: &[Headers<'_>]) -> Values<N> {
        // One loop for each base and width, so that neither is decided again for each packet.
        match self.field.base {
            Base::Network => self.read_from(packets, |headers| headers.network),
            Base::Transport => self.read_from(packets, |headers| headers.transport),
        }
    }

    #[inline]
    fn read_from<'a, const N: usize>(
        &self,
        packets: &[Headers<'a>],
        data: impl Fn(&Headers<'a>) -> &'a [u8],
    ) -> Values<N> {
        match self.field.width {
            1 => self.read_each(packets, |packet, start| {
                data(packet).get(start).copied().map(u32::from)
            }),
            2 => self.read_each(packets, |packet, start| {
                Some(u16::from_be_bytes(bytes(data(packet), start)?).into())
            }),
            _ => self.read_each(packets, |packet, start| {
                Some(u32::from_be_bytes(bytes(data(packet), start)?))
            }),
        }
    }

    #[inline]
    fn read_each<'a, const N: usize>(
        &self,
        packets: &[Headers<'a>],
        read: impl Fn(&Headers<'a>, usize) -> Option<u32>,
    ) -> Values<N> {
        let start = usize::from(self.field.offset);
        let mut values = [0; N];
        let mut absent = 0;
        for (lane, (value, packet)) in values.iter_mut().zip(packets).enumerate() {
            match read(packet, start) {
                Some(read) => *value = read,
                None => absent |= 1 << lane,
            }
        }
        Values { values, absent }
    }

    /// Looks values up.
    #[inline]
    pub(super) fn classes<const N: usize>(&self, values: &Values<N>, classes: &mut [u16; N]) {
        self.map.classes(&values.values, classes);
        let mut absent = values.absent;
        while absent != 0 {
            classes[absent.trailing_zeros() as usize] = self.missing;
            absent &= absent - 1;
        }
    }
}

/// `N` bytes from `start` on.
#[inline]
fn bytes<const N: usize>(data: &[u8], start: usize) -> Option<[u8; N]> {
    data.get(start..)?.first_chunk().copied()
}
