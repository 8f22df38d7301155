//! Reading and writing handlers without waiting: a request goes into the instance's ring, and its
//! answer is looked for after each of its turns.

use std::fmt;

use sprat_abi::control::{MessageHead, MessageKind, message_room, status};
use sprat_abi::host::Lie;
use sprat_monitor::Instance;

use super::{Event, InstanceId, Switch};
use crate::lane::Refusal;

/// A request to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What its answer is known by.
    pub ticket: u64,
    /// What is asked for.
    pub kind: MessageKind,
    /// The handler's name.
    pub name: String,
    /// What is written, or a reading's parameters.
    pub data: Vec<u8>,
    /// When it is given up: a moment of the monotonic clock, in nanoseconds.
    pub until: u64,
}

/// A request that is being sent or answered.
pub(super) struct Asked {
    id: u64,
    request: Request,
    /// How much of its data has been sent, and whether all of it has.
    sent: usize,
    whole: bool,
    answer: Vec<u8>,
}

/// Most bytes that an answer may have, and exported state: an instance could go on for ever.
const ANSWER_LIMIT: usize = 4 << 20;
const STATE_LIMIT: usize = 64 << 20;

impl Asked {
    fn limit(&self) -> usize {
        match self.request.kind {
            MessageKind::Export => STATE_LIMIT,
            _ => ANSWER_LIMIT,
        }
    }
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The instance refused.
    Refused(Refusal),
    /// It did not answer in time.
    Silent,
    /// The handler's name is longer than the instance's ring.
    LongName(usize),
    /// The answer is longer than so many bytes.
    LongAnswer(usize),
    /// The instance is not there, or came to its end meanwhile.
    Ended,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Silent => f.write_str("the instance does not answer"),
            Self::LongName(bytes) => write!(f, "the handler's name of {bytes} bytes is too long"),
            Self::LongAnswer(limit) => write!(f, "the answer is longer than {} MiB", limit >> 20),
            Self::Ended => f.write_str("the instance is not running"),
        }
    }
}

impl std::error::Error for RequestError {}

impl Switch {
    /// Asks an instance; an [`Event::Answer`] comes in any case.
    pub fn request(&mut self, instance: InstanceId, request: Request) {
        let index = instance.index();
        let held = &mut self.instances[index];
        if held.instance.is_none() {
            self.answer(request.ticket, Err(RequestError::Ended));
            return;
        }
        held.requests.push_back(request);
        if !self.asked.contains(&index) {
            self.asked.push(index);
        }
        self.ask_next(index);
    }

    fn answer(&mut self, ticket: u64, result: Result<Vec<u8>, RequestError>) {
        self.events.push(Event::Answer { ticket, result });
    }

    /// Sends the next request, where none is being answered.
    fn ask_next(&mut self, index: usize) {
        let held = &mut self.instances[index];
        let Some(instance) = held.instance.as_mut().filter(|_| held.asked.is_none()) else {
            return;
        };
        let Some(request) = held.requests.pop_front() else {
            return;
        };
        if request.name.len() >= message_room(instance.shared().request_limit()) {
            let error = RequestError::LongName(request.name.len());
            self.answer(request.ticket, Err(error));
            return self.ask_next(index);
        }
        self.requests += 1;
        held.asked = Some(Asked {
            id: self.requests,
            request,
            sent: 0,
            whole: false,
            answer: Vec::new(),
        });
        self.send_more(index);
    }

