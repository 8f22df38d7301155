use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::arguments::Bytes;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::{Batch, Packet, Pool};

use crate::handler_call::HandlerCall;

pub(super) const INFINITE_SOURCE: Class =
    Class::of::<InfiniteSource>("InfiniteSource").ports("0/1");

const DEFAULT_DATA: &[u8] =
    b"Random bullshit in a packet, at least 64 bytes long. Well, now it is.";

/// InfiniteSource: makes packets as fast as they are taken.
///
/// ```click
/// InfiniteSource([DATA, LIMIT, BURST, ACTIVE, keywords LENGTH, TIMESTAMP, STOP, END_CALL])
/// ```
///
/// - DATA: the packet's bytes; by default a text of 69 characters.
/// - LIMIT: packets to make; negative, the default: without end.
/// - BURST: packets made each time it is scheduled; 1.
/// - ACTIVE: whether it makes any; true.
/// - LENGTH: the packet's length; DATA is repeated or cut to it. Negative: DATA's own.
/// - TIMESTAMP: whether packets get the present time; true.
/// - STOP: whether the driver stops when LIMIT is reached; false.
/// - END_CALL: a handler to write when LIMIT is reached.
///
/// It stops making packets while what follows it says that it is full.
///
/// Handlers: `count` (read); `reset` (write) starts the count anew; `data`, `limit`, `burst`,
/// `active` (read, write); `length` (write); those of its task.
///
/// See Click's manual page InfiniteSource(n).
struct InfiniteSource {
    data: Vec<u8>,
    length: Option<usize>,
    /// The bytes of each packet: `data` at `length`.
    frame: Vec<u8>,
    limit: Option<u64>,
    burst: Option<usize>,
    active: bool,
    timestamp: bool,
    stop: bool,
    end_call: Option<HandlerCall>,
    count: u64,
    batch: Batch,
}

impl Configure for InfiniteSource {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let data = arguments
            .position::<Bytes>("DATA")
            .map_or_else(|| DEFAULT_DATA.to_vec(), |data| data.0);
        let limit = arguments
            .position::<i64>("LIMIT")
            .and_then(|limit| u64::try_from(limit).ok());
        let burst = arguments
            .position::<i32>("BURST")
            .map(|burst| usize::try_from(burst).unwrap_or(1).max(1));
        let active = arguments.position("ACTIVE").unwrap_or(true);
        let length = arguments
            .keyword::<i32>("LENGTH")
            .and_then(|length| usize::try_from(length).ok());
        let datasize = arguments
            .keyword::<i32>("DATASIZE")
            .and_then(|length| usize::try_from(length).ok());
        let timestamp = arguments.keyword("TIMESTAMP").unwrap_or(true);
        let stop = arguments.keyword("STOP").unwrap_or(false);
        let end_call = arguments.keyword("END_CALL");
        arguments.finish()?;
        let length = length.or(datasize);
        let mut source = Self {
            data,
            length,
            frame: Vec::new(),
            limit,
            burst,
            active,
            timestamp,
            stop,
            end_call,
            count: 0,
            batch: Batch::new(),
        };
        source.make_frame();
        Ok(source)
    }
}

impl InfiniteSource {
    fn make_frame(&mut self) {
        let length = self.length.unwrap_or(self.data.len());
        self.frame.clear();
        self.frame
            .extend(self.data.iter().copied().cycle().take(length));
        // Data of no bytes cannot be repeated.
        self.frame.resize(length, 0);
    }

    /// Packets it may still make.
    fn left(&self) -> usize {
        let left = self
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.count));
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    fn make(&self, pool: &Pool, timestamp: i64) -> Packet {
        let mut packet = pool.packet(&self.frame);
        packet.set_timestamp(timestamp);
        packet
    }

    fn make_batch(&mut self, context: &Context<'_>, count: usize, batch: &mut Batch) {
        let timestamp = if self.timestamp {
            context.timestamp().0
        } else {
            0
        };
        for _ in 0..count {
            batch.push(self.make(context.pool(), timestamp));
        }
        self.count += count as u64;
    }

    /// Does what is to be done when the last packet has been made.
    fn end(&mut self, context: &mut Context<'_>) {
        if self.stop {
            context.stop_driver();
        }
        if let Some(call) = &self.end_call {
            call.call(context);
        }
    }

    fn resume(&self, context: &Context<'_>) {
        let ready = self.active && self.left() > 0;
        context.set_nonempty(ready);
        if ready && context.output_pushes(0) {
            context.schedule_task();
        }
    }
}

impl Element for InfiniteSource {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some(call) = &self.end_call {
            call.check(context)?;
        }
        if context.output_pushes(0) {
            context.wake_when_nonfull(0);
        }
        self.resume(context);
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        if !self.active || self.left() == 0 || !context.downstream_nonfull(0) {
            return false;
        }
        let count = context.source_burst(0, self.burst).min(self.left());
        let mut batch = core::mem::take(&mut self.batch);
        self.make_batch(context, count, &mut batch);
        context.forward(0, &mut batch);
        self.batch = batch;
        if self.left() > 0 {
            context.schedule_task();
        } else {
            self.end(context);
        }
        true
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        if !self.active || self.left() == 0 {
            context.set_nonempty(false);
            return;
        }
        let count = limit.min(self.left());
        self.make_batch(context, count, batch);
        if self.left() == 0 {
            context.set_nonempty(false);
            self.end(context);
        }
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .button("reset")
            .read_write("data")
            .read_write("limit")
            .read_write("burst");
        list.read_write("active").write("length").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "data" => Ok(String::from_utf8_lossy(&self.data).into_owned()),
            "limit" => Ok(self
                .limit
                .map_or_else(|| "-1".into(), |limit| limit.to_string())),
            "burst" => Ok(self.burst.unwrap_or(1).to_string()),
            "active" => Ok(self.active.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "reset" => self.count = 0,
            "data" => {
                self.data = crate::handler_value::<Bytes>(context, value)?.0;
                self.make_frame();
            }
            "limit" => {
                self.limit = u64::try_from(crate::handler_value::<i64>(context, value)?).ok()
            }
            "burst" => self.burst = Some(crate::handler_value::<usize>(context, value)?.max(1)),
            "active" => self.active = crate::handler_value(context, value)?,
            "length" => {
                self.length = usize::try_from(crate::handler_value::<i32>(context, value)?).ok();
                self.make_frame();
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        self.resume(context);
        Ok(())
    }
}
