//! Reading and writing the handlers of the instance in a lane.

use std::fmt;

use sprat_abi::control::{MessageHead, MessageKind, message_room, status};

use super::{Lane, LaneError};

/// Most bytes that an answer may have: an instance could go on for ever.
const ANSWER_LIMIT: usize = 4 << 20;

/// Why a handler could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The instance refused: its words.
    #[error("{0}")]
    Refused(Refusal),
    /// The instance did not answer in as many entries as it has patience.
    #[error("the instance does not answer")]
    Silent,
    /// The handler's name is longer than the ring for requests.
    #[error("the handler's name of {0} bytes is too long")]
    LongName(usize),
    /// The instance answered more than anybody has asked for.
    #[error("the answer is longer than {} MiB", ANSWER_LIMIT >> 20)]
    LongAnswer,
    /// The lane failed on the way.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

/// An instance's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of [`sprat_abi::control::status`].
    pub status: u32,
    /// What it said.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Lane {
    /// Reads a handler of the instance.
    ///
    /// # Errors
    /// It refused, was silent, or died.
    pub fn read_handler(
        &mut self,
        handler: &str,
        parameters: &str,
    ) -> Result<Vec<u8>, ControlError> {
        self.request(MessageKind::Read, handler, parameters.as_bytes())
    }

    /// Writes a handler of the instance.
    ///
    /// # Errors
    /// It refused, was silent, or died.
    pub fn write_handler(&mut self, handler: &str, value: &[u8]) -> Result<(), ControlError> {
        self.request(MessageKind::Write, handler, value).map(|_| ())
    }

    fn request(
        &mut self,
        kind: MessageKind,
        name: &str,
        data: &[u8],
    ) -> Result<Vec<u8>, ControlError> {
        self.requests += 1;
        let id = self.requests;
        self.send_request(id, kind, name, data)?;
        let mut answer = Vec::new();
        let mut patience = self.options.patience;
        while patience > 0 && self.exited.is_none() {
            patience -= 1;
            self.enter(false)?;
            self.collect()?;
            let before = answer.len();
            if let Some(status) = self.take_answer(id, &mut answer)? {
                return match status {
                    status::OK | status::OK_WARNING => Ok(answer),
                    status => {
                        let text = String::from_utf8_lossy(&answer).into_owned();
                        Err(ControlError::Refused(Refusal { status, text }))
                    }
                };
            }
            if answer.len() > ANSWER_LIMIT {
                return Err(ControlError::LongAnswer);
            }
            if answer.len() > before {
                patience = self.options.patience;
            }
        }
        Err(ControlError::Silent)
    }

    /// Sends a request in as many messages as it takes.
    fn send_request(
        &mut self,
        id: u64,
        kind: MessageKind,
        name: &str,
        data: &[u8],
    ) -> Result<(), ControlError> {
        let (mut name, mut rest) = (name.as_bytes(), data);
        let room = message_room(self.instance.shared().request_limit());
        if name.len() >= room {
            return Err(ControlError::LongName(name.len()));
        }
        let mut patience = self.options.patience;
        loop {
            let (part, more) = rest.split_at(rest.len().min(room - name.len()));
            let head = MessageHead {
                id,
                kind: kind as u16,
                flags: if more.is_empty() {
                    0
                } else {
                    MessageHead::MORE
                },
                ..MessageHead::default()
            };
            let sent = self.instance.shared().send_request(head, name, part);
            if sent.map_err(|lie| self.lied(lie))? {
                if more.is_empty() {
                    return Ok(());
                }
                (name, rest) = (b"", more);
                patience = self.options.patience;
                continue;
            }
            if patience == 0 || self.exited.is_some() {
                return Err(ControlError::Silent);
            }
            patience -= 1;
            self.enter(false)?;
            self.collect()?;
        }
    }

    /// Adds what has come of the answer; its status once it is whole. Takes no more than the ring
    /// holds at once: an instance may go on answering while the lane reads.
    fn take_answer(&mut self, id: u64, answer: &mut Vec<u8>) -> Result<Option<u32>, LaneError> {
        let shared = self.instance.shared();
        let mut buffer = vec![0; shared.answer_limit()];
        let mut left = buffer.len();
        while left > 0 {
            let message = match shared.receive_answer(&mut buffer) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(lie) => return Err(self.lied(lie)),
            };
            left = left.saturating_sub(MessageHead::SIZE + message.name.len() + message.data.len());
            // Any other is an answer that nobody waits for any more.
            if message.head.id == id {
                answer.extend_from_slice(message.data);
                if message.head.flags & MessageHead::MORE == 0 {
                    return Ok(Some(message.head.status));
                }
            }
        }
        Ok(None)
    }
}
