//! One connection: request after request, as long as both sides want.

use alloc::vec::Vec;
use core::time::Duration;

use embedded_io_async::{Read, Write};
use sprat::devices::KeyValue;
use sprat::net::TcpStream;
use sprat::time::timeout;
use sprat::{Result, time};

use crate::Shared;
use crate::request::{self, Request};
use crate::response::{self, Status};

/// Longest head of a request.
const HEAD: usize = 8 << 10;

/// How long a whole head may take, and how long a connection may be idle before one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long the peer may take to accept some of an answer.
const STALLED: Duration = Duration::from_secs(30);

/// Bytes written before the peer must have shown life.
const PIECE: usize = 64 << 10;

/// What requests come over.
pub(crate) trait Connection: Read<Error: 'static> + Write {
    /// Says that nothing more is sent, and goes on reading.
    async fn finish(&mut self) -> Result<()>;
}

impl Connection for TcpStream {
    async fn finish(&mut self) -> Result<()> {
        Self::finish(self);
        Ok(())
    }
}

pub(crate) async fn serve(
    mut stream: impl Connection,
    files: &impl KeyValue,
    shared: &Shared,
) -> Result<()> {
    let mut head = Vec::new();
    loop {
        let read = timeout(PATIENCE, read_head(&mut stream, &mut head)).await;
        let (length, request) = match read {
            Ok(head) => match head? {
                Some(parsed) => parsed,
                None => return Ok(()),
            },
            // Only who has begun is owed an answer.
            Err(_) if head.is_empty() => return Ok(()),
            Err(_) => (head.len(), Err(Status::TIMEOUT)),
        };
        let keep = answer(&mut stream, files, shared, &request).await?;
        head.drain(..length);
        if !keep {
            timeout(STALLED, stream.finish()).await??;
            // What the peer still sends is read for a while: closing before would reset the
            // connection and take the answer with it (RFC 9112, section 9.6).
            let drain = async { while matches!(stream.read(&mut [0; 512]).await, Ok(1..)) {} };
            let _ = timeout(PATIENCE, drain).await;
            return Ok(());
        }
    }
}

/// A request or why it is none, and how long its head is.
type Parsed = (usize, Result<Request, Status>);

/// Reads until there is a whole head; none where the peer ends before.
async fn read_head(stream: &mut impl Connection, head: &mut Vec<u8>) -> Result<Option<Parsed>> {
    loop {
        if let Some((length, request)) = request::parse(head) {
            return Ok(Some((length, request)));
        }
        if head.len() >= HEAD {
            return Ok(Some((head.len(), Err(Status::LONG_HEAD))));
        }
        let mut piece = [0; 1024];
        let room = piece.len().min(HEAD - head.len());
        match stream.read(&mut piece[..room]).await? {
            0 => return Ok(None),
            count => head.extend_from_slice(&piece[..count]),
        }
    }
}

/// Answers a request; whether the connection goes on.
async fn answer(
    stream: &mut impl Connection,
    files: &impl KeyValue,
    shared: &Shared,
    request: &Result<Request, Status>,
) -> Result<bool> {
    let content = match request {
        Ok(request) => files.get(&request.path).await?,
        Err(_) => None,
    };
    let answer = response::choose(request, content.as_deref());
    shared.requests.increment();
    if answer.status.is_error() {
        shared.errors.increment();
    }
    let mut text = Vec::with_capacity(512);
    response::write_head(&answer, &shared.date.at(time::wall()), &mut text);
    for piece in [&text[..], answer.body]
        .iter()
        .flat_map(|part| part.chunks(PIECE))
    {
        timeout(STALLED, stream.write_all(piece)).await??;
    }
    timeout(STALLED, stream.flush()).await??;
    Ok(answer.keep)
}
