//! Requests from outside, answered by the router's handlers.

use alloc::rc::Rc;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::str;

use sprat::abi::control::ROUTER_STATE;
use sprat::control::{Handlers, Refusal};
use sprat_click::HandlerError;
use sprat_click::driver::Driver;

/// The handlers of the router that runs now.
pub(crate) struct RouterHandlers {
    driver: Rc<RefCell<Driver>>,
}

impl RouterHandlers {
    pub(crate) fn new(driver: Rc<RefCell<Driver>>) -> Self {
        Self { driver }
    }
}

fn refusal(error: &HandlerError) -> Refusal {
    let words = error.to_string();
    match error {
        HandlerError::NoElement(_) => Refusal::NoElement(words),
        HandlerError::NoHandler(_) => Refusal::NoHandler(words),
        HandlerError::NotReadable(_) | HandlerError::NotWritable(_) => Refusal::Direction(words),
        HandlerError::Malformed
        | HandlerError::NoParameters(_)
        | HandlerError::Busy(_)
        | HandlerError::Failed(..) => Refusal::Failed(words),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    str::from_utf8(bytes).map_err(|_| Refusal::Failed("not UTF-8 text".into()))
}

impl Handlers for RouterHandlers {
    fn read(&mut self, handler: &[u8], argument: &[u8]) -> Result<Vec<u8>, Refusal> {
        let driver = self.driver.borrow();
        let value = driver.router().read(text(handler)?, text(argument)?);
        value
            .map(alloc::string::String::into_bytes)
            .map_err(|error| refusal(&error))
    }

    fn write(&mut self, handler: &[u8], value: &[u8]) -> Result<Vec<u8>, Refusal> {
        let driver = self.driver.borrow();
        let done = driver.router().write(text(handler)?, text(value)?);
        done.map(|()| Vec::new()).map_err(|error| refusal(&error))
    }

    fn replace(&mut self, configuration: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.write(b"hotconfig", configuration)
    }

    fn export(&mut self, name: &[u8]) -> Result<Vec<u8>, Refusal> {
        of_router(name)?;
        Ok(self.driver.borrow().router().export_state())
    }

    fn import(&mut self, name: &[u8], state: &[u8]) -> Result<Vec<u8>, Refusal> {
        of_router(name)?;
        let taken = self.driver.borrow().router().import_state(state);
        taken
            .map(|()| Vec::new())
            .map_err(|error| Refusal::Failed(error.to_string()))
    }
}

/// There is one state: that of the router.
fn of_router(name: &[u8]) -> Result<(), Refusal> {
    match name {
        ROUTER_STATE => Ok(()),
        _ => Err(Refusal::Unsupported),
    }
}
