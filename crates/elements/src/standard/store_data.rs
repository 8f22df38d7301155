use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::arguments::Bytes;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const STORE_DATA: Class = Class::of::<StoreData>("StoreData");
pub(super) const MARK_MAC_HEADER: Class = Class::of::<MarkMacHeader>("MarkMACHeader");
pub(super) const BLOCK: Class = Class::of::<Block>("Block")
    .ports("1/1-2")
    .processing("a/ah");

/// StoreData: writes bytes into packets.
///
/// ```click
/// StoreData(OFFSET, DATA [, keywords MASK, GROW])
/// ```
///
/// - OFFSET: where DATA begins in the packet.
/// - DATA: the bytes.
/// - MASK: as many bytes; only bits that are set in it are written.
/// - GROW: whether a packet that ends before is lengthened; false: what does not fit is left out.
///
/// See Click's manual page StoreData(n).
struct StoreData {
    offset: usize,
    /// Each byte and the bits of it that count.
    data: Vec<(u8, u8)>,
    grow: bool,
}

impl Configure for StoreData {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.required::<u16>("OFFSET");
        let data = arguments.required::<Bytes>("DATA");
        let mask = arguments.keyword::<Bytes>("MASK");
        let grow = arguments.keyword("GROW").unwrap_or(false);
        arguments.finish()?;
        let Bytes(data) = data?;
        let mask = mask.map_or_else(|| alloc::vec![0xff; data.len()], |mask| mask.0);
        if mask.len() != data.len() {
            return Err(arguments.error("MASK must be as long as DATA"));
        }
        Ok(Self {
            offset: usize::from(offset?),
            data: data.into_iter().zip(mask).collect(),
            grow,
        })
    }
}

impl Element for StoreData {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        let end = self.offset + self.data.len();
        for packet in batch.iter_mut() {
            if self.grow && packet.len() < end {
                packet.append(end - packet.len()).fill(0);
            }
            let rest = packet.data_mut().get_mut(self.offset..).unwrap_or_default();
            for (byte, (data, mask)) in rest.iter_mut().zip(&self.data) {
                *byte = *byte & !mask | data & mask;
            }
        }
    }
}

/// MarkMACHeader: says where packets' link header begins.
///
/// ```click
/// MarkMACHeader([OFFSET, LENGTH])
/// ```
///
/// - OFFSET: where it begins, from the start of the packet; 0.
/// - LENGTH: where it is given and not 0, the network header is marked too, so many bytes behind that.
///
/// See Click's manual page MarkMACHeader(n).
struct MarkMacHeader {
    offset: usize,
    length: usize,
}

impl Configure for MarkMacHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.position::<u16>("OFFSET").unwrap_or(0);
        let length = arguments.position::<u16>("LENGTH").unwrap_or(0);
        arguments.finish()?;
        Ok(Self {
            offset: usize::from(offset),
            length: usize::from(length),
        })
    }
}

impl Element for MarkMacHeader {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            match self.length {
                0 => packet.set_mac_header(self.offset),
                length => packet.set_link_header(self.offset, length),
            }
        }
    }
}

/// Where IPRateMonitor puts the rate of the packets that go the same way.
const FORWARD_RATE: usize = 20;

/// Block: diverts packets of which too many come.
///
/// ```click
/// Block(THRESH)
/// ```
///
/// Packets whose forward rate annotation is above THRESH go to output 1, and are dropped where
/// it is not connected. With a THRESH of 0 all pass.
///
/// Handlers: `thresh` (read, write).
///
/// See Click's manual page Block(n).
struct Block {
    threshold: u32,
}

impl Configure for Block {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let threshold = arguments.required("THRESH");
        arguments.finish()?;
        Ok(Self {
            threshold: threshold?,
        })
    }
}

impl Element for Block {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            let rate = packet.annotations().word(FORWARD_RATE);
            if self.threshold == 0 || rate <= self.threshold {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("thresh");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "thresh" => Ok(self.threshold.to_string()),
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
            "thresh" => self.threshold = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
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
    fn data_is_stored_bit_by_bit_and_past_the_end_only_where_told() {
        for (config, expected) in [
            ("1, xy", &b"axyd"[..]),
            ("3, xy", b"abcx"),
            ("9, xy", b"abcd"),
            ("3, xy, GROW true", b"abcxy"),
            ("5, x, GROW true", b"abcd\0x"),
            // 0x61 with the low half of 0xff.
            ("0, \\<ff>, MASK \\<0f>", b"obcd"),
        ] {
            assert_eq!(
                through(&std::format!("StoreData({config})"), b"abcd"),
                expected,
                "{config}"
            );
        }
        let errors = Bench::errors("Idle -> s :: StoreData(0, xy, MASK x) -> Idle");
        assert!(errors.contains("MASK must be as long as DATA"), "{errors}");
    }

    #[test]
    fn block_diverts_high_rates() {
        // The lowest byte of the rate, in the order of this machine's memory.
        let lowest = 20 + usize::from(cfg!(target_endian = "big")) * 3;
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> s :: SetAnnoByte({lowest}, 5) -> b :: Block(5) -> ToDevice(low); \
             b[1] -> ToDevice(high)"
        ));
        for (rate, threshold) in [("5", "5"), ("6", "5"), ("7", "0")] {
            bench.write("s.value", rate);
            bench.write("b.thresh", threshold);
            bench.arrive("in", rate.as_bytes());
            bench.run();
        }
        assert_eq!(bench.sent("low"), [b"5", b"7"]);
        assert_eq!(bench.sent("high"), [b"6"]);
    }
}
