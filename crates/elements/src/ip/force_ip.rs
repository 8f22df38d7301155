use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::Ipv4Mut;
use sprat_packet::{Batch, Packet};

pub(super) const FORCE_IP: Class = Class::of::<ForceIP>("ForceIP");

/// ForceIP: makes IP packets of whatever bytes there are.
///
/// ```click
/// ForceIP
/// ```
///
/// For streams of random packets, to try what others make of them. Writes the version and the length;
/// where the header length is below 20 bytes or longer than the packet, the longest there can be; in seven
/// of eight packets zero for flags and fragment offset; the checksum; and sets the network header
/// annotation. Addresses, protocol and the rest stay. Packets shorter than 20 bytes, of which nothing can
/// be made, are dropped.
///
/// ```click
/// RandomSource(20) -> SetIPAddress(1.2.3.4) -> StoreIPAddress(16) -> ForceIP -> ...
/// ```
///
/// See Click's class ForceIP, of its folder `local`.
pub(crate) struct ForceIP {
    count: u8,
}

/// Bytes of the longest IP header.
const LONGEST_HEADER: usize = 60;

impl Configure for ForceIP {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { count: 0 })
    }
}

impl ForceIP {
    fn force(&mut self, packet: &mut Packet) -> Option<()> {
        let whole = packet.len();
        let bytes = packet.data_mut();
        let first = bytes.first_mut()?;
        let mut header = usize::from(*first & 0x0f) * 4;
        if header < 20 || header > whole {
            header = whole.min(LONGEST_HEADER) & !3;
        }
        *first = 0x40 | u8::try_from(header / 4).ok()?;
        let mut ip = Ipv4Mut::new(bytes).ok()?;
        ip.set_total_length(u16::try_from(whole).unwrap_or(u16::MAX));
        if self.count & 7 != 1 {
            ip.set_flags_and_offset(0);
        }
        self.count = self.count.wrapping_add(1);
        ip.fill_checksum();
        packet.set_network_header(0, header);
        Some(())
    }
}

impl Element for ForceIP {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        batch.retain(|packet| self.force(packet).is_some());
    }
}
