use alloc::boxed::Box;
use alloc::vec::Vec;

use super::binary::TEXT;
use sprat_click::environment::{AccessError, Input};

/// A text's lines, in order.
pub(super) struct Lines {
    /// Where the text comes from; `None`: all of it is in the buffer.
    input: Option<Box<dyn Input>>,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins.
    at: usize,
    /// The number of the last line, from one on.
    pub(super) number: usize,
    /// Bytes that the lines so far had.
    pub(super) position: usize,
}

/// Bytes read at a time.
const READ_SIZE: usize = 16 << 10;

impl Lines {
    /// The lines of a file.
    pub(super) fn of_input(input: Box<dyn Input>) -> Self {
        Self {
            input: Some(input),
            buffer: Vec::new(),
            at: 0,
            number: 0,
            position: 0,
        }
    }

    /// The lines of some text.
    pub(super) fn of_text(text: Vec<u8>) -> Self {
        Self {
            input: None,
            buffer: text,
            at: 0,
            number: 0,
            position: 0,
        }
    }

    /// Bytes of the whole text, where that is known.
    pub(super) fn size(&self) -> Option<usize> {
        match &self.input {
            Some(input) => input.contents().map(<[u8]>::len),
            None => Some(self.buffer.len()),
        }
    }

    /// Takes the next line over, without its end; `false` at the end of the text.
    ///
    /// # Errors
    /// The file could not be read.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> Result<bool, AccessError> {
        line.clear();
        let mut searched = self.at;
        loop {
            let end = self.buffer[searched..].iter().position(|&b| b == b'\n');
            if let Some(end) = end {
                let end = searched + end;
                line.extend_from_slice(&self.buffer[self.at..end]);
                self.advance(end + 1);
                return Ok(true);
            }
            if self.fill()? == 0 {
                line.extend_from_slice(&self.buffer[self.at..]);
                let more = !line.is_empty();
                if more {
                    self.advance(self.buffer.len());
                }
                return Ok(more);
            }
            searched = self.at;
        }
    }

    /// Copies the next line, which stays the next.
    ///
    /// # Errors
    /// The file could not be read.
    pub(super) fn peek(&mut self, line: &mut Vec<u8>) -> Result<bool, AccessError> {
        let (number, position) = (self.number, self.position);
        let more = self.next(line);
        // What was taken stands before the next line, as lines are only taken out to read on.
        self.at -= self.position - position;
        (self.number, self.position) = (number, position);
        more
    }

    /// Takes the next binary record over, without its first word; whether it is a line of text, or
    /// `None` at the end of the dump.
    ///
    /// # Errors
    /// The file could not be read.
    pub(super) fn record(&mut self, record: &mut Vec<u8>) -> Result<Option<bool>, AccessError> {
        record.clear();
        let mut size = 4;
        let mut text = false;
        loop {
            let held = &self.buffer[self.at..];
            if let Some(bytes) = held.first_chunk() {
                let first = u32::from_be_bytes(*bytes);
                text = first & TEXT != 0;
                size = ((first & !TEXT) as usize).max(4);
            }
            if held.len() >= size {
                record.extend_from_slice(&held[4..size]);
                self.advance(self.at + size);
                return Ok(Some(text));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn advance(&mut self, to: usize) {
        self.position += to - self.at;
        self.at = to;
        self.number += 1;
    }

    /// Reads on; the number of bytes that came.
    fn fill(&mut self) -> Result<usize, AccessError> {
        let Some(input) = &mut self.input else {
            return Ok(0);
        };
        self.buffer.drain(..self.at);
        self.at = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + READ_SIZE, 0);
        let read = input.read(&mut self.buffer[held..]);
        self.buffer
            .truncate(held + read.as_ref().copied().unwrap_or(0));
        read
    }
}

/// The words of a line: what stands between spaces, quotation included.
pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    values(line.trim_ascii_start())
}

/// The words of a line that is a packet: a space that begins it stands behind an empty one, as Click
/// has it.
pub(super) fn values(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line).filter(|line| !line.is_empty());
    core::iter::from_fn(move || {
        let line = rest?;
        let (mut quotation, mut escaped) = (None, false);
        let end = line.find(|c: char| {
            let ends = quotation.is_none() && c.is_ascii_whitespace();
            if matches!(c, '"' | '\'') && !escaped {
                match quotation {
                    None => quotation = Some(c),
                    Some(begun) if begun == c => quotation = None,
                    Some(_) => {}
                }
            }
            escaped = quotation == Some('"') && c == '\\' && !escaped;
            ends
        });
        let (word, after) = line.split_at(end.unwrap_or(line.len()));
        rest = Some(after.trim_ascii_start()).filter(|after| !after.is_empty());
        Some(word)
    })
}
