//! What all sources have in common: the packets they make, how many, and what happens after.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::arguments::Bytes;
use sprat_click::{Arguments, Context, HandlerError, HandlerList, Rejected};
use sprat_packet::Batch;

use crate::handler_call::HandlerCall;

const DEFAULT_DATA: &[u8] =
    b"Random bullshit in a packet, at least 64 bytes long. Well, now it is.";

/// Click's own.
const DEFAULT_HEADROOM: u32 = 28;

/// The bytes of a source's packets.
enum Contents {
    /// `data`, repeated or cut to `length`; `frame` is the result.
    Given {
        data: Vec<u8>,
        length: Option<usize>,
        frame: Vec<u8>,
    },
    /// So many random bytes.
    Random(usize),
}

impl Contents {
    fn given(data: Vec<u8>, length: Option<usize>) -> Self {
        let bytes = length.unwrap_or(data.len());
        let mut frame: Vec<u8> = data.iter().copied().cycle().take(bytes).collect();
        // Data of no bytes cannot be repeated.
        frame.resize(bytes, 0);
        Self::Given {
            data,
            length,
            frame,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Given { frame, .. } => frame.len(),
            Self::Random(length) => *length,
        }
    }
}

/// A maker of packets.
pub(super) struct Generator {
    contents: Contents,
    limit: Option<u64>,
    timestamp: bool,
    stop: bool,
    end_call: Option<HandlerCall>,
    /// What it was told to keep free before packets; all of them have room enough, whatever it is.
    headroom: u32,
    count: u64,
    /// Whether all has been done that is to be done at the limit.
    ended: bool,
}

/// A length or a limit that negative numbers mean not to be there.
fn optional<T: TryFrom<i64>>(value: i64) -> Option<T> {
    T::try_from(value).ok()
}

/// Reads LENGTH, or DATASIZE, its old name.
fn length(arguments: &mut Arguments<'_>) -> Option<usize> {
    let datasize = arguments.keyword("DATASIZE");
    arguments.keyword("LENGTH").or(datasize).and_then(optional)
}

impl Generator {
    /// Reads DATA and LENGTH.
    pub(super) fn with_data(arguments: &mut Arguments<'_>) -> Self {
        let data = arguments
            .position::<Bytes>("DATA")
            .map_or_else(|| DEFAULT_DATA.to_vec(), |data| data.0);
        let length = length(arguments);
        Self::new(Contents::given(data, length))
    }

    /// Reads the LENGTH of packets of random bytes.
    pub(super) fn random(arguments: &mut Arguments<'_>) -> Result<Self, Rejected> {
        let length = arguments.required::<u16>("LENGTH")?;
        Ok(Self::new(Contents::Random(usize::from(length))))
    }

    fn new(contents: Contents) -> Self {
        Self {
            contents,
            limit: None,
            timestamp: true,
            stop: false,
            end_call: None,
            headroom: DEFAULT_HEADROOM,
            count: 0,
            ended: false,
        }
    }

    /// Reads LIMIT.
    pub(super) fn read_limit(&mut self, arguments: &mut Arguments<'_>) {
        self.limit = arguments.position("LIMIT").and_then(optional);
    }

    /// Reads TIMESTAMP, STOP, END_CALL and HEADROOM.
    pub(super) fn read_keywords(&mut self, arguments: &mut Arguments<'_>) {
        self.timestamp = arguments.keyword("TIMESTAMP").unwrap_or(true);
        self.stop = arguments.keyword("STOP").unwrap_or(false);
        self.end_call = arguments.keyword("END_CALL");
        self.headroom = arguments.keyword("HEADROOM").unwrap_or(DEFAULT_HEADROOM);
        if self.stop && self.end_call.is_some() {
            arguments.error("END_CALL and STOP are mutually exclusive");
        }
    }

    /// Bytes of each packet.
    pub(super) fn packet_length(&self) -> usize {
        self.contents.len()
    }

    /// The LENGTH that packets were told to have.
    pub(super) fn given_length(&self) -> Option<usize> {
        match self.contents {
            Contents::Given { length, .. } => length,
            Contents::Random(_) => None,
        }
    }

