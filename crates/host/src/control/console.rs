//! What an instance wrote to its console last, for whoever asks later.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that are kept: the newest.
const KEPT: usize = 256 << 10;

/// How long somebody who waits for more is kept waiting.
const WAIT: Duration = Duration::from_secs(1);

/// The end of an instance's console. Clones are of the same one.
#[derive(Clone, Default)]
pub struct Console {
    shared: Arc<(Mutex<Text>, Condvar)>,
}

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Bytes that were written before the ones kept.
    forgotten: u64,
    ended: bool,
}

impl Text {
    /// The place of an offset in what is kept.
    fn place(&self, offset: u64) -> usize {
        let place = offset.saturating_sub(self.forgotten);
        usize::try_from(place).map_or(self.bytes.len(), |place| place.min(self.bytes.len()))
    }
}

impl Console {
    fn lock(&self) -> MutexGuard<'_, Text> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the instance wrote.
    pub fn write(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut text = self.lock();
        text.bytes.extend_from_slice(bytes);
        // By halves, so that what is kept does not move for each line.
        if text.bytes.len() > 2 * KEPT {
            let surplus = text.bytes.len() - KEPT;
            text.bytes.drain(..surplus);
            text.forgotten += surplus as u64;
        }
        self.shared.1.notify_all();
    }

    /// The instance writes nothing more.
    pub fn end(&self) {
        self.lock().ended = true;
        self.shared.1.notify_all();
    }

    /// What was written from an offset on, whole lines where there are any, and the offset of what
    /// comes next. Where there is nothing, waits a while if that is wanted. `None`: there is nothing,
    /// and never will be.
    pub fn read(&self, offset: u64, wait: bool) -> Option<(u64, Vec<u8>)> {
        let mut text = self.lock();
        if wait {
            let nothing = |text: &mut Text| text.place(offset) == text.bytes.len() && !text.ended;
            let waited = self.shared.1.wait_timeout_while(text, WAIT, nothing);
            text = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let place = text.place(offset);
        let rest = &text.bytes[place..];
        if rest.is_empty() && text.ended {
            return None;
        }
        let lines = rest.iter().rposition(|byte| *byte == b'\n');
        let rest = &rest[..lines.map_or(rest.len(), |end| end + 1)];
        Some((text.forgotten + (place + rest.len()) as u64, rest.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_next_is_found_by_its_offset() {
        let console = Console::default();
        assert_eq!(console.read(0, false), Some((0, vec![])));
        console.write(b"one\ntw");
        assert_eq!(console.read(0, false), Some((4, b"one\n".to_vec())));
        console.write(b"o\n");
        assert_eq!(console.read(4, true), Some((8, b"two\n".to_vec())));
        assert_eq!(console.read(u64::MAX, false), Some((8, vec![])));
        console.end();
        assert_eq!(console.read(4, true), Some((8, b"two\n".to_vec())));
        assert_eq!(console.read(8, true), None);
    }

    #[test]
    fn the_newest_text_is_kept_within_bounds() {
        let console = Console::default();
        for number in 0..100_000 {
            console.write(format!("line {number:06}\n").as_bytes());
        }
        assert!(console.lock().bytes.len() <= 2 * KEPT);
        let (next, text) = console.read(0, false).expect("text");
        assert_eq!(next, 12 * 100_000);
        assert!(text.len() >= KEPT && text.ends_with(b"line 099999\n"));
    }

    #[test]
    fn whoever_waits_is_woken_by_a_line() {
        let console = Console::default();
        let other = console.clone();
        let waiting = std::thread::spawn(move || other.read(0, true));
        console.write(b"late\n");
        let text = waiting.join().expect("no panic");
        assert_eq!(text, Some((5, b"late\n".to_vec())));
    }
}
