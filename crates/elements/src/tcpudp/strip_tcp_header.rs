use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::headers::Tcp;

pub(super) const STRIP_TCP_HEADER: Class = Class::of::<StripTcpHeader>("StripTCPHeader");
pub(super) const UNSTRIP_TCP_HEADER: Class = Class::of::<UnstripTcpHeader>("UnstripTCPHeader");

/// StripTCPHeader: removes everything up to the end of the TCP header.
///
/// ```click
/// StripTCPHeader
/// ```
///
/// Options are part of the header. No byte is moved, so UnstripTCPHeader and UnstripIPHeader bring the
/// headers back. Packets need their network header annotation set; those without a whole TCP header pass
/// unchanged.
///
/// See Click's manual page StripTCPHeader(n).
struct StripTcpHeader;

impl Configure for StripTcpHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for StripTcpHeader {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let length = match packet.transport_header().map(Tcp::new) {
                Some(Ok(tcp)) => tcp.header_length(),
                _ => continue,
            };
            // A header that can be looked at begins inside the packet or was stripped before.
            let end = packet
                .transport_offset()
                .and_then(|start| usize::try_from(start).ok());
            if let Some(start) = end {
                packet.strip(start + length);
            }
        }
    }
}

/// UnstripTCPHeader: puts the TCP header back on.
///
/// ```click
/// UnstripTCPHeader
/// ```
///
/// Puts back what was stripped from the beginning of the TCP header on. Packets that still have it, and
/// those without the network header annotation, pass unchanged.
///
/// See Click's manual page UnstripTCPHeader(n).
struct UnstripTcpHeader;

impl Configure for UnstripTcpHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for UnstripTcpHeader {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if let Some(start @ ..0) = packet.transport_offset() {
                packet.prepend(start.unsigned_abs());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sprat_click::simulation::Simulation;

    use crate::testing::Bench;

    fn through(elements: &str) -> std::vec::Vec<u8> {
        let simulation = Simulation::new();
        simulation.put_file("in", b"!data tcp_opt payload\nmss1400 \"GET /\"\n");
        let bench = Bench::with(
            simulation,
            &std::format!("FromIPSummaryDump(in) -> {elements} -> ToDevice(out)"),
        );
        bench.run();
        bench.sent("out").concat()
    }

    #[test]
    fn headers_go_with_their_options_and_come_back() {
        let whole = through("Null");
        assert_eq!(whole.len(), 20 + 24 + 5);
        assert_eq!(through("StripTCPHeader"), b"GET /");
        assert_eq!(through("StripTCPHeader -> UnstripTCPHeader"), whole[20..]);
        assert_eq!(through("StripTCPHeader -> UnstripIPHeader"), whole);
        assert_eq!(through("UnstripTCPHeader"), whole);
    }

    #[test]
    fn what_is_no_tcp_stays_as_it_is() {
        assert_eq!(through("Truncate(30) -> StripTCPHeader").len(), 30);
    }
}
