//! Frames that answer others: a random one seldom has the numbers that the other side waits for.

/// Set in a frame's length: it is to answer the last frame of its protocol that the other side sent.
const ANSWERS: u16 = 1 << 13;

/// Where in an Ethernet frame fields of IPv4 without options stand, and of TCP and UDP behind it.
const PROTOCOL: usize = 23;
const ADDRESSES: usize = 26;
const PORTS: usize = 34;
const NUMBER: usize = 38;
const ACKNOWLEDGED: usize = 42;
const TCP_FLAGS: usize = 47;
const DATAGRAM: usize = 42;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Ports of servers.
const DNS: u8 = 53;
const DHCP: u8 = 67;

/// Takes over what an answer to one of the frames `sent`, the newest last, has from it: addresses,
/// ports, and the numbers of TCP, DHCP and DNS.
pub fn answer(frame: &mut [u8], flags: u16, sent: &[Vec<u8>]) {
    let Some(&protocol) = frame.get(PROTOCOL).filter(|_| flags & ANSWERS != 0) else { return };
    let is_like = |other: &&Vec<u8>| other.get(12..14) == Some(&[8, 0]) && other.get(PROTOCOL) == Some(&protocol);
    let Some(asked) = sent.iter().rev().find(is_like) else { return };
    let mut take = |to: usize, from: usize, length: usize| {
        if let (Some(to), Some(from)) = (frame.get_mut(to..to + length), asked.get(from..from + length)) {
            to.copy_from_slice(from);
        }
    };
    take(0, 6, 6);
    take(12, 12, 2);
    // A question to everybody is answered from an address of one's own.
    if asked.get(ADDRESSES + 4..ADDRESSES + 8) != Some(&[255; 4]) {
        take(ADDRESSES, ADDRESSES + 4, 4);
        take(ADDRESSES + 4, ADDRESSES, 4);
    }
    take(PORTS, PORTS + 2, 2);
    take(PORTS + 2, PORTS, 2);
    match protocol {
        TCP => {
            take(NUMBER, ACKNOWLEDGED, 4);
            let Some(acknowledged) = next_number(asked) else { return };
            if let Some(field) = frame.get_mut(ACKNOWLEDGED..ACKNOWLEDGED + 4) {
                field.copy_from_slice(&acknowledged.to_be_bytes());
            }
        }
        UDP => match asked.get(PORTS + 2..PORTS + 4) {
            Some([0, DHCP]) => take(DATAGRAM + 4, DATAGRAM + 4, 4),
            Some([0, DNS]) => take(DATAGRAM, DATAGRAM, 2),
            _ => {}
        },
        _ => {}
    }
}

/// The number that follows those of a segment.
fn next_number(segment: &[u8]) -> Option<u32> {
    let number = u32::from_be_bytes(*segment.get(NUMBER..)?.first_chunk()?);
    let header = usize::from(segment.get(TCP_FLAGS - 1)? >> 4) * 4;
    let length = usize::from(u16::from_be_bytes(*segment.get(16..)?.first_chunk()?));
    let data = length.saturating_sub(20 + header);
    // SYN and FIN have a number each.
    let ends = (segment.get(TCP_FLAGS)? & 3).count_ones();
    Some(number.wrapping_add(u32::try_from(data).ok()?).wrapping_add(ends))
}
