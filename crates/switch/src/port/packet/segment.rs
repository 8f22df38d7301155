//! Cutting what the kernel hands over in one piece into frames as a wire carries them.
//!
//! Between interfaces of one host, and behind a card that joins what it receives, the kernel passes
//! many segments of a connection as one frame, with the checksum left to whoever sends it on. What
//! leads such a frame says how (`struct virtio_net_hdr`, virtio 1.2, 5.1.6).

use super::super::offload::checksum;

/// What leads a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lead {
    pub(super) flags: u8,
    pub(super) kind: u8,
    /// Bytes that each segment carries.
    pub(super) segment: u16,
    pub(super) checksum_start: u16,
    pub(super) checksum_offset: u16,
}

impl Lead {
    /// Bytes of it.
    pub(super) const LENGTH: usize = 10;
    pub(super) const NEEDS_CHECKSUM: u8 = 1;
    const NONE: u8 = 0;
    const TCP_IPV4: u8 = 1;
    const TCP_IPV6: u8 = 4;
    const UDP: u8 = 5;
    /// A bit beside the kind: congestion is marked in the first segment alone.
    const ECN: u8 = 0x80;

    /// As the kernel writes it, in the machine's own byte order.
    pub(super) fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: bytes[0],
            kind: bytes[1],
            segment: word(4),
            checksum_start: word(6),
            checksum_offset: word(8),
        }
    }

    /// What leads a frame that asks for nothing, whose first bytes are to be copied.
    pub(super) fn complete(copied: usize) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let copied = u16::try_from(copied).unwrap_or(0);
        bytes[2..4].copy_from_slice(&copied.to_ne_bytes());
        bytes
    }

    /// Whether the frame is one as a wire carries it.
    pub(super) fn is_whole(&self) -> bool {
        self.kind & !Self::ECN == Self::NONE
    }

    /// For a VLAN tag that was put back in front of all that offsets point to.
    pub(super) fn shift_behind_tag(&mut self) {
        self.checksum_start = self.checksum_start.saturating_add(4);
    }
}

/// How a frame is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    network: usize,
    is_ipv6: bool,
    transport: usize,
    is_tcp: bool,
    payload: usize,
    segment: usize,
    pub(super) count: usize,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN_AND_PUSH: u8 = 0x09;
const WINDOW_REDUCED: u8 = 0x80;