    /// Checks what can be checked only in a whole router.
    pub(super) fn initialize(&self, context: &Context<'_>) -> Result<(), Rejected> {
        match &self.end_call {
            Some(call) => call.check(context),
            None => Ok(()),
        }
    }

    /// Packets it may still make.
    pub(super) fn left(&self) -> usize {
        let left = self
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.count));
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Whether nothing is left to be done, not even at the limit.
    pub(super) fn finished(&self) -> bool {
        self.ended && self.left() == 0
    }

    /// Makes `count` packets.
    pub(super) fn make(&mut self, context: &Context<'_>, count: usize, batch: &mut Batch) {
        let timestamp = if self.timestamp {
            context.timestamp().0
        } else {
            0
        };
        for _ in 0..count {
            let mut packet = match &self.contents {
                Contents::Given { frame, .. } => context.pool().packet(frame),
                Contents::Random(length) => {
                    let mut packet = context
                        .pool()
                        .packet_uninitialised(sprat_packet::DEFAULT_HEADROOM, *length);
                    for bytes in packet.data_mut().chunks_mut(4) {
                        bytes.copy_from_slice(&context.random().to_ne_bytes()[..bytes.len()]);
                    }
                    packet
                }
            };
            packet.set_timestamp(timestamp);
            batch.push(packet);
        }
        self.count += count as u64;
    }

    /// Does what is to be done when a packet was asked for and the limit had been reached; once.
    /// What follows a source may still be at work when its last packet is made, and has been
    /// given time by when it is asked again.
    pub(super) fn end(&mut self, context: &mut Context<'_>) {
        if core::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.stop {
            context.stop_driver();
        }
        if let Some(call) = &self.end_call {
            call.call(context);
        }
    }

    pub(super) fn handlers(&self, list: &mut HandlerList) {
        list.read("count").button("reset");
        match self.contents {
            Contents::Given { .. } => list.read_write("data").read_write("datasize"),
            Contents::Random(_) => list,
        }
        .read_write("limit")
        .read_write("length");
    }

    /// A handler's name; some have an old one.
    fn name_now(name: &str) -> &str {
        match name {
            "datasize" => "length",
            name => name,
        }
    }

    pub(super) fn read(&self, name: &str) -> Result<String, HandlerError> {
        match (Self::name_now(name), &self.contents) {
            ("count", _) => Ok(self.count.to_string()),
            ("headroom", _) => Ok(self.headroom.to_string()),
            ("limit", _) => Ok(self
                .limit
                .map_or_else(|| "-1".into(), |limit| limit.to_string())),
            ("data", Contents::Given { data, .. }) => {
                Ok(String::from_utf8_lossy(data).into_owned())
            }
            ("length", Contents::Given { length, .. }) => {
                Ok(length.map_or_else(|| "-1".into(), |length| length.to_string()))
            }
            ("length", Contents::Random(length)) => Ok(length.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    /// Takes a value for one of its handlers; `complaint` is what the element says of one that is no
    /// number.
    pub(super) fn write(
        &mut self,
        context: &Context<'_>,
        name: &str,
        value: &str,
        complaint: &'static str,
    ) -> Result<(), HandlerError> {
        match (Self::name_now(name), &mut self.contents) {
            ("reset", _) => {
                self.count = 0;
                self.ended = false;
            }
            ("headroom", _) => self.headroom = crate::value_or(context, value, "bad headroom")?,
            ("limit", _) => {
                self.limit = optional(crate::value_or(context, value, complaint)?);
                self.ended = false;
            }
            ("data", Contents::Given { length, .. }) => {
                // As it is: quotes are part of it.
                self.contents = Contents::given(value.as_bytes().to_vec(), *length);
            }
            ("length", Contents::Given { data, .. }) => {
                let length = optional(i64::from(crate::value_or::<i32>(
                    context, value, complaint,
                )?));
                self.contents = Contents::given(core::mem::take(data), length);
            }
            ("length", Contents::Random(length)) => {
                *length = usize::from(crate::value_or::<u16>(context, value, complaint)?);
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
