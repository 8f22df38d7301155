//! Files that may keep us waiting: pipes, standard input, devices.
//!
//! Opening a named pipe blocks until somebody opens its other end, and reading one until somebody
//! writes. Both happen on a thread of their own, so that whoever waits can give up: a run that is
//! interrupted ends at once.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Whether to give up waiting: a flag that a signal sets, say.
pub type GiveUp = Arc<AtomicBool>;

/// How often the flag is looked at.
const PERIOD: Duration = Duration::from_millis(20);

/// Bytes read at a time.
const PIECE: usize = 1 << 16;

/// Pieces read ahead.
const AHEAD: usize = 4;

fn given_up() -> io::Error {
    io::Error::other("interrupted")
}

/// Waits for what another thread is going to send; `None` when it has ended.
fn wait<T>(receiver: &Receiver<T>, give_up: &GiveUp) -> io::Result<Option<T>> {
    loop {
        if give_up.load(Ordering::Relaxed) {
            return Err(given_up());
        }
        match receiver.recv_timeout(PERIOD) {
            Ok(value) => return Ok(Some(value)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Opens a file that may not open before somebody else opens it too.
pub(super) fn open(
    give_up: &GiveUp,
    open: impl FnOnce() -> io::Result<File> + Send + 'static,
) -> io::Result<File> {
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new().spawn(move || {
        // Nobody takes it any more where the wait was given up.
        let _ = sender.send(open());
    })?;
    wait(&receiver, give_up)?.unwrap_or_else(|| Err(given_up()))
}

/// Reads what may be long in coming.
pub(super) struct PatientReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    taken: usize,
    give_up: GiveUp,
}

impl PatientReader {
    pub(super) fn new(mut source: impl Read + Send + 'static, give_up: GiveUp) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(AHEAD);
        thread::Builder::new().spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = match source.read(&mut piece) {
                    Ok(0) => break,
                    Ok(count) => {
                        piece.truncate(count);
                        Ok(piece)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.send(read).is_err() || failed {
                    break;
                }
            }
        })?;
        Ok(Self {
            pieces,
            piece: Vec::new(),
            taken: 0,
            give_up,
        })
    }
}

impl Read for PatientReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.len() {
            match wait(&self.pieces, &self.give_up)? {
                Some(piece) => (self.piece, self.taken) = (piece?, 0),
                None => return Ok(0),
            }
        }
        let count = (&self.piece[self.taken..]).read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Instant;

    #[test]
    fn all_that_is_written_to_a_pipe_is_read() {
        let (reader, mut writer) = io::pipe().unwrap();
        let writing = thread::spawn(move || {
            for number in 0..100_u8 {
                writer.write_all(&[number; 3000]).unwrap();
            }
        });
        let mut bytes = Vec::new();
        let mut reader = PatientReader::new(reader, GiveUp::default()).unwrap();
        reader.read_to_end(&mut bytes).unwrap();
        writing.join().unwrap();
        assert_eq!(bytes.len(), 300_000);
        assert!(
            bytes
                .chunks(3000)
                .zip(0_u8..)
                .all(|(part, number)| part.iter().all(|byte| *byte == number))
        );
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_given_up() {
        let (reader, _writer) = io::pipe().unwrap();
        let give_up = GiveUp::default();
        let mut reader = PatientReader::new(reader, give_up.clone()).unwrap();
        let begun = Instant::now();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            give_up.store(true, Ordering::Relaxed);
        });
        assert_eq!(
            reader.read(&mut [0; 9]).unwrap_err().to_string(),
            "interrupted"
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
