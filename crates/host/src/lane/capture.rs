//! Copies of the frames at a port, as a capture that is written while they pass.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;

use sprat_abi::host::Frame;
use sprat_switch::port::FRAME_LIMIT;
use sprat_switch::switch::{Looking, Mirror};

/// Bytes that may wait to be taken.
const ROOM: usize = 4 << 20;

/// A pcap file's header with nanoseconds and Ethernet frames, and that of each frame in it.
const HEADER: usize = 24;
const RECORD: usize = 16;

/// A capture that somebody reads while it is made.
pub(super) struct Capture {
    stream: UnixStream,
    bytes: Vec<u8>,
    /// Of those, how many have been taken.
    taken: usize,
    /// Frames that are still wanted.
    left: u64,
}

impl Capture {
    /// A capture of the next `count` frames, or without end.
    ///
    /// # Errors
    /// The stream cannot be written without waiting.
    pub(super) fn new(stream: UnixStream, count: Option<u64>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let snapshot = u32::try_from(FRAME_LIMIT).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER);
        for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, snapshot, 1_u32] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        Ok(Self {
            stream,
            bytes,
            taken: 0,
            left: count.unwrap_or(u64::MAX),
        })
    }
}

impl Mirror for Capture {
    fn see(&mut self, frame: &Frame<'_>, now: i64) -> bool {
        if self.left == 0 {
            return true;
        }
        if self.bytes.len() + RECORD + frame.len() > ROOM {
            return false;
        }
        self.left -= 1;
        let now = now.max(0).unsigned_abs();
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        // Seconds have 32 bits, until 2106.
        let seconds = u32::try_from(now / 1_000_000_000).unwrap_or(u32::MAX);
        let rest = u32::try_from(now % 1_000_000_000).unwrap_or(0);
        for word in [seconds, rest, length, length] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        frame.append_to(&mut self.bytes);
        true
    }

    fn turn(&mut self) -> Looking {
        while self.taken < self.bytes.len() {
            match self.stream.write(&self.bytes[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Looking::Behind,
                // Whoever read it has gone.
                Err(_) => return Looking::Over,
            }
        }
        self.bytes.clear();
        self.taken = 0;
        match self.left {
            0 => Looking::Over,
            _ => Looking::On,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use sprat_abi::frame::FrameHead;

    use super::*;

    fn frame(bytes: &[u8]) -> Frame<'_> {
        Frame::new(bytes, FrameHead::default())
    }

    /// By the description of the format in pcap-savefile(5).
    #[test]
    fn a_capture_is_a_pcap_file_of_as_many_frames_as_are_wanted() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut capture = Capture::new(ours, Some(2)).expect("a capture");
        assert_eq!(capture.turn(), Looking::On);
        for number in 1..4 {
            assert!(capture.see(&frame(&[number; 60]), 1_700_000_000_000_000_007));
        }
        assert_eq!(capture.turn(), Looking::Over);
        drop(capture);
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).expect("readable");
        assert_eq!(bytes.len(), 24 + 2 * (16 + 60));
        assert_eq!(bytes[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(bytes[20..24], [1, 0, 0, 0], "Ethernet");
        let [a, b, c, d] = 1_700_000_000_u32.to_le_bytes();
        assert_eq!(
            bytes[24..40],
            [a, b, c, d, 7, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0]
        );
        assert_eq!(bytes[40..100], [1; 60]);
        assert_eq!(bytes[116..], [2; 60]);
    }

    #[test]
    fn frames_that_nobody_takes_are_left_out_and_said_to_be() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut capture = Capture::new(ours, None).expect("a capture");
        let mut seen = 0;
        while capture.see(&frame(&[7; 1500]), 0) {
            seen += 1;
            capture.turn();
        }
        assert!(seen > ROOM / 1600, "{seen}");
        assert_eq!(capture.turn(), Looking::Behind);
        drop(theirs);
        assert_eq!(capture.turn(), Looking::Over);
    }
}
