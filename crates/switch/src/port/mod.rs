//! Ports: where frames enter and leave a lane.
//!
//! One file a kind of port. A port that has frames lends them one by one ([`Port::receive`]); one
//! that takes frames copies what it needs ([`Port::send`]). Both count what they drop, by cause.

mod assembly;
mod capture_input;
mod capture_output;
mod claim;
mod error;
mod generator;
mod interface;
mod mapping;
mod offload;
mod paced;
mod packet;
mod patience;
mod ring;
mod sink;
mod spec;
mod tap;
#[cfg(test)]
mod testing;
mod user;
mod xdp;

pub(crate) use assembly::Assembly;
pub use capture_input::CaptureInput;
pub use capture_output::{CaptureOutput, Resolution};
pub use claim::{Claim, Claimed};
pub use error::PortError;
pub use generator::{Generator, GeneratorOptions};
pub use interface::Addresses;
pub use paced::{Pace, Paced, Start};
pub use packet::Packet;
pub use patience::GiveUp;
pub use ring::{Ring, RingEnd};
pub use sink::Sink;
pub use spec::{Opened, PortSpec};
pub use sprat_usernet::{Options as UserOptions, Publish, PublishError, Transport};
pub use tap::{Carries, Tap};
pub use user::User;
pub use xdp::Xdp;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

use sprat_abi::host::Frame;

/// The longest frame a lane carries, in bytes: what a chain of buffers holds, and what the length
/// fields of Ethernet's protocols can say.
pub const FRAME_LIMIT: usize = 65_535;

/// When a port has its next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Now, or whenever it comes: the port is live.
    Live,
    /// At this moment of the port's own clock, in nanoseconds since the Unix epoch.
    At(i64),
    /// Never again.
    Never,
}

/// Where frames enter and leave.
pub trait Port {
    /// When the next frame arrives.
    ///
    /// # Errors
    /// The port can give no more frames; what was wrong.
    fn next_arrival(&mut self) -> Result<Arrival, PortError>;

    /// Lends up to `limit` frames that arrived before or at `until` (nanoseconds since the Unix
    /// epoch) to `deliver`, in order, until that returns `false`: the frame it refused comes again
    /// next time. Returns how many were taken.
    ///
    /// # Errors
    /// As for [`Port::next_arrival`].
    fn receive(
        &mut self,
        limit: usize,
        until: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError>;

    /// Sends a frame, or one part of a frame that comes in several.
    ///
    /// # Errors
    /// The port takes no more frames; what was wrong.
    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError>;

    /// A batch is over: frames sent since the last call leave now at the latest.
    ///
    /// # Errors
    /// As for [`Port::send`].
    fn kick(&mut self) -> Result<(), PortError> {
        Ok(())
    }

    /// The longest frame it carries, Ethernet header included.
    fn frame_limit(&self) -> usize {
        FRAME_LIMIT
    }

    /// What a lane waits for that has nothing to do: it can be read when the port has something.
    /// A lane in which no port has one takes all frames to come from files and generators, which can wait
    /// while an instance on a machine of its own is behind.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// When the port wants [`Port::receive`] called though its descriptor cannot be read: a moment
    /// of the monotonic clock, in nanoseconds.
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// Writes out what the port holds back, so that completing it is all that can still fail.
    ///
    /// # Errors
    /// It could not be written.
    fn flush(&mut self) -> Result<(), PortError> {
        Ok(())
    }

    /// Completes what the port was made for: an output file appears under its name.
    ///
    /// # Errors
    /// It could not be completed; nothing is left behind.
    fn finish(&mut self) -> Result<(), PortError> {
        Ok(())
    }

    /// What went through so far.
    fn counters(&self) -> &Counters;
}

/// The wall clock, in nanoseconds since the Unix epoch: when frames of a live port arrive.
pub(crate) fn wall_now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}

/// What went through a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that entered the lane here, and their bytes.
    pub received: Volume,
    /// Frames that left the lane here, and their bytes.
    pub sent: Volume,
    /// Frames dropped here, by cause.
    pub dropped: Vec<(DropCause, u64)>,
}

