//! The standard output, shared by all who write to it.

use std::cell::RefCell;
use std::io::Write;

/// Bytes held back before they are handed on.
const BUFFER: usize = 1 << 16;

/// The standard output. What is written is held back until there is much of it, or
/// [`flush`](Self::flush).
#[derive(Default)]
pub(crate) struct StandardOutput {
    held: RefCell<Vec<u8>>,
}

impl StandardOutput {
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut held = self.held.borrow_mut();
        held.extend_from_slice(bytes);
        if held.len() >= BUFFER {
            hand_on(&mut held);
        }
    }

    pub(crate) fn flush(&self) {
        hand_on(&mut self.held.borrow_mut());
    }
}

fn hand_on(held: &mut Vec<u8>) {
    if !held.is_empty() {
        let mut output = std::io::stdout().lock();
        // A reader that went away, as `head` does, is no error of the router's.
        let _ = output.write_all(held).and_then(|()| output.flush());
        held.clear();
    }
}

impl Drop for StandardOutput {
    fn drop(&mut self) {
        self.flush();
    }
}
