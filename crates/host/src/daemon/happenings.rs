//! What happens, for all who listen.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::broadcast::{Sender, channel, error::RecvError};

use crate::protocol::{Event, Happening, line};
use crate::wall_milliseconds;

/// Events that one who listens may be behind.
const BEHIND: usize = 4096;

/// Everything that happens is said here.
pub(super) struct Happenings(Sender<Happening>);

impl Happenings {
    pub(super) fn new() -> Self {
        Self(channel(BEHIND).0)
    }

    /// Says that something happened, in a lane or to all.
    pub(super) fn say(&self, lane: Option<&str>, what: Event) {
        // Nobody may be listening.
        let _ = self.0.send(Happening {
            at: wall_milliseconds(),
            tenant: lane.map(Into::into),
            what,
        });
    }

    /// Writes what happens from now on to a stream, a line each, until the other end is closed. One
    /// that falls behind too far is closed, so that it knows.
    pub(super) fn tell(&self, stream: UnixStream) {
        let mut happening = self.0.subscribe();
        let (mut reader, mut writer) = stream.into_split();
        tokio::spawn(async move {
            let mut end = [0; 1];
            loop {
                let next = tokio::select! {
                    next = happening.recv() => next,
                    // Nothing is ever said here.
                    _ = reader.read(&mut end) => return,
                };
                let text = match next {
                    Ok(next) => line(&next),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                };
                let Ok(text) = text else { continue };
                if writer.write_all(&text).await.is_err() {
                    return;
                }
            }
        });
    }
}
