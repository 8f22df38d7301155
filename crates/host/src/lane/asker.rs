//! Questions to an instance of a lane: from its control socket, and from the lane's own.

use std::sync::mpsc::{Sender, channel};

use sprat_abi::control::MessageKind;
use sprat_click::HandlerError;
use sprat_elements::control::HandlerAccess;
use sprat_switch::switch::RequestError;

use super::bell::Bell;
use super::server::Question;
use crate::control::{self, CONSOLE, Console, METRICS};
use crate::protocol::Answer;

/// Reads or writes a handler of an instance.
pub(super) struct HandlerQuestion {
    pub(super) instance: String,
    pub(super) kind: MessageKind,
    pub(super) handler: String,
    /// What is written, or a reading's parameters.
    pub(super) data: String,
    pub(super) reply: HandlerReply,
}

/// What the host counts for an instance, with what it says itself.
pub(super) struct MetricsQuestion {
    pub(super) instance: String,
    pub(super) own: String,
    pub(super) reply: Sender<Result<String, HandlerError>>,
}

/// Where the answer goes.
pub(super) enum HandlerReply {
    /// To the lane's socket.
    Lane(Sender<Answer>),
    /// To the instance's own, in the words of Click's protocol.
    Control(Sender<Result<String, HandlerError>>),
}

/// What an instance was asked.
pub(super) struct Asked {
    pub(super) handler: String,
    pub(super) writes: bool,
    pub(super) reply: HandlerReply,
}

impl Asked {
    /// Passes the answer on. Whoever asked may have gone.
    pub(super) fn answer(self, result: Result<String, RequestError>) {
        match self.reply {
            HandlerReply::Lane(reply) => {
                let _ = reply.send(match result {
                    Ok(text) => Answer::Text(text),
                    Err(error) => Answer::Refused(error.to_string()),
                });
            }
            HandlerReply::Control(reply) => {
                let _ = reply.send(result.map_err(|error| match error {
                    RequestError::Refused(refusal) => {
                        control::refusal(&self.handler, self.writes, &refusal)
                    }
                    other => HandlerError::failed(other.to_string()),
                }));
            }
        }
    }
}

/// The side of a connection to an instance's control socket.
#[derive(Clone)]
pub(super) struct InstanceAsker {
    pub(super) instance: String,
    pub(super) questions: Sender<Question>,
    pub(super) bell: Bell,
    pub(super) console: Console,
}

impl InstanceAsker {
    /// A router has no metrics beside its elements', and nobody answers once it has ended.
    fn metrics(&self) -> Result<String, HandlerError> {
        let own = self.ask(MessageKind::Read, control::metrics::OWN, "");
        let (reply, answer) = channel();
        let ended = || HandlerError::failed("the lane has ended");
        let question = MetricsQuestion {
            instance: self.instance.clone(),
            own: own.unwrap_or_default(),
            reply,
        };
        let sent = self.questions.send(Question::Metrics(question));
        sent.map_err(|_| ended())?;
        self.bell.ring();
        answer.recv().unwrap_or_else(|_| Err(ended()))
    }

    fn ask(&self, kind: MessageKind, handler: &str, data: &str) -> Result<String, HandlerError> {
        let (reply, answer) = channel();
        let ended = || HandlerError::failed("the lane has ended");
        let question = HandlerQuestion {
            instance: self.instance.clone(),
            kind,
            handler: handler.into(),
            data: data.into(),
            reply: HandlerReply::Control(reply),
        };
        let sent = self.questions.send(Question::Handler(question));
        sent.map_err(|_| ended())?;
        self.bell.ring();
        answer.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl HandlerAccess for InstanceAsker {
    fn read(&mut self, handler: &str, parameters: &str) -> Result<String, HandlerError> {
        match handler {
            CONSOLE => control::read_console(&self.console, parameters),
            METRICS => self.metrics(),
            _ => self.ask(MessageKind::Read, handler, parameters),
        }
    }

    fn write(&mut self, handler: &str, value: &str) -> Result<(), HandlerError> {
        match handler {
            CONSOLE | METRICS => Err(HandlerError::NotWritable(handler.into())),
            _ => self.ask(MessageKind::Write, handler, value).map(|_| ()),
        }
    }

    fn check(&mut self, handler: &str, writes: bool) -> Result<(), HandlerError> {
        control::check_listed(self, handler, writes)
    }
}
