use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use sprat_click::arguments::Bandwidth;
use sprat_click::time::SECOND;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::headers::Ipv4;

pub(super) const SOURCE_RATE_LIMITER: Class = Class::of::<SourceRateLimiter>("SourceRateLimiter")
    .ports("1/1-2")
    .processing("a/ah");

/// SourceRateLimiter: lets so much a second pass of each source address, and no more.
///
/// ```click
/// SourceRateLimiter(RATE, [keywords BANDWIDTH, BURST_DURATION, PREFIX, CAPACITY])
/// ```
///
/// IPv4 packets of a source within its rate leave by output 0; those beyond it, and packets that are
/// none, leave by output 1 if there is one and are dropped otherwise. A source that has been quiet may
/// always send one packet.
///
/// Memory is taken at the start and never grows: where more sources send than fit, those are forgotten
/// that are furthest below their rate. A flood from invented addresses so makes nobody's limit looser
/// who uses it.
///
/// - RATE: packets a second, for each source.
/// - BANDWIDTH: whether RATE is bytes a second instead, such as `1Mbps`; false. What counts is the
///   length that the IP header states.
/// - BURST_DURATION: what a source may send at once after it has been quiet, as the time in which it
///   might send that at its rate; 0.1 seconds.
/// - PREFIX: how many bits of an address make a source; 32. With 24, all of a network share the rate.
/// - CAPACITY: sources that are remembered, 16 bytes each; 16,384.
///
/// Handlers: `count`, `drops` (read) the packets passed and not; `rate` (read); `reset_counts`,
/// `clear` (write) which forgets all sources.
///
/// ```click
/// FromDump(trace.pcap, STOP true) -> Strip(14) -> CheckIPHeader
///     -> limit :: SourceRateLimiter(1000, PREFIX 24) -> Discard; limit[1] -> Discard;
/// ```
///
/// Click has no such element; its ways to the same are IPRateMonitor and many RatedSplitters.
struct SourceRateLimiter {
    bytes: bool,
    rate: u64,
    /// How far ahead of now a source may have used its rate, in nanoseconds.
    burst: u64,
    mask: u32,
    sources: Vec<[Source; WAYS]>,
    secret: u64,
    count: u64,
    drops: u64,
}

/// Sources in one cache line.
const WAYS: usize = 4;

/// The generic cell rate algorithm's only state (ITU-T I.371): when all that it sent would have been
/// sent at its rate.
#[derive(Clone, Copy, Default)]
struct Source {
    address: u32,
    used_until: u64,
}

impl Configure for SourceRateLimiter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let bytes = arguments.keyword("BANDWIDTH").unwrap_or(false);
        let rate = match bytes {
            false => arguments.required::<u32>("RATE").map(u64::from),
            true => arguments.required::<Bandwidth>("RATE").map(|rate| rate.0),
        };
        let burst = arguments
            .keyword("BURST_DURATION")
            .unwrap_or(Duration::from_millis(100));
        let prefix = arguments.keyword::<u32>("PREFIX").unwrap_or(32);
        let capacity = arguments.keyword::<usize>("CAPACITY").unwrap_or(16_384);
        arguments.finish()?;
        let rate = rate?;
        if rate == 0 {
            return Err(arguments.error("RATE: must be above zero"));
        }
        if prefix > 32 {
            return Err(arguments.error("PREFIX: must be between 0 and 32"));
        }
        if !(1..=1 << 24).contains(&capacity) {
            return Err(arguments.error("CAPACITY: must be between 1 and 16777216"));
        }
        let sets = capacity.div_ceil(WAYS).next_power_of_two();
        Ok(Self {
            bytes,
            rate,
            burst: u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX),
            mask: u32::MAX.checked_shl(32 - prefix).unwrap_or(0),
            sources: vec![[Source::default(); WAYS]; sets],
            secret: 0,
            count: 0,
            drops: 0,
        })
    }
}

impl SourceRateLimiter {
    /// Whether a source may send so much now, which is then noted.
    fn admits(&mut self, address: u32, amount: u64, now: u64) -> bool {
        let cost = amount.saturating_mul(SECOND) / self.rate;
        // Secret, so that nobody chooses addresses that fall together.
        let hash = (u64::from(address) ^ self.secret).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let sets = self.sources.len();
        let Some(set) = self.sources.get_mut((hash >> 32) as usize & (sets - 1)) else {
            return false;
        };
        let known = set
            .iter()
            .position(|source| source.address == address && source.used_until != 0);
        let at = known.unwrap_or_else(|| {
            let idle = (0..WAYS).min_by_key(|at| set[*at].used_until).unwrap_or(0);
            set[idle] = Source {
                address,
                used_until: 0,
            };
            idle
        });
        let used_until = &mut set[at].used_until;
        let until = now.max(*used_until).saturating_add(cost);
        let admitted = *used_until <= now || until <= now.saturating_add(self.burst);
        if admitted {
            *used_until = until.max(1);
        }
        admitted
    }
}

