//! Does what is asked, and keeps what has changed for the log.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use crate::command::{self, Change, Command, Context};
use crate::database::{Database, Value};
use crate::reply::{Reply, decimal};
use crate::request::{self, Parsed};
use crate::server::Facts;
use sprat::store::RECORD_LIMIT;

/// Longest answer to one request.
const ANSWER: usize = 16 << 20;

/// About how much of the database is written to a log at a time.
const PIECE: usize = 256 << 10;

/// Everything in memory.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    pub(crate) database: Database,
    pub(crate) facts: Facts,
    changes: Changes,
}

/// Requests that make all changes since the last were taken.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    bytes: Vec<u8>,
    /// Where each request ends.
    ends: Vec<usize>,
}

impl Changes {
    fn push(&mut self, words: &[&[u8]]) {
        request::write(words, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The requests, as few together as possible and no more bytes than that.
    pub(crate) fn records(&self, limit: usize) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        let mut ends = self.ends.iter().copied().peekable();
        core::iter::from_fn(move || {
            let mut end = ends.next()?;
            while let Some(next) = ends.next_if(|next| next - start <= limit) {
                end = next;
            }
            let record = &self.bytes[start..end];
            start = end;
            Some(record)
        })
    }
}

/// Which part of the database comes next when all of it is written.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The last key that was begun.
    key: Option<Box<[u8]>>,
    /// How many of its elements were written, where not all were.
    elements: Option<usize>,
}

impl Engine {
    /// Does a request and answers it.
    pub(crate) fn run(&mut self, command: &Command, words: &[&[u8]], now: i64, reply: &mut Reply) {
        self.facts.commands.set(self.facts.commands.get() + 1);
        let arguments = &words[1..];
        if command.writes() {
            for key in command.keys(arguments) {
                if self.database.is_over(key, now) {
                    self.database.remove(key);
                    self.changes.push(&[b"DEL", key]);
                }
            }
        }
        let start = reply.len();
        reply.limit(ANSWER);
        let mut context = Context {
            database: &mut self.database,
            reply,
            now,
            change: Change::None,
            facts: &self.facts,
        };
        command.run(&mut context, arguments);
        match context.change {
            Change::None => {}
            Change::AsAsked => self.changes.push(words),
            Change::As(words) => {
                let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
                self.changes.push(&words);
            }
        }
        if reply.is_cut() {
            reply.truncate(start);
            reply.limit(ANSWER);
            reply.error(&[b"ERR the answer is too long"]);
        }
    }

    /// Does again what a record of the log says; whether it is one.
    pub(crate) fn replay(&mut self, mut record: &[u8]) -> bool {
        let mut reply = Reply::default();
        while !record.is_empty() {
            let Parsed::Whole(words, length) = request::parse(record, RECORD_LIMIT) else {
                return false;
            };
            let command = words.first().and_then(|name| command::find(name));
            let Some(command) = command.filter(|command| command.takes(words.len())) else {
                return false;
            };
            // What was over by then was removed by a record of its own.
            self.run(command, &words, i64::MIN, &mut reply);
            reply.truncate(0);
            record = &record[length..];
        }
        self.changes = Changes::default();
        true
    }

    /// Removes keys whose time is over, at most so many; whether that were all.
    pub(crate) fn expire(&mut self, now: i64, most: usize) -> bool {
        for _ in 0..most {
            match self.database.first_end() {
                Some((expires, key)) if expires <= now => {
                    self.changes.push(&[b"DEL", key]);
                    let key = Box::<[u8]>::from(key);
                    self.database.remove(&key);
                }
                _ => return true,
            }
        }
        false
    }

    /// Bytes of changes that were not taken.
    pub(crate) fn changed(&self) -> usize {
        self.changes.len()
    }

    /// Takes the changes.
    pub(crate) fn take_changes(&mut self) -> Changes {
        mem::take(&mut self.changes)
    }

    /// Requests that make the next part of the database; none when all of it was made.
    pub(crate) fn dump(&self, progress: &mut Progress) -> Option<Changes> {
        let mut part = Changes::default();
        while part.len() < PIECE {
            let (key, entry, done) = match (&progress.key, progress.elements.take()) {
                (Some(key), Some(done)) => (&**key, self.database.get(key)?, done),
                (key, _) => match self.database.after(key.as_deref()).next() {
                    Some((key, entry)) => (key, entry, 0),
                    None => break,
                },
            };
            let end = dump_value(key, &entry.value, done, &mut part);
            if end.is_none()
                && let Some(expires) = entry.expires()
            {
                let moment = &mut [0; 20];
                part.push(&[b"PEXPIREAT", key, decimal(expires, moment)]);
            }
            *progress = Progress {
                key: Some(key.into()),
                elements: end,
            };
        }
        (part.len() > 0).then_some(part)
    }
}

/// Writes a value from an element on; the element to go on with where there is more.
fn dump_value(key: &[u8], value: &Value, done: usize, to: &mut Changes) -> Option<usize> {
    match value {
        Value::Text(text) => {
            to.push(&[b"SET", key, text]);
            None
        }
        Value::List(list) => {
            let elements = list.range(done..).map(|element| [&**element]);
            dump_elements(b"RPUSH", key, elements, list.len(), done, to)
        }
        Value::Set(members) => {
            let elements = members.iter().skip(done).map(|member| [&**member]);
            dump_elements(b"SADD", key, elements, members.len(), done, to)
        }
        Value::Hash(fields) => {
            let elements = fields.iter().skip(done);
            let elements = elements.map(|(field, value)| [&**field, &**value]);
            dump_elements(b"HSET", key, elements, fields.len(), done, to)
        }
    }
}

/// Most elements of one request.
const ELEMENTS: usize = 1000;

fn dump_elements<'v, const N: usize>(
    command: &'v [u8],
    key: &'v [u8],
    elements: impl Iterator<Item = [&'v [u8]; N]>,
    count: usize,
    mut done: usize,
    to: &mut Changes,
) -> Option<usize> {
    let mut words = Vec::from([command, key]);
    let mut bytes = 0;
    for element in elements.take(ELEMENTS) {
        bytes += element.iter().map(|part| part.len()).sum::<usize>();
        words.extend(element);
        done += 1;
        if bytes >= PIECE {
            break;
        }
    }
    to.push(&words);
    (done < count).then_some(done)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