impl Counters {
    /// Counts a frame that was dropped.
    pub fn drop_frame(&mut self, cause: DropCause) {
        self.drop_frames(cause, 1);
    }

    /// Counts a frame that leaves for an instance, or that has no room there.
    #[inline]
    pub(crate) fn count_sent(&mut self, fits: bool, bytes: usize) {
        if fits {
            self.sent.add(bytes);
        } else {
            self.drop_frame(DropCause::ReceiverFull);
        }
    }

    /// Counts frames that were dropped.
    pub fn drop_frames(&mut self, cause: DropCause, frames: u64) {
        count_drops(&mut self.dropped, cause, frames);
    }

    /// Frames dropped, for any cause.
    #[must_use]
    pub fn total_dropped(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

fn count_drops(dropped: &mut Vec<(DropCause, u64)>, cause: DropCause, frames: u64) {
    match dropped.iter_mut().find(|(known, _)| *known == cause) {
        _ if frames == 0 => {}
        Some((_, count)) => *count += frames,
        None => dropped.push((cause, frames)),
    }
}

/// A number of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many.
    pub frames: u64,
    /// How many bytes in all.
    pub bytes: u64,
}

impl Volume {
    /// Counts one frame.
    #[inline]
    pub fn add(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

/// Why a port dropped a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DropCause {
    /// It is longer than [`FRAME_LIMIT`].
    OverLong,
    /// It is not an Ethernet frame but of this link type, by its number in the pcap registry.
    LinkType(u32),
    /// It comes to a device that nothing takes frames from.
    NotConnected,
    /// Its headers are not what they should be.
    Malformed,
    /// It is of a protocol that the port does not carry, or a fragment.
    Unsupported,
    /// It goes where the instance may not.
    Forbidden,
    /// The host cannot send it there.
    NoWay,
    /// It belongs to a connection that there is not.
    Unknown,
    /// It would open one connection too many.
    TooMany,
    /// The interface took no more.
    NoRoom,
    /// It came when the interface had no room for more, as nobody had fetched what came before.
    Late,
    /// The instance it is for had no room for it.
    ReceiverFull,
    /// The instance it is for is not running.
    Ended,
    /// The port it is for is gone.
    Gone,
    /// None of those that it might be for is there.
    NoReceiver,
    /// A flow rule says so.
    Rule,
    /// It is over the limit of a flow rule.
    OverLimit,
    /// It is of a VLAN that its port does not take part in.
    Vlan,
    /// It comes from an address that is somebody else's.
    Forged,
    /// It is for bridges themselves.
    Reserved,
    /// Its destination is where it came from.
    Back,
}

impl fmt::Display for DropCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverLong => write!(f, "longer than {FRAME_LIMIT} bytes"),
            Self::LinkType(number) => write!(f, "not Ethernet but link type {number}"),
            Self::NotConnected => f.write_str("no output connected"),
            Self::Malformed => f.write_str("malformed"),
            Self::Unsupported => f.write_str("of a protocol that the port does not carry"),
            Self::Forbidden => f.write_str("to where the instance may not go"),
            Self::NoWay => f.write_str("to where the host has no way"),
            Self::Unknown => f.write_str("of no known connection"),
            Self::TooMany => f.write_str("too many connections"),
            Self::NoRoom => f.write_str("no room in the interface"),
            Self::Late => f.write_str("not fetched in time"),
            Self::ReceiverFull => f.write_str("no room in the instance"),
            Self::Ended => f.write_str("the instance is not running"),
            Self::Gone => f.write_str("the port is gone"),
            Self::NoReceiver => f.write_str("nobody there to receive them"),
            Self::Rule => f.write_str("by a flow rule"),
            Self::OverLimit => f.write_str("over a flow rule's limit"),
            Self::Vlan => f.write_str("of a VLAN that the port is not in"),
            Self::Forged => f.write_str("forged: from somebody else's address"),
            Self::Reserved => f.write_str("for bridges themselves"),
            Self::Back => f.write_str("for where they came from"),
        }
    }
}
