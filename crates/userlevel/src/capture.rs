//! Network devices that are capture files: frames arrive out of one and are sent into another.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::access_error;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};
use sprat_click::environment::Device;
use sprat_packet::{BUFFER_CAPACITY, Batch, Pool};

/// The longest frame a buffer holds beside the room that elements need before it.
const LONGEST: usize = BUFFER_CAPACITY - sprat_packet::DEFAULT_HEADROOM;

/// A capture file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It cannot be opened, read or written.
    #[error("{}: {}", path.display(), access_error(source))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is no capture, or one cut off in its header.
    #[error("{}: not a pcap or pcapng capture ({source})", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PcapError,
    },
    /// Its frames are not Ethernet frames.
    #[error("{}: link type {link:?}; only Ethernet captures can stand for a device", path.display())]
    LinkType {
        /// The file.
        path: PathBuf,
        /// The link type it names.
        link: DataLink,
    },
}

/// A device made of capture files.
#[derive(Default)]
pub(crate) struct CaptureDevice {
    input: RefCell<Option<CaptureInput>>,
    output: RefCell<Option<CaptureOutput>>,
    /// Frames longer than a buffer, which were left out.
    too_long: Cell<u64>,
}

impl CaptureDevice {
    pub(crate) fn read_from(&self, path: &Path) -> Result<(), CaptureError> {
        *self.input.borrow_mut() = Some(CaptureInput::open(path)?);
        Ok(())
    }

    pub(crate) fn write_to(&self, path: &Path) -> Result<(), CaptureError> {
        *self.output.borrow_mut() = Some(CaptureOutput::create(path)?);
        Ok(())
    }

    pub(crate) fn has_input(&self) -> bool {
        self.input.borrow().is_some()
    }

    pub(crate) fn too_long(&self) -> u64 {
        self.too_long.get()
    }

    /// What was wrong with the input after its header, where something was.
    pub(crate) fn take_fault(&self) -> Option<String> {
        self.input.borrow_mut().as_mut()?.fault.take()
    }

    /// Puts the output where it belongs.
    pub(crate) fn finish(&self) -> Result<(), CaptureError> {
        match self.output.borrow_mut().take() {
            Some(output) => output.finish(),
            None => Ok(()),
        }
    }
}

impl Device for CaptureDevice {
    fn receive(&self, pool: &Pool, limit: usize, batch: &mut Batch) {
        if let Some(input) = self.input.borrow_mut().as_mut() {
            for _ in 0..limit {
                let more = input.next(|timestamp, frame| {
                    if frame.len() > LONGEST {
                        self.too_long.set(self.too_long.get() + 1);
                        return;
                    }
                    let mut packet = pool.packet(frame);
                    packet.set_timestamp(timestamp);
                    batch.push(packet);
                });
                if !more {
                    break;
                }
            }
        }
    }

    fn send(&self, batch: &mut Batch) {
        if let Some(output) = self.output.borrow_mut().as_mut() {
            for packet in batch.iter() {
                output.write(packet.timestamp(), packet.data());
            }
        }
        batch.clear();
    }

    fn records_order(&self) -> bool {
        self.output.borrow().is_some()
    }

    fn exhausted(&self) -> bool {
        self.input.borrow().as_ref().is_none_or(|input| input.ended)
    }
}

/// A capture that is read.
struct CaptureInput {
    path: PathBuf,
    frames: Frames,
    ended: bool,
    fault: Option<String>,
}

enum Frames {
    Pcap(PcapReader<BufReader<File>>),
    PcapNg(PcapNgReader<BufReader<File>>),
}

impl CaptureInput {
    fn open(path: &Path) -> Result<Self, CaptureError> {
        let file_error = |source| CaptureError::File {
            path: path.into(),
            source,
        };
        let format_error = |source| CaptureError::Format {
            path: path.into(),
            source,
        };
        let mut file = File::open(path).map_err(file_error)?;
        let mut magic = [0; 4];
        let known = file.read_exact(&mut magic).is_ok();
        file.seek(SeekFrom::Start(0)).map_err(file_error)?;
        let reader = BufReader::with_capacity(1 << 16, file);
        let frames = if known && magic == [0x0a, 0x0d, 0x0d, 0x0a] {
            Frames::PcapNg(PcapNgReader::new(reader).map_err(format_error)?)
        } else {
            let reader = PcapReader::new(reader).map_err(format_error)?;
            let link = reader.header().datalink;
            if link != DataLink::ETHERNET {
                return Err(CaptureError::LinkType {
                    path: path.into(),
                    link,
                });
            }
            Frames::Pcap(reader)
        };
        Ok(Self {
            path: path.into(),
            frames,
            ended: false,
            fault: None,
        })
    }

    /// Gives the next frame to `take`; false at the end.
    fn next(&mut self, mut take: impl FnMut(i64, &[u8])) -> bool {
        while !self.ended {
            match self.frames.next(&mut take) {
                Some(Ok(true)) => return true,
                Some(Ok(false)) => {}
                Some(Err(error)) => {
                    self.fault = Some(format!("{}: {error}", self.path.display()));
                    self.ended = true;
                }
                None => self.ended = true,
            }
        }
        false
    }
}

