//! Does what is asked, and keeps what has changed for the log.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::ops::Bound;

use crate::command::{self, Change, Command, Context};
use crate::database::{Database, Value};
use crate::reply::{Reply, decimal};
use crate::request::{self, Parsed};
use crate::server::Facts;
use sprat::store::RECORD_LIMIT;

/// Longest answer to one request.
const ANSWER: usize = 16 << 20;

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
    /// Where to go on with its elements, where not all were written.
    rest: Option<Rest>,
}

/// Which elements of a value are still to be written.
#[derive(Debug)]
enum Rest {
    /// Those from this one on.
    From(usize),
    /// Those behind this one, in their order.
    Behind(Box<[u8]>),
}

impl Progress {
    /// The key that is written in part. It has to stay as it is until the rest of it is written.
    pub(crate) fn partial(&self) -> Option<&[u8]> {
        self.rest.as_ref()?;
        self.key.as_deref()
    }
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

    /// Requests that make the next part of the database, about so many bytes; none when all of it was
    /// made.
    ///
    /// The database may change between two parts, but for the [partial](Progress::partial) key: each
    /// key's requests begin with one that forgets whatever it was, so it does not matter which changes
    /// of it stand before them.
    pub(crate) fn dump(&self, progress: &mut Progress, bytes: usize) -> Option<Changes> {
        let mut part = Changes::default();
        while part.len() < bytes {
            let rest = progress.rest.take();
            let last = progress.key.as_deref();
            // A key that was written in part and whose time was over meanwhile is gone.
            let begun = rest
                .as_ref()
                .and(last)
                .and_then(|key| self.database.get(key));
            let (key, entry) = match (begun, last) {
                (Some(entry), Some(key)) => (key, entry),
                _ => match self.database.after(last).next() {
                    Some(next) => next,
                    None => break,
                },
            };
            let rest = rest.filter(|_| begun.is_some());
            let rest = dump_value(key, &entry.value, rest, &mut part);
            if rest.is_none()
                && let Some(expires) = entry.expires()
            {
                let moment = &mut [0; 20];
                part.push(&[b"PEXPIREAT", key, decimal(expires, moment)]);
            }
            *progress = Progress {
                key: Some(key.into()),
                rest,
            };
        }
        (part.len() > 0).then_some(part)
    }
}

/// Writes a value, or the rest of it; what is left then.
fn dump_value(key: &[u8], value: &Value, rest: Option<Rest>, to: &mut Changes) -> Option<Rest> {
    if rest.is_none() && !matches!(value, Value::Text(_)) {
        to.push(&[b"DEL", key]);
    }
    let behind = match &rest {
        Some(Rest::Behind(element)) => Bound::Excluded(&**element),
        _ => Bound::Unbounded,
    };
    let behind = (behind, Bound::Unbounded);
    match value {
        Value::Text(text) => {
            to.push(&[b"SET", key, text]);
            None
        }
        Value::List(list) => {
            let done = match rest {
                Some(Rest::From(done)) => done,
                _ => 0,
            };
            let mut elements = list.range(done..).map(|element| [&**element]);
            let (count, _) = dump_elements(b"RPUSH", key, &mut elements, to);
            elements.next().map(|_| Rest::From(done + count))
        }
        Value::Set(members) => {
            let members = members.range::<[u8], _>(behind);
            let mut members = members.map(|member| [&**member]);
            let (_, last) = dump_elements(b"SADD", key, &mut members, to);
            members.next().map(|_| Rest::Behind(last.into()))
        }
        Value::Hash(fields) => {
            let fields = fields.range::<[u8], _>(behind);
            let mut fields = fields.map(|(field, value)| [&**field, &**value]);
            let (_, last) = dump_elements(b"HSET", key, &mut fields, to);
            fields.next().map(|_| Rest::Behind(last.into()))
        }
    }
}

/// Most elements of one request, and bytes after which it takes no more.
const ELEMENTS: usize = 1000;
const ELEMENT_BYTES: usize = 64 << 10;

/// Writes the next elements; how many, and what the last of them begins with.
fn dump_elements<'v, const N: usize>(
    command: &'v [u8],
    key: &'v [u8],
    elements: &mut impl Iterator<Item = [&'v [u8]; N]>,
    to: &mut Changes,
) -> (usize, &'v [u8]) {
    let mut words = Vec::from([command, key]);
    let (mut count, mut bytes, mut last) = (0, 0, key);
    while count < ELEMENTS && bytes < ELEMENT_BYTES {
        let Some(element) = elements.next() else {
            break;
        };
        bytes += element.iter().map(|part| part.len()).sum::<usize>();
        last = element.first().copied().unwrap_or(last);
        words.extend(element);
        count += 1;
    }
    to.push(&words);
    (count, last)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
