use alloc::string::{String, ToString};

use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::{Batch, Packet};

pub(super) const TRUNCATE: Class = Class::of::<Truncate>("Truncate");
pub(super) const PAD: Class = Class::of::<Pad>("Pad");
pub(super) const CHECK_LENGTH: Class = Class::of::<CheckLength>("CheckLength")
    .ports("1/1-2")
    .processing("a/ah");
pub(super) const CHECK_AVERAGE_LENGTH: Class =
    Class::of::<CheckAverageLength>("CheckAverageLength")
        .ports("1/1-2")
        .processing("a/ah");

/// Bytes of the original packet that are not in `packet`.
fn extra_length(packet: &Packet) -> u32 {
    packet.annotations().word(EXTRA_LENGTH)
}

/// Truncate: cuts packets to a length.
///
/// ```click
/// Truncate(LENGTH [, keyword EXTRA_LENGTH])
/// ```
///
/// Packets longer than LENGTH bytes lose their end. With EXTRA_LENGTH (true) the bytes cut off
/// are added to the extra length annotation.
///
/// Handlers: `nbytes` (read, write): LENGTH.
///
/// See Click's manual page Truncate(n).
struct Truncate {
    length: usize,
    annotate: bool,
}

impl Configure for Truncate {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let length = arguments.required::<u32>("LENGTH");
        let annotate = arguments.keyword("EXTRA_LENGTH").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            length: length? as usize,
            annotate,
        })
    }
}

/// Cuts a packet to `length` bytes; adds what that takes to the extra length annotation where it
/// says `annotate`.
pub(crate) fn truncate(packet: &mut Packet, length: usize, annotate: bool) {
    let excess = packet.len().saturating_sub(length);
    if excess == 0 {
        return;
    }
    packet.truncate(length);
    if annotate {
        let excess = u32::try_from(excess).unwrap_or(u32::MAX);
        let extra = extra_length(packet).saturating_add(excess);
        packet.set_annotation_word(EXTRA_LENGTH, extra);
    }
}

impl Element for Truncate {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            truncate(packet, self.length, self.annotate);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("nbytes");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.length.to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.length = crate::handler_value::<u32>(context, value)? as usize;
        Ok(())
    }
}

/// Pad: lengthens packets.
///
/// ```click
/// Pad([LENGTH, keyword ZERO])
/// ```
///
/// Packets shorter than LENGTH bytes are extended to it; without LENGTH, by their extra length
/// annotation. That annotation is zero afterwards. The bytes added are zero, unless ZERO (true)
/// is false: then they are whatever stood there.
///
/// See Click's manual page Pad(n).
struct Pad {
    length: Option<usize>,
    zero: bool,
}

/// The longest packet that padding makes; an extra length beyond it is nonsense.
const LONGEST: usize = 0xffff;

impl Configure for Pad {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let length = arguments.position::<u16>("LENGTH");
        let zero = arguments.keyword("ZERO").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            length: length.map(usize::from),
            zero,
        })
    }
}

impl Element for Pad {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let extra = extra_length(packet);
            let wanted = match self.length {
                Some(length) => length,
                None => packet.len().saturating_add(extra as usize).min(LONGEST),
            };
            if wanted > packet.len() {
                let added = packet.append(wanted - packet.len());
                if self.zero {
                    added.fill(0);
                }
            }
            if extra != 0 {
                packet.set_annotation_word(EXTRA_LENGTH, 0);
            }
        }
    }
}

/// CheckLength: passes packets up to a length.
///
/// ```click
/// CheckLength(LENGTH [, keyword EXTRA_LENGTH])
/// ```
///
/// Packets of more than LENGTH bytes go to output 1, and are dropped where it is not connected.
/// With EXTRA_LENGTH true (false) the extra length annotation counts as well.
///
/// Handlers: `length` (read, write).
///
/// See Click's manual page CheckLength(n).
struct CheckLength {
    length: usize,
    extra: bool,
}

impl Configure for CheckLength {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let length = arguments.required::<u32>("LENGTH");
        let extra = arguments.keyword("EXTRA_LENGTH").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            length: length? as usize,
            extra,
        })
    }
}

