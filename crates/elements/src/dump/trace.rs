//! Binary traces: their formats, and packets out of their records.

use alloc::boxed::Box;

use sprat_click::Context;
use sprat_click::environment::Input;
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::headers::Ipv4;
use sprat_packet::{DEFAULT_HEADROOM, Packet};

use super::capture::{FILE_HEADER, FileHeader, RECORD_HEADER, link};
use super::erf;
use super::file::{Ending, Reader};
use super::nlanr::{self, Cell};

/// Which format a trace has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pcap,
    /// NLANR's; `None`: whichever it looks like.
    Nlanr(Option<Cell>),
    /// Endace's.
    Erf,
}

/// What to read records by.
enum Layout {
    Pcap(FileHeader),
    Nlanr(Cell),
    Erf,
}

/// A trace being read.
pub(super) struct OpenFile {
    pub(super) reader: Reader,
    layout: Layout,
    /// The link type of the last packet.
    pub(super) link: u32,
    /// Whether the window has been counted from the first packet.
    pub(super) settled: bool,
}

/// A record as a packet may come out of it.
pub(super) struct Record {
    /// Nanoseconds since the Unix epoch.
    pub(super) timestamp: i64,
    /// Where the packet's bytes are in the record.
    pub(super) begin: usize,
    pub(super) end: usize,
    /// Bytes of the packet that the trace has not.
    pub(super) missing: u32,
    pub(super) link: u32,
    /// Which of several interfaces it came by.
    pub(super) paint: u8,
}

impl OpenFile {
    pub(super) fn open(input: Box<dyn Input>, format: Format) -> Result<Self, &'static str> {
        let mut reader = Reader::new(input);
        let (layout, link) = match format {
            Format::Pcap => {
                let bytes = reader.at_least(FILE_HEADER).ok();
                let bytes = bytes.and_then(<[u8]>::first_chunk).copied();
                let bytes: [u8; FILE_HEADER] = bytes.ok_or("not a tcpdump file (too short)")?;
                reader.advance(FILE_HEADER);
                let header =
                    FileHeader::parse(&bytes).ok_or("not a tcpdump file (bad magic number)")?;
                (Layout::Pcap(header), header.link)
            }
            Format::Nlanr(cell) => {
                let cell = match cell {
                    Some(cell) => cell,
                    None => nlanr::guess(reader.at_least(nlanr::LONG).unwrap_or_default()),
                };
                (Layout::Nlanr(cell), link::RAW)
            }
            Format::Erf => (Layout::Erf, link::ETHERNET),
        };
        Ok(Self {
            reader,
            layout,
            link,
            settled: false,
        })
    }

    /// The next record as a packet.
    pub(super) fn packet(&mut self, context: &Context<'_>) -> Result<Packet, Ending> {
        let packet = match &self.layout {
            Layout::Pcap(header) => {
                let bytes = self.reader.at_least(RECORD_HEADER)?;
                let first = bytes.first_chunk().ok_or(Ending::Damaged)?;
                let record = header.record(first).ok_or(Ending::Damaged)?;
                let end = RECORD_HEADER + record.captured as usize;
                let bytes = match bytes.len() < end {
                    false => bytes,
                    true => self.reader.at_least(end)?,
                };
                let record = Record {
                    timestamp: record.timestamp,
                    begin: RECORD_HEADER,
                    end,
                    missing: record.original.saturating_sub(record.captured),
                    link: header.link,
                    paint: 0,
                };
                let packet = record.packet(context, bytes);
                self.reader.advance(end);
                packet
            }
            Layout::Nlanr(cell) => {
                let bytes = self.reader.at_least(cell.length())?;
                let packet = cell.packet(context, bytes).ok_or(Ending::Damaged)?;
                self.reader.advance(cell.length());
                packet
            }
            Layout::Erf => {
                let bytes = self.reader.at_least(erf::HEADER)?;
                let first = bytes.first_chunk().ok_or(Ending::Damaged)?;
                let length = erf::length(first).ok_or(Ending::Damaged)?;
                let bytes = self.reader.at_least(length)?;
                let record = erf::record(&bytes[..length]).ok_or(Ending::Damaged)?;
                let packet = record.packet(context, bytes);
                self.link = record.link;
                self.reader.advance(length);
                packet
            }
        };
        Ok(packet)
    }
}

impl Record {
    /// The packet that stands in the record's bytes.
    fn packet(&self, context: &Context<'_>, bytes: &[u8]) -> Packet {
        let frame = bytes.get(self.begin..self.end).unwrap_or_default();
        let mut packet = context
            .pool()
            .packet_uninitialised(DEFAULT_HEADROOM, frame.len());
        packet.data_mut().copy_from_slice(frame);
        packet.set_timestamp(self.timestamp);
        packet.set_mac_header(0);
        if self.missing > 0 {
            packet.set_annotation_word(EXTRA_LENGTH, self.missing);
        }
        if self.paint > 0 {
            packet.set_paint(self.paint);
        }
        packet
    }
}

/// Marks the IPv4 header of a frame; `false` where there is none that is whole.
pub(super) fn mark(packet: &mut Packet, link: u32) -> bool {
    let Some((offset, true)) = super::capture::network_offset(link, packet.data()) else {
        return false;
    };
    let Some(Ok(header)) = packet.data().get(offset..).map(Ipv4::new) else {
        return false;
    };
    let (length, destination) = (header.header_length(), header.destination());
    packet.set_network_header(offset, length);
    packet.set_destination(destination);
    true
}
