use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::bucket::Bucket;

pub(super) const RATED_SPLITTER: Class = Class::of::<Splitter<false>>("RatedSplitter")
    .ports("1/1-2")
    .processing("h/h")
    .reconfigurable();
pub(super) const BANDWIDTH_RATED_SPLITTER: Class =
    Class::of::<Splitter<true>>("BandwidthRatedSplitter")
        .ports("1/1-2")
        .processing("h/h")
        .reconfigurable();

/// RatedSplitter: passes packets up to a rate and diverts the rest.
///
/// ```click
/// RatedSplitter(RATE [, keywords BURST_DURATION, BURST_SIZE])
/// BandwidthRatedSplitter(RATE [, keywords BURST_DURATION, BURST_BYTES])
/// ```
///
/// - RATE: packets a second; for `BandwidthRatedSplitter` a bandwidth such as `384 kbps`.
/// - BURST_DURATION: what comes in this time may pass at once after a pause; 20 ms.
/// - BURST_SIZE, BURST_BYTES: so many packets or bytes may; instead of BURST_DURATION.
///
/// Packets beyond RATE go to output 1, and are dropped where it is not connected; those up to it
/// pass also while more come. A token bucket, as that of `RatedUnqueue`.
///
/// Handlers: `rate` (read, write). Its `config` is RATE as it is.
///
/// See Click's manual pages RatedSplitter(n) and BandwidthRatedSplitter(n).
struct Splitter<const BANDWIDTH: bool> {
    bucket: Bucket<BANDWIDTH>,
}

impl<const BANDWIDTH: bool> Configure for Splitter<BANDWIDTH> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let bucket = Bucket::configure(arguments);
        arguments.finish()?;
        Ok(Self { bucket: bucket? })
    }
}

impl<const BANDWIDTH: bool> Element for Splitter<BANDWIDTH> {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        self.bucket.fill(context.now());
        batch.filter(|packet| {
            if self.bucket.allows() {
                self.bucket.charge(packet.len());
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn configuration(&self) -> Option<String> {
        Some(self.bucket.rate_text())
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("rate");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "rate" => Ok(self.bucket.rate_text()),
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
            "rate" => self.bucket.write_rate(context, value),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn the_rate_passes_also_while_more_comes() {
        // Five times the rate comes: of 1,000 packets a second, or 100,000 bytes, one in five.
        for splitter in ["RatedSplitter(200)", "BandwidthRatedSplitter(20kBps)"] {
            let bench = Bench::new(&std::format!(
                "RatedSource(RATE 1000, LENGTH 100) -> s :: {splitter} -> a :: Counter -> Discard;
                 s[1] -> b :: Counter -> Discard"
            ));
            bench.run_for(Duration::from_secs(10));
            let passed: u32 = bench.read("a.count").parse().unwrap();
            let diverted: u32 = bench.read("b.count").parse().unwrap();
            assert!(passed.abs_diff(2004) <= 2, "{splitter}: {passed}");
            assert!(diverted.abs_diff(7996) <= 12, "{splitter}: {diverted}");
        }
    }
}