fn word(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn put(frame: &mut [u8], at: usize, value: usize) {
    // Lengths of a frame of at most 64 KiB.
    let value = u16::try_from(value).unwrap_or(u16::MAX);
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

impl Cut {
    /// How to cut a frame; `None` where its lead asks for what it does not hold.
    pub(super) fn plan(frame: &[u8], lead: &Lead) -> Option<Self> {
        let mut network = 14;
        while matches!(word(frame, network - 2)?, 0x8100 | 0x88a8) {
            network += 4;
        }
        let is_ipv6 = match word(frame, network - 2)? {
            0x0800 => false,
            0x86dd => true,
            _ => return None,
        };
        let transport = usize::from(lead.checksum_start);
        if transport < network + if is_ipv6 { 40 } else { 20 } {
            return None;
        }
        let is_tcp = match (lead.kind & !Lead::ECN, is_ipv6) {
            (Lead::TCP_IPV4, false) | (Lead::TCP_IPV6, true) => true,
            (Lead::UDP, _) => false,
            _ => return None,
        };
        let header = match is_tcp {
            true => usize::from(frame.get(transport + 12)? >> 4) * 4,
            false => 8,
        };
        let payload = transport + header;
        let segment = usize::from(lead.segment);
        let least = if is_tcp { 20 } else { 8 };
        if header < least || segment == 0 || payload >= frame.len() {
            return None;
        }
        Some(Self {
            network,
            is_ipv6,
            transport,
            is_tcp,
            payload,
            segment,
            count: (frame.len() - payload).div_ceil(segment),
        })
    }

    /// Writes segment `index`, from 0, of a frame that the plan was made for.
    pub(super) fn write(&self, frame: &[u8], index: usize, out: &mut Vec<u8>) {
        let begin = self.payload + index * self.segment;
        let end = frame.len().min(begin + self.segment);
        out.clear();
        out.extend_from_slice(&frame[..self.payload]);
        out.extend_from_slice(&frame[begin..end]);
        let (network, transport, length) = (self.network, self.transport, out.len());
        if self.is_ipv6 {
            put(out, network + 4, length - network - 40);
        } else {
            put(out, network + 2, length - network);
            let identification = word(out, network + 4).unwrap_or(0);
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let identification = identification.wrapping_add(index);
            put(out, network + 4, identification.into());
            put(out, network + 10, 0);
            let sum = checksum(&out[network..transport]);
            put(out, network + 10, sum.into());
        }
        let field = if self.is_tcp {
            let at = transport + 4;
            let sequence = u32::from_be_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]);
            let offset = u32::try_from(index * self.segment).unwrap_or(u32::MAX);
            out[at..at + 4].copy_from_slice(&sequence.wrapping_add(offset).to_be_bytes());
            if index + 1 < self.count {
                out[transport + 13] &= !FIN_AND_PUSH;
            }
            if index > 0 {
                out[transport + 13] &= !WINDOW_REDUCED;
            }
            transport + 16
        } else {
            put(out, transport + 4, length - transport);
            transport + 6
        };
        put(out, field, 0);
        let sum = match self.transport_checksum(out) {
            0 => 0xffff,
            sum => sum,
        };
        put(out, field, sum.into());
    }

    /// Over the pseudo header too (RFC 9293, 3.1; RFC 768; RFC 8200, 8.1).
    fn transport_checksum(&self, frame: &[u8]) -> u16 {
        let addresses = match self.is_ipv6 {
            true => self.network + 8..self.network + 40,
            false => self.network + 12..self.network + 20,
        };
        let protocol = if self.is_tcp { TCP } else { UDP };
        let length = frame.len() - self.transport;
        let mut pseudo = [0; 36];
        let count = addresses.len();
        pseudo[..count].copy_from_slice(&frame[addresses]);
        put(&mut pseudo, count, length);
        put(&mut pseudo, count + 2, protocol.into());
        // Two sums of whole words: their complements add up.
        let sum = u32::from(!checksum(&pseudo[..count + 4]))
            + u32::from(!checksum(&frame[self.transport..]));
        !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a connection, with `payload` behind headers of 14, 20 and 20 bytes.
    fn connection(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        frame.extend([0, 80, 0xc0, 1, 0, 0, 0, 100, 0, 0, 0, 7, 0x50, 0x99, 1, 0]);
        frame.extend([0, 0, 0, 0]);
        frame.extend(payload);
        frame
    }

    fn lead(segment: u16) -> Lead {
        Lead {
            flags: Lead::NEEDS_CHECKSUM,
            kind: Lead::TCP_IPV4,
            segment,
            checksum_start: 34,
            checksum_offset: 16,
        }
    }

    fn pieces(frame: &[u8], lead: &Lead) -> Vec<Vec<u8>> {
        let cut = Cut::plan(frame, lead).expect("a plan");
        let piece = |index| {
            let mut out = Vec::new();
            cut.write(frame, index, &mut out);
            out
        };
        (0..cut.count).map(piece).collect()
    }

    #[test]
    fn a_connection_s_frame_is_cut_where_its_lead_says() {
        let payload: Vec<u8> = (0..25).collect();
        let pieces = pieces(&connection(&payload), &lead(10));
        let parts: Vec<&[u8]> = pieces.iter().map(|piece| &piece[54..]).collect();
        assert_eq!(parts, [&payload[..10], &payload[10..20], &payload[20..]]);
        let of = |at: usize| -> Vec<u8> { pieces.iter().map(|piece| piece[at]).collect() };
        assert_eq!(of(17), [50, 50, 45], "IP's lengths");
        assert_eq!(of(19), [0x34, 0x35, 0x36], "identifications");
        assert_eq!(of(41), [100, 110, 120], "sequence numbers");
        // CWR in the first, PSH and FIN in the last, ACK in each.
        assert_eq!(of(47), [0x90, 0x10, 0x19]);
        for piece in &pieces {
            assert_eq!(checksum(&piece[14..34]), 0, "IP's checksum");
            let mut pseudo = piece[26..34].to_vec();
            pseudo.extend([0, 6, 0, u8::try_from(piece.len() - 34).expect("short")]);
            pseudo.extend(&piece[34..]);
            assert_eq!(checksum(&pseudo), 0, "TCP's checksum");
        }
    }

    #[test]
    fn a_frame_with_a_vlan_tag_is_cut_behind_it() {
        let mut frame = connection(&[1; 30]);
        frame.splice(12..12, [0x81, 0, 0, 5]);
        let mut lead = lead(20);
        lead.shift_behind_tag();
        let pieces = pieces(&frame, &lead);
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [78, 68]);
        for piece in &pieces {
            assert_eq!(piece[12..18], [0x81, 0, 0, 5, 8, 0]);
            assert_eq!(checksum(&piece[18..38]), 0);
        }
    }

    #[test]
    fn datagrams_are_cut_with_lengths_of_their_own() {
        let mut frame = vec![0; 12];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17, 64]);
        frame.extend([0xfd; 32]);
        frame.extend([0, 7, 0, 8, 0, 0, 0, 0]);
        frame.extend([3; 15]);
        let lead = Lead {
            kind: Lead::UDP,
            checksum_start: 54,
            ..lead(10)
        };
        for (piece, length) in pieces(&frame, &lead).iter().zip([10_u8, 5]) {
            assert_eq!(piece[18..20], [0, 8 + length]);
            assert_eq!(piece[58..60], [0, 8 + length]);
            let mut pseudo = piece[22..54].to_vec();
            pseudo.extend([0, 17, 0, 8 + length]);
            pseudo.extend(&piece[54..]);
            assert_eq!(checksum(&pseudo), 0);
        }
    }

    #[test]
    fn a_lead_that_the_frame_does_not_bear_out_is_refused() {
        let frame = connection(&[0; 30]);
        assert_eq!(Cut::plan(&frame, &lead(0)), None);
        assert_eq!(Cut::plan(&frame[..50], &lead(10)), None);
        assert_eq!(Cut::plan(&frame[..13], &lead(10)), None);
        assert_eq!(Cut::plan(&connection(&[]), &lead(10)), None);
        for start in [0, 14, 33, 47, 4000, u16::MAX] {
            let lead = Lead {
                checksum_start: start,
                ..lead(10)
            };
            assert_eq!(Cut::plan(&frame, &lead), None, "from {start}");
        }
        let lead = Lead {
            kind: Lead::TCP_IPV6,
            ..lead(10)
        };
        assert_eq!(Cut::plan(&frame, &lead), None);
    }

    proptest::proptest! {
        #[test]
        fn no_frame_and_no_lead_leads_outside_of_the_frame(
            payload in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            at in 0_usize..40,
            byte in proptest::num::u8::ANY,
            kind in proptest::sample::select(vec![1_u8, 4, 5, 0x81]),
            segment in 0_u16..300,
            start in 0_u16..120,
        ) {
            let mut frame = connection(&payload);
            frame[at] = byte;
            let lead = Lead { kind, checksum_start: start, ..lead(segment) };
            if let Some(cut) = Cut::plan(&frame, &lead) {
                let mut carried = 0;
                let mut out = Vec::new();
                for index in 0..cut.count {
                    cut.write(&frame, index, &mut out);
                    carried += out.len() - cut.payload;
                }
                assert_eq!(carried, frame.len() - cut.payload);
            }
        }
    }
}
