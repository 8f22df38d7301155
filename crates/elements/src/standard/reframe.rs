use alloc::collections::VecDeque;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, Rejected, Signals,
};
use sprat_packet::{Batch, DEFAULT_HEADROOM, Packet};

pub(super) const REFRAME: Class = Class::of::<Reframe>("Reframe").processing("h/a");

/// Reframe: cuts a stream of bytes into the packets that it was made of.
///
/// ```click
/// Reframe([keywords FOFF, FLEN, NTOH, MUL, ALIGN, ADD])
/// ```
///
/// The packets that come are parts of a stream, as a Socket gives them. The packets that go are its
/// frames, which say how long they are.
///
/// - FOFF: where in a frame its length stands; 2.
/// - FLEN: how many bytes it is: 1, 2 or 4; with 0 each frame has ADD bytes; 2.
/// - NTOH: whether they are in network order; true.
/// - MUL: bytes for each unit of the length; 1.
/// - ALIGN: the multiple of bytes that the length is rounded up to; 1.
/// - ADD: bytes that are added to it; 0.
///
/// What is given is for the length of IP packets. A frame that counts no byte, not even those that say so,
/// takes these; one longer than 65535 bytes is left out. Frames have no annotations.
///
/// ```click
/// Socket(TCP, 0.0.0.0, 12345) -> Reframe(FOFF 16, ADD 14) -> ...
/// ```
///
/// See Click's class Reframe, of its folder `local`.
pub(crate) struct Reframe {
    offset: usize,
    width: usize,
    network_order: bool,
    unit: u32,
    align: u32,
    add: i32,
    /// What has come and not gone.
    bytes: VecDeque<u8>,
    /// Bytes yet to come that are part of no frame that is given.
    skip: u64,
}

/// Packets are no longer.
const LONGEST: u64 = 65_535;

/// Bytes it holds for who pulls.
const CAPACITY: usize = 1 << 20;

impl Configure for Reframe {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.keyword::<u16>("FOFF").unwrap_or(2);
        let width = arguments.keyword::<i32>("FLEN").unwrap_or(2);
        let network_order = arguments.keyword("NTOH").unwrap_or(true);
        let unit = arguments.keyword::<u32>("MUL").unwrap_or(1);
        let align = arguments.keyword::<u32>("ALIGN").unwrap_or(1);
        let add = arguments.keyword::<i32>("ADD").unwrap_or(0);
        arguments.finish()?;
        let width = match width {
            0 => 0,
            1 => 1,
            2 => 2,
            4 => 4,
            other => {
                return Err(arguments.error(alloc::format!(
                    "invalid field length {other} (valid field lengths are 0, 1, 2, and 4 bytes)"
                )));
            }
        };
        if align == 0 {
            return Err(arguments.error("ALIGN must be positive"));
        }
        if width == 0 && add <= 0 {
            return Err(arguments.error("ADD must be positive where FLEN is 0"));
        }
        Ok(Self {
            offset: offset.into(),
            width,
            network_order,
            unit,
            align,
            add,
            bytes: VecDeque::new(),
            skip: 0,
        })
    }
}

impl Reframe {
    /// The length of the frame that begins here, as far as it is known.
    fn length(&self) -> Option<u64> {
        let end = self.offset + self.width;
        let length = if self.width == 0 {
            0
        } else if self.bytes.len() < end {
            return None;
        } else {
            let field = self.bytes.range(self.offset..end);
            let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
            let number = if self.network_order {
                field.fold(0, join)
            } else {
                field.rev().fold(0, join)
            };
            (number * u64::from(self.unit)).next_multiple_of(self.align.into())
        };
        // Below 2^64, as a product of two numbers of 32 bits and one more of them.
        let length = length.saturating_add_signed(self.add.into());
        Some(if length == 0 { end as u64 } else { length })
    }

    fn skip(&mut self) {
        let now = self
            .bytes
            .len()
            .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.bytes.drain(..now);
        self.skip -= now as u64;
    }