impl Element for SourceRateLimiter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.secret = context.environment().random_seed();
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let now = context.now().0;
        batch.filter(|packet| {
            let ip = packet.network_header().map(Ipv4::new);
            let admitted = matches!(ip, Some(Ok(ip)) if {
                let amount = if self.bytes { u64::from(ip.total_length()) } else { 1 };
                self.admits(ip.source().to_bits() & self.mask, amount, now)
            });
            if admitted {
                self.count += 1;
                return Some(packet);
            }
            self.drops += 1;
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count").read("drops").read("rate");
        list.button("reset_counts").button("clear");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "drops" => Ok(self.drops.to_string()),
            "rate" => Ok(self.rate.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => (self.count, self.drops) = (0, 0),
            "clear" => self.sources.fill([Source::default(); WAYS]),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec::Vec;

    use crate::testing::Bench;

    /// A packet of 100 bytes from an address.
    fn from(source: [u8; 4]) -> Vec<u8> {
        let mut bytes = std::vec![0; 100];
        bytes[0] = 0x45;
        bytes[3] = 100;
        bytes[12..16].copy_from_slice(&source);
        bytes
    }

    fn bench(arguments: &str) -> Bench {
        Bench::new(&std::format!(
            "FromDevice(in) -> MarkIPHeader(0) -> limit :: SourceRateLimiter({arguments})
             -> ToDevice(out); limit[1] -> ToDevice(beyond)"
        ))
    }

    /// How many of `count` packets at once pass.
    fn passed(bench: &Bench, source: [u8; 4], count: usize) -> usize {
        for _ in 0..count {
            bench.arrive("in", &from(source));
        }
        bench.run_for(Duration::from_millis(1));
        let (sent, beyond) = (bench.sent("out").len(), bench.sent("beyond").len());
        assert_eq!(sent + beyond, count);
        sent
    }

    #[test]
    fn each_source_has_its_own_rate_and_burst() {
        // 100 a second for 0.1 seconds: ten at once.
        let bench = bench("100");
        assert_eq!(passed(&bench, [1, 0, 0, 1], 20), 10);
        assert_eq!(passed(&bench, [1, 0, 0, 2], 5), 5);
        assert_eq!(passed(&bench, [1, 0, 0, 1], 20), 0);
        // One more every ten milliseconds.
        bench.run_for(Duration::from_millis(50));
        assert_eq!(passed(&bench, [1, 0, 0, 1], 20), 5);
        assert_eq!(
            (bench.read("limit.count"), bench.read("limit.drops")),
            ("20".into(), "45".into())
        );
        bench.write("limit.clear", "");
        assert_eq!(passed(&bench, [1, 0, 0, 1], 20), 10);
    }

    #[test]
    fn bandwidth_counts_the_bytes_of_the_ip_header() {
        // 8 kbit/s are 1000 bytes a second; a second's worth is ten packets of 100 bytes.
        let bench = bench("8kbps, BANDWIDTH true, BURST_DURATION 1s");
        assert_eq!(passed(&bench, [1, 0, 0, 1], 20), 10);
    }

    #[test]
    fn a_network_shares_its_rate_where_sources_are_networks() {
        let bench = bench("100, PREFIX 24");
        assert_eq!(passed(&bench, [1, 0, 0, 1], 6), 6);
        assert_eq!(passed(&bench, [1, 0, 0, 2], 6), 4);
        assert_eq!(passed(&bench, [1, 0, 1, 2], 6), 6);
    }

    #[test]
    fn a_quiet_source_may_always_send_one_packet() {
        let bench = bench("1, BURST_DURATION 0");
        assert_eq!(passed(&bench, [1, 0, 0, 1], 3), 1);
        bench.run_for(Duration::from_secs(1));
        assert_eq!(passed(&bench, [1, 0, 0, 1], 3), 1);
    }

    #[test]
    fn a_flood_of_addresses_does_not_make_room_for_who_is_at_the_limit() {
        let bench = bench("10, BURST_DURATION 100s, CAPACITY 64");
        assert_eq!(passed(&bench, [9, 9, 9, 9], 1000), 1000);
        for number in 0..2000u16 {
            let [high, low] = number.to_be_bytes();
            bench.arrive("in", &from([1, 0, high, low]));
        }
        bench.run_for(Duration::from_millis(1));
        bench.sent("out");
        assert_eq!(passed(&bench, [9, 9, 9, 9], 10), 0);
    }

    #[test]
    fn what_is_not_ip_does_not_pass() {
        let bench = bench("100");
        bench.arrive("in", &[0x45, 0, 0]);
        bench.run();
        assert_eq!(
            (bench.sent("out").len(), bench.sent("beyond").len()),
            (0, 1)
        );
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (arguments, wrong) in [
            ("0", "RATE: must be above zero"),
            ("1, PREFIX 33", "PREFIX: must be between 0 and 32"),
            ("1, CAPACITY 0", "CAPACITY: must be between 1 and 16777216"),
        ] {
            let text = std::format!("Idle -> SourceRateLimiter({arguments}) -> Idle");
            let errors = Bench::errors(&text);
            assert!(errors.contains(wrong), "{errors}");
        }
    }
}
