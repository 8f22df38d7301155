//! Lines of NetFlow summaries: fields between vertical bars, a flow each.

use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, NoNames, Timestamp};

use super::Draft;
use super::fields::number;

/// Which of a flow's interfaces becomes the paint annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Input,
    Output,
    /// The lower four bits are the output's.
    Both,
}

impl Link {
    /// By the names that LINK takes.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "input" => Some(Self::Input),
            "output" => Some(Self::Output),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    fn paint(self, input: u32, output: u32) -> u8 {
        let narrow = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        match self {
            Self::Input => narrow(input),
            Self::Output => narrow(output),
            Self::Both => narrow(input.min(15) << 4 | output.min(15)),
        }
    }
}

/// Fields of a line that are looked at.
const FIELDS: usize = 15;

/// Reads a line into a packet to be, which stands for all of the flow's; `None` where the line is none.
pub(super) fn read(draft: &mut Draft, line: &str, link: Link) -> Option<()> {
    let mut fields = [""; FIELDS];
    let mut words = line.split('|').map(str::trim);
    for field in &mut fields {
        *field = words.next()?;
    }
    let moment = |text| Timestamp::parse(text, &NoNames).ok().map(|moment| moment.0);
    draft.flow.source = fields[0].parse::<Ipv4Addr>().ok()?;
    draft.flow.destination = fields[1].parse::<Ipv4Addr>().ok()?;
    draft.paint = link.paint(number(fields[3])?, number(fields[4])?);
    draft.count = number::<u32>(fields[5])?.max(1);
    draft.ip_length = Some(number(fields[6])?);
    draft.network = true;
    let (begin, end) = (moment(fields[7])?, moment(fields[8])?);
    draft.first_timestamp = Some(begin);
    draft.timestamp = if end == 0 { begin } else { end };
    draft.flow.source_port = number(fields[9])?;
    draft.flow.destination_port = number(fields[10])?;
    draft.tcp_flags = number(fields[12])?;
    draft.flow.protocol = number(fields[13])?;
    draft.type_of_service = number(fields[14])?;
    Some(())
}
