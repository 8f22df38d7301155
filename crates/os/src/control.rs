//! Requests from outside: handlers that are read and written while the instance runs, and the
//! request to come to an end.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

use sprat_abi::control::{MessageKind, status};
use sprat_platform::{Platform as _, Request};

use crate::local::local;
use crate::target::platform;

local! {
    static HANDLERS: RefCell<Option<Box<dyn Handlers>>> = RefCell::new(None);
}

local! {
    static STOPPED: Cell<bool> = Cell::new(false);
}

local! {
    static WAITING_FOR_STOP: RefCell<Vec<Waker>> = RefCell::new(Vec::new());
}

/// Answers a read, or a write of a value, where the application's handlers do not.
type Inside = fn(&[u8], Option<&[u8]>) -> Option<Result<Vec<u8>, Refusal>>;

local! {
    static INSIDE: Cell<Option<Inside>> = Cell::new(None);
}

/// Lets `inside` answer what the application's own handlers do not. Whoever never says so has no
/// such code in the image.
pub(crate) fn serve_beside(inside: Inside) {
    INSIDE.with(|slot| slot.set(Some(inside)));
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no element of that name.
    NoElement(String),
    /// There is no such handler.
    NoHandler(String),
    /// The handler cannot be read, or cannot be written.
    Direction(String),
    /// The handler refused; why, for the person who asked.
    Failed(String),
    /// This instance does no such thing.
    Unsupported,
}

impl Refusal {
    /// The status and the words it is answered with.
    fn answer(&self) -> (u32, &str) {
        match self {
            Self::NoElement(words) => (status::NO_ELEMENT, words),
            Self::NoHandler(words) => (status::NO_HANDLER, words),
            Self::Direction(words) => (status::PERMISSION, words),
            Self::Failed(words) => (status::HANDLER_ERROR, words),
            Self::Unsupported => (status::UNIMPLEMENTED, "this instance does no such thing"),
        }
    }
}

/// What can be asked of an instance from outside. What an application does not offer is refused.
pub trait Handlers {
    /// Reads `handler`, passing it an argument where the caller gave one.
    ///
    /// # Errors
    /// When there is no such handler, it cannot be read, or it refuses.
    fn read(&mut self, handler: &[u8], argument: &[u8]) -> Result<Vec<u8>, Refusal>;

    /// Writes `value` to `handler`.
    ///
    /// # Errors
    /// When there is no such handler, it cannot be written, or it refuses.
    fn write(&mut self, handler: &[u8], value: &[u8]) -> Result<Vec<u8>, Refusal>;

    /// Replaces the configuration, keeping what state can be kept.
    ///
    /// # Errors
    /// When the new configuration is wrong; then the old one goes on.
    fn replace(&mut self, configuration: &[u8]) -> Result<Vec<u8>, Refusal> {
        let _ = configuration;
        Err(Refusal::Unsupported)
    }

    /// Hands out the state called `name`, for another instance.
    ///
    /// # Errors
    /// When there is no such state.
    fn export(&mut self, name: &[u8]) -> Result<Vec<u8>, Refusal> {
        let _ = name;
        Err(Refusal::Unsupported)
    }

    /// Takes in state called `name` that another instance handed out.
    ///
    /// # Errors
    /// When there is no such state, or it is damaged.
    fn import(&mut self, name: &[u8], state: &[u8]) -> Result<Vec<u8>, Refusal> {
        let _ = (name, state);
        Err(Refusal::Unsupported)
    }
}

/// Makes `handlers` answer requests from now on, in place of the ones before.
pub fn serve_with(handlers: impl Handlers + 'static) {
    let before = HANDLERS.with(|slot| slot.borrow_mut().replace(Box::new(handlers)));
    drop(before);
}

/// Answers every request that waits.
pub fn serve() {
    // Taken out while they work, so that a handler may itself yield or register others.
    let mut handlers = HANDLERS.with(|slot| slot.borrow_mut().take());
    while let Some(Request {
        number,
        kind,
        name,
        data,
    }) = platform().next_request()
    {
        let answer = match (&mut handlers, kind) {
            (Some(handlers), Some(MessageKind::Read)) => handlers.read(&name, &data),
            (Some(handlers), Some(MessageKind::Write)) => handlers.write(&name, &data),
            (Some(handlers), Some(MessageKind::Replace)) => handlers.replace(&data),
            (Some(handlers), Some(MessageKind::Export)) => handlers.export(&name),
            (Some(handlers), Some(MessageKind::Import)) => handlers.import(&name, &data),
            (None, _) | (_, Some(MessageKind::Answer) | None) => Err(Refusal::Unsupported),
        };
        let answer = match answer {
            Err(Refusal::NoElement(_) | Refusal::NoHandler(_) | Refusal::Unsupported) => {
                beside(kind, &name, &data).unwrap_or(answer)
            }
            answer => answer,
        };
        match &answer {
            Ok(value) => platform().respond(number, status::OK, value),
            Err(refusal) => {
                let (status, words) = refusal.answer();
                platform().respond(number, status, words.as_bytes());
            }
        }
    }
    HANDLERS.with(|slot| {
        let mut slot = slot.borrow_mut();
        if slot.is_none() {
            *slot = handlers;
        }
    });
}

/// What the handlers beside the application's own answer.
fn beside(kind: Option<MessageKind>, name: &[u8], data: &[u8]) -> Option<Result<Vec<u8>, Refusal>> {
    let inside = INSIDE.with(|inside| inside.get())?;
    match kind {
        Some(MessageKind::Read) => inside(name, None),
        Some(MessageKind::Write) => inside(name, Some(data)),
        _ => None,
    }
}

/// Whether the monitor asked the instance to come to an end.
#[must_use]
pub fn stopping() -> bool {
    STOPPED.with(|stopped| stopped.get())
}

/// Waits until the monitor asks the instance to come to an end.
pub async fn stopped() {
    poll_fn(|context| {
        if stopping() {
            return Poll::Ready(());
        }
        crate::task::waits_for("the request to end");
        WAITING_FOR_STOP.with(|waiting| waiting.borrow_mut().push(context.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// Notes the monitor's request to end.
pub(crate) fn stop() {
    STOPPED.with(|stopped| stopped.set(true));
    let waiting = WAITING_FOR_STOP.with(|waiting| core::mem::take(&mut *waiting.borrow_mut()));
    for waker in waiting {
        waker.wake();
    }
}
