use alloc::string::{String, ToString};

use sprat_click::time::SECOND;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::checksum::{Sum, internet_checksum};
use sprat_packet::headers::protocol;
use sprat_packet::{Batch, Packet};

pub(super) const STORE_UDP_TIME_SEQ_RECORD: Class =
    Class::of::<StoreUDPTimeSeqRecord>("StoreUDPTimeSeqRecord");

/// StoreUDPTimeSeqRecord: writes time and number into UDP packets, to measure how long they take.
///
/// ```click
/// StoreUDPTimeSeqRecord(OFFSET [, keyword DELTA])
/// ```
///
/// The first 20 bytes of the payload of UDP over IPv4 or IPv6 become five numbers of four bytes, in
/// network byte order: the packet's number, counted from one, the present second and nanosecond, and two
/// zeros. With DELTA those that stand there are left but for the last two, which become the seconds and
/// nanoseconds since. The UDP checksum is mended, where there is one. OFFSET is where the IP header
/// begins: 14 in Ethernet frames. Packets that are too short or not of UDP are dropped.
///
/// Handlers: `count` (read): packets written to; `reset` (write): count from one again.
///
/// See Click's manual page StoreUDPTimeSeqRecord(n).
pub(crate) struct StoreUDPTimeSeqRecord {
    offset: usize,
    delta: bool,
    count: u32,
}

impl Configure for StoreUDPTimeSeqRecord {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.required::<u32>("OFFSET");
        let delta = arguments.keyword("DELTA").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            offset: offset? as usize,
            delta,
            count: 0,
        })
    }
}

/// Where in `bytes`, which begin with an IP header, the UDP header begins.
fn udp_offset(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? >> 4 {
        4 if *bytes.get(9)? == protocol::UDP => Some(usize::from(bytes[0] & 0xf) * 4),
        6 if *bytes.get(6)? == protocol::UDP => Some(40),
        _ => None,
    }
}

/// Bytes of a UDP header, and of the record behind it.
const HEADER: usize = 8;
const RECORD: usize = 20;

/// Seconds and nanoseconds, as they stand in a record.
fn halves(nanoseconds: u64) -> [u8; 8] {
    let part = |number| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&part(nanoseconds / SECOND));
    bytes[4..].copy_from_slice(&part(nanoseconds % SECOND));
    bytes
}

fn word(bytes: &[u8], offset: usize) -> u64 {
    bytes
        .get(offset..offset + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, |bytes| u64::from(u32::from_be_bytes(bytes)))
}

impl StoreUDPTimeSeqRecord {
    fn store(&mut self, now: u64, packet: &mut Packet) -> Option<()> {
        let bytes = packet.data_mut().get_mut(self.offset..)?;
        let start = udp_offset(bytes)?;
        let datagram = bytes.get_mut(start..start + HEADER + RECORD)?;
        let (header, record) = datagram.split_at_mut(HEADER);
        self.count = self.count.wrapping_add(1);
        let before = internet_checksum(record);
        if self.delta {
            let sent = word(record, 4) * SECOND + word(record, 8);
            record[12..].copy_from_slice(&halves(now.saturating_sub(sent)));
        } else {
            record[..4].copy_from_slice(&self.count.to_be_bytes());
            record[4..12].copy_from_slice(&halves(now));
            record[12..].fill(0);
        }
        let checksum = u16::from_be_bytes([header[6], header[7]]);
        if checksum != 0 {
            // RFC 1624: take out the complement of what was summed, add what is there now.
            let mended = Sum::new()
                .add_u16(!checksum)
                .add_u16(before)
                .add_bytes(record)
                .finish_udp();
            header[6..].copy_from_slice(&mended.to_be_bytes());
        }
        Some(())
    }
}

impl Element for StoreUDPTimeSeqRecord {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let now = u64::try_from(context.timestamp().0).unwrap_or(0);
        batch.retain(|packet| self.store(now, packet).is_some());
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count").write("reset");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        if name != "reset" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        self.count = 0;
        Ok(())
    }
}
