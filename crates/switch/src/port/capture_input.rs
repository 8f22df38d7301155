//! A capture file that plays its frames into a lane.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::Block;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::{DataLink, PcapError, TsResolution};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::patience::{self, GiveUp, PatientReader};
use super::{Arrival, Counters, DropCause, FRAME_LIMIT, Port, PortError, Resolution};

type Source = Box<dyn Read>;

/// First bytes of a pcapng section.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// First bytes of a pcap file: microseconds and nanoseconds, in either byte order.
const PCAP_MAGICS: [[u8; 4]; 4] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
];

/// First bytes of compressed files, what compressed them, and what unpacks them.
const COMPRESSIONS: [(&[u8], &str, &str); 4] = [
    (&[0x1f, 0x8b], "gzip", "gunzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "unzstd"),
    (&[0xfd, b'7', b'z', b'X'], "xz", "unxz"),
    (b"BZh", "bzip2", "bunzip2"),
];

/// A pcap or pcapng file, played in the order of its records.
pub struct CaptureInput {
    path: PathBuf,
    reader: Reader,
    records: u64,
    next: Option<Record>,
    ended: bool,
    /// Memory of the last record, to be used for the next.
    spare: Vec<u8>,
    counters: Counters,
}

enum Reader {
    Pcap(PcapReader<Source>, Resolution),
    PcapNg(PcapNgReader<Source>),
}

struct Record {
    timestamp: i64,
    data: Vec<u8>,
}

/// A record as it stands in the file.
enum Entry {
    Frame(i64),
    Foreign(u32),
    Skip,
}

impl CaptureInput {
    /// Opens a capture; `-` is the standard input. Whatever has to be waited for is waited for
    /// until `give_up`.
    ///
    /// # Errors
    /// It cannot be opened, is no capture, or has another link type than Ethernet.
    pub fn open(path: &Path, give_up: &GiveUp) -> Result<Self, PortError> {
        let fail = |source| PortError::Open {
            path: path.to_owned(),
            source,
        };
        let mut file = source(path, give_up).map_err(fail)?;
        let mut magic = Vec::new();
        file.by_ref()
            .take(4)
            .read_to_end(&mut magic)
            .map_err(fail)?;
        let whole: Source = Box::new(BufReader::with_capacity(
            1 << 18,
            io::Cursor::new(magic.clone()).chain(file),
        ));
        let damaged = |error: PcapError| PortError::Damaged {
            path: path.to_owned(),
            record: 0,
            reason: reason(&error),
        };
        let reader = if magic == PCAPNG_MAGIC {
            Reader::PcapNg(PcapNgReader::new(whole).map_err(damaged)?)
        } else if PCAP_MAGICS.iter().any(|known| magic == *known) {
            let reader = PcapReader::new(whole).map_err(damaged)?;
            let header = reader.header();
            if header.datalink != DataLink::ETHERNET {
                return Err(PortError::LinkType {
                    path: path.to_owned(),
                    number: u32::from(header.datalink),
                    name: format!("{:?}", header.datalink),
                });
            }
            let resolution = match header.ts_resolution {
                TsResolution::MicroSecond => Resolution::Microseconds,
                TsResolution::NanoSecond => Resolution::Nanoseconds,
            };
            Reader::Pcap(reader, resolution)
        } else {
            return Err(no_capture(path, magic));
        };
        Ok(Self {
            path: path.to_owned(),
            reader,
            records: 0,
            next: None,
            ended: false,
            spare: Vec::new(),
            counters: Counters::default(),
        })
    }

    /// How fine the file's timestamps are. A pcapng file may hold finer ones than microseconds.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        match &self.reader {
            Reader::Pcap(_, resolution) => *resolution,
            Reader::PcapNg(_) => Resolution::Nanoseconds,
        }
    }

    /// Reads on to the next frame, where none is at hand.
    fn load(&mut self) -> Result<(), PortError> {
        while self.next.is_none() && !self.ended {
            let mut data = std::mem::take(&mut self.spare);
            data.clear();
            let read = match &mut self.reader {
                Reader::Pcap(reader, resolution) => read_pcap(reader, *resolution, &mut data),
                Reader::PcapNg(reader) => read_pcapng(reader, &mut data),
            };
            self.records += 1;
            match read {
                None => self.ended = true,
                Some(Ok(Entry::Frame(timestamp))) if data.len() <= FRAME_LIMIT => {
                    self.next = Some(Record { timestamp, data });
                    return Ok(());
                }
                Some(Ok(Entry::Frame(_))) => self.drop_frame(data.len(), DropCause::OverLong),
                Some(Ok(Entry::Foreign(number))) => {
                    self.drop_frame(data.len(), DropCause::LinkType(number))
                }
                Some(Ok(Entry::Skip)) => self.records -= 1,
                Some(Err(error)) => {
                    self.ended = true;
                    let reason = reason(&error);
                    return Err(PortError::Damaged {
                        path: self.path.clone(),
                        record: self.records,
                        reason,
                    });
                }
            }
            self.spare = data;
        }
        Ok(())
    }

    /// A frame that came in and goes no further; it counts as received, so that all adds up.
    fn drop_frame(&mut self, bytes: usize, cause: DropCause) {
        self.counters.received.add(bytes);
        self.counters.drop_frame(cause);
    }
}

