use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::arguments::ArgumentError;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::annotations::AGGREGATE;

use super::ip_field::IpField;

pub(super) const AGGREGATE_IP: Class = Class::of::<AggregateIp>("AggregateIP")
    .ports("1/1-2")
    .processing("a/ah");

/// AggregateIP: sets the aggregate annotation to a field of the packet.
///
/// ```click
/// AggregateIP(FIELD, [keywords INCREMENTAL, UNSHIFT_IP_ADDR])
/// ```
///
/// FIELD is `HEADER [NAME] [PLACE] [/NUM] [& MASK]`. HEADER is `ip`, `tcp`, `udp`, `icmp` or another
/// protocol (`dccp`, `gre`, `igmp`, `ipip`, `sctp`, `ip proto NUM`), `tcpudp` for either, `transp` for
/// the transport header of any, or `payload` of TCP and UDP. NAME is a field of `ip`: `vers`, `hl`,
/// `tos`, `dscp`, `ecn`, `len`, `id`, `off`, `rf`, `df`, `mf`, `fragoff`, `ttl`, `proto`, `sum`, `src`
/// or `dst`; of `udp`: `sport`, `dport`, `len` or `sum`; of `tcp`: `sport`, `dport`, `seq` (`seqno`),
/// `ackno`, `hl`, `flags`, `fin`, `syn`, `rst`, `psh` (`push`), `ack`, `urg`, `win`, `sum` or `urp`; of
/// `icmp`: `type`, `code` or `sum`; `sport` and `dport` stand with `ip`, `tcpudp` or alone for those of
/// either. PLACE is in the field, or in the header where there is no name: `[OFFSET:LENGTH]`,
/// `[FIRST-LAST]` or `[OFFSET]` in bytes, with braces in bits. Of `/NUM` only the top NUM bits count,
/// of MASK one stretch of ones. A field lies within 32 bits that begin at a multiple of four bytes.
///
/// Packets without the field leave by output 1 if there is one: those too short, of another protocol,
/// and fragments without a transport header.
///
/// - INCREMENTAL: whether the old aggregate is moved up by the field's length and kept; false.
/// - UNSHIFT_IP_ADDR: whether a part of an address keeps its place, so that `ip src/8` of 1.2.3.4 is
///   0x01000000 instead of 1; false.
///
/// Handlers: `field` (read), `header` (read) is the protocol, 0 for IP; `bit_offset` and `bit_length`
/// (read).
///
/// ```click
/// FromDump(trace.pcap, STOP true) -> Strip(14) -> CheckIPHeader
///     -> AggregateIP(ip src/8) -> counts :: AggregateCounter -> Discard;
/// ```
///
/// See Click's manual page AggregateIP(n).
struct AggregateIp {
    field: IpField,
    incremental: bool,
    /// How far values are moved up to stand where they stood in an address.
    shift: u32,
}

impl Configure for AggregateIp {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let field = arguments.required_with("FIELD", |text, _| {
            Ok::<_, ArgumentError>(sprat_click::arguments::unquote(text))
        });
        let incremental = arguments.keyword("INCREMENTAL").unwrap_or(false);
        let unshift = arguments.keyword("UNSHIFT_IP_ADDR").unwrap_or(false);
        arguments.finish()?;
        let field = IpField::parse(&field?).map_err(|error| arguments.error(error))?;
        let last = field.offset() + field.length() as usize - 1;
        if field.offset() / 32 != last / 32 {
            return Err(arguments.error("field specification does not fit within a single word"));
        }
        if field.length() == 32 && incremental {
            return Err(arguments.error("'INCREMENTAL' is incompatible with field length 32"));
        }
        Ok(Self {
            field,
            incremental,
            shift: field.shift_in_address().filter(|_| unshift).unwrap_or(0),
        })
    }
}

