use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, NoNames};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, Packet};

use super::dispatch::{Dispatch, Rule, ip_pattern, patterns};
use super::{Headers, Layout};

pub(super) const IP_FILTER: Class = Class::of::<IpFilter>("IPFilter")
    .ports("1/-")
    .processing("h/h")
    .reconfigurable();

/// IPFilter: passes or drops IP packets by their contents.
///
/// ```click
/// IPFilter(ACTION_1 PATTERN_1, ..., ACTION_N PATTERN_N)
/// ```
///
/// Packets are tested against the patterns in order and handled as the ACTION before the first
/// one that matches says. A packet that none matches is dropped. The packets' network header
/// must be set: CheckIPHeader and MarkIPHeader do that.
///
/// ACTION is an output number; `allow` (also `pass`, `accept`), which means 0; or `drop` (also
/// `deny`). PATTERN is an expression as for tcpdump, made of these:
///
/// - `ip proto PROTO`: the protocol, by name or number. A name alone will do: `tcp`. `tcpudp` is
///   either of the two.
/// - `[DIR] host ADDR`, `[DIR] net ADDR/BITS`, `[DIR] net ADDR mask MASK`: an address. DIR is
///   `src`, `dst`, `src or dst` (where nothing is said) or `src and dst`.
/// - `[DIR] [tcp | udp] port PORT`: a port of TCP or UDP, by name, number or range `LOW-HIGH`.
/// - `ip vers N`, `ip hl N`, `ip len N`, `ip id N`, `ip tos N`, `ip dscp N`, `ip ttl N`: header fields.
/// - `ip frag`, `ip unfrag`: is, or is not, a fragment.
/// - `ip ect`, `ip ect N`, `ip ce`: capable of congestion notification, its bits, congestion
///   experienced.
/// - `tcp opt FLAG`: `syn`, `fin`, `ack`, `rst`, `psh` or `urg` is set; also just `syn`.
/// - `tcp win N`: the window as it stands in the header.
/// - `icmp type TYPE`: a name such as `echo` or a number.
/// - `[DIRECTION] ether host ETH`: the link header, which must be marked, has this address.
/// - `ip[POS:LEN] N`, `transp[POS:LEN] N`, `tcp[POS:LEN] N`: LEN bytes (1 if left out) of the
///   network or transport header.
/// - `true`, `false`; a pattern that is only `-`, `any` or `all` matches every packet.
///
/// They combine with `and`, `or`, `not` (`&&`, `||`, `!`), parentheses and `A ? B : C`. Two
/// beside each other must both hold. All but `tcp opt` take `==` or `!=` before the value, numbers
/// also `<`, `<=`, `>`, `>=`, and most take a mask: `src port & 1 == 0`. Words that repeat may
/// be left out: `src port 80 or 81`.
///
/// What asks for a transport header (ports, flags, types, `transp[]`) is true of first fragments
/// only, and no test of bytes that a packet does not have is true, not even `!=`. `not` turns
/// that round: `src tcp port != 5` wants a TCP packet, `not src tcp port 5` does not.
///
/// What a packet costs does not grow with the number of rules.
///
/// ```click
/// IPFilter(deny src 192.168.0.0/16,
///          allow tcp && dst port 80 or 443,
///          allow icmp type echo or echo-reply)
/// ```
///
/// Handlers: `program` (read) shows the rules as steps that compare four bytes each; `counts`
/// (read) the packets each rule decided, `-` standing for none of them; `reset_counts` (write);
/// `memory` (read) the bytes of the compiled program.
///
/// See Click's manual pages IPFilter(n) and IPClassifier(n).
struct IpFilter {
    dispatch: Dispatch,
}

