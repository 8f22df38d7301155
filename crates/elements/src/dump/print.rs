use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

use sprat_click::arguments::{Argument, NoNames, Word};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, Packet, PacketKind};

use super::text::{Seconds, write_ascii, write_hex};

pub(super) const PRINT: Class = Class::of::<Print>("Print").reconfigurable();

/// Print: shows packets on standard error.
///
/// ```click
/// Print([LABEL, MAXLENGTH, keywords LABEL, MAXLENGTH, CONTENTS, TIMESTAMP, PRINTANNO, HEADROOM,
///       BCAST, ACTIVE])
/// ```
///
/// A line a packet: LABEL, its length, and its first MAXLENGTH bytes (24; -1: all) in hexadecimal.
///
/// - CONTENTS: `HEX` (the default), `ASCII`, or `NONE`; true and false are HEX and NONE.
/// - TIMESTAMP: whether to show the packet's time; false.
/// - PRINTANNO: whether to show its annotation bytes; false.
/// - HEADROOM: whether to show the bytes free before and behind it; false.
/// - BCAST: whether to show whether it was a broadcast or multicast; false.
/// - ACTIVE: whether to show anything; true.
/// - LENGTH, NBYTES: older names of MAXLENGTH.
///
/// Handlers: `active` (read, write).
///
/// See Click's manual page Print(n).
struct Print {
    label: String,
    length: Option<usize>,
    contents: Contents,
    timestamp: bool,
    annotations: bool,
    headroom: bool,
    broadcast: bool,
    active: bool,
    line: String,
}

/// How a packet's bytes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    None,
    Hex,
    Ascii,
}

impl Contents {
    /// What a word means.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word.to_ascii_uppercase().as_str() {
            "NONE" => Some(Self::None),
            "HEX" => Some(Self::Hex),
            "ASCII" => Some(Self::Ascii),
            _ => match bool::parse(word, &NoNames) {
                Ok(true) => Some(Self::Hex),
                Ok(false) => Some(Self::None),
                Err(_) => None,
            },
        }
    }

    /// What the argument CONTENTS means, once all are read.
    pub(super) fn read(arguments: &mut Arguments<'_>, word: &str) -> Result<Self, Rejected> {
        Self::of(word).ok_or_else(|| {
            let word = word.to_ascii_uppercase();
            arguments.error(format!(
                "bad contents value '{word}'; should be 'NONE', 'HEX', or 'ASCII'"
            ))
        })
    }
}

/// Reads old names of a keyword; says that they are.
fn deprecated(arguments: &mut Arguments<'_>, name: &str) -> Option<i32> {
    let value = arguments.keyword(name);
    if value.is_some() {
        arguments.message(format!("{name}: warning: argument deprecated"));
    }
    value
}

impl Configure for Print {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let label = arguments.position::<String>("LABEL").unwrap_or_default();
        let length = arguments.position::<i32>("MAXLENGTH");
        let older = deprecated(arguments, "LENGTH");
        let length = deprecated(arguments, "NBYTES").or(older).or(length);
        let length = length.unwrap_or(24);
        let contents = arguments.keyword::<Word>("CONTENTS");
        let timestamp = arguments.keyword("TIMESTAMP").unwrap_or(false);
        let annotations = arguments.keyword("PRINTANNO").unwrap_or(false);
        let headroom = arguments.keyword("HEADROOM").unwrap_or(false);
        let broadcast = arguments.keyword("BCAST").unwrap_or(false);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        // Which processor it runs on is no news here.
        arguments.keyword::<bool>("CPU");
        arguments.finish()?;
        let contents = match contents {
            Some(Word(word)) => Contents::read(arguments, &word)?,
            None => Contents::Hex,
        };
        let length = usize::try_from(length).ok();
        Ok(Self {
            label,
            length,
            contents,
            timestamp,
            annotations,
            headroom,
            broadcast,
            active,
            line: String::new(),
        })
    }
}

impl Print {
    fn write(&mut self, packet: &Packet) -> core::fmt::Result {
        let line = &mut self.line;
        if !self.label.is_empty() {
            write!(line, "{}: ", self.label)?;
        }
        if self.timestamp {
            write!(line, "{}: ", Seconds(packet.timestamp()))?;
        }
        if self.broadcast {
            line.push_str(match packet.kind() {
                PacketKind::Broadcast => "bcast: ",
                PacketKind::Multicast => "mcast: ",
                _ => "",
            });
        }
        write!(line, "{:4}", packet.len())?;
        if self.headroom {
            write!(line, " (h{} t{})", packet.headroom(), packet.tailroom())?;
        }
        if self.annotations {
            line.push_str(" | ");
            for byte in packet.annotations().bytes() {
                write!(line, "{byte:02x}")?;
            }
        }
        let shown = &packet.data()[..self
            .length
            .map_or(packet.len(), |length| length.min(packet.len()))];
        match self.contents {
            Contents::None => {}
            _ if shown.is_empty() => {}
            Contents::Hex => {
                line.push_str(" | ");
                write_hex(line, shown)?;
            }
            Contents::Ascii => {
                // Each group of eight has a space before it, the first one as well.
                line.push_str(" |  ");
                write_ascii(line, shown);
            }
        }
        line.push('\n');
        Ok(())
    }
}

impl Element for Print {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.observe_order();
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if !self.active || batch.is_empty() {
            return;
        }
        self.line.clear();
        for packet in batch.iter() {
            // Writing to a string cannot fail.
            let _ = self.write(packet);
        }
        context.say(self.line.as_bytes());
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("active");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.active.to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.active = crate::handler_value(context, value)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    fn printed(element: &str, frame: &[u8]) -> std::string::String {
        let bench = Bench::new(&std::format!("FromDevice(in) -> {element} -> Discard"));
        bench.arrive("in", frame);
        bench.run();
        bench.simulation.take_errors()
    }

    #[test]
    fn print_shows_length_and_bytes_in_fours() {
        assert_eq!(printed("Print", &[0x11]), "   1 | 11\n");
        let frame: std::vec::Vec<u8> = (0..32).collect();
        let shown = "ok:   32 | 00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617\n";
        assert_eq!(printed("Print(ok)", &frame), shown);
        assert_eq!(
            printed("Print(ok, 6)", &frame),
            "ok:   32 | 00010203 0405\n"
        );
        assert_eq!(printed("Print(ok, CONTENTS NONE)", &frame), "ok:   32\n");
        assert_eq!(printed("Print(ok)", &[]), "ok:    0\n");
    }

    #[test]
    fn print_shows_text_with_dots_for_what_is_none() {
        assert_eq!(
            printed("Print(CONTENTS ASCII)", b"abc\x00defghij"),
            "  11 |  abc.defg hij\n"
        );
    }

    #[test]
    fn print_shows_the_time_of_arrival() {
        assert_eq!(
            printed("Print(t, TIMESTAMP true, CONTENTS NONE)", b"x"),
            "t: 1000000000.000000:    1\n"
        );
    }

    #[test]
    fn print_refuses_contents_it_does_not_know() {
        let errors = Bench::errors("Idle -> p :: Print(CONTENTS octal) -> Idle");
        let expected = "  bad contents value 'OCTAL'; should be 'NONE', 'HEX', or 'ASCII'";
        assert_eq!(errors.lines().nth(1), Some(expected));
    }
}
