//! Answers that go on: what is written to one end of a socket, as the body of an answer. When whoever
//! asked has gone, the other end is told by its next write.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::UnixStream;

/// Bytes that leave at once.
const PIECE: usize = 32 << 10;

/// The end that is read.
pub(super) struct Stream(pub(super) UnixStream);

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut piece = vec![0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(pin!(&mut self.0).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        if length == 0 {
            return Poll::Ready(None);
        }
        piece.truncate(length);
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}
