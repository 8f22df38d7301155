//! `sprat capture`: live frames of a port, as a capture.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sprat_host::client::{self, ClientError};
use sprat_host::protocol::Lanes;

use super::{FolderArguments, complain_of, encoded};
use crate::output::complain;

/// Writes the frames that pass a port from now on as a capture, until Ctrl-C or a count is reached
///
/// Nothing that runs is changed by it, and nothing waits for it: frames that are not written fast
/// enough are left out, and their number is said at the end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat capture fw:eth0 -w - | wireshark -k -i -\n  \
    sprat capture fw:eth0 -w - | tcpdump -n -r -\n  \
    sprat capture wan -c 100 -w wan.pcap")]
pub(crate) struct CaptureCommand {
    /// INSTANCE:DEVICE, or a port, as `sprat ps --ports` names them.
    port: String,
    /// The file; - is the standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    write: PathBuf,
    /// Ends after so many frames.
    #[arg(short, long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    folders: FolderArguments,
}

/// The file, made when there is something to write: a mistake leaves none behind.
struct Destination<'p> {
    path: &'p Path,
    open: Option<Box<dyn Write>>,
}

impl Write for Destination<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let open = match &mut self.open {
            Some(open) => open,
            none if self.path == Path::new("-") => none.insert(Box::new(io::stdout())),
            none => none.insert(Box::new(File::create(self.path)?)),
        };
        open.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |open| open.flush())
    }
}

/// Where the capture goes: whole records, and how many.
struct Output<W> {
    writer: W,
    /// The begin of a record whose end has not come yet.
    rest: Vec<u8>,
    begun: bool,
    frames: u64,
}

impl<W: Write> Output<W> {
    /// Writes what has come up to the end of the last whole record, so that what is there is a
    /// capture at any moment.
    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        self.rest.extend_from_slice(piece);
        let mut end = 0;
        if !self.begun {
            if self.rest.len() < 24 {
                return Ok(());
            }
            self.begun = true;
            end = 24;
        }
        while let Some(head) = self.rest.get(end..end + 16) {
            let &[.., a, b, c, d, _, _, _, _] = head else {
                break;
            };
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            if self.rest.len() < end + 16 + length {
                break;
            }
            end += 16 + length;
            self.frames += 1;
        }
        self.writer.write_all(&self.rest[..end])?;
        self.writer.flush()?;
        self.rest.drain(..end);
        Ok(())
    }
}

impl CaptureCommand {
    pub(crate) fn run(&self) -> ExitCode {
        if self.write == Path::new("-") && io::stdout().is_terminal() {
            complain!("error: a capture is nothing for a terminal to show");
            complain!("  help: write a file with -w FILE, or pipe it: | tcpdump -n -r -");
            return ExitCode::FAILURE;
        }
        let port = self.port.replacen(':', ".", 1);
        let mut output = Output {
            writer: Destination {
                path: &self.write,
                open: None,
            },
            rest: Vec::new(),
            begun: false,
            frames: 0,
        };
        let before = self.left_out(&port);
        let mut path = format!("/v1/ports/{}/capture", encoded(&port));
        if let Some(count) = self.count {
            path.push_str(&format!("?count={count}"));
        }
        let ended = client::stream(&self.folders.asked(), &path, &mut |piece| {
            output.take(piece).map(|()| true)
        });
        match ended {
            Ok(()) => {}
            // Whoever read has seen enough.
            Err(ClientError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(ClientError::Output(error)) => {
                complain!("error: {}: {error}", self.write.display());
                return ExitCode::FAILURE;
            }
            Err(error) => {
                complain_of(&error);
                return ExitCode::FAILURE;
            }
        }
        let lost = self.left_out(&port).saturating_sub(before);
        match lost {
            0 => complain!("{} frames", output.frames),
            lost => complain!("{} frames; {lost} were not taken in time", output.frames),
        }
        match self.count {
            Some(count) if output.frames < count => {
                complain!("error: the capture ended before it had {count} frames");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        }
    }

    /// Frames at the port that captures had no room for.
    fn left_out(&self, port: &str) -> u64 {
        let lanes: Result<Lanes, _> = self.folders.get("/v1/status");
        let lanes = lanes.map(|lanes| lanes.lanes).unwrap_or_default();
        let statuses = lanes.into_iter().filter_map(|lane| lane.status);
        let mut ports = statuses.flat_map(|status| status.ports);
        let found = ports.find(|found| found.name == port);
        found.map_or(0, |found| found.uncaptured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, and records of 2, 0 and 3 bytes, in pieces of every size.
    #[test]
    fn only_whole_records_are_written_however_they_come() {
        let mut capture = vec![9; 24];
        for bytes in [&b"ab"[..], b"", b"cde"] {
            capture.extend_from_slice(&[7; 8]);
            let length = u32::try_from(bytes.len()).expect("short").to_le_bytes();
            capture.extend_from_slice(&length);
            capture.extend_from_slice(&length);
            capture.extend_from_slice(bytes);
        }
        let ends = [0, 24, 24 + 18, 24 + 34, 24 + 53];
        for size in 1..=capture.len() {
            let mut output = Output {
                writer: Vec::new(),
                rest: Vec::new(),
                begun: false,
                frames: 0,
            };
            for piece in capture.chunks(size) {
                output.take(piece).expect("written");
                assert!(ends.contains(&output.writer.len()), "{size}");
            }
            assert_eq!(output.writer, capture);
            assert_eq!(output.frames, 3);
        }
    }
}
