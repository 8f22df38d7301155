use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::{Bytes, Raw};
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const CHECK_PACKET: Class = Class::of::<CheckPacket>("CheckPacket");

/// CheckPacket: says which packets are not as they should be.
///
/// ```click
/// CheckPacket([keywords DATA, DATA_OFFSET, LENGTH, LENGTH_GE, LENGTH_LE, ALIGNMENT])
/// ```
///
/// All packets pass.
///
/// - DATA: the bytes from DATA_OFFSET (0) on to the packet's end.
/// - LENGTH, LENGTH_GE, LENGTH_LE: the length, the least or the largest length; at most one of them.
/// - ALIGNMENT is accepted: packets may lie anywhere here.
///
/// See Click's manual page CheckPacket(n).
struct CheckPacket {
    data: Option<Vec<u8>>,
    offset: usize,
    length: Option<(Relation, usize)>,
}

#[derive(Clone, Copy)]
enum Relation {
    Equal,
    AtLeast,
    AtMost,
}

impl Configure for CheckPacket {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let data = arguments.keyword::<Bytes>("DATA").map(|bytes| bytes.0);
        let offset = arguments.keyword::<u32>("DATA_OFFSET").unwrap_or(0) as usize;
        let mut lengths = Vec::new();
        for (name, relation) in [
            ("LENGTH", Relation::Equal),
            ("LENGTH_GE", Relation::AtLeast),
            ("LENGTH_LE", Relation::AtMost),
        ] {
            let length = arguments.keyword::<u32>(name);
            lengths.extend(length.map(|length| (relation, length as usize)));
        }
        if lengths.len() > 1 {
            arguments.error("LENGTH, LENGTH_GE, LENGTH_LE are mutually exclusive");
        }
        arguments.keyword::<Raw>("ALIGNMENT");
        arguments.finish()?;
        Ok(Self {
            data,
            offset,
            length: lengths.pop(),
        })
    }
}

impl CheckPacket {
    /// What is wrong with a packet.
    fn complaint(&self, packet: &[u8]) -> Option<String> {
        if let Some((relation, wanted)) = self.length {
            let length = packet.len();
            let (right, words) = match relation {
                Relation::Equal => (length == wanted, ""),
                Relation::AtLeast => (length >= wanted, "at least "),
                Relation::AtMost => (length <= wanted, "at most "),
            };
            if !right {
                return Some(format!("length {length}, should be {words}{wanted}"));
            }
        }
        let data = self.data.as_deref()?;
        match packet.get(self.offset..) {
            None => Some(format!("too short for data at offset {}", self.offset)),
            Some(found) if found.len() != data.len() => Some(format!(
                "{} bytes of data, should be {}",
                found.len(),
                data.len()
            )),
            Some(found) => {
                let differs = found
                    .iter()
                    .zip(data)
                    .position(|(one, other)| one != other)?;
                Some(format!("data differ at offset {}", self.offset + differs))
            }
        }
    }
}

impl Element for CheckPacket {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter() {
            if let Some(complaint) = self.complaint(packet.data()) {
                context.chatter(format_args!("{}: {complaint}", context.name()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    fn said(keywords: &str) -> std::string::String {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> c :: CheckPacket({keywords}) -> ToDevice(out)"
        ));
        bench.arrive("in", b"abcdef");
        bench.run();
        assert_eq!(bench.sent("out"), [b"abcdef"]);
        bench.simulation.take_errors()
    }

    #[test]
    fn checkpacket_complains_of_what_is_not_as_it_should_be() {
        for right in [
            "",
            "LENGTH 6",
            "LENGTH_GE 6",
            "LENGTH_LE 6",
            "DATA cdef, DATA_OFFSET 2",
        ] {
            assert_eq!(said(right), "", "{right}");
        }
        assert_eq!(said("LENGTH 7"), "c: length 6, should be 7\n");
        assert_eq!(said("LENGTH_GE 7"), "c: length 6, should be at least 7\n");
        assert_eq!(said("LENGTH_LE 5"), "c: length 6, should be at most 5\n");
        assert_eq!(said("DATA abcxef"), "c: data differ at offset 3\n");
        assert_eq!(said("DATA abc"), "c: 6 bytes of data, should be 3\n");
        assert_eq!(
            said("DATA a, DATA_OFFSET 9"),
            "c: too short for data at offset 9\n"
        );
    }
}
