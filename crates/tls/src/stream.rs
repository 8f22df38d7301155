//! A connection over its stream.

use alloc::boxed::Box;
use alloc::vec::Vec;

use embedded_io_async::{ErrorType, Read, Write};

use crate::session::{Buffers, Session, Stage, Wish};
use crate::{Problem, TlsError};

/// Plain bytes of one record (RFC 8446, section 5.1).
const RECORD: usize = 1 << 14;

/// Longest record with what is around it (RFC 8446, section 5.2).
pub(crate) const WIRE_RECORD: usize = RECORD + 256 + 5;

/// Bytes that a read of the stream below asks for at least.
const PIECE: usize = 2 << 10;

/// A TLS connection over a stream. It is read and written as the stream is: through the traits of
/// embedded-io-async, or the methods of the same names.
///
/// What is written leaves with the next [`flush`](Self::flush), `read`, `write` or `close`;
/// `write_all` flushes by itself. Each of them may be given up at any point, by a time limit for
/// example, and the connection used further: no record is lost, broken or sent twice.
pub struct TlsStream<S> {
    stream: S,
    session: Box<dyn Session>,
    buffers: Buffers,
    stage: Stage,
    /// Most bytes that wait to be read.
    limit: usize,
}

impl<S: Read + Write> TlsStream<S> {
    /// Goes through the handshake. A peer may take all of `limit` bytes for one message of it.
    pub(crate) async fn open(
        stream: S,
        session: Box<dyn Session>,
        limit: usize,
    ) -> Result<Self, TlsError<S::Error>> {
        let mut new = Self {
            stream,
            session,
            buffers: Buffers::default(),
            stage: Stage::Handshake,
            limit,
        };
        loop {
            new.step(Wish::Read).await?;
            if new.stage != Stage::Handshake {
                new.limit = WIRE_RECORD;
                return Ok(new);
            }
            if !new.receive().await? {
                return Err(TlsError::CutOff);
            }
        }
    }

    /// Reads bytes that came; zero at the peer's end.
    ///
    /// # Errors
    /// When the stream fails or ends without the peer's farewell, or the protocol is broken.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TlsError<S::Error>> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let buffers = &mut self.buffers;
            let rest = &buffers.plain[buffers.taken..];
            if !rest.is_empty() {
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                buffers.taken += count;
                if buffers.taken == buffers.plain.len() {
                    buffers.plain = Vec::new();
                    buffers.taken = 0;
                }
                return Ok(count);
            }
            match self.stage {
                Stage::PeerClosed => return Ok(0),
                Stage::Failed(problem) => return Err(TlsError::Protocol(problem)),
                Stage::Handshake | Stage::Open => {}
            }
            self.flush().await?;
            if !self.receive().await? {
                return Err(TlsError::CutOff);
            }
            self.step(Wish::Read).await?;
        }
    }

    /// Takes bytes to be sent, some at least; how many.
    ///
    /// # Errors
    /// When the stream fails or the protocol is broken.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, TlsError<S::Error>> {
        self.flush().await?;
        let count = bytes.len().min(RECORD);
        if count > 0 {
            // Nothing is awaited once the bytes are taken: who gives up before then has written none.
            let step = self
                .session
                .step(&mut self.buffers, Wish::Send(&bytes[..count]));
            self.stepped(step).await?;
        }
        Ok(count)
    }

    /// Sends all of them.
    ///
    /// # Errors
    /// As [`write`](Self::write) does.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), TlsError<S::Error>> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        self.flush().await
    }

    /// Tells the peer that nothing more comes. It may go on sending.
    ///
    /// # Errors
    /// When the stream fails or the protocol is broken.
    pub async fn close(&mut self) -> Result<(), TlsError<S::Error>> {
        self.step(Wish::Close).await
    }

    /// Sends what was written and has not left.
    ///
    /// # Errors
    /// When the stream fails.
    pub async fn flush(&mut self) -> Result<(), TlsError<S::Error>> {
        let Buffers { outgoing, sent, .. } = &mut self.buffers;
        while *sent < outgoing.len() {
            match self.stream.write(&outgoing[*sent..]).await {
                Ok(0) => return Err(TlsError::CutOff),
                Ok(count) => *sent += count,
                Err(error) => return Err(TlsError::Stream(error)),
            }
        }
        *outgoing = Vec::new();
        *sent = 0;
        self.stream.flush().await.map_err(TlsError::Stream)
    }

    /// The stream below. What is read from it or written to it is missing from this one.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads what came, does what is wanted, and sends what there is to send.
    async fn step(&mut self, wish: Wish<'_>) -> Result<(), TlsError<S::Error>> {
        let step = self.session.step(&mut self.buffers, wish);
        self.stepped(step).await?;
        self.flush().await
    }

    /// Takes note of what a step has come to. It awaits only after an error.
    async fn stepped(&mut self, step: Result<Stage, Problem>) -> Result<(), TlsError<S::Error>> {
        if self.buffers.received == 0 {
            // Who is silent holds nothing.
            self.buffers.incoming = Vec::new();
        }
        match step {
            Ok(stage) => {
                self.stage = stage;
                Ok(())
            }
            Err(problem) => {
                self.stage = Stage::Failed(problem);
                // The alert that says why; a peer that is gone has no use for it.
                let _ = self.flush().await;
                Err(TlsError::Protocol(problem))
            }
        }
    }

    /// Waits for more of what the peer sends; whether there is.
    async fn receive(&mut self) -> Result<bool, TlsError<S::Error>> {
        let Buffers {
            incoming, received, ..
        } = &mut self.buffers;
        if *received >= self.limit {
            return Err(TlsError::Protocol(Problem::TooLong));
        }
        // The rest of a record whose head is there, or a piece.
        let wanted = match incoming[..*received] {
            [_, _, _, high, low, ..] => 5 + usize::from(u16::from_be_bytes([high, low])),
            _ => 0,
        };
        let room = wanted.max(*received + PIECE).min(self.limit);
        if incoming.len() < room {
            incoming.resize(room, 0);
        }
        let count = self.stream.read(&mut incoming[*received..room]).await;
        let count = count.map_err(TlsError::Stream)?;
        *received += count;
        Ok(count > 0)
    }
}

impl<S: ErrorType> ErrorType for TlsStream<S> {
    type Error = TlsError<S::Error>;
}

impl<S: Read + Write> Read for TlsStream<S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        Self::read(self, buffer).await
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        Self::write(self, bytes).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Self::flush(self).await
    }
}