/// Reads `ACTION PATTERN`. Whatever is wrong, Click says it of both.
fn parse_rule(
    arguments: &mut Arguments<'_>,
    number: usize,
    text: &str,
    outputs: usize,
) -> Option<Rule> {
    let text = text.trim();
    if text.is_empty() {
        arguments.error(format!("empty pattern {number}"));
        return None;
    }
    let apart = |c: char| c.is_whitespace() || "&|<>!=()[],;?".contains(c);
    let (action, pattern) = text.split_at(text.find(apart).unwrap_or(text.len()));
    let mut slot = 0;
    let output = match action {
        "allow" | "pass" | "accept" => Some(0),
        "deny" | "drop" => {
            if action == "deny" && outputs > 1 {
                arguments.message(format!(
                    "pattern {number}: warning: meaning of 'deny' has changed (now it means 'drop')"
                ));
            }
            None
        }
        _ => match i32::parse(action, &NoNames) {
            // None of the outputs, where it is below zero.
            Ok(number) => {
                slot = number;
                Some(usize::try_from(slot).unwrap_or(usize::MAX))
            }
            Err(_) => {
                arguments.error(format!("pattern {number}: unknown slot ID '{action}'"));
                None
            }
        },
    };
    if output.is_some_and(|output| output >= outputs) {
        arguments.error(match action {
            "allow" => {
                format!("pattern {number}: 'allow' is meaningless, element has zero outputs")
            }
            _ => format!("pattern {number}: slot '{slot}' out of range"),
        });
    }
    let expression = ip_pattern(arguments, number, pattern)?;
    Some(Rule {
        text: text.to_owned(),
        expression,
        output,
    })
}

/// The headers of a packet whose network header is set.
#[inline]
pub(super) fn ip_headers(packet: &Packet) -> Headers<'_> {
    Headers {
        link: packet.mac_header().unwrap_or_default(),
        ..Headers::ip(packet.network_header().unwrap_or_default())
    }
}

impl Configure for IpFilter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let outputs = configuration.outputs();
        let mut rules = Vec::new();
        for (number, text) in patterns(arguments).iter().enumerate() {
            rules.extend(parse_rule(arguments, number, text, outputs));
        }
        let dispatch = Dispatch::new(rules, Layout::Ip, arguments)?;
        Ok(Self { dispatch })
    }
}

