//! A simulation with one client that connects and sends what it was given.

use sprat_click::environment::{AccessError, Connection, Console, Device, Environment, Input, Listener, Output, SocketAddress};
use sprat_click::simulation::Simulation;
use sprat_click::{Instant, Timestamp};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) struct Outside {
    simulation: Rc<Simulation>,
    client: RefCell<Option<Client>>,
}

impl Outside {
    pub(crate) fn new(simulation: Rc<Simulation>, sends: &[u8]) -> Self {
        let client = Client { rest: sends.to_vec(), turn: 0 };
        Self { simulation, client: RefCell::new(Some(client)) }
    }
}

impl Environment for Outside {
    fn instant(&self) -> Instant {
        self.simulation.instant()
    }

    fn timestamp(&self) -> Timestamp {
        self.simulation.timestamp()
    }

    fn console(&self, stream: Console, text: &[u8]) {
        self.simulation.console(stream, text);
    }

    fn random_seed(&self) -> u64 {
        self.simulation.random_seed()
    }

    fn open_input(&self, name: &str) -> Result<Box<dyn Input>, AccessError> {
        self.simulation.open_input(name)
    }

    fn open_output(&self, name: &str, append: bool) -> Result<Box<dyn Output>, AccessError> {
        self.simulation.open_output(name, append)
    }

    fn device(&self, name: &str) -> Result<Rc<dyn Device>, AccessError> {
        self.simulation.device(name)
    }

    fn listen(&self, _: &SocketAddress) -> Result<Box<dyn Listener>, AccessError> {
        Ok(Box::new(Door(self.client.take())))
    }
}

/// Lets the client in once.
struct Door(Option<Client>);

impl Listener for Door {
    fn accept(&mut self) -> Result<Option<Box<dyn Connection>>, AccessError> {
        Ok(self.0.take().map(|client| Box::new(client) as Box<dyn Connection>))
    }

    fn port(&self) -> Option<u16> {
        Some(7777)
    }
}

/// Sends its bytes in pieces of changing length, takes answers in pieces too, and then hangs up.
struct Client {
    rest: Vec<u8>,
    turn: usize,
}

impl Connection for Client {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, AccessError> {
        self.turn += 1;
        if self.turn.is_multiple_of(3) {
            return Ok(None);
        }
        let count = (self.turn * 7 % 61 + 1).min(self.rest.len()).min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.rest.drain(..count)) {
            *to = from;
        }
        Ok(Some(count))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, AccessError> {
        self.turn += 1;
        Ok((!self.turn.is_multiple_of(5)).then(|| bytes.len().min(self.turn * 11 % 127 + 1)))
    }
}
