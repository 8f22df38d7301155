//! A trace's bytes, in order.

use alloc::boxed::Box;
use alloc::vec::Vec;

use sprat_click::environment::{AccessError, Input};

/// A file that is read.
pub(super) struct Reader {
    pub(super) input: Box<dyn Input>,
    /// Whether the file lies in memory, so that nothing need be read.
    in_memory: bool,
    pub(super) position: usize,
    /// What has been read of a file that does not.
    buffer: Vec<u8>,
    /// Where in the buffer the next byte is, and where what has been read ends.
    at: usize,
    end: usize,
}

/// Bytes read from a file at a time.
const READ_SIZE: usize = 64 << 10;

/// Why there is no further record.
pub(super) enum Ending {
    /// The file is at its end.
    End,
    /// The file ends inside a record, or a record cannot be.
    Damaged,
    Failed(AccessError),
}

impl Reader {
    /// A file from its beginning.
    pub(super) fn new(input: Box<dyn Input>) -> Self {
        Self {
            in_memory: input.contents().is_some(),
            input,
            position: 0,
            buffer: Vec::new(),
            at: 0,
            end: 0,
        }
    }

    /// What is at hand of the bytes to come, which are `count` at least.
    #[inline]
    pub(super) fn at_least(&mut self, count: usize) -> Result<&[u8], Ending> {
        if self.in_memory {
            let contents = self.input.contents().unwrap_or_default();
            let rest = contents.get(self.position..).unwrap_or_default();
            return match rest.len() {
                0 => Err(Ending::End),
                length if length < count => Err(Ending::Damaged),
                _ => Ok(rest),
            };
        }
        if self.end - self.at < count {
            self.read(count)?;
        }
        Ok(&self.buffer[self.at..self.end])
    }

    /// Goes on by so many bytes, which were at hand.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        self.position += count;
        if !self.in_memory {
            self.at += count;
        }
    }

    /// Goes on to a place further on; to the end, where the file ends before it.
    pub(super) fn skip_to(&mut self, position: usize) {
        if self.in_memory {
            self.position = position;
            return;
        }
        while self.position < position {
            let step = (position - self.position).min(READ_SIZE);
            if self.at_least(step).is_err() {
                self.advance(self.end - self.at);
                return;
            }
            self.advance(step);
        }
    }

    /// Reads until there are so many bytes.
    fn read(&mut self, count: usize) -> Result<(), Ending> {
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        while self.end < count {
            // Room for a whole read, so that it need not be buffered elsewhere.
            if self.buffer.len() < self.end + READ_SIZE {
                self.buffer.resize(self.end + READ_SIZE, 0);
            }
            let free = &mut self.buffer[self.end..];
            match self.input.read(free).map_err(Ending::Failed)? {
                0 if self.end == 0 => return Err(Ending::End),
                0 => return Err(Ending::Damaged),
                read => self.end += read,
            }
        }
        Ok(())
    }
}