impl Frames {
    /// The next thing in the file: whether it was a frame, which went to `take`.
    fn next(&mut self, take: &mut impl FnMut(i64, &[u8])) -> Option<Result<bool, PcapError>> {
        let nanoseconds = |at: Duration| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX);
        match self {
            Self::Pcap(reader) => reader.next_packet().map(|packet| {
                packet.map(|packet| {
                    take(nanoseconds(packet.timestamp), &packet.data);
                    true
                })
            }),
            Self::PcapNg(reader) => {
                let frame = match reader.next_block()? {
                    Ok(Block::EnhancedPacket(packet)) => Some((
                        packet.interface_id as usize,
                        nanoseconds(packet.timestamp),
                        packet.data.into_owned(),
                    )),
                    Ok(Block::SimplePacket(packet)) => Some((0, 0, packet.data.into_owned())),
                    Ok(_) => None,
                    Err(error) => return Some(Err(error)),
                };
                let Some((interface, timestamp, data)) = frame else {
                    return Some(Ok(false));
                };
                // One capture may hold frames of several links; only Ethernet's are taken.
                let ethernet = reader
                    .interfaces()
                    .get(interface)
                    .is_some_and(|interface| interface.linktype == DataLink::ETHERNET);
                if ethernet {
                    take(timestamp, &data);
                }
                Some(Ok(ethernet))
            }
        }
    }
}

/// A capture that is written, beside its place until it is whole.
struct CaptureOutput {
    path: PathBuf,
    aside: PathBuf,
    writer: Option<PcapWriter<BufWriter<File>>>,
    error: Option<std::io::Error>,
}

impl CaptureOutput {
    fn create(path: &Path) -> Result<Self, CaptureError> {
        let aside = match path.file_name() {
            // A device or pipe, such as /dev/stdout, is written as it is.
            _ if path.exists() && !path.is_file() => path.into(),
            Some(name) => {
                let mut aside = std::ffi::OsString::from(".");
                aside.push(name);
                aside.push(format!(".{}", std::process::id()));
                path.with_file_name(aside)
            }
            None => path.into(),
        };
        let file = File::create(&aside).map_err(|source| CaptureError::File {
            path: path.into(),
            source,
        })?;
        let header = PcapHeader {
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        let writer = PcapWriter::with_header(BufWriter::with_capacity(1 << 16, file), header);
        let writer = writer.map_err(|source| CaptureError::Format {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            path: path.into(),
            aside,
            writer: Some(writer),
            error: None,
        })
    }

    fn write(&mut self, timestamp: i64, frame: &[u8]) {
        if let Some(writer) = &mut self.writer
            && self.error.is_none()
        {
            let packet = PcapPacket {
                timestamp: Duration::from_nanos(u64::try_from(timestamp).unwrap_or(0)),
                orig_len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
                data: Cow::Borrowed(frame),
            };
            if let Err(error) = writer.write_packet(&packet) {
                self.error = Some(std::io::Error::other(error));
            }
        }
    }

    fn finish(mut self) -> Result<(), CaptureError> {
        let done = match (self.error.take(), self.writer.take()) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.into_writer().into_inner().map_err(Into::into),
            (None, None) => return Ok(()),
        };
        let moved = done.and_then(|_| match self.aside == self.path {
            true => Ok(()),
            false => std::fs::rename(&self.aside, &self.path),
        });
        moved.map_err(|source| CaptureError::File {
            path: self.path.clone(),
            source,
        })
    }
}

/// One that was not finished leaves nothing behind.
impl Drop for CaptureOutput {
    fn drop(&mut self) {
        if self.aside != self.path {
            let _ = std::fs::remove_file(&self.aside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(device: &CaptureDevice) -> Vec<(i64, Vec<u8>)> {
        let mut batch = Batch::new();
        device.receive(&Pool::growing(), 100, &mut batch);
        batch
            .iter()
            .map(|packet| (packet.timestamp(), packet.data().to_vec()))
            .collect()
    }

    #[test]
    fn what_is_sent_can_be_received_again_to_the_nanosecond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let output = CaptureDevice::default();
        output.write_to(&path).unwrap();
        let pool = Pool::growing();
        let mut batch = Batch::new();
        for (timestamp, length) in [(1_000_000_001, 60), (2_000_000_000, 1514)] {
            let mut packet = pool.packet(&vec![7; length]);
            packet.set_timestamp(timestamp);
            batch.push(packet);
        }
        output.send(&mut batch);
        assert!(!path.exists());
        output.finish().unwrap();

        let input = CaptureDevice::default();
        input.read_from(&path).unwrap();
        assert!(!input.exhausted());
        let frames = frames(&input);
        assert_eq!(frames[0], (1_000_000_001, vec![7; 60]));
        assert_eq!((frames[1].0, frames[1].1.len()), (2_000_000_000, 1514));
        assert!(input.exhausted());
    }

    #[test]
    fn an_output_that_is_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let device = CaptureDevice::default();
        device.write_to(&folder.path().join("out.pcap")).unwrap();
        drop(device);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn other_link_types_and_other_files_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        let mut header = Vec::from([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        header.extend([0; 8]);
        header.extend([0xff, 0xff, 0, 0, 105, 0, 0, 0]);
        std::fs::write(&path, &header).unwrap();
        let refused = CaptureDevice::default().read_from(&path);
        assert!(matches!(refused, Err(CaptureError::LinkType { .. })));
        std::fs::write(&path, "hello").unwrap();
        let refused = CaptureDevice::default().read_from(&path);
        assert!(matches!(refused, Err(CaptureError::Format { .. })));
    }

    #[test]
    fn a_capture_that_is_cut_off_gives_what_is_whole_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        let mut bytes = Vec::from([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        bytes.extend([0; 8]);
        bytes.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
        bytes.extend([1, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0xaa, 0xbb]);
        bytes.extend([1, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0xaa]);
        std::fs::write(&path, &bytes).unwrap();
        let device = CaptureDevice::default();
        device.read_from(&path).unwrap();
        assert_eq!(frames(&device), [(1_000_005_000, vec![0xaa, 0xbb])]);
        assert!(device.exhausted());
        assert!(device.take_fault().is_some());
    }
}
