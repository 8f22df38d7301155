//! A capture file that frames are recorded in.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError, TsResolution};
use sprat_abi::host::Frame;
use tempfile::NamedTempFile;

use super::assembly::Assembly;
use super::patience::{self, GiveUp};
use super::{Arrival, Counters, FRAME_LIMIT, Port, PortError};

/// The last moment that fits a capture, which has 32 bits for seconds: in the year 2106.
const LAST_MOMENT: Duration = Duration::new(u32::MAX as u64, 999_999_999);

/// How fine a capture's timestamps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// A millionth of a second.
    Microseconds,
    /// A thousand-millionth.
    Nanoseconds,
}

impl Resolution {
    /// Nanoseconds in one unit.
    #[must_use]
    pub fn nanoseconds(self) -> i64 {
        match self {
            Self::Microseconds => 1000,
            Self::Nanoseconds => 1,
        }
    }
}

/// A pcap file being recorded.
///
/// The file is written aside and appears under its name when it is complete
/// ([`Port::finish`]); if that never comes, nothing is left behind.
pub struct CaptureOutput {
    path: PathBuf,
    /// While frames come.
    writer: Option<PcapWriter<BufWriter<Destination>>>,
    /// Once all have been written.
    written: Option<Destination>,
    assembly: Assembly,
    counters: Counters,
}

enum Destination {
    Aside(NamedTempFile),
    /// Standard output, or a device or pipe, which cannot be put in place later.
    Direct(Box<dyn Write>),
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Aside(file) => file.write(bytes),
            Self::Direct(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Aside(file) => file.flush(),
            Self::Direct(writer) => writer.flush(),
        }
    }
}

impl CaptureOutput {
    /// Begins a capture; `-` is the standard output. A pipe that nobody reads is waited for until
    /// `give_up`.
    ///
    /// # Errors
    /// The file cannot be created there.
    pub fn create(
        path: &Path,
        resolution: Resolution,
        give_up: &GiveUp,
    ) -> Result<Self, PortError> {
        let fail = |source| PortError::Write {
            path: path.to_owned(),
            source,
        };
        let destination = destination(path, give_up).map_err(fail)?;
        let header = PcapHeader {
            snaplen: u32::try_from(FRAME_LIMIT).unwrap_or(u32::MAX),
            datalink: DataLink::ETHERNET,
            ts_resolution: match resolution {
                Resolution::Microseconds => TsResolution::MicroSecond,
                Resolution::Nanoseconds => TsResolution::NanoSecond,
            },
            ..PcapHeader::default()
        };
        let writer =
            PcapWriter::with_header(BufWriter::with_capacity(1 << 18, destination), header)
                .map_err(|error| fail(to_io(error)))?;
        Ok(Self {
            path: path.to_owned(),
            writer: Some(writer),
            written: None,
            assembly: Assembly::default(),
            counters: Counters::default(),
        })
    }

    fn fail(&self, source: io::Error) -> PortError {
        PortError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

fn destination(path: &Path, give_up: &GiveUp) -> io::Result<Destination> {
    if path == Path::new("-") {
        return Ok(Destination::Direct(Box::new(io::stdout())));
    }
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        let name = path.to_owned();
        let file = patience::open(give_up, move || File::options().write(true).open(name))?;
        return Ok(Destination::Direct(Box::new(file)));
    }
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // Said of the folder, and not of a file that nobody has named.
    fs::metadata(folder)?;
    // The mask of the user who runs us then decides, as for any file.
    let permissions = fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new()
        .prefix(".sprat-")
        .permissions(permissions)
        .tempfile_in(folder)?;
    Ok(Destination::Aside(file))
}

fn to_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(source) => source,
        other => io::Error::other(other.to_string()),
    }
}

