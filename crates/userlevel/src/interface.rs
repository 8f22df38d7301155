//! Network devices that are interfaces of the host. Whoever starts a router says how they are opened.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use sprat_click::environment::{AccessError, Device, Tunnel};
use sprat_click::names::Meaning;
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

/// Says what addresses an interface has, where there is one of the name.
pub type InterfaceAddresses = Box<dyn Fn(&str) -> Option<Meaning>>;

/// Makes interfaces of the host's own network, and says what they are called.
pub type OpenTunnel = Box<dyn Fn(&Tunnel) -> io::Result<(String, Box<dyn Interface>)>>;

/// An interface as a router's device.
pub(crate) struct InterfaceDevice {
    name: String,
    interface: RefCell<Box<dyn Interface>>,
    /// What is watched once frames are asked for. Where they never are, they would keep a sleeping
    /// router awake.
    descriptor: Cell<Option<OwnedFd>>,
    readiness: Rc<Readiness>,
    watched: OnceCell<Rc<Watched>>,
    /// Frames longer than a buffer, which were left out.
    too_long: Cell<u64>,
    fault: RefCell<Option<String>>,
}

impl InterfaceDevice {
    pub(crate) fn open(
        name: &str,
        open: &OpenInterface,
        readiness: &Rc<Readiness>,
    ) -> Result<Rc<Self>, AccessError> {
        let interface = open(name).map_err(|error| files::access_error(&error))?;
        Self::new(name, interface, readiness)
    }

    pub(crate) fn new(
        name: &str,
        interface: Box<dyn Interface>,
        readiness: &Rc<Readiness>,
    ) -> Result<Rc<Self>, AccessError> {
        let system = |error: io::Error| files::access_error(&error);
        let descriptor = interface.descriptor().try_clone_to_owned();
        let descriptor = descriptor.map_err(system)?;
        Ok(Rc::new(Self {
            name: name.into(),
            interface: RefCell::new(interface),
            descriptor: Cell::new(Some(descriptor)),
            readiness: readiness.clone(),
            watched: OnceCell::new(),
            too_long: Cell::new(0),
            fault: RefCell::default(),
        }))
    }

    /// Whether frames may have arrived; watches for them from the first time on.
    fn readable(&self) -> Option<&Cell<bool>> {
        if let Some(descriptor) = self.descriptor.take() {
            // It is empty: a descriptor is taken once.
            let _ = self.watched.set(self.readiness.add(descriptor));
        }
        self.watched.get().map(|watched| &watched.readable)
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
        let Some(readable) = self.readable().filter(|readable| readable.get()) else {
            return;
        };
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
            readable.set(false);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::PipeReader;
    use std::os::fd::AsFd as _;

    /// An interface at which a frame has arrived that stays there.
    struct Full(PipeReader);

    impl Interface for Full {
        fn receive(&mut self, _: usize, take: &mut dyn FnMut(i64, &[u8])) -> io::Result<()> {
            take(7, &[1; 60]);
            take(8, &[2; 9000]);
            Ok(())
        }

        fn send(&mut self, _: &mut dyn Iterator<Item = &[u8]>) -> io::Result<()> {
            Err(io::Error::other("it is gone"))
        }

        fn hear_all(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn address(&self) -> Option<[u8; 6]> {
            None
        }

        fn descriptor(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    fn device() -> (Rc<InterfaceDevice>, Rc<Readiness>) {
        let open: OpenInterface = Box::new(|_| {
            let (reader, mut writer) = io::pipe()?;
            io::Write::write_all(&mut writer, b"frame")?;
            Ok(Box::new(Full(reader)))
        });
        let readiness = Rc::new(Readiness::default());
        let device = InterfaceDevice::open("eth0", &open, &readiness);
        (device.unwrap(), readiness)
    }

    #[test]
    fn an_interface_that_nobody_receives_from_wakes_nobody() {
        let (device, readiness) = device();
        assert_eq!(readiness.count(), 0);
        device.receive(&Pool::growing(), 1, &mut Batch::new());
        assert_eq!(readiness.count(), 1);
    }

    #[test]
    fn frames_come_with_their_times_and_those_without_room_are_told_of() {
        let (device, _readiness) = device();
        let mut batch = Batch::new();
        device.receive(&Pool::growing(), 9, &mut batch);
        let frames: Vec<_> = batch
            .iter()
            .map(|packet| (packet.timestamp(), packet.data().len()))
            .collect();
        assert_eq!(frames, [(7, 60)]);
        device.send(&mut batch);
        assert!(batch.is_empty());
        assert_eq!(
            device.faults(),
            [
                "eth0: it is gone",
                "eth0: 1 frames longer than a buffer left out"
            ]
        );
    }
}
