//! A port that makes frames, for measuring.

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::offload::checksum;
use super::{Arrival, Counters, Port, PortError};

/// What a generator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratorOptions {
    /// Bytes in each frame, from 60 to 9,000.
    pub size: usize,
    /// Frames to make; none: without end.
    pub count: Option<u64>,
    /// Different flows, each with its own addresses and ports, in turn.
    pub flows: u32,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        Self {
            size: 64,
            count: None,
            flows: 1,
        }
    }
}

/// Makes UDP over IPv4 frames from 10.0.0.0/8 to 131.179.80.139 with right checksums, as fast as
/// they are taken.
pub struct Generator {
    frames: Vec<Vec<u8>>,
    next: usize,
    left: u64,
    counters: Counters,
}

/// Shortest Ethernet frame, without its check sequence.
const SHORTEST: usize = 60;

/// Longest frame that is made.
const LONGEST: usize = 9000;

/// Most flows: each has a frame in memory.
const MOST_FLOWS: u32 = 1 << 20;

impl Generator {
    /// A generator. Sizes and flow counts beyond what is possible are brought into range.
    #[must_use]
    pub fn new(options: GeneratorOptions) -> Self {
        let size = options.size.clamp(SHORTEST, LONGEST);
        let frames = (0..options.flows.clamp(1, MOST_FLOWS))
            .map(|flow| frame(flow, size))
            .collect();
        Self {
            frames,
            next: 0,
            left: options.count.unwrap_or(u64::MAX),
            counters: Counters::default(),
        }
    }
}

/// The frame of a flow: Ethernet, IPv4 and UDP headers, then zeros.
fn frame(flow: u32, size: usize) -> Vec<u8> {
    let mut frame = vec![0; size];
    let length = |headers: usize| {
        u16::try_from(size - headers)
            .unwrap_or(u16::MAX)
            .to_be_bytes()
    };
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&length(14));
    frame[22..24].copy_from_slice(&[64, 17]);
    frame[26..30].copy_from_slice(&(0x0a00_0001 + (flow & 0x00ff_ffff)).to_be_bytes());
    frame[30..34].copy_from_slice(&[131, 179, 80, 139]);
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    let source_port = 1024 + flow % 60_000;
    frame[34..36].copy_from_slice(&u16::try_from(source_port).unwrap_or(1024).to_be_bytes());
    frame[36..38].copy_from_slice(&5678_u16.to_be_bytes());
    frame[38..40].copy_from_slice(&length(34));
    // UDP's checksum stays zero: not computed, as RFC 768 allows over IPv4.
    frame
}

impl Port for Generator {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        Ok(if self.left > 0 {
            Arrival::Live
        } else {
            Arrival::Never
        })
    }

    fn receive(
        &mut self,
        limit: usize,
        _: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        let limit = limit.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut taken = 0;
        while taken < limit {
            let frame = &self.frames[self.next];
            if !deliver(&Frame::new(frame, FrameHead::default())) {
                break;
            }
            self.counters.received.add(frame.len());
            self.next = if self.next + 1 == self.frames.len() {
                0
            } else {
                self.next + 1
            };
            taken += 1;
        }
        self.left -= taken as u64;
        Ok(taken)
    }

    fn send(&mut self, _: &Frame<'_>) -> Result<(), PortError> {
        Err(PortError::OneWay {
            name: "generator".into(),
            can: "gives frames",
        })
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_headers_sum_to_all_ones() {
        let frame = frame(70_000, 64);
        let sum: u32 = frame[14..34]
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
        assert_eq!(frame[16..18], 50_u16.to_be_bytes());
        assert_eq!(frame[38..40], 30_u16.to_be_bytes());
    }

    #[test]
    fn a_generator_ends_after_its_count_and_cycles_its_flows() {
        let mut generator = Generator::new(GeneratorOptions {
            size: 64,
            count: Some(5),
            flows: 2,
        });
        let mut sources = Vec::new();
        let taken = generator
            .receive(100, 0, &mut |frame| {
                let mut bytes = [0; 34];
                frame.copy_to(&mut bytes);
                sources.push(bytes[29]);
                true
            })
            .unwrap();
        assert_eq!(taken, 5);
        assert_eq!(sources, [1, 2, 1, 2, 1]);
        assert_eq!(generator.next_arrival().unwrap(), Arrival::Never);
    }
}
