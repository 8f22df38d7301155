//! Control messages: handlers read and written, and state carried from one instance to another.
//!
//! Requests travel in one byte ring, answers in another. A message is a [`MessageHead`], a name, data,
//! and padding to a multiple of 8 bytes. What does not fit a ring goes in several messages of one
//! identifier, all but the last marked [`MessageHead::MORE`].

use crate::bytes::{ByteConsumer, ByteProducer};
use crate::ring::RingLie;
use core::fmt;

/// What a message is: [`MessageHead::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum MessageKind {
    /// Read the handler that the name names; data are its parameters.
    Read = 1,
    /// Write data to the handler that the name names.
    Write = 2,
    /// Hand out the state that the name names, for another instance.
    Export = 3,
    /// Take in state that another instance handed out.
    Import = 4,
    /// Replace the configuration by the text in data, keeping what state can be kept.
    Replace = 5,
    /// The answer to any of these.
    Answer = 0x8000,
}

impl MessageKind {
    /// The kind that `value` stands for, if this version knows it.
    #[must_use]
    pub const fn from_value(value: u16) -> Option<Self> {
        Some(match value {
            1 => Self::Read,
            2 => Self::Write,
            3 => Self::Export,
            4 => Self::Import,
            5 => Self::Replace,
            0x8000 => Self::Answer,
            _ => return None,
        })
    }
}

/// The name of the state that all elements of a router hold together, for
/// [`Export`](MessageKind::Export) and [`Import`](MessageKind::Import).
pub const ROUTER_STATE: &[u8] = b"router";

/// How a request went: [`MessageHead::status`]. The values are those of Click's control protocol.
pub mod status {
    /// Done.
    pub const OK: u32 = 200;
    /// Done, though something is worth a look; the data say what.
    pub const OK_WARNING: u32 = 220;
    /// The request is not understood.
    pub const SYNTAX: u32 = 500;
    /// The instance cannot do such a thing.
    pub const UNIMPLEMENTED: u32 = 501;
    /// No such element.
    pub const NO_ELEMENT: u32 = 510;
    /// No such handler.
    pub const NO_HANDLER: u32 = 511;
    /// The handler failed; the data say why.
    pub const HANDLER_ERROR: u32 = 520;
    /// The handler cannot be read or written.
    pub const PERMISSION: u32 = 530;
}

/// What stands before a message's name and data.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageHead {
    /// Chosen by the asker; the answer has the same.
    pub id: u64,
    /// A [`MessageKind`].
    pub kind: u16,
    /// Bits: [`MessageHead::MORE`].
    pub flags: u16,
    /// In an answer: one of [`status`].
    pub status: u32,
    /// Length of the name in bytes.
    pub name_length: u32,
    /// Length of the data in bytes.
    pub data_length: u32,
}

impl MessageHead {
    /// Its size in bytes.
    pub const SIZE: usize = 24;

    /// The data go on in the next message with the same identifier.
    pub const MORE: u16 = 1;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.kind.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.status.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.name_length.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.data_length.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            k0,
            k1,
            f0,
            f1,
            s0,
            s1,
            s2,
            s3,
            n0,
            n1,
            n2,
            n3,
            d0,
            d1,
            d2,
            d3,
        ] = *bytes;
        Self {
            id: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            kind: u16::from_le_bytes([k0, k1]),
            flags: u16::from_le_bytes([f0, f1]),
            status: u32::from_le_bytes([s0, s1, s2, s3]),
            name_length: u32::from_le_bytes([n0, n1, n2, n3]),
            data_length: u32::from_le_bytes([d0, d1, d2, d3]),
        }
    }
}

const _: () = assert!(size_of::<MessageHead>() == MessageHead::SIZE);

/// A control ring holds something that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlLie {
    /// An index is impossible.
    Ring(RingLie),
    /// A message claims to be longer than the ring.
    Long {
        /// Claimed length of the name.
        name_length: u32,
        /// Claimed length of the data.
        data_length: u32,
    },
    /// The ring's end comes before the message's.
    Cut {
        /// Bytes the message has by its head.
        wanted: u32,
        /// Bytes that are there.
        present: u32,
    },
}

impl fmt::Display for ControlLie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(lie) => lie.fmt(f),
            Self::Long {
                name_length,
                data_length,
            } => {
                write!(
                    f,
                    "a message with {name_length} bytes of name and {data_length} of data is longer than the ring"
                )
            }
            Self::Cut { wanted, present } => {
                write!(
                    f,
                    "a message has {wanted} bytes by its head, and {present} are there"
                )
            }
        }
    }
}

impl core::error::Error for ControlLie {}

impl From<RingLie> for ControlLie {
    fn from(lie: RingLie) -> Self {
        Self::Ring(lie)
    }
}

/// A message taken out of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its head.
    pub head: MessageHead,
    /// Its name.
    pub name: &'a [u8],
    /// Its data.
    pub data: &'a [u8],
}

const fn padded(length: u64) -> u64 {
    length.next_multiple_of(8)
}

/// Bytes of name and data that always fit one message in an empty ring of `capacity` bytes.
#[must_use]
pub const fn message_room(capacity: u32) -> usize {
    (capacity as usize).saturating_sub(MessageHead::SIZE + 7)
}