impl Element for AggregateIp {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            let value = packet
                .network_header()
                .and_then(|header| self.field.value(header));
            let Some(value) = value else {
                context.emit(1, packet);
                return None;
            };
            let above = match self.incremental {
                true => packet.annotations().word(AGGREGATE),
                false => 0,
            };
            let above = above.checked_shl(self.field.length()).unwrap_or(0);
            packet.set_annotation_word(AGGREGATE, above.wrapping_add(value << self.shift));
            Some(packet)
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("header").read("bit_offset");
        list.read("bit_length").read("field");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "header" => Ok(self.field.header()),
            "field" => Ok(self.field.text()),
            "bit_offset" => Ok(self.field.offset().to_string()),
            "bit_length" => Ok(format!("{}", self.field.length())),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use sprat_click::simulation::Simulation;

    use crate::testing::Bench;

    /// The aggregates that the packets of a dump get.
    fn aggregates(elements: &str, dump: &str) -> String {
        let simulation = Simulation::new();
        simulation.put_file("in", dump.as_bytes());
        let bench = Bench::with(
            simulation,
            &std::format!(
                "FromIPSummaryDump(in) -> {elements}
                 -> ToIPSummaryDump(out, HEADER false, FIELDS aggregate)"
            ),
        );
        bench.run();
        String::from_utf8(bench.simulation.file("out").unwrap_or_default()).expect("text")
    }

    const DUMP: &str = "!data src sport dst dport proto\n\
                        1.2.3.4 7 5.6.7.8 80 T\n9.2.3.4 8 5.6.7.8 53 U\n";

    #[test]
    fn packets_get_the_fields_value() {
        assert_eq!(aggregates("AggregateIP(ip src/8)", DUMP), "1\n9\n");
        assert_eq!(aggregates("AggregateIP(\"ip[12, 1]\")", DUMP), "1\n9\n");
        assert_eq!(aggregates("AggregateIP(tcp dport)", DUMP), "80\n");
    }

    #[test]
    fn incremental_fields_stand_below_what_was_there() {
        let elements = "AggregateIP(ip dst & 0xff) -> AggregateIP(dport, INCREMENTAL true)";
        // 8 * 2^16 + 80, and + 53.
        assert_eq!(aggregates(elements, DUMP), "524368\n524341\n");
    }

    #[test]
    fn parts_of_addresses_keep_their_place_where_asked_to() {
        // The manual's example: 1.0.0.0/8 is 16777216.
        let elements = "AggregateIP(ip src/8, UNSHIFT_IP_ADDR true)";
        assert_eq!(aggregates(elements, DUMP), "16777216\n150994944\n");
    }

    #[test]
    fn packets_without_the_field_leave_by_the_second_output() {
        let bench = Bench::new(
            "FromDevice(in) -> MarkIPHeader(0) -> a :: AggregateIP(tcp sport) -> ToDevice(out);
             a[1] -> ToDevice(other)",
        );
        bench.arrive("in", &[0x45, 0, 0, 20]);
        bench.run();
        assert_eq!((bench.sent("out").len(), bench.sent("other").len()), (0, 1));
        assert_eq!(bench.read("a.header"), "tcp");
        assert_eq!(bench.read("a.field"), "tcp sport");
        assert_eq!(bench.read("a.bit_offset"), "0");
        assert_eq!(bench.read("a.bit_length"), "16");
    }

    #[test]
    fn wrong_fields_are_named() {
        for (arguments, wrong) in [
            ("ip sort", "expected 'HEADER [NAME] [{OFFSET:LENGTH}]"),
            (
                "ip[0:5]",
                "field specification does not fit within a single word",
            ),
            (
                "ip src, INCREMENTAL true",
                "'INCREMENTAL' is incompatible with field length 32",
            ),
        ] {
            let errors = Bench::errors(&std::format!("Idle -> AggregateIP({arguments}) -> Idle"));
            assert!(errors.contains(wrong), "{errors}");
        }
    }

    #[test]
    fn what_keeps_its_place_moves_the_old_aggregate_up_all_the_same() {
        let elements = "AggregateIP(udp dport) -> AggregateIP(ip src/8, INCREMENTAL true, \
                        UNSHIFT_IP_ADDR true)";
        // 53 * 2^8 + 9 * 2^24.
        assert_eq!(aggregates(elements, DUMP), "151008512\n");
    }
}
