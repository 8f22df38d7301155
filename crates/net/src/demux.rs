//! Whom a frame is for: read from its headers, before any of it is believed.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::IpAddress;

use crate::family;

/// A TCP connection as this side names it. Local port first: it tells most flows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) remote_port: u16,
    pub(crate) local_port: u16,
    pub(crate) remote: IpAddress,
    pub(crate) local: IpAddress,
}

/// Whom a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A TCP segment; whether it asks for a new connection.
    Tcp { flow: Flow, opens: bool },
    /// A datagram for a UDP port.
    Udp { local: IpAddress, port: u16 },
    /// It may say where a neighbour is: ARP, or ICMPv6.
    Neighbours,
    /// A part of an IP packet.
    Fragment,
    /// Anything else.
    Other,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP_V6: u8 = 58;

/// Reads whom an Ethernet frame is for. Lengths and checksums are not looked at.
pub(crate) fn destination(frame: &[u8]) -> Destination {
    parse(frame).unwrap_or(Destination::Other)
}

fn parse(frame: &[u8]) -> Option<Destination> {
    let (ethernet, packet) = frame.split_first_chunk::<14>()?;
    match [ethernet[12], ethernet[13]] {
        [0x08, 0x06] => Some(Destination::Neighbours),
        [0x08, 0x00] => {
            let header = packet.first_chunk::<20>()?;
            let fragment = u16::from_be_bytes([header[6], header[7]]);
            if fragment & 0x3fff != 0 {
                return Some(Destination::Fragment);
            }
            let length = usize::from(header[0] & 15) * 4;
            let address = |at: usize| {
                IpAddress::Ipv4(Ipv4Addr::new(
                    header[at],
                    header[at + 1],
                    header[at + 2],
                    header[at + 3],
                ))
            };
            transport(header[9], address(12), address(16), packet.get(length..)?)
        }
        [0x86, 0xdd] if family::IPV6 => {
            let (header, payload) = packet.split_first_chunk::<40>()?;
            let address = |at: usize| {
                let bytes = header[at..].first_chunk::<16>()?;
                family::address(IpAddr::V6(Ipv6Addr::from(*bytes))).ok()
            };
            if header[6] == ICMP_V6 {
                return Some(Destination::Neighbours);
            }
            transport(header[6], address(8)?, address(24)?, payload)
        }
        _ => None,
    }
}

// In one place: it is called for each family.
#[inline(never)]
fn transport(
    protocol: u8,
    remote: IpAddress,
    local: IpAddress,
    segment: &[u8],
) -> Option<Destination> {
    let ports = segment.first_chunk::<4>()?;
    let remote_port = u16::from_be_bytes([ports[0], ports[1]]);
    let local_port = u16::from_be_bytes([ports[2], ports[3]]);
    match protocol {
        TCP => {
            // SYN alone, of SYN, ACK, RST and FIN.
            let opens = segment.get(13)? & 0b1_0111 == 0b0_0010;
            Some(Destination::Tcp {
                flow: Flow {
                    remote_port,
                    local_port,
                    remote,
                    local,
                },
                opens,
            })
        }
        UDP => Some(Destination::Udp {
            local,
            port: local_port,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn frame(kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
        let mut frame = alloc::vec![0; 12];
        frame.extend(kind);
        frame.extend(packet);
        frame
    }

    fn ipv4(fragment: [u8; 2], protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut packet = alloc::vec![0x45, 0, 0, 0, 0, 0];
        packet.extend(fragment);
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(segment);
        frame([8, 0], &packet)
    }

    fn tcp(flags: u8) -> [u8; 20] {
        let mut segment = [0; 20];
        segment[..4].copy_from_slice(&[0x30, 0x39, 0, 80]);
        segment[13] = flags;
        segment
    }

    #[test]
    fn a_segment_with_syn_alone_opens_a_connection() {
        for (flags, expected) in [
            (0x02, true),
            (0x12, false),
            (0x06, false),
            (0x10, false),
            (0xc2, true),
        ] {
            let Destination::Tcp { flow, opens } = destination(&ipv4([0x40, 0], TCP, &tcp(flags)))
            else {
                panic!("a TCP segment");
            };
            assert_eq!(opens, expected, "flags {flags:#x}");
            assert_eq!((flow.remote_port, flow.local_port), (12345, 80));
            assert_eq!(flow.remote, IpAddress::v4(10, 0, 0, 1));
            assert_eq!(flow.local, IpAddress::v4(10, 0, 0, 2));
        }
    }

    #[test]
    fn fragments_have_no_ports() {
        for fragment in [[0x20, 0], [0, 5], [0x20, 1]] {
            assert_eq!(
                destination(&ipv4(fragment, TCP, &tcp(2))),
                Destination::Fragment
            );
        }
    }

    #[test]
    fn frames_that_may_say_where_a_neighbour_is_are_told_apart() {
        assert_eq!(destination(&frame([8, 6], &[])), Destination::Neighbours);
        let mut packet = [0; 48];
        packet[6] = ICMP_V6;
        assert_eq!(
            destination(&frame([0x86, 0xdd], &packet)),
            Destination::Neighbours
        );
    }

    proptest! {
        #[test]
        fn no_frame_is_read_beyond_its_end(bytes in prop::collection::vec(any::<u8>(), 0..100), kind in 0..3usize) {
            destination(&bytes);
            destination(&frame([[8, 0], [8, 6], [0x86, 0xdd]][kind], &bytes));
        }
    }
}