impl Element for CheckLength {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            let extra = if self.extra {
                extra_length(&packet) as usize
            } else {
                0
            };
            if packet.len().saturating_add(extra) <= self.length {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("length");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "length" => Ok(self.length.to_string()),
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
            "length" => self.length = crate::handler_value::<u32>(context, value)? as usize,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// CheckAverageLength: passes packets while their average length is high enough.
///
/// ```click
/// CheckAverageLength(MINLENGTH)
/// ```
///
/// While the average length of all packets so far, this one included, is below MINLENGTH bytes,
/// packets go to output 1, and are dropped where it is not connected. Each packet counts with a
/// sixteenth of the average.
///
/// Handlers: `average_length` (read).
struct CheckAverageLength {
    minimum: u64,
    /// Sixteen times the average, to keep its fraction.
    average: Option<u64>,
}

impl Configure for CheckAverageLength {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let minimum = arguments.required::<u32>("MINLENGTH");
        arguments.finish()?;
        Ok(Self {
            minimum: u64::from(minimum?),
            average: None,
        })
    }
}

impl Element for CheckAverageLength {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            let length = packet.len() as u64;
            let average = match self.average {
                Some(average) => average - average / 16 + length,
                None => length * 16,
            };
            self.average = Some(average);
            if average >= self.minimum * 16 {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("average_length");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "average_length" => Ok(decimal::shortest(self.average.unwrap_or(0) as f64 / 16.0)),
            _ => Err(HandlerError::NoHandler(name.into())),
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
    fn truncate_cuts_and_pad_extends() {
        for (elements, expected) in [
            ("Truncate(4)", &b"abcd"[..]),
            ("Truncate(9)", b"abcdef"),
            ("Pad(9)", b"abcdef\0\0\0"),
            ("Pad(3)", b"abcdef"),
            ("Pad", b"abcdef"),
            ("Truncate(4) -> Pad", b"abcd\0\0"),
            ("Truncate(4) -> Truncate(2) -> Pad", b"ab\0\0\0\0"),
            ("Truncate(4, EXTRA_LENGTH false) -> Pad", b"abcd"),
            ("Truncate(2) -> Pad(3) -> Pad", b"ab\0"),
        ] {
            assert_eq!(through(elements, b"abcdef"), expected, "{elements}");
        }
    }

    #[test]
    fn padding_beyond_a_buffer_keeps_the_frame() {
        let frame = through("Pad(9000)", b"abcdef");
        assert_eq!(frame.len(), 9000);
        assert_eq!(&frame[..6], b"abcdef");
        assert!(frame[6..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn check_length_diverts_what_is_longer() {
        let bench = Bench::new(
            "FromDevice(in) -> c :: CheckLength(3) -> ToDevice(short); c[1] -> ToDevice(long)",
        );
        bench.arrive("in", b"abc");
        bench.arrive("in", b"abcd");
        bench.run();
        assert_eq!(bench.sent("short"), [b"abc"]);
        assert_eq!(bench.sent("long"), [b"abcd"]);
    }

    #[test]
    fn check_length_counts_the_extra_length_where_told() {
        let passed = |keyword: &str| {
            through(
                &std::format!("Truncate(2) -> CheckLength(3, EXTRA_LENGTH {keyword})"),
                b"abcd",
            )
        };
        assert_eq!(passed("false"), b"ab");
        assert_eq!(passed("true"), b"");
    }

    #[test]
    fn the_length_to_cut_to_can_be_changed() {
        let bench = Bench::new("FromDevice(in) -> t :: Truncate(2) -> ToDevice(out)");
        bench.write("t.nbytes", "3");
        bench.arrive("in", b"abcd");
        bench.run();
        assert_eq!(bench.sent("out"), [b"abc"]);
        assert_eq!(bench.read("t.nbytes"), "3");
    }

    #[test]
    fn check_average_length_follows_the_average() {
        let bench = Bench::new("FromDevice(in) -> c :: CheckAverageLength(16) -> ToDevice(out)");
        bench.arrive("in", &[0; 16]);
        bench.arrive("in", &[1; 15]);
        bench.arrive("in", &[2; 32]);
        bench.run();
        assert_eq!(bench.sent("out"), [&[0; 16][..], &[2; 32]]);
    }
}
