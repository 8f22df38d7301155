//! The outside of a router that is an ordinary process.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::process::{Pid, Signal, kill_process};
use sprat_click::environment::{
    AccessError, Connection, Console, Device, Environment, Input, Listener, MulticastGroup, Output,
    SocketAddress, Tunnel,
};
use sprat_click::names::Meaning;
use sprat_click::{Instant, Timestamp};

use crate::capture::{CaptureDevice, CaptureError};
use crate::clock::Clock;
use crate::files;
use crate::interface::{InterfaceAddresses, InterfaceDevice, OpenInterface, OpenTunnel};
use crate::multicast;
use crate::raw;
use crate::readiness::{Readiness, Watched};
use crate::signals::Signals;
use crate::sockets;
use crate::standard_output::StandardOutput;

/// How a router is to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessOptions {
    /// Simulated time, from this moment on the wall clock: it jumps to the next timer whenever
    /// there is nothing to do.
    pub simulated_time: Option<Timestamp>,
    /// What random choices follow from; by default something new each time.
    pub seed: Option<u64>,
}

/// An ordinary process as the place a router runs in.
pub struct Process {
    pub(crate) clock: Clock,
    pub(crate) readiness: Rc<Readiness>,
    pub(crate) signals: Signals,
    pub(crate) devices: RefCell<HashMap<String, Rc<CaptureDevice>>>,
    pub(crate) interfaces: RefCell<HashMap<String, Rc<InterfaceDevice>>>,
    /// How devices are opened that no capture stands for; `None` where they are refused.
    open_interface: RefCell<Option<OpenInterface>>,
    /// What interfaces of the host have for addresses.
    interface_addresses: RefCell<Option<InterfaceAddresses>>,
    /// How interfaces of the host's own network are made.
    open_tunnel: RefCell<Option<OpenTunnel>>,
    /// Whether the driver has been told that no more frames will arrive.
    pub(crate) told_exhausted: Cell<bool>,
    standard_output: Rc<StandardOutput>,
    seed: Option<u64>,
    /// What signals write to; nobody reads what it says.
    pub(crate) woken: Option<Rc<Watched>>,
}

impl Process {
    /// An environment without devices. SIGINT and SIGTERM stop its routers from now on.
    #[must_use]
    pub fn new(options: ProcessOptions) -> Rc<Self> {
        let readiness = Rc::new(Readiness::default());
        let (signals, woken) = Signals::new();
        let woken = woken.map(|woken| readiness.add(OwnedFd::from(woken)));
        Rc::new(Self {
            clock: options
                .simulated_time
                .map_or_else(Clock::system, Clock::simulated),
            readiness,
            signals,
            devices: RefCell::default(),
            interfaces: RefCell::default(),
            open_interface: RefCell::default(),
            interface_addresses: RefCell::default(),
            open_tunnel: RefCell::default(),
            told_exhausted: Cell::new(false),
            standard_output: Rc::default(),
            seed: options.seed,
            woken,
        })
    }

    /// Has the frames of a capture arrive at a device.
    ///
    /// # Errors
    /// The file cannot be read, or is no Ethernet capture.
    pub fn device_input(&self, device: &str, path: &Path) -> Result<(), CaptureError> {
        self.capture_device(device).read_from(path)
    }

    /// Has the frames sent on a device go into a capture, which takes its place when
    /// [`finish`](Self::finish) is called.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn device_output(&self, device: &str, path: &Path) -> Result<(), CaptureError> {
        self.capture_device(device).write_to(path)
    }

    /// Takes devices that no capture stands for to be interfaces, which are opened so.
    pub fn open_interfaces(&self, open: OpenInterface) {
        *self.open_interface.borrow_mut() = Some(open);
    }

    /// Has configurations name interfaces for their addresses, which are looked up so.
    pub fn know_interfaces(&self, addresses: InterfaceAddresses) {
        *self.interface_addresses.borrow_mut() = Some(addresses);
    }

    /// Has routers make interfaces of the host's own network so.
    pub fn open_tunnels(&self, open: OpenTunnel) {
        *self.open_tunnel.borrow_mut() = Some(open);
    }

    fn interface(&self, name: &str) -> Result<Rc<dyn Device>, AccessError> {
        if let Some(device) = self.interfaces.borrow().get(name) {
            return Ok(device.clone());
        }
        let open = self.open_interface.borrow();
        let open = open.as_ref().ok_or_else(|| AccessError::NotGranted {
            grant: format!("--in {name}=FILE or --out {name}=FILE"),
        })?;
        let device = InterfaceDevice::open(name, open, &self.readiness)?;
        let mut interfaces = self.interfaces.borrow_mut();
        interfaces.insert(name.into(), device.clone());
        Ok(device)
    }

    fn capture_device(&self, name: &str) -> Rc<CaptureDevice> {
        self.devices
            .borrow_mut()
            .entry(name.into())
            .or_default()
            .clone()
    }

    /// Writes everything out that is held back, and puts captures in their place. Returns what
    /// was wrong with the captures that were read.
    ///
    /// # Errors
    /// A capture cannot be written.
    pub fn finish(&self) -> Result<Vec<String>, CaptureError> {
        self.flush();
        let mut faults = Vec::new();
        for (name, device) in &*self.devices.borrow() {
            device.finish()?;
            faults.extend(device.take_fault());
            if device.too_long() > 0 {
                let count = device.too_long();
                faults.push(format!(
                    "{name}: {count} frames longer than a buffer left out"
                ));
            }
        }
        for device in self.interfaces.borrow().values() {
            faults.extend(device.faults());
        }
        Ok(faults)
    }

    pub(crate) fn flush(&self) {
        self.standard_output.flush();
    }
}