    /// The next frame, where all of it has come.
    fn frame(&mut self, context: &Context<'_>) -> Option<Packet> {
        loop {
            self.skip();
            let length = self.length()?;
            if length > LONGEST {
                self.skip = length;
                continue;
            }
            let length = usize::try_from(length).ok()?;
            if self.bytes.len() < length {
                return None;
            }
            let mut packet = context
                .pool()
                .packet_uninitialised(DEFAULT_HEADROOM, length);
            let taken = self.bytes.drain(..length);
            for (place, byte) in packet.data_mut().iter_mut().zip(taken) {
                *place = byte;
            }
            return Some(packet);
        }
    }

    /// Whether a frame is there.
    fn is_ready(&self) -> bool {
        self.skip == 0
            && self
                .length()
                .is_some_and(|length| length > LONGEST || self.bytes.len() as u64 >= length)
    }
}

impl Element for Reframe {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let pushes = context.output_pushes(0);
        for packet in batch.drain() {
            if self.bytes.len() + packet.len() <= CAPACITY {
                self.bytes.extend(packet.data());
            }
            while pushes && let Some(frame) = self.frame(context) {
                context.emit(0, frame);
            }
        }
        context.set_nonempty(self.is_ready());
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit
            && let Some(frame) = self.frame(context)
        {
            batch.push(frame);
        }
        context.set_nonempty(self.is_ready());
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use crate::testing::Bench;

    /// What Print shows of the frames of a stream that comes in parts.
    fn frames(arguments: &str, parts: &[&str]) -> std::string::String {
        let mut text = format!("r :: Reframe({arguments}) -> Print(f, -1) -> Discard;\n");
        for part in parts {
            text += &format!("InfiniteSource(DATA \\<{part}>, LIMIT 1) -> r;\n");
        }
        let bench = Bench::new(&text);
        bench.run();
        bench.simulation.take_errors()
    }

    #[test]
    fn reframe_cuts_frames_where_their_lengths_say() {
        for (arguments, parts, expected) in [
            // Two of six and five bytes, in three parts.
            (
                "",
                &["aaaa0006", "bb", "ccdddd0005ee"][..],
                "f:    6 | aaaa0006 bbcc\nf:    5 | dddd0005 ee\n",
            ),
            // Little end first, units of four bytes, rounded up to eight, two more.
            (
                "FOFF 0, FLEN 1, NTOH false, MUL 4, ALIGN 8, ADD 2",
                &["0311223344556677889900aabbccddeeff0002"],
                "f:   18 | 03112233 44556677 889900aa bbccddee ff00\n",
            ),
            ("FOFF 1, NTOH false", &["aa0400bb"], "f:    4 | aa0400bb\n"),
            (
                "FLEN 0, ADD 3",
                &["aabbccdd", "eeff00"],
                "f:    3 | aabbcc\nf:    3 | ddeeff\n",
            ),
            // A frame of no length takes the four bytes of its field, so that those behind it come.
            (
                "",
                &["aa000000", "bb000005cc"],
                "f:    4 | aa000000\nf:    5 | bb000005 cc\n",
            ),
            // One of 65,536 bytes and more is skipped, not kept.
            ("FOFF 0, FLEN 4", &["00010000", "aabb"], ""),
        ] {
            assert_eq!(frames(arguments, parts), expected, "{arguments}");
        }
    }

    #[test]
    fn reframe_gives_frames_to_who_pulls() {
        let bench = Bench::new(
            "InfiniteSource(DATA \\<00010002 aa 00010005 bb>, LIMIT 1) -> Reframe
             -> u :: Unqueue -> Print(f, -1) -> Discard",
        );
        bench.run();
        // A length of 2 ends amid the field, as the sender has it.
        assert_eq!(
            bench.simulation.take_errors().lines().next(),
            Some("f:    2 | 0001")
        );
    }

    #[test]
    fn reframe_says_what_it_cannot_do() {
        for (arguments, expected) in [
            (
                "FLEN 3",
                "invalid field length 3 (valid field lengths are 0, 1, 2, and 4 bytes)",
            ),
            ("ALIGN 0", "ALIGN must be positive"),
            ("FLEN 0", "ADD must be positive where FLEN is 0"),
        ] {
            let found = Bench::errors(&format!("Idle -> Reframe({arguments}) -> Discard"));
            assert!(found.contains(expected), "{found}");
        }
    }
}
