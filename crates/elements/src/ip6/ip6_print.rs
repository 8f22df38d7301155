use alloc::string::String;
use core::fmt::{self, Write};

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::Ipv6;
use sprat_packet::{Batch, Packet};

pub(super) const IP6_PRINT: Class = Class::of::<Ip6Print>("IP6Print").reconfigurable();

/// IP6Print: shows IPv6 packets on standard error.
///
/// ```click
/// IP6Print([LABEL, keywords CONTENTS, NBYTES])
/// ```
///
/// A line a packet: LABEL, addresses, payload length, next header and hop limit. Packets need their network
/// header annotation set.
///
/// - CONTENTS: whether to show the packet's bytes too, in hexadecimal; false.
/// - NBYTES: at most so many of them; 1500.
///
/// See Click's manual page IP6Print(n).
struct Ip6Print {
    label: String,
    contents: bool,
    most: usize,
    text: String,
}

/// Bytes of the packet on one line, and in one word of it.
const WIDTH: usize = 24;
const WORD: usize = 4;

impl Configure for Ip6Print {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let label = arguments.position("LABEL").unwrap_or_default();
        let contents = arguments.keyword("CONTENTS").unwrap_or(false);
        let most = arguments.keyword::<u32>("NBYTES").unwrap_or(1500);
        arguments.finish()?;
        Ok(Self {
            label,
            contents,
            most: most as usize,
            text: String::new(),
        })
    }
}

impl Ip6Print {
    fn write(&mut self, packet: &Packet) -> fmt::Result {
        let text = &mut self.text;
        if !self.label.is_empty() {
            text.push_str(&self.label);
            text.push_str(": ");
        }
        match packet.network_header().map(Ipv6::new) {
            Some(Ok(ip)) => write!(
                text,
                "{} -> {} plen {}, next {}, hlim {}",
                ip.source(),
                ip.destination(),
                ip.payload_length(),
                ip.next_header(),
                ip.hop_limit()
            )?,
            Some(Err(_)) => text.push_str("truncated-ip6"),
            None => text.push_str("(Not an IP6 packet)"),
        }
        text.push('\n');
        if self.contents {
            let bytes = packet.data();
            text.push_str("  ");
            for (number, byte) in (1..).zip(&bytes[..bytes.len().min(self.most)]) {
                write!(text, "{byte:02x}")?;
                // As Click does, also behind the last.
                if number % WIDTH == 0 {
                    text.push_str("\n  ");
                } else if number % WORD == 0 {
                    text.push(' ');
                }
            }
            text.push('\n');
        }
        Ok(())
    }
}

impl Element for Ip6Print {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.observe_order();
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        self.text.clear();
        for packet in batch.iter() {
            // Writing to a string cannot fail.
            let _ = self.write(packet);
        }
        context.say(self.text.as_bytes());
    }
}
