//! Seeded traces: 64-byte UDP frames of some number of flows in random order, as capture files.

use std::io::{BufWriter, Result, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is in a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Traffic {
    /// What its file is called.
    name: &'static str,
    flows: usize,
    /// Whether all flows are between the same two hosts, and differ by their ports.
    one_pair: bool,
}

/// Frames of a trace.
const FRAMES: usize = 4_000_000;

/// The trace that most is measured with.
pub(super) const ORDINARY: Traffic = Traffic {
    name: "trace.pcap",
    flows: 10_000,
    one_pair: false,
};
/// More flows than caches near the processor hold.
pub(super) const SCATTERED: Traffic = Traffic {
    name: "trace-50000.pcap",
    flows: 50_000,
    one_pair: false,
};
/// So many flows that hardly a packet is of one seen lately.
pub(super) const NEW: Traffic = Traffic {
    name: "trace-million.pcap",
    flows: 1_000_000,
    one_pair: false,
};
/// What a table that sorts flows by their hosts first makes one long list of.
pub(super) const ONE_PAIR: Traffic = Traffic {
    name: "trace-one-pair.pcap",
    flows: 10_000,
    one_pair: true,
};

/// Numbers that look random and are the same every time (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A trace in a folder; made there if it is not there yet (320 MB).
pub(super) fn make(folder: &Path, traffic: Traffic) -> Result<PathBuf> {
    let path = folder.join(traffic.name);
    let size = 24 + FRAMES * 80;
    if std::fs::metadata(&path).is_ok_and(|there| there.len() == size as u64) {
        return Ok(path);
    }
    println!("    making {}", path.display());
    let mut random = Random(42);
    let flows: Vec<[u8; 64]> = (0..traffic.flows)
        .map(|number| match traffic.one_pair {
            false => frame(number, &mut random),
            true => frame_of_pair(number, &mut random),
        })
        .collect();
    let unfinished = path.with_extension("unfinished");
    let any = |_| {
        let flow = usize::try_from(random.below(traffic.flows as u64)).unwrap_or(0);
        flows[flow]
    };
    write(&unfinished, (0..FRAMES).map(any))?;
    std::fs::rename(&unfinished, &path)?;
    Ok(path)
}

/// Questions to the server of `examples/firewall`, which lets them pass, one from each of so many
/// hosts, as a capture in a folder.
pub(super) fn questions(folder: &Path, hosts: u16) -> Result<PathBuf> {
    let path = folder.join("questions.pcap");
    let question = |host: u16| {
        let [high, low] = host.to_be_bytes();
        // From a network that is there for measurements (RFC 2544).
        datagram(
            host.into(),
            [198, 18, high, low],
            [192, 0, 2, 10],
            [1024, 53],
        )
    };
    write(&path, (0..hosts).map(question))?;
    Ok(path)
}

/// Writes frames as a capture, one microsecond apart.
fn write(path: &Path, frames: impl Iterator<Item = [u8; 64]>) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.write_all(&word.to_le_bytes())?;
    }
    for (number, frame) in (0_u64..).zip(frames) {
        let times = [
            1_700_000_000 + number / 1_000_000,
            number % 1_000_000,
            64,
            64,
        ];
        for word in times {
            file.write_all(&u32::try_from(word).unwrap_or(u32::MAX).to_le_bytes())?;
        }
        file.write_all(&frame)?;
    }
    file.flush()
}

/// What copying one record of the trace takes, in nanoseconds, several times: machines are compared
/// by it.
pub(super) fn copying(trace: &Path) -> Result<Vec<f64>> {
    let bytes = std::fs::read(trace)?;
    let mut copy = bytes.clone();
    let once = |_| {
        let begun = Instant::now();
        std::hint::black_box(&mut copy).copy_from_slice(std::hint::black_box(&bytes));
        begun.elapsed().as_secs_f64() * 1e9 / FRAMES as f64
    };
    Ok((0..9).map(once).collect())
}

/// The frame of a flow: its own source address in 10.0.0.0/8, a destination anywhere else in
/// unicast space, its own ports.
fn frame(number: usize, random: &mut Random) -> [u8; 64] {
    let destination = loop {
        let [a, b, c, d, ..] = random.next().to_le_bytes();
        if (1..224).contains(&a) && a != 10 && a != 127 && d != 0 && d != 255 {
            break [a, b, c, d];
        }
    };
    let source = (0x0a00_0001 + u32::try_from(number).unwrap_or(0)).to_be_bytes();
    let ports = [(); 2].map(|()| u16::try_from(1024 + random.below(65536 - 1024)).unwrap_or(1024));
    datagram(number, source, destination, ports)
}

/// The frame of a flow from 10.0.0.1 to 18.26.4.9: its own source port, any destination port.
fn frame_of_pair(number: usize, random: &mut Random) -> [u8; 64] {
    let port = u16::try_from(1024 + random.below(65536 - 1024)).unwrap_or(1024);
    let own = u16::try_from(1024 + number % (65536 - 1024)).unwrap_or(1024);
    datagram(number, [10, 0, 0, 1], [18, 26, 4, 9], [own, port])
}

/// An Ethernet frame with a UDP datagram of 22 bytes of zeros.
fn datagram(number: usize, source: [u8; 4], destination: [u8; 4], ports: [u16; 2]) -> [u8; 64] {
    let mut frame = [0; 64];
    frame[..14].copy_from_slice(&[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 8, 0]);
    let identifier = u16::try_from(number % 65536).unwrap_or(0).to_be_bytes();
    let ip = &mut frame[14..34];
    ip[..4].copy_from_slice(&[0x45, 0, 0, 50]);
    ip[4..6].copy_from_slice(&identifier);
    ip[8..10].copy_from_slice(&[64, 17]);
    ip[12..16].copy_from_slice(&source);
    ip[16..20].copy_from_slice(&destination);
    let sum = internet_checksum(ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    for (at, port) in [34, 36].into_iter().zip(ports) {
        frame[at..at + 2].copy_from_slice(&port.to_be_bytes());
    }
    frame[38..40].copy_from_slice(&30_u16.to_be_bytes());
    frame
}

/// RFC 1071.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_a_right_checksum() {
        let frame = frame(77, &mut Random(1));
        assert_eq!(internet_checksum(&frame[14..34]), 0);
        assert_eq!(frame[26..30], [10, 0, 0, 78]);
    }

    #[test]
    fn flows_of_one_pair_differ_by_their_ports_alone() {
        let mut random = Random(1);
        let [one, other] = [1, 2].map(|number| frame_of_pair(number, &mut random));
        assert_eq!(internet_checksum(&one[14..34]), 0);
        assert_eq!(one[26..34], other[26..34]);
        assert_ne!(one[34..36], other[34..36]);
    }

    #[test]
    fn random_is_the_same_every_time() {
        // The first output of SplitMix64 for seed 0, from its reference implementation.
        assert_eq!(Random(0).next(), 0xe220_a839_7b1d_cdaf);
    }
}