impl Element for IpFilter {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        self.dispatch.send(context, batch, ip_headers);
    }

    fn configuration(&self) -> Option<String> {
        Some(self.dispatch.configuration())
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("program").read("counts").read("memory");
        list.button("reset_counts");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "program" => Ok(self.dispatch.program()),
            "counts" => Ok(self.dispatch.counts()),
            "memory" => Ok(self.dispatch.bytes().to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => self.dispatch.reset(),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.dispatch.take_state(&old.dispatch);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::testing::Bench;

    /// UDP from 10.0.0.1 port 1000 to 10.0.0.2 port 53, with these flags and fragment offset.
    fn udp(fragment: [u8; 2]) -> Vec<u8> {
        let mut packet = alloc::vec![
            0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 3, 0xe8, 0, 53, 0,
            8, 0, 0,
        ];
        packet[6..8].copy_from_slice(&fragment);
        packet
    }

    #[test]
    fn ipfilter_denies_fragments_without_ports() {
        let bench = Bench::new(
            "FromDevice(in) -> MarkIPHeader -> f :: IPFilter(allow dst port 53, 1 frag)
             -> ToDevice(dns); f[1] -> ToDevice(fragments)",
        );
        let (whole, first, later) = (udp([0x40, 0]), udp([0x20, 0]), udp([0, 1]));
        for packet in [&whole, &first, &later] {
            bench.arrive("in", packet);
        }
        // Too short for a destination port, and for an address.
        bench.arrive("in", &whole[..23]);
        bench.arrive("in", &whole[..10]);
        bench.run();
        assert_eq!(bench.sent("dns"), [whole, first]);
        assert_eq!(bench.sent("fragments"), [later]);
        assert_eq!(
            bench.read("f.counts"),
            "2\tallow dst port 53\n1\t1 frag\n2\t-\n"
        );
    }

    /// The attack of RFC 1858, section 3: a TCP header cut before its flags.
    #[test]
    fn tiny_fragments_hide_nothing_from_a_filter_behind_a_reassembler() {
        let fragment = |length: u8, fragment: [u8; 2], payload: &[u8]| {
            let head = [
                0x45,
                0,
                0,
                length,
                0,
                1,
                fragment[0],
                fragment[1],
                64,
                6,
                0,
                0,
            ];
            [&head[..], &[10, 0, 0, 1, 10, 0, 0, 2], payload].concat()
        };
        let first = fragment(28, [0x20, 0], &[3, 0xe8, 0, 23, 0, 0, 0, 1]);
        let second = fragment(32, [0, 1], &[0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0]);
        let passed = |elements: &str| {
            let text = alloc::format!(
                "FromDevice(in) -> MarkIPHeader {elements}
                 -> IPFilter(deny syn && not ack, allow all) -> ToDevice(out)"
            );
            let bench = Bench::new(&text);
            bench.arrive("in", &first);
            bench.arrive("in", &second);
            bench.run();
            bench.sent("out").len()
        };
        assert_eq!(passed(""), 2);
        assert_eq!(passed("-> IPReassembler"), 0);
    }

    #[test]
    fn rules_can_be_replaced_while_packets_pass() {
        let bench = Bench::new(
            "FromDevice(in) -> MarkIPHeader -> f :: IPFilter(deny all) -> ToDevice(out)",
        );
        bench.arrive("in", &udp([0, 0]));
        bench.run();
        assert!(bench.sent("out").is_empty());
        bench.write("f.config", "allow udp, deny all");
        bench.arrive("in", &udp([0, 0]));
        bench.run();
        assert_eq!(bench.sent("out").len(), 1);
        assert_eq!(bench.read("f.config"), "allow udp, deny all");
    }

    #[test]
    fn addresses_of_the_link_header_are_compared_where_it_is_marked() {
        let frame = |destination: u8, source: u8| {
            let mut frame = udp([0, 0]);
            frame.splice(0..0, [8, 0]);
            frame.splice(0..0, [2, 0, 0, 0, 0, source]);
            frame.splice(0..0, [2, 0, 0, 0, 0, destination]);
            frame
        };
        let passed = |rule: &str, mark: &str| {
            let bench = Bench::new(&alloc::format!(
                "FromDevice(in) {mark} -> MarkIPHeader(14) -> IPFilter({rule}) -> ToDevice(out)"
            ));
            for (destination, source) in [(1, 2), (2, 1), (3, 4)] {
                bench.arrive("in", &frame(destination, source));
            }
            bench.run();
            let sent = bench.sent("out");
            sent.iter().map(|frame| frame[5]).collect::<Vec<_>>()
        };
        let marked = |rule: &str| passed(rule, "-> MarkMACHeader");
        assert_eq!(marked("allow src ether host 2:0:0:0:0:1"), [2]);
        assert_eq!(marked("allow dst ether host 2:0:0:0:0:1 and udp"), [1]);
        assert_eq!(
            marked("allow ether host 2:0:0:0:0:1 or 2:0:0:0:0:4"),
            [1, 2, 3]
        );
        assert_eq!(marked("allow ether host != 2:0:0:0:0:1"), [3]);
        assert_eq!(marked("allow src and dst ether host 2:0:0:0:0:1"), []);
        let errors = Bench::errors("Idle -> IPFilter(allow ether host 1.0.0.1) -> Idle");
        assert!(
            errors.contains("pattern 0: 'ether host': address missing"),
            "{errors}"
        );
    }

    #[test]
    fn mistakes_in_rules_are_reported_with_the_rules_number() {
        assert_eq!(
            Bench::errors(
                "Idle -> f :: IPFilter(allow tcp, permit udp, 1 all, , deny src, 2 foo) -> Idle"
            ),
            "config:1: While configuring 'f :: IPFilter':\n  \
             pattern 1: unknown slot ID 'permit'\n  \
             pattern 2: slot '1' out of range\n  \
             empty pattern 3\n  \
             pattern 4: partial directive\n  \
             pattern 5: slot '2' out of range\n  \
             pattern 5: empty term near 'foo'\n  \
             pattern 5: missing expression\n  \
             pattern 5: garbage after expression at 'foo'\n"
        );
    }

    #[test]
    fn program_shows_where_packets_go() {
        let bench = Bench::new("Idle -> f :: IPFilter(deny false, allow src 10.0.0.1) -> Idle");
        assert_eq!(
            bench.read("f.program"),
            " 0 268/0a000001%ffffffff  yes->[0]  no->[X]\nsafe length 272\nalignment offset 0\n"
        );
    }
}
