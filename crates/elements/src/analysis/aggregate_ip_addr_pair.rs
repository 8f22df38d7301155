use core::net::Ipv4Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::AGGREGATE;
use sprat_packet::headers::Ipv4;
use sprat_packet::{Batch, Packet};

use super::ended::Ended;

pub(super) const AGGREGATE_IP_ADDR_PAIR: Class =
    Class::of::<AggregateIpAddrPair>("AggregateIPAddrPair")
        .ports("1/1-2")
        .processing("a/ah");

/// AggregateIPAddrPair: sets the aggregate annotation to the number of the packet's pair of
/// addresses.
///
/// ```click
/// AggregateIPAddrPair([keywords TIMEOUT, REAP])
/// ```
///
/// Pairs are numbered from 1, in the order in which they are first seen. A packet and its reply are of
/// one pair; the paint annotation becomes 0 in the direction of the pair's first packet and 1 in the
/// other. Packets without an IP header leave by output 1 if there is one. Time is that of the packets.
///
/// - TIMEOUT: for how long a pair may be silent before its packets are another pair; for ever.
/// - REAP: how often silent pairs are looked for; 20 minutes.
///
/// Handlers: `clear` (write) forgets all pairs.
///
/// See Click's manual page AggregateIPAddrPair(n).
pub(super) struct AggregateIpAddrPair {
    timeout: Option<i64>,
    reap: i64,
    pairs: HashMap<[Ipv4Addr; 2], Pair>,
    last_number: u32,
    /// When silent pairs are looked for next.
    next_reap: Option<i64>,
    /// Who is told of pairs that are over.
    pub(super) ended: Ended,
}

struct Pair {
    number: u32,
    /// Whether the first packet came from the greater address.
    reversed: bool,
    last: i64,
}

impl Configure for AggregateIpAddrPair {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let nanoseconds = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let timeout = arguments.keyword("TIMEOUT").map(nanoseconds);
        let reap = arguments
            .keyword("REAP")
            .unwrap_or(Duration::from_secs(20 * 60));
        arguments.finish()?;
        Ok(Self {
            // As Click has it, no time at all means for ever.
            timeout: timeout.filter(|timeout| *timeout > 0),
            reap: nanoseconds(reap),
            pairs: HashMap::new(),
            last_number: 0,
            next_reap: None,
            ended: Ended::default(),
        })
    }
}

impl AggregateIpAddrPair {
    /// Marks a packet; `None` where it has no addresses.
    fn mark(&mut self, context: &Context<'_>, packet: &mut Packet) -> Option<()> {
        let ip = Ipv4::new(packet.network_header()?).ok()?;
        let (source, destination) = (ip.source(), ip.destination());
        let reversed = source > destination;
        let key = match reversed {
            true => [destination, source],
            false => [source, destination],
        };
        let now = packet.timestamp();
        self.reap(context, now);
        let number = self.last_number.wrapping_add(1);
        let pair = self.pairs.entry(key).or_insert(Pair {
            number,
            reversed,
            last: now,
        });
        if self
            .timeout
            .is_some_and(|timeout| pair.is_over(now, timeout))
        {
            self.ended.tell(pair.number);
            (pair.number, pair.reversed) = (number, reversed);
        }
        if pair.number == number {
            self.last_number = number;
        }
        pair.last = now;
        let (number, paint) = (pair.number, u8::from(pair.reversed != reversed));
        packet.set_annotation_word(AGGREGATE, number);
        packet.set_paint(paint);
        Some(())
    }

    /// Forgets what has been silent for too long, every now and then.
    fn reap(&mut self, context: &Context<'_>, now: i64) {
        let Some(timeout) = self.timeout else {
            return;
        };
        let due = *self.next_reap.get_or_insert(now.saturating_add(self.reap));
        if now < due {
            return;
        }
        self.next_reap = Some(now.saturating_add(self.reap));
        let ended = &self.ended;
        self.pairs.retain(|_, pair| {
            let over = pair.is_over(now, timeout);
            if over {
                ended.tell(pair.number);
            }
            !over
        });
        ended.wake(context);
    }
}

impl Pair {
    fn is_over(&self, now: i64, timeout: i64) -> bool {
        now.saturating_sub(self.last) > timeout
    }
}

impl Element for AggregateIpAddrPair {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| match self.mark(context, &mut packet) {
            Some(()) => Some(packet),
            None => {
                context.emit(1, packet);
                None
            }
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.button("clear");
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "clear" => {
                let numbers = self.pairs.values().map(|pair| pair.number);
                self.ended.tell_all(context, numbers);
                self.pairs.clear();
                Ok(())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::super::testing::numbered;
    use crate::testing::Bench;

    fn pairs(keywords: &str, dump: &str) -> String {
        numbered(&std::format!("AggregateIPAddrPair({keywords})"), dump)
    }

    #[test]
    fn replies_have_the_number_of_their_pair_whatever_the_ports() {
        let dump = "!data src sport dst dport ip_id\n\
                    2.0.0.2 5 1.0.0.1 80 1\n1.0.0.1 9 2.0.0.2 7 2\n2.0.0.2 6 1.0.0.3 80 3\n\
                    2.0.0.2 5 1.0.0.1 80 4\n";
        assert_eq!(pairs("", dump), "1 0 1\n1 1 2\n2 0 3\n1 0 4\n");
    }

    #[test]
    fn a_pair_silent_for_too_long_is_another_one() {
        let dump = "!data timestamp src dst ip_id\n\
                    10 1.0.0.1 2.0.0.2 1\n15 1.0.0.1 2.0.0.2 2\n21 2.0.0.2 1.0.0.1 3\n\
                    22 1.0.0.1 2.0.0.2 4\n";
        assert_eq!(pairs("TIMEOUT 5", dump), "1 0 1\n1 0 2\n2 0 3\n2 1 4\n");
        assert_eq!(pairs("", dump), "1 0 1\n1 0 2\n1 1 3\n1 0 4\n");
    }

    #[test]
    fn packets_without_addresses_leave_by_the_second_output() {
        let bench = Bench::new(
            "FromDevice(in) -> MarkIPHeader(0) -> a :: AggregateIPAddrPair -> ToDevice(out);
             a[1] -> ToDevice(other)",
        );
        bench.arrive("in", &[0x45, 0, 0, 20]);
        bench.run();
        assert_eq!((bench.sent("out").len(), bench.sent("other").len()), (0, 1));
    }
}
