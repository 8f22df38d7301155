use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const SET_CRC32: Class = Class::of::<SetCrc32>("SetCRC32");
pub(super) const CHECK_CRC32: Class = Class::of::<CheckCrc32>("CheckCRC32")
    .ports("1/1-2")
    .processing("a/ah");

/// The polynomial of CRC-32 (IEEE 802.3, 3.2.9), of which Click takes the highest bit of each byte first.
const POLYNOMIAL: u32 = 0x04c1_1db7;

/// What each byte value contributes.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index: u8 = 0;
    loop {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = (value << 1) ^ if value >> 31 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[index as usize] = value;
        if index == u8::MAX {
            break table;
        }
        index += 1;
    }
};

/// The remainder of `bytes` as Click has it: begun with ones, and not inverted.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        let [high, ..] = crc.to_be_bytes();
        (crc << 8) ^ TABLE[usize::from(high ^ byte)]
    })
}

/// SetCRC32: appends a CRC-32 to packets.
///
/// ```click
/// SetCRC32
/// ```
///
/// It is Click's: of Ethernet's polynomial, but with the highest bit of each byte first, without the last
/// inversion, and with the lowest byte first. That is no Ethernet frame check sequence.
///
/// See Click's manual page SetCRC32(n).
struct SetCrc32;

impl Configure for SetCrc32 {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for SetCrc32 {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let crc = crc32(packet.data()).to_le_bytes();
            packet.append(crc.len()).copy_from_slice(&crc);
        }
    }
}

/// CheckCRC32: checks the CRC-32 at the end of packets and removes it.
///
/// ```click
/// CheckCRC32
/// ```
///
/// Packets whose last four bytes are not what `SetCRC32` would have appended are told, and go to output 1
/// as they are, or are dropped where it is not connected.
///
/// Handlers: `drops` (read): packets that were wrong.
///
/// See Click's manual page CheckCRC32(n).
struct CheckCrc32 {
    drops: u64,
}

impl Configure for CheckCrc32 {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { drops: 0 })
    }
}

impl Element for CheckCrc32 {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if let Some((frame, crc)) = packet.data().split_last_chunk::<4>()
                && crc32(frame) == u32::from_le_bytes(*crc)
            {
                let length = frame.len();
                packet.truncate(length);
                return Some(packet);
            }
            context.chatter(format_args!("CRC32 failed, len {}", packet.len()));
            self.drops += 1;
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::crc32;
    use crate::testing::Bench;

    #[test]
    fn the_check_value_is_that_of_the_standard() {
        // The check value of CRC-32/MPEG-2 in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn a_crc_is_appended_and_removed_again() {
        let bench = Bench::new(
            "FromDevice(in) -> SetCRC32 -> t :: Tee -> ToDevice(set);
             t[1] -> CheckCRC32 -> ToDevice(checked)",
        );
        bench.arrive("in", b"123456789");
        bench.run();
        assert_eq!(bench.sent("set"), [b"123456789\xe7\xe6\x76\x03"]);
        assert_eq!(bench.sent("checked"), [b"123456789"]);
    }

    #[test]
    fn a_wrong_or_missing_crc_is_told() {
        let bench = Bench::new(
            "FromDevice(in) -> c :: CheckCRC32 -> ToDevice(good); c[1] -> ToDevice(bad)",
        );
        bench.arrive("in", b"123456780\xe7\xe6\x76\x03");
        bench.arrive("in", b"abc");
        bench.run();
        assert!(bench.sent("good").is_empty());
        assert_eq!(bench.sent("bad").len(), 2);
        assert_eq!(bench.read("c.drops"), "2");
        assert_eq!(
            bench.simulation.take_errors(),
            "CRC32 failed, len 13\nCRC32 failed, len 3\n"
        );
    }
}
