//! One connection: requests as they come, answers when what they acknowledge is in the log.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use sprat::Result;
use sprat::net::TcpStream;
use sprat::time::timeout;

use crate::command;
use crate::journal::{Admission, Journal};
use crate::reply::Reply;
use crate::request::{self, Parsed, REQUEST_LIMIT};

/// Bytes read at a time.
const PIECE: usize = 4 << 10;

/// Answers that wait for their requests' companions before they are sent.
const TOGETHER: usize = 64 << 10;

/// Bytes of a request that need nobody's leave.
const SMALL: usize = 32 << 10;

/// Bytes of all longer requests that are under way.
const LARGE: usize = 16 << 20;

/// How long a client may take to accept some of an answer.
const STALLED: Duration = Duration::from_secs(60);

/// Bytes of requests under way that are longer than [`SMALL`], of all connections.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: Cell<usize>,
}

/// One connection's part of a [`Budget`].
struct Part<'b> {
    budget: &'b Budget,
    size: usize,
}

impl Part<'_> {
    /// Has it be as large as a request needs; whether there is room.
    fn resize(&mut self, size: usize) -> bool {
        let size = if size > SMALL { size } else { 0 };
        let others = self.budget.used.get() - self.size;
        let fits = others + size <= LARGE;
        if fits {
            self.budget.used.set(others + size);
            self.size = size;
        }
        fits
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.budget.used.set(self.budget.used.get() - self.size);
    }
}

/// What a turn over the bytes that have come has left to do.
enum Next {
    /// Read until there are so many bytes.
    Read(usize),
    /// Go on, once the writer of the log has had its turn again after so many.
    Wait(u64),
    /// Go on, once the answers so far are sent.
    Send,
    Close,
}

pub(crate) async fn serve(mut stream: TcpStream, journal: &Journal, budget: &Budget) -> Result<()> {
    let mut part = Part { budget, size: 0 };
    let mut bytes = Vec::new();
    let mut piece = vec![0; PIECE];
    let mut reply = Reply::default();
    loop {
        let mut change = None;
        let (taken, next) = work(&bytes, journal, &mut reply, &mut change);
        bytes.drain(..taken);
        if let Some(number) = change
            && journal.committed(number).await.is_err()
        {
            // Nothing is acknowledged that is not in the log.
            stream.abort();
            return Ok(());
        }
        for part in reply.bytes().chunks(TOGETHER) {
            timeout(STALLED, stream.write_all(part)).await??;
        }
        reply.clear();
        match next {
            Next::Send => {}
            Next::Wait(turns) => journal.turn_after(turns).await,
            Next::Close => {
                stream.finish();
                return Ok(());
            }
            Next::Read(needs) => {
                if !part.resize(needs) {
                    reply.error(&[b"ERR too much is being sent at once"]);
                    timeout(STALLED, stream.write_all(reply.bytes())).await??;
                    stream.finish();
                    return Ok(());
                }
                while bytes.len() < needs {
                    match stream.read(&mut piece).await? {
                        0 => return Ok(()),
                        count => bytes.extend_from_slice(&piece[..count]),
                    }
                }
            }
        }
    }
}

/// Does the requests that have come whole; how many bytes that were, and what comes next.
fn work(
    bytes: &[u8],
    journal: &Journal,
    reply: &mut Reply,
    change: &mut Option<u64>,
) -> (usize, Next) {
    let now = crate::milliseconds();
    let memory = crate::memory().unwrap_or_default();
    journal.engine.borrow().facts.memory.set(memory);
    let mut taken = 0;
    loop {
        if reply.len() >= TOGETHER {
            return (taken, Next::Send);
        }
        let rest = &bytes[taken..];
        let (words, length) = match request::parse(rest, REQUEST_LIMIT) {
            Parsed::Whole(words, length) => (words, length),
            Parsed::Needs(needs) => return (taken, Next::Read(needs)),
            Parsed::Wrong(what) => {
                reply.limit(usize::MAX);
                reply.error(&[b"ERR ", what.as_bytes()]);
                return (taken, Next::Close);
            }
        };
        match answer(&words, length, journal, now, reply, change) {
            Answered::Yes => taken += length,
            Answered::Last => return (taken + length, Next::Close),
            Answered::NotYet => return (taken, Next::Wait(journal.turns())),
        }
    }
}

enum Answered {
    Yes,
    /// And the connection is to close.
    Last,
    /// The log is being written anew, and what this would change with it.
    NotYet,
}

/// Answers one request.
fn answer(
    words: &[&[u8]],
    length: usize,
    journal: &Journal,
    now: i64,
    reply: &mut Reply,
    change: &mut Option<u64>,
) -> Answered {
    let Some(name) = words.first() else {
        return Answered::Yes;
    };
    reply.limit(usize::MAX);
    let Some(command) = command::find(name) else {
        let name = &name[..name.len().min(128)];
        reply.error(&[b"ERR unknown command '", name, b"'"]);
        return Answered::Yes;
    };
    if !command.takes(words.len()) {
        command.refuse(&command::Refusal::Arity, reply);
        return Answered::Yes;
    }
    let mut admission = Admission::Now;
    if command.writes() {
        if command.grows() && !crate::has_memory(length) {
            const FULL: &str = "OOM command not allowed when used memory > 'maxmemory'.";
            admission = Admission::Refused(FULL);
        } else {
            admission = journal.admit(command.keys(&words[1..]), length, command.grows());
        }
    }
    match admission {
        Admission::Now => {}
        Admission::Later => return Answered::NotYet,
        Admission::Refused(words) => {
            reply.error(&[words.as_bytes()]);
            return Answered::Yes;
        }
    }
    let changed = {
        let mut engine = journal.engine.borrow_mut();
        let before = engine.changed();
        engine.run(command, words, now, reply);
        engine.changed() > before
    };
    if changed {
        *change = Some(journal.change());
    }
    match command.name {
        "QUIT" => Answered::Last,
        _ => Answered::Yes,
    }
}
