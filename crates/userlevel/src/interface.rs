//! Network devices that are interfaces of the host. Whoever starts a router says how they are opened.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use sprat_click::environment::{AccessError, Device, Tunnel};
use sprat_packet::{BUFFER_CAPACITY, Batch, DEFAULT_HEADROOM, Packet, Pool};

use crate::files;
use crate::readiness::{Readiness, Watched};

/// The longest frame a buffer holds beside the room that elements need before it.
const LONGEST: usize = BUFFER_CAPACITY - DEFAULT_HEADROOM;

/// An interface of the host.
pub trait Interface {
    /// Lends up to `limit` frames that have arrived, each with its time in nanoseconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// It gives no more frames.
    fn receive(&mut self, limit: usize, take: &mut dyn FnMut(i64, &[u8])) -> io::Result<()>;

    /// Sends frames.
    ///
    /// # Errors
    /// It takes no more frames.
    fn send(&mut self, frames: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()>;

    /// Gives frames that are for others too from now on.
    ///
    /// # Errors
    /// The system refuses.
    fn hear_all(&mut self) -> io::Result<()>;

    /// Its own link address.
    fn address(&self) -> Option<[u8; 6]>;

    /// It can be read when frames have arrived.
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// Opens interfaces by their names.
pub type OpenInterface = Box<dyn Fn(&str) -> io::Result<Box<dyn Interface>>>;

/// Makes interfaces of the host's own network, and says what they are called.
pub type OpenTunnel = Box<dyn Fn(&Tunnel) -> io::Result<(String, Box<dyn Interface>)>>;

/// An interface as a router's device.
pub(crate) struct InterfaceDevice {
    name: String,
    interface: RefCell<Box<dyn Interface>>,
    watched: Rc<Watched>,
    /// Frames longer than a buffer, which were left out.
    too_long: Cell<u64>,
    fault: RefCell<Option<String>>,
}

impl InterfaceDevice {
    pub(crate) fn open(
        name: &str,
        open: &OpenInterface,
        readiness: &Readiness,
    ) -> Result<Rc<Self>, AccessError> {
        let interface = open(name).map_err(|error| files::access_error(&error))?;
        Self::new(name, interface, readiness)
    }

    pub(crate) fn new(
        name: &str,
        interface: Box<dyn Interface>,
        readiness: &Readiness,
    ) -> Result<Rc<Self>, AccessError> {
        let system = |error: io::Error| files::access_error(&error);
        let descriptor = interface.descriptor().try_clone_to_owned();
        let watched = readiness.add(descriptor.map_err(system)?);
        Ok(Rc::new(Self {
            name: name.into(),
            interface: RefCell::new(interface),
            watched,
            too_long: Cell::new(0),
            fault: RefCell::default(),
        }))
    }

    /// What there is to say of it at the end.
    pub(crate) fn faults(&self) -> Vec<String> {
        let too_long = match self.too_long.get() {
            0 => None,
            count => Some(format!(
                "{}: {count} frames longer than a buffer left out",
                self.name
            )),
        };
        self.fault.take().into_iter().chain(too_long).collect()
    }

    fn note(&self, error: &io::Error) {
        let fault = || format!("{}: {error}", self.name);
        self.fault.borrow_mut().get_or_insert_with(fault);
    }
}

impl Device for InterfaceDevice {
    fn receive(&self, pool: &Pool, limit: usize, batch: &mut Batch) {
        // Where all of it was taken, the kernel is asked for more only when it says there is some.
        if !self.watched.readable.get() {
            return;
        }
        let before = batch.len();
        let received = self
            .interface
            .borrow_mut()
            .receive(limit, &mut |timestamp, frame| {
                if frame.len() > LONGEST {
                    self.too_long.set(self.too_long.get() + 1);
                    return;
                }
                let mut packet = pool.packet(frame);
                packet.set_timestamp(timestamp);
                batch.push(packet);
            });
        if let Err(error) = received {
            self.note(&error);
        }
        if batch.len() == before {
            self.watched.readable.set(false);
        }
    }

    fn send(&self, batch: &mut Batch) {
        let mut frames = batch.iter().map(Packet::data);
        if let Err(error) = self.interface.borrow_mut().send(&mut frames) {
            self.note(&error);
        }
        batch.clear();
    }

    fn ethernet_address(&self) -> Option<[u8; 6]> {
        self.interface.borrow().address()
    }

    fn hear_all(&self) -> Result<(), AccessError> {
        let done = self.interface.borrow_mut().hear_all();
        done.map_err(|error| files::access_error(&error))
    }
}
