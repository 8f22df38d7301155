use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::{Batch, DEFAULT_HEADROOM, EtherAddress, Packet};

pub(super) const ETHER_PAUSE_SOURCE: Class = Class::of::<EtherPauseSource>("EtherPauseSource")
    .ports("0/1")
    .processing("a");

/// EtherPauseSource: asks a device to send nothing for a while.
///
/// ```click
/// EtherPauseSource(SRC, PAUSETIME [, keywords DST, LIMIT, INTERVAL, ACTIVE])
/// ```
///
/// Makes PAUSE frames (IEEE 802.3, annex 31B) from SRC, the address of the device that sends them, for
/// PAUSETIME times of 512 bits each. Pushed, one every INTERVAL; pulled, one each time.
///
/// - DST: where to; 01-80-C2-00-00-01, the address that is kept for this.
/// - LIMIT: how many in all; negative, the default: no bound.
/// - INTERVAL: a second.
/// - ACTIVE: whether there are any; true.
///
/// Handlers: `count` (read); `src`, `dst`, `pausetime`, `limit`, `active` (read, write);
/// `reset_counts` (write).
///
/// See Click's manual page EtherPauseSource(n).
struct EtherPauseSource {
    source: EtherAddress,
    destination: EtherAddress,
    pause: u16,
    limit: Option<u64>,
    interval: Duration,
    active: bool,
    count: u64,
}

/// Where PAUSE frames go that are for whoever is at the other end of the link.
const ANYONE: EtherAddress = EtherAddress([0x01, 0x80, 0xc2, 0x00, 0x00, 0x01]);

/// Bytes of a frame. Click makes them as long as the shortest that travel, check sequence included.
const LENGTH: usize = 64;

/// What it says of whatever it cannot read.
const MISMATCH: &str = "type mismatch";

fn bound(limit: i64) -> Option<u64> {
    u64::try_from(limit).ok()
}

impl Configure for EtherPauseSource {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let pause = arguments.required("PAUSETIME");
        let destination = arguments.keyword("DST").unwrap_or(ANYONE);
        let limit = arguments.keyword::<i64>("LIMIT").and_then(bound);
        let interval = arguments
            .keyword("INTERVAL")
            .unwrap_or(Duration::from_secs(1));
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        if interval.is_zero() {
            arguments.error("INTERVAL must be > 0");
        }
        arguments.finish()?;
        Ok(Self {
            source: source?,
            destination,
            pause: pause?,
            limit,
            interval,
            active,
            count: 0,
        })
    }
}

impl EtherPauseSource {
    fn goes_on(&self) -> bool {
        self.active && self.limit.is_none_or(|limit| self.count < limit)
    }

    fn make(&mut self, context: &Context<'_>) -> Packet {
        self.count += 1;
        let mut packet = context.pool().packet_zeroed(DEFAULT_HEADROOM, LENGTH);
        let frame = packet.data_mut();
        frame[..6].copy_from_slice(&self.destination.0);
        frame[6..12].copy_from_slice(&self.source.0);
        // MAC control, and its code for PAUSE.
        frame[12..16].copy_from_slice(&[0x88, 0x08, 0x00, 0x01]);
        frame[16..18].copy_from_slice(&self.pause.to_be_bytes());
        packet.set_mac_header(0);
        packet.set_timestamp(context.timestamp().0);
        packet
    }

    fn resume(&self, context: &Context<'_>) {
        let goes_on = self.goes_on();
        context.set_nonempty(goes_on);
        if goes_on && context.output_pushes(0) {
            context.set_timer_after(0, self.interval);
        }
    }
}

impl Element for EtherPauseSource {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.resume(context);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if self.goes_on() {
            let packet = self.make(context);
            context.emit(0, packet);
            self.resume(context);
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit && self.goes_on() {
            batch.push(self.make(context));
        }
        if batch.is_empty() {
            context.set_nonempty(false);
        }
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read_write("src")
            .read_write("dst")
            .read_write("pausetime")
            .read_write("limit")
            .read_write("active")
            .button("reset_counts");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "src" => Ok(self.source.to_string()),
            "dst" => Ok(self.destination.to_string()),
            "pausetime" => Ok(self.pause.to_string()),
            "limit" => Ok(self
                .limit
                .map_or_else(|| "-1".into(), |limit| limit.to_string())),
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
            "src" => self.source = crate::value_or(context, value, MISMATCH)?,
            "dst" => self.destination = crate::value_or(context, value, MISMATCH)?,
            "pausetime" => self.pause = crate::value_or(context, value, MISMATCH)?,
            "limit" => self.limit = bound(crate::value_or(context, value, MISMATCH)?),
            "active" => self.active = crate::value_or(context, value, MISMATCH)?,
            "reset_counts" => self.count = 0,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        if context.timer(0).is_none() {
            self.resume(context);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn frames_are_those_of_802_3_annex_31b_and_come_every_interval() {
        let bench = Bench::new(
            "p :: EtherPauseSource(0:1e:13:22:48:91, 390, LIMIT 3, INTERVAL 0.5) -> ToDevice(out)",
        );
        bench.run_for(Duration::from_millis(1100));
        let sent = bench.sent("out");
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].len(), 64);
        assert_eq!(
            sent[0][..18],
            [
                0x01, 0x80, 0xc2, 0, 0, 1, 0x00, 0x1e, 0x13, 0x22, 0x48, 0x91, 0x88, 0x08, 0, 1,
                0x01, 0x86
            ]
        );
        assert!(sent[0][18..].iter().all(|byte| *byte == 0));
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("p.count"), "3");
        bench.write("p.reset_counts", "");
        bench.write("p.dst", "2:2:2:2:2:2");
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("p.count"), "3");
        assert_eq!(bench.sent("out")[3][..6], [2; 6]);
    }

    #[test]
    fn pulled_each_pull_gives_one() {
        let bench =
            Bench::new("EtherPauseSource(1:1:1:1:1:1, 1, LIMIT 7) -> u :: Unqueue -> Discard");
        bench.run();
        assert_eq!(bench.read("u.count"), "7");
    }
}
