//! A device whose frames come from one capture file and go to another.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::PcapError;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use sprat_packet::{Batch, Packet, Pool};

use crate::Wire;

/// Reads one capture file and writes another; either may be missing.
pub(crate) struct Trace {
    input: Option<PcapReader<BufReader<File>>>,
    output: Option<PcapWriter<BufWriter<File>>>,
}

impl Trace {
    pub(crate) fn open(input: Option<&Path>, output: Option<&Path>) -> Result<Self, PcapError> {
        let input = match input {
            Some(path) => {
                let reader = PcapReader::new(BufReader::new(
                    File::open(path).map_err(PcapError::IoError)?,
                ))?;
                if reader.header().datalink != DataLink::ETHERNET {
                    return Err(PcapError::InvalidField(
                        "link type: only Ethernet captures can be read",
                    ));
                }
                Some(reader)
            }
            None => None,
        };
        let output = match output {
            Some(path) => {
                let header = PcapHeader {
                    datalink: DataLink::ETHERNET,
                    ts_resolution: pcap_file::TsResolution::NanoSecond,
                    ..PcapHeader::default()
                };
                Some(PcapWriter::with_header(
                    BufWriter::new(File::create(path).map_err(PcapError::IoError)?),
                    header,
                )?)
            }
            None => None,
        };
        Ok(Self { input, output })
    }
}

impl Wire for Trace {
    fn receive(&mut self, pool: &Pool, frames: &mut Batch, limit: usize) -> usize {
        let mut count = 0;
        while count < limit {
            let Some(reader) = &mut self.input else { break };
            match reader.next_packet() {
                Some(Ok(record)) => {
                    let mut packet = pool.packet(&record.data);
                    packet.set_timestamp(
                        i64::try_from(record.timestamp.as_nanos()).unwrap_or(i64::MAX),
                    );
                    frames.push(packet);
                    count += 1;
                }
                Some(Err(error)) => {
                    crate::complain(format_args!("capture ends early: {error}"));
                    self.input = None;
                }
                None => self.input = None,
            }
        }
        count
    }

    fn send(&mut self, packet: &Packet) {
        let Some(writer) = &mut self.output else {
            return;
        };
        let timestamp = Duration::from_nanos(u64::try_from(packet.timestamp()).unwrap_or(0));
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        if let Err(error) = writer.write_packet(&PcapPacket::new(timestamp, length, packet.data()))
        {
            crate::complain(format_args!("capture is cut short: {error}"));
            self.output = None;
        }
    }

    fn has_frames(&self) -> bool {
        self.input.is_some()
    }

    fn is_open(&self) -> bool {
        self.input.is_some()
    }

    fn finish(&mut self) {
        // Dropping the writer hands on what it held back.
        self.output = None;
    }
}