/// Puts a message in; the lengths in `head` are filled in here. `false`: no room now, try again later
/// (or, beyond [`message_room`], never: split it).
///
/// # Errors
/// If the other side's index is impossible.
pub fn send(
    ring: &mut ByteProducer,
    head: MessageHead,
    name: &[u8],
    data: &[u8],
) -> Result<bool, RingLie> {
    let (Ok(name_length), Ok(data_length)) = (u32::try_from(name.len()), u32::try_from(data.len()))
    else {
        return Ok(false);
    };
    let head = MessageHead {
        name_length,
        data_length,
        ..head
    };
    let total = MessageHead::SIZE as u64 + u64::from(name_length) + u64::from(data_length);
    let padding = crate::length(padded(total) - total);
    ring.write_all(&[&head.to_bytes(), name, data, &[0; 8][..padding]])
}

/// Takes the next message out, copying it to `buffer`. `None`: there is none.
///
/// `buffer` should be as long as the ring; of a longer message the end of the data is cut off.
///
/// # Errors
/// If what is in the ring is no message; the ring is of no use after that.
pub fn receive<'b>(
    ring: &mut ByteConsumer,
    buffer: &'b mut [u8],
) -> Result<Option<Message<'b>>, ControlLie> {
    let present = ring.available()?;
    if present == 0 {
        return Ok(None);
    }
    let mut head = [0; MessageHead::SIZE];
    if ring.peek(0, &mut head)? < MessageHead::SIZE {
        return Err(ControlLie::Cut {
            wanted: 24,
            present,
        });
    }
    let head = MessageHead::from_bytes(&head);
    let body = u64::from(head.name_length) + u64::from(head.data_length);
    let total = padded(MessageHead::SIZE as u64 + body);
    let (Ok(wanted), true) = (u32::try_from(total), total <= u64::from(ring.capacity())) else {
        return Err(ControlLie::Long {
            name_length: head.name_length,
            data_length: head.data_length,
        });
    };
    if wanted > present {
        return Err(ControlLie::Cut { wanted, present });
    }
    let kept = crate::length(body).min(buffer.len());
    let copied = ring.peek(24, &mut buffer[..kept])?;
    ring.release(wanted as usize);
    let (name, data) = buffer[..copied].split_at((head.name_length as usize).min(copied));
    Ok(Some(Message { head, name, data }))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[repr(C, align(64))]
    struct Memory([u8; 128 + 256]);

    fn pair(memory: &mut Memory) -> (ByteProducer, ByteConsumer) {
        let base = memory.0.as_mut_ptr();
        // SAFETY: the tests keep the memory longer than both sides and look at it in no other way.
        unsafe {
            (
                ByteProducer::attach(base, 256),
                ByteConsumer::attach(base, 256),
            )
        }
    }

    fn head(kind: MessageKind, id: u64) -> MessageHead {
        MessageHead {
            kind: kind as u16,
            id,
            ..MessageHead::default()
        }
    }

    #[test]
    fn messages_come_out_as_they_went_in_across_the_ring_s_end() {
        let mut memory = Memory([0; _]);
        let (mut producer, mut consumer) = pair(&mut memory);
        let mut buffer = [0; 256];
        for id in 0..50 {
            assert_eq!(
                send(
                    &mut producer,
                    head(MessageKind::Write, id),
                    b"c.reset",
                    &[7; 61]
                ),
                Ok(true)
            );
            let message = receive(&mut consumer, &mut buffer)
                .expect("honest")
                .expect("one");
            assert_eq!(
                (message.head.id, message.name, message.data),
                (id, &b"c.reset"[..], &[7; 61][..])
            );
        }
        assert_eq!(receive(&mut consumer, &mut buffer), Ok(None));
    }

    #[test]
    fn a_message_that_does_not_fit_is_not_sent_by_halves() {
        let mut memory = Memory([0; _]);
        let (mut producer, consumer) = pair(&mut memory);
        let room = message_room(256);
        assert_eq!(
            send(&mut producer, head(MessageKind::Read, 1), &[], &[0; 233]),
            Ok(false)
        );
        assert_eq!(consumer.available(), Ok(0));
        assert_eq!(room, 225);
        assert_eq!(
            send(&mut producer, head(MessageKind::Read, 1), &[], &[0; 225]),
            Ok(true)
        );
    }

    #[test]
    fn lies_about_lengths_are_told_apart() {
        let mut memory = Memory([0; _]);
        let (mut producer, mut consumer) = pair(&mut memory);
        let long = MessageHead {
            name_length: u32::MAX,
            data_length: u32::MAX,
            ..head(MessageKind::Read, 1)
        };
        producer.write(&long.to_bytes()).expect("honest");
        let mut buffer = [0; 256];
        let lie = receive(&mut consumer, &mut buffer);
        assert_eq!(
            lie,
            Err(ControlLie::Long {
                name_length: u32::MAX,
                data_length: u32::MAX
            })
        );

        let mut memory = Memory([0; _]);
        let (mut producer, mut consumer) = pair(&mut memory);
        let cut = MessageHead {
            data_length: 100,
            ..head(MessageKind::Read, 1)
        };
        producer.write(&cut.to_bytes()).expect("honest");
        let mut buffer = [0; 256];
        let lie = receive(&mut consumer, &mut buffer);
        assert_eq!(
            lie,
            Err(ControlLie::Cut {
                wanted: 128,
                present: 24
            })
        );
    }
}
