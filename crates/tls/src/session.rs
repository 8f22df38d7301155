//! A connection without its stream: records in, plain bytes and records out.

use alloc::vec::Vec;

use rustls::Error;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus,
};

use crate::Problem;

/// What a connection holds in between.
#[derive(Default)]
pub(crate) struct Buffers {
    /// Records that came and were not read yet; the first of `received` bytes.
    pub(crate) incoming: Vec<u8>,
    pub(crate) received: usize,
    /// What was read out of them, from `taken` on.
    pub(crate) plain: Vec<u8>,
    pub(crate) taken: usize,
    /// Records to send, from `sent` on.
    pub(crate) outgoing: Vec<u8>,
    pub(crate) sent: usize,
}

/// What is wanted beyond reading what came.
pub(crate) enum Wish<'a> {
    /// Nothing.
    Read,
    /// That these bytes are sent, at most one record's worth.
    Send(&'a [u8]),
    /// That the peer is told that nothing more comes.
    Close,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The peer must send more before anything else.
    Handshake,
    /// Both sides may send.
    Open,
    /// The peer has said that it sends no more.
    PeerClosed,
    /// It is over.
    Failed(Problem),
}

pub(crate) trait Session {
    /// Reads what came as far as it goes and does what is wanted, where the handshake is over.
    /// Whatever is to be sent then, also after a problem, is in `outgoing`. A problem stays.
    fn step(&mut self, buffers: &mut Buffers, wish: Wish<'_>) -> Result<Stage, Problem>;
}

/// A side of rustls'.
pub(crate) trait Side {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// Whether there is something to encode before anything is read.
    fn wants_write(&self) -> bool;
}

macro_rules! sides {
    ($($connection:ty: $data:ty;)*) => {$(
        impl Side for $connection {
            type Data = $data;

            fn process<'c, 'i>(
                &'c mut self,
                incoming: &'i mut [u8],
            ) -> UnbufferedStatus<'c, 'i, Self::Data> {
                self.process_tls_records(incoming)
            }

            fn wants_write(&self) -> bool {
                (**self).wants_write()
            }
        }
    )*};
}

sides! {
    UnbufferedServerConnection: rustls::server::ServerConnectionData;
    UnbufferedClientConnection: rustls::client::ClientConnectionData;
}

/// A connection of a side.
pub(crate) struct Connection<S> {
    side: S,
    peer_closed: bool,
    failed: Option<Problem>,
}

impl<S> Connection<S> {
    pub(crate) fn new(side: S) -> Self {
        Self {
            side,
            peer_closed: false,
            failed: None,
        }
    }
}

impl<S: Side> Session for Connection<S> {
    fn step(&mut self, buffers: &mut Buffers, wish: Wish<'_>) -> Result<Stage, Problem> {
        if let Some(problem) = self.failed {
            return Err(problem);
        }
        self.go(buffers, wish).map_err(|error| {
            let problem = error.into();
            self.failed = Some(problem);
            // The alert for the peer. Nothing is read any more.
            while self.side.wants_write() && self.turn(buffers, &mut Wish::Read).is_ok() {}
            problem
        })
    }
}

impl<S: Side> Connection<S> {
    fn go(&mut self, buffers: &mut Buffers, mut wish: Wish<'_>) -> Result<Stage, Error> {
        loop {
            if let Some(stage) = self.turn(buffers, &mut wish)? {
                return match self.peer_closed {
                    true => Ok(Stage::PeerClosed),
                    false => Ok(stage),
                };
            }
        }
    }

    /// Does what rustls asks for next; where that has come to when it asks for nothing.
    fn turn(&mut self, buffers: &mut Buffers, wish: &mut Wish<'_>) -> Result<Option<Stage>, Error> {
        let Buffers {
            incoming, outgoing, ..
        } = buffers;
        let incoming = incoming.get_mut(..buffers.received).unwrap_or_default();
        let UnbufferedStatus { mut discard, state } = self.side.process(incoming);
        let mut stage = None;
        match state? {
            ConnectionState::EncodeTlsData(mut data) => encode(&mut data, outgoing)?,
            // As good as sent: nothing is awaited of the peer before `outgoing` is.
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    buffers.plain.extend_from_slice(record.payload);
                }
            }
            ConnectionState::PeerClosed => self.peer_closed = true,
            ConnectionState::WriteTraffic(mut traffic) => {
                match core::mem::replace(wish, Wish::Read) {
                    Wish::Read => stage = Some(Stage::Open),
                    Wish::Send(bytes) => append(outgoing, |room| traffic.encrypt(bytes, room))?,
                    Wish::Close => append(outgoing, |room| traffic.queue_close_notify(room))?,
                }
            }
            ConnectionState::BlockedHandshake => stage = Some(Stage::Handshake),
            ConnectionState::Closed => stage = Some(Stage::PeerClosed),
            // Early data, which was not offered.
            _ => return Err(Error::HandshakeNotComplete),
        }
        buffers.discard(discard);
        Ok(stage)
    }
}

impl Buffers {
    /// Forgets the first bytes of what came.
    fn discard(&mut self, count: usize) {
        self.incoming.copy_within(count..self.received, 0);
        self.received -= count;
    }
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> Result<(), Error> {
    append(outgoing, |room| match data.encode(room) {
        Err(EncodeError::InsufficientSize(size)) => Err(EncryptError::InsufficientSize(size)),
        // It is encoded once.
        Err(EncodeError::AlreadyEncoded) => Ok(0),
        Ok(length) => Ok(length),
    })
}

/// Appends what is written, which says how much room it needs.
fn append(
    outgoing: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Error> {
    let start = outgoing.len();
    loop {
        match write(&mut outgoing[start..]) {
            Ok(length) => {
                outgoing.truncate(start + length);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                outgoing.resize(start + required_size, 0);
            }
            Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
        }
    }
}