impl Environment for Process {
    fn instant(&self) -> Instant {
        self.clock.instant()
    }

    fn timestamp(&self) -> Timestamp {
        self.clock.timestamp()
    }

    fn console(&self, stream: Console, text: &[u8]) {
        match stream {
            Console::Output => self.standard_output.write(text),
            Console::Error => {
                // Where both go to one place, they stand in the order they were said.
                self.standard_output.flush();
                let _ = std::io::stderr().write_all(text);
            }
        }
    }

    fn random_seed(&self) -> u64 {
        self.seed
            .unwrap_or_else(|| RandomState::new().build_hasher().finish())
    }

    fn open_input(&self, name: &str) -> Result<Box<dyn Input>, AccessError> {
        files::open_input(name)
    }

    fn open_output(&self, name: &str, append: bool) -> Result<Box<dyn Output>, AccessError> {
        files::open_output(name, append, &self.standard_output)
    }

    fn device(&self, name: &str) -> Result<Rc<dyn Device>, AccessError> {
        match self.devices.borrow().get(name) {
            Some(device) => Ok(device.clone()),
            None => self.interface(name),
        }
    }

    fn interface_addresses(&self, name: &str) -> Option<Meaning> {
        let addresses = self.interface_addresses.borrow();
        addresses.as_ref().and_then(|addresses| addresses(name))
    }

    fn tunnel(&self, tunnel: &Tunnel) -> Result<(String, Rc<dyn Device>), AccessError> {
        // A capture can stand for it, and a router that replaces another finds what that one made.
        let name = &tunnel.name;
        if let Some(device) = self.devices.borrow().get(name) {
            return Ok((name.clone(), device.clone()));
        }
        if let Some(device) = self.interfaces.borrow().get(name) {
            return Ok((name.clone(), device.clone()));
        }
        let open = self.open_tunnel.borrow();
        let open = open.as_ref().ok_or(AccessError::Unsupported)?;
        let made = open(tunnel).map_err(|error| files::access_error(&error));
        let (name, interface) = made?;
        let device = InterfaceDevice::new(&name, interface, &self.readiness)?;
        let mut interfaces = self.interfaces.borrow_mut();
        interfaces.insert(name.clone(), device.clone());
        Ok((name, device))
    }

    fn listen(&self, address: &SocketAddress) -> Result<Box<dyn Listener>, AccessError> {
        sockets::listen(address, &self.readiness)
    }

    fn inherited(&self, descriptor: i32) -> Result<Box<dyn Connection>, AccessError> {
        sockets::inherited(descriptor, &self.readiness)
    }

    fn connect(
        &self,
        address: &SocketAddress,
        local: Option<&SocketAddress>,
    ) -> Result<Box<dyn Connection>, AccessError> {
        sockets::connect(address, local, &self.readiness)
    }

    fn raw_socket(&self, protocol: u8) -> Result<Box<dyn Connection>, AccessError> {
        raw::open(protocol, &self.readiness)
    }

    fn has_borrowed_rights(&self) -> bool {
        rustix::process::geteuid() != rustix::process::getuid()
            || rustix::process::getegid() != rustix::process::getgid()
    }

    fn join(&self, group: &MulticastGroup) -> Result<Box<dyn Connection>, AccessError> {
        multicast::join(group, &self.readiness)
    }

    fn signal(&self, asker: usize, number: i32) -> bool {
        self.signals.arrived(asker, number)
    }

    fn signals_wait(&self) -> bool {
        self.signals.wait()
    }

    fn release_signal(&self, asker: usize, number: i32) {
        self.signals.release(asker, number);
    }

    fn process_id(&self) -> Option<i32> {
        i32::try_from(std::process::id()).ok()
    }

    fn send_signal(&self, process: i32, number: i32) -> Result<(), AccessError> {
        let (Some(process), Some(signal)) =
            (Pid::from_raw(process), Signal::from_named_raw(number))
        else {
            return Err(AccessError::System("Invalid argument".into()));
        };
        self.flush();
        kill_process(process, signal).map_err(|error| files::access_error(&error.into()))
    }
}