impl Port for CaptureOutput {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        Ok(Arrival::Never)
    }

    fn receive(
        &mut self,
        _: usize,
        _: i64,
        _: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        Ok(0)
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let writer = &mut self.writer;
        let mut failed = None;
        let sent = self.assembly.add(part, |frame, head| {
            // A frame without a time, or from before the epoch, is recorded at the epoch; one from
            // after the format's last second, which an instance may claim, in that second.
            let timestamp = Duration::from_nanos(u64::try_from(head.timestamp).unwrap_or(0));
            let timestamp = timestamp.min(LAST_MOMENT);
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            if let Some(writer) = writer
                && let Err(error) = writer.write_packet(&PcapPacket::new(timestamp, length, frame))
            {
                failed = Some(error);
            }
            Ok(frame.len())
        });
        match sent {
            Some(Ok(length)) => self.counters.sent.add(length),
            Some(Err(cause)) => self.counters.drop_frame(cause),
            None => {}
        }
        failed.map_or(Ok(()), |error| Err(self.fail(to_io(error))))
    }

    fn flush(&mut self) -> Result<(), PortError> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let mut destination = writer
            .into_writer()
            .into_inner()
            .map_err(|error| self.fail(error.into_error()))?;
        destination.flush().map_err(|error| self.fail(error))?;
        self.written = Some(destination);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), PortError> {
        self.flush()?;
        match self.written.take() {
            Some(Destination::Aside(file)) => file
                .persist(&self.path)
                .map(|_| ())
                .map_err(|error| self.fail(error.error)),
            Some(Destination::Direct(_)) | None => Ok(()),
        }
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use sprat_abi::frame::{FrameHead, offload};

    use super::super::{CaptureInput, DropCause};
    use super::*;

    fn record(path: &Path, resolution: Resolution) -> CaptureOutput {
        let mut output = CaptureOutput::create(path, resolution, &GiveUp::default()).unwrap();
        output
            .send(&Frame::new(
                &[1; 60],
                FrameHead::at(1_700_000_000_123_456_789),
            ))
            .unwrap();
        output
            .send(&Frame::new(
                &[2; 1500],
                FrameHead::at(1_700_000_001_000_000_000),
            ))
            .unwrap();
        output
    }

    fn play(path: &Path) -> Vec<(Vec<u8>, i64)> {
        let mut input = CaptureInput::open(path, &GiveUp::default()).unwrap();
        let mut frames = Vec::new();
        input
            .receive(usize::MAX, i64::MAX, &mut |frame| {
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                frames.push((bytes, frame.head().timestamp));
                true
            })
            .unwrap();
        frames
    }

    #[test]
    fn times_that_no_capture_can_hold_are_recorded_at_the_nearest_one_that_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let mut output =
            CaptureOutput::create(&path, Resolution::Nanoseconds, &GiveUp::default()).unwrap();
        for time in [i64::MIN, -1, i64::MAX, 4_294_967_296_000_000_000] {
            output
                .send(&Frame::new(&[1; 60], FrameHead::at(time)))
                .unwrap();
        }
        output.finish().unwrap();
        let times: Vec<i64> = play(&path).into_iter().map(|(_, time)| time).collect();
        let last = 4_294_967_295_999_999_999;
        assert_eq!(times, [0, 0, last, last]);
    }

    #[test]
    fn frames_that_no_capture_can_hold_are_dropped_by_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        let mut output =
            CaptureOutput::create(&path, Resolution::Nanoseconds, &GiveUp::default()).unwrap();
        // Its checksum would lie behind its end.
        let request = FrameHead {
            offload: offload::NEEDS_CHECKSUM,
            checksum_start: u16::MAX,
            checksum_offset: u16::MAX,
            ..FrameHead::at(1)
        };
        let long = vec![1; FRAME_LIMIT + 1];
        for frame in [
            Frame::new(&long, FrameHead::at(1)),
            Frame::new(&[2; 60], request),
            Frame::new(&[3; 60], FrameHead::at(5)),
        ] {
            output.send(&frame).unwrap();
        }
        let dropped = &output.counters().dropped;
        assert_eq!(
            *dropped,
            [(DropCause::OverLong, 1), (DropCause::Malformed, 1)]
        );
        output.finish().unwrap();
        assert_eq!(play(&path), [(vec![3; 60], 5)]);
    }

    #[test]
    fn what_is_recorded_plays_back_with_its_times() {
        let folder = tempfile::tempdir().unwrap();
        for (resolution, first) in [
            (Resolution::Nanoseconds, 1_700_000_000_123_456_789),
            (Resolution::Microseconds, 1_700_000_000_123_456_000),
        ] {
            let path = folder.path().join("out.pcap");
            record(&path, resolution).finish().unwrap();
            let frames = play(&path);
            assert_eq!(
                frames,
                [
                    (vec![1; 60], first),
                    (vec![2; 1500], 1_700_000_001_000_000_000)
                ]
            );
        }
    }

    #[test]
    fn a_capture_that_is_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        drop(record(
            &folder.path().join("out.pcap"),
            Resolution::Microseconds,
        ));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_refused_frame_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcap");
        record(&path, Resolution::Nanoseconds).finish().unwrap();
        let mut input = CaptureInput::open(&path, &GiveUp::default()).unwrap();
        assert_eq!(input.receive(9, i64::MAX, &mut |_| false).unwrap(), 0);
        assert_eq!(
            input
                .receive(9, 1_700_000_000_500_000_000, &mut |_| true)
                .unwrap(),
            1
        );
        assert_eq!(
            input.next_arrival().unwrap(),
            Arrival::At(1_700_000_001_000_000_000)
        );
        assert_eq!(input.receive(9, i64::MAX, &mut |_| true).unwrap(), 1);
        assert_eq!(input.next_arrival().unwrap(), Arrival::Never);
        assert_eq!(
            input.counters().received,
            super::super::Volume {
                frames: 2,
                bytes: 1560
            }
        );
    }

    #[test]
    fn captures_that_are_none_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not.pcap");
        fs::write(&path, b"plain text").unwrap();
        let error = CaptureInput::open(&path, &GiveUp::default())
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("not.pcap is no pcap or pcapng capture"),
            "{error}"
        );
        // A raw IP capture: link type 101.
        let mut header = vec![
            0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
        ];
        header.extend(101_u32.to_le_bytes());
        fs::write(&path, &header).unwrap();
        let error = CaptureInput::open(&path, &GiveUp::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("link type 101"), "{error}");
        // An Ethernet capture cut in its first record.
        header[20..].copy_from_slice(&1_u32.to_le_bytes());
        header.extend([0; 10]);
        fs::write(&path, &header).unwrap();
        let error = CaptureInput::open(&path, &GiveUp::default())
            .unwrap()
            .next_arrival()
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("record 1 cannot be read: the file ends inside it"),
            "{error}"
        );
    }
}