    /// Sends as much of a request as has room, in as many messages as it takes.
    fn send_more(&mut self, index: usize) {
        let held = &mut self.instances[index];
        let (Some(instance), Some(asked)) = (&mut held.instance, &mut held.asked) else {
            return;
        };
        let room = message_room(instance.shared().request_limit());
        let mut some = false;
        while !asked.whole {
            // The name goes with the first.
            let name = match asked.sent {
                0 => asked.request.name.as_bytes(),
                _ => b"",
            };
            let rest = &asked.request.data[asked.sent..];
            let (part, more) = rest.split_at(rest.len().min(room - name.len()));
            let head = MessageHead {
                id: asked.id,
                kind: asked.request.kind as u16,
                flags: if more.is_empty() {
                    0
                } else {
                    MessageHead::MORE
                },
                ..MessageHead::default()
            };
            match instance.shared().send_request(head, name, part) {
                Ok(true) => {
                    some = true;
                    asked.sent += part.len();
                    asked.whole = more.is_empty();
                }
                // Sent when the instance has taken some of it.
                Ok(false) => break,
                Err(lie) => {
                    self.liars.push((index, lie));
                    return;
                }
            }
        }
        if some {
            self.wake(index);
        }
    }

    /// Takes what an instance answered.
    pub(super) fn take_answers(
        &mut self,
        index: usize,
        instance: &mut dyn Instance,
    ) -> Result<(), Lie> {
        let Some(asked) = &mut self.instances[index].asked else {
            return Ok(());
        };
        let shared = instance.shared();
        let mut buffer = vec![0; shared.answer_limit()];
        // No more than the ring holds at once: an instance may go on answering meanwhile.
        let mut left = buffer.len();
        let mut whole = None;
        while left > 0 && whole.is_none() {
            let Some(message) = shared.receive_answer(&mut buffer)? else {
                break;
            };
            left = left.saturating_sub(MessageHead::SIZE + message.name.len() + message.data.len());
            // Any other is an answer that nobody waits for any more.
            if message.head.id == asked.id {
                asked.answer.extend_from_slice(message.data);
                if asked.answer.len() > asked.limit() {
                    whole = Some(Err(RequestError::LongAnswer(asked.limit())));
                } else if message.head.flags & MessageHead::MORE == 0 {
                    whole = Some(Ok(message.head.status));
                }
            }
        }
        if let Some(whole) = whole
            && let Some(asked) = self.instances[index].asked.take()
        {
            let result = whole.and_then(|status| match status {
                status::OK | status::OK_WARNING => Ok(asked.answer),
                status => Err(RequestError::Refused(Refusal {
                    status,
                    text: String::from_utf8_lossy(&asked.answer).into_owned(),
                })),
            });
            self.answer(asked.request.ticket, result);
        }
        Ok(())
    }

    /// Sends what waited for an answer before it, and gives up what waited for too long.
    pub(super) fn go_on_asking(&mut self) {
        let mut place = 0;
        while let Some(index) = self.asked.get(place).copied() {
            let held = &mut self.instances[index];
            if let Some(late) = held.asked.take_if(|asked| asked.request.until <= self.now) {
                self.answer(late.request.ticket, Err(RequestError::Silent));
            }
            self.send_more(index);
            let held = &mut self.instances[index];
            let late = |request: &mut Request| request.until <= self.now;
            if let Some(request) = held.requests.pop_front_if(late) {
                self.answer(request.ticket, Err(RequestError::Silent));
            }
            self.ask_next(index);
            let held = &self.instances[index];
            if held.asked.is_none() && held.requests.is_empty() {
                self.asked.swap_remove(place);
            } else {
                place += 1;
            }
        }
    }

    /// When the first request is given up.
    pub(super) fn requests_until(&self) -> u64 {
        let asked = self.asked.iter();
        let until = asked.filter_map(|index| self.instances[*index].asked.as_ref());
        until
            .map(|asked| asked.request.until)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Gives up all requests to an instance that is gone.
    pub(super) fn abandon_requests(&mut self, index: usize) {
        let held = &mut self.instances[index];
        let asked = held.asked.take().map(|asked| asked.request.ticket);
        let waiting = held.requests.drain(..).map(|request| request.ticket);
        let tickets: Vec<u64> = asked.into_iter().chain(waiting).collect();
        for ticket in tickets {
            self.answer(ticket, Err(RequestError::Ended));
        }
        self.asked.retain(|other| *other != index);
    }
}
