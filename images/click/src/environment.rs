//! The router's environment: this instance's devices, files, clocks and console.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use sprat::network;
use sprat::packet::{Batch, Pool};
use sprat::{OutputFile as _, WritableFile};
use sprat_click::environment::{AccessError, Console, Device, Environment, Input, Output};
use sprat_click::{Instant, Timestamp};

/// This instance as a router sees it.
pub(crate) struct Machine {
    ports: Vec<Rc<Port>>,
    files: Vec<(&'static str, Rc<RefCell<WritableFile>>)>,
}

impl Machine {
    /// Takes the instance's devices and files.
    pub(crate) fn new() -> Self {
        let port = |device: network::Device| {
            Rc::new(Port {
                device: RefCell::new(device),
                received: Counts::default(),
                sent: Counts::default(),
            })
        };
        let file = |(name, file)| (name, Rc::new(RefCell::new(file)));
        Self {
            ports: network::take_all().into_iter().map(port).collect(),
            files: sprat::place::take_output_files()
                .into_iter()
                .map(file)
                .collect(),
        }
    }

    /// The network devices.
    pub(crate) fn ports(&self) -> &[Rc<Port>] {
        &self.ports
    }
}

impl Environment for Machine {
    fn instant(&self) -> Instant {
        Instant(sprat::time::Instant::now().nanoseconds())
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp(sprat::time::wall())
    }

    fn console(&self, _: Console, text: &[u8]) {
        sprat::place::write_console(text);
    }

    fn random_seed(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = sprat::place::seed();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    fn open_input(&self, name: &str) -> Result<Box<dyn Input>, AccessError> {
        match sprat::place::input_file(name) {
            Some(contents) => Ok(Box::new(Contents {
                contents,
                position: 0,
            })),
            None => Err(AccessError::NotGranted {
                grant: format!("--file {name}"),
            }),
        }
    }

    fn open_output(&self, name: &str, _append: bool) -> Result<Box<dyn Output>, AccessError> {
        if name == "-" {
            return Ok(Box::new(ConsoleFile));
        }
        match self.files.iter().find(|(granted, _)| *granted == name) {
            Some((_, file)) => Ok(Box::new(GrantedFile { file: file.clone() })),
            None => Err(AccessError::NotGranted {
                grant: format!("--file {name}:write"),
            }),
        }
    }

    fn device(&self, name: &str) -> Result<Rc<dyn Device>, AccessError> {
        match self.ports.iter().find(|port| port.name() == name) {
            Some(port) => Ok(port.clone()),
            None => Err(AccessError::NotGranted {
                grant: format!("--port {name}=..., --in {name}=FILE or --out {name}=FILE"),
            }),
        }
    }
}

/// Frames and bytes that passed one way.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) frames: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
}

impl Counts {
    fn add(&self, frames: usize, bytes: usize) {
        self.frames.set(self.frames.get() + frames as u64);
        self.bytes.set(self.bytes.get() + bytes as u64);
    }
}

/// A network device as elements use it.
pub(crate) struct Port {
    device: RefCell<network::Device>,
    pub(crate) received: Counts,
    pub(crate) sent: Counts,
}

impl Port {
    /// The device's name.
    pub(crate) fn name(&self) -> &'static str {
        self.device.borrow().name()
    }
}

fn bytes<'a>(packets: impl Iterator<Item = &'a sprat::packet::Packet>) -> usize {
    packets.map(sprat::packet::Packet::len).sum()
}

impl Device for Port {
    fn receive(&self, _: &Pool, limit: usize, batch: &mut Batch) {
        let before = batch.len();
        let count = self.device.borrow_mut().try_receive(batch, limit);
        if count > 0 {
            self.received.add(count, bytes(batch.iter().skip(before)));
        }
    }

    fn send(&self, batch: &mut Batch) {
        let before = bytes(batch.iter());
        let count = self.device.borrow_mut().try_send(batch);
        if count > 0 {
            self.sent.add(count, before - bytes(batch.iter()));
        }
    }

    fn exhausted(&self) -> bool {
        sprat::control::stopping() && !self.device.borrow().has_frames()
    }

    fn ethernet_address(&self) -> Option<[u8; 6]> {
        Some(self.device.borrow().address())
    }
}

/// A granted file, mapped whole.
struct Contents {
    contents: &'static [u8],
    position: usize,
}

impl Input for Contents {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, AccessError> {
        let rest = &self.contents[self.position..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }

    fn contents(&self) -> Option<&[u8]> {
        Some(self.contents)
    }
}

/// A granted file that is written front to back. Opened twice, both go on at its end.
struct GrantedFile {
    file: Rc<RefCell<WritableFile>>,
}

impl Output for GrantedFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), AccessError> {
        self.file.borrow_mut().write(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AccessError> {
        Ok(())
    }
}

/// The standard output.
struct ConsoleFile;

impl Output for ConsoleFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), AccessError> {
        sprat::place::write_console(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AccessError> {
        Ok(())
    }
}
