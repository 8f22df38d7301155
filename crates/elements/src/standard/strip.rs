use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const STRIP: Class = Class::of::<Strip>("Strip");
pub(super) const UNSTRIP: Class = Class::of::<Unstrip>("Unstrip");
pub(super) const STRIP_TO_NETWORK_HEADER: Class =
    Class::of::<StripToNetworkHeader>("StripToNetworkHeader");

/// Strip: removes bytes from the front of packets.
///
/// ```click
/// Strip(LENGTH)
/// ```
///
/// Removes the first LENGTH bytes; all of a shorter packet. No byte is moved, so
/// `Unstrip(LENGTH)` brings them back. Commonly `Strip(14)` removes an Ethernet header.
///
/// See Click's manual page Strip(n).
struct Strip {
    length: usize,
}

impl Configure for Strip {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let length = arguments.required::<u32>("LENGTH");
        arguments.finish()?;
        Ok(Self {
            length: length? as usize,
        })
    }
}

impl Element for Strip {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.strip(self.length);
        }
    }
}

/// Unstrip: puts bytes back that were stripped from the front of packets.
///
/// ```click
/// Unstrip(LENGTH)
/// ```
///
/// See Click's manual page Unstrip(n).
struct Unstrip {
    length: usize,
}

impl Configure for Unstrip {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let length = arguments.required::<u32>("LENGTH");
        arguments.finish()?;
        Ok(Self {
            length: length? as usize,
        })
    }
}

impl Element for Unstrip {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.prepend(self.length);
        }
    }
}

/// StripToNetworkHeader: makes packets begin with their network header.
///
/// ```click
/// StripToNetworkHeader
/// ```
///
/// Removes what stands before the network header, or puts back what was stripped of it. Packets
/// whose network header nobody has marked pass as they are.
///
/// See Click's manual page StripToNetworkHeader(n).
struct StripToNetworkHeader;

impl Configure for StripToNetworkHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for StripToNetworkHeader {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            match packet.network_offset() {
                Some(offset) if offset < 0 => {
                    packet.prepend(offset.unsigned_abs());
                }
                Some(offset) => {
                    packet.strip(offset.unsigned_abs());
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    fn through(elements: &str, frame: &[u8]) -> std::vec::Vec<u8> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> {elements} -> ToDevice(out)"
        ));
        bench.arrive("in", frame);
        bench.run();
        bench.sent("out").concat()
    }

    #[test]
    fn what_is_stripped_can_be_put_back() {
        assert_eq!(through("Strip(2)", b"abcdef"), b"cdef");
        assert_eq!(through("Strip(2) -> Unstrip(1)", b"abcdef"), b"bcdef");
        assert_eq!(through("Strip(9)", b"abcdef"), b"");
    }

    #[test]
    fn packets_begin_with_their_network_header_wherever_it_is() {
        for (elements, expected) in [
            ("MarkIPHeader(4) -> StripToNetworkHeader", &b"ef"[..]),
            (
                "MarkIPHeader(2) -> Strip(4) -> StripToNetworkHeader",
                b"cdef",
            ),
            ("StripToNetworkHeader", b"abcdef"),
        ] {
            assert_eq!(through(elements, b"abcdef"), expected, "{elements}");
        }
    }
}
