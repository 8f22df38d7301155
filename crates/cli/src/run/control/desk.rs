//! Questions to the instance of a lane: asked by threads of connections, answered by the lane's.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sprat_click::HandlerError;
use sprat_elements::control::HandlerAccess;
use sprat_host::control::{self, Console, metrics};
use sprat_switch::lane::{ControlError, Lane, LaneError};

use crate::control::{CONSOLE, METRICS};

/// A question, and where its answer goes.
pub(super) struct Question {
    what: What,
    reply: SyncSender<Result<String, HandlerError>>,
}

enum What {
    Read { handler: String, parameters: String },
    Write { handler: String, value: String },
    Metrics,
}

/// The lane's side.
pub(super) struct Desk {
    pub(super) questions: Receiver<Question>,
    pub(super) rung: Arc<AtomicBool>,
    /// What the bell rings.
    pub(super) alarm: UnixStream,
    pub(super) console: Console,
}

/// The side of a connection.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) questions: SyncSender<Question>,
    /// Whether the bell was rung, for a lane that is awake.
    pub(super) rung: Arc<AtomicBool>,
    /// Ends the lane's sleep.
    pub(super) bell: Arc<UnixStream>,
    pub(super) console: Console,
}

impl Desk {
    /// Answers what was asked meanwhile. Costs a load where nothing was.
    ///
    /// # Errors
    /// The instance died of it.
    pub(super) fn answer(&self, lane: &mut Lane) -> Result<(), LaneError> {
        if !self.rung.swap(false, Ordering::Acquire) {
            return Ok(());
        }
        // The bell was rung before it was said to be, and questions were asked before that: none is
        // left behind with the bell silent.
        let mut piece = [0; 64];
        while matches!((&self.alarm).read(&mut piece), Ok(count) if count == piece.len()) {}
        while let Ok(Question { what, reply }) = self.questions.try_recv() {
            let answer = match ask(lane, &what) {
                Err(ControlError::Lane(error)) => {
                    let _ = reply.try_send(Err(HandlerError::failed(error.to_string())));
                    return Err(error);
                }
                Err(error) => Err(refusal(&what, error)),
                Ok(value) => Ok(value),
            };
            // Whoever asked may have gone.
            let _ = reply.try_send(answer);
        }
        Ok(())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.console.end();
    }
}

fn ask(lane: &mut Lane, what: &What) -> Result<String, ControlError> {
    match what {
        What::Read {
            handler,
            parameters,
        } => {
            let value = lane.read_handler(handler, parameters)?;
            Ok(String::from_utf8_lossy(&value).into_owned())
        }
        What::Write { handler, value } => {
            lane.write_handler(handler, value.as_bytes())?;
            Ok(String::new())
        }
        What::Metrics => metrics(lane),
    }
}

/// What the host and the instance count.
fn metrics(lane: &mut Lane) -> Result<String, ControlError> {
    let own = match lane.read_handler(metrics::OWN, "") {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        // A router has none beside its elements, and nobody answers once it has ended.
        Err(ControlError::Lane(error)) => return Err(error.into()),
        Err(_) => String::new(),
    };
    let devices = lane.links().iter().map(|link| {
        let input = link.input().map(|port| port.counters().clone());
        let output = link.output().map(|port| port.counters().clone());
        let both = [input.unwrap_or_default(), output.unwrap_or_default()];
        (link.device.clone(), both)
    });
    let counted = metrics::Counted {
        devices: devices.collect(),
        entries: lane.counters().entries,
        delivered: lane.counters().delivered,
        collected: lane.counters().collected,
        console_dropped: lane.counters().console_dropped,
        inside: lane.counters().inside,
        memory: lane.instance().memory_use().ok(),
    };
    Ok(metrics::text(&counted, lane.instance().shared(), &own))
}

/// A refusal in the words of Click's protocol.
fn refusal(what: &What, error: ControlError) -> HandlerError {
    let (handler, writes) = match what {
        What::Read { handler, .. } => (handler.as_str(), false),
        What::Write { handler, .. } => (handler.as_str(), true),
        What::Metrics => (METRICS, false),
    };
    match error {
        ControlError::Refused(refused) => control::refusal(handler, writes, &refused),
        other => HandlerError::failed(other.to_string()),
    }
}

impl Asker {
    fn ask(&self, what: What) -> Result<String, HandlerError> {
        let (reply, answer) = sync_channel(1);
        let ended = || HandlerError::failed("the instance has ended");
        self.questions
            .send(Question { what, reply })
            .map_err(|_| ended())?;
        // A full pipe has rung already.
        let _ = (&*self.bell).write(&[1]);
        self.rung.store(true, Ordering::Release);
        answer.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl HandlerAccess for Asker {
    fn read(&mut self, handler: &str, parameters: &str) -> Result<String, HandlerError> {
        match handler {
            CONSOLE => control::read_console(&self.console, parameters),
            METRICS => self.ask(What::Metrics),
            _ => self.ask(What::Read {
                handler: handler.into(),
                parameters: parameters.into(),
            }),
        }
    }

    fn write(&mut self, handler: &str, value: &str) -> Result<(), HandlerError> {
        match handler {
            CONSOLE | METRICS => Err(HandlerError::NotWritable(handler.into())),
            _ => self
                .ask(What::Write {
                    handler: handler.into(),
                    value: value.into(),
                })
                .map(|_| ()),
        }
    }

    fn check(&mut self, handler: &str, writes: bool) -> Result<(), HandlerError> {
        control::check_listed(self, handler, writes)
    }
}