/// The bytes of a file, or of the standard input.
fn source(path: &Path, give_up: &GiveUp) -> io::Result<Source> {
    if path == Path::new("-") {
        return Ok(Box::new(PatientReader::new(io::stdin(), give_up.clone())?));
    }
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if kind.is_file() {
        return Ok(Box::new(File::open(path)?));
    }
    let name = path.to_owned();
    let file = patience::open(give_up, move || File::open(name))?;
    Ok(Box::new(PatientReader::new(file, give_up.clone())?))
}

/// What a file is that begins like no capture.
fn no_capture(path: &Path, magic: Vec<u8>) -> PortError {
    let compressed = COMPRESSIONS
        .iter()
        .find(|(first, ..)| magic.starts_with(first));
    match compressed {
        _ if magic.is_empty() => PortError::Empty {
            path: path.to_owned(),
        },
        Some((_, by, unpack)) => PortError::Compressed {
            path: path.to_owned(),
            by,
            unpack,
        },
        None => PortError::NotACapture {
            path: path.to_owned(),
            magic,
        },
    }
}

fn read_pcap(
    reader: &mut PcapReader<Source>,
    resolution: Resolution,
    data: &mut Vec<u8>,
) -> Option<Result<Entry, PcapError>> {
    let packet = match reader.next_raw_packet()? {
        Ok(packet) => packet,
        Err(error) => return Some(Err(error)),
    };
    data.extend_from_slice(&packet.data);
    let fraction = i64::from(packet.ts_frac) * resolution.nanoseconds();
    Some(Ok(Entry::Frame(
        i64::from(packet.ts_sec) * 1_000_000_000 + fraction,
    )))
}

fn read_pcapng(
    reader: &mut PcapNgReader<Source>,
    data: &mut Vec<u8>,
) -> Option<Result<Entry, PcapError>> {
    let (interface, units) = match reader.next_block()? {
        Err(error) => return Some(Err(error)),
        Ok(Block::EnhancedPacket(packet)) => {
            data.extend_from_slice(&packet.data);
            // The crate hands the units over as if they were nanoseconds.
            (packet.interface_id, packet.timestamp.as_nanos())
        }
        Ok(Block::SimplePacket(packet)) => {
            data.extend_from_slice(&packet.data);
            (0, 0)
        }
        Ok(Block::Packet(packet)) => {
            data.extend_from_slice(&packet.data);
            (u32::from(packet.interface_id), u128::from(packet.timestamp))
        }
        Ok(_) => return Some(Ok(Entry::Skip)),
    };
    let Some(interface) = reader.interfaces().get(interface as usize) else {
        return Some(Err(PcapError::InvalidInterfaceId(interface)));
    };
    if interface.linktype != DataLink::ETHERNET {
        return Some(Ok(Entry::Foreign(u32::from(interface.linktype))));
    }
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    let nanoseconds = to_nanoseconds(units, resolution.unwrap_or(6));
    Some(Ok(Entry::Frame(i64::try_from(nanoseconds).unwrap_or(0))))
}

/// Units of a pcapng timestamp as nanoseconds. The resolution is a negative power of ten, or of two
/// with its highest bit set (pcapng specification, if_tsresol).
fn to_nanoseconds(units: u128, resolution: u8) -> u128 {
    const SECOND: u128 = 1_000_000_000;
    let power = u32::from(resolution & 0x7f);
    if resolution & 0x80 != 0 {
        units
            .checked_mul(SECOND)
            .and_then(|product| product.checked_shr(power))
            .unwrap_or(0)
    } else {
        10_u128
            .checked_pow(power)
            .and_then(|unit| Some(units.checked_mul(SECOND)? / unit))
            .unwrap_or(0)
    }
}

fn reason(error: &PcapError) -> String {
    match error {
        PcapError::IncompleteBuffer => "the file ends inside it".into(),
        PcapError::IoError(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            "the file ends inside it".into()
        }
        PcapError::IoError(source) => source.to_string(),
        PcapError::InvalidField(what) => format!("invalid field: {what}"),
        PcapError::InvalidInterfaceId(number) => {
            format!("it names interface {number}, which the file does not have")
        }
        PcapError::Utf8Error(_) | PcapError::FromUtf8Error(_) => "a text in it is not UTF-8".into(),
    }
}

impl Port for CaptureInput {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        self.load()?;
        Ok(self
            .next
            .as_ref()
            .map_or(Arrival::Never, |record| Arrival::At(record.timestamp)))
    }

    fn receive(
        &mut self,
        limit: usize,
        until: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        let mut taken = 0;
        while taken < limit {
            self.load()?;
            let Some(record) = self.next.take_if(|record| record.timestamp <= until) else {
                break;
            };
            if !deliver(&Frame::new(&record.data, FrameHead::at(record.timestamp))) {
                self.next = Some(record);
                break;
            }
            self.counters.received.add(record.data.len());
            self.spare = record.data;
            taken += 1;
        }
        Ok(taken)
    }

    fn send(&mut self, _: &Frame<'_>) -> Result<(), PortError> {
        Err(PortError::OneWay {
            name: self.path.display().to_string(),
            can: "gives frames",
        })
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pcapng_resolutions_are_powers_of_ten_or_two() {
        assert_eq!(to_nanoseconds(1_500_000, 6), 1_500_000_000);
        assert_eq!(to_nanoseconds(1_500_000_000, 9), 1_500_000_000);
        assert_eq!(to_nanoseconds(3 << 9, 0x80 | 10), 1_500_000_000);
        assert_eq!(to_nanoseconds(u128::MAX, 0), 0);
        assert_eq!(to_nanoseconds(5, 0x7f), 0);
    }
}
