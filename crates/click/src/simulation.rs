//! An environment in memory whose time stands still until it is moved.
//!
//! Elements, examples and whole configurations are tested in it: files and devices are byte
//! vectors, the console is a string, and the clock jumps to the next timer when a router has
//! nothing to do.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use hashbrown::HashMap;
use sprat_packet::{Batch, Pool};

use crate::driver::{Driver, Step};
use crate::environment::{AccessError, Console, Device, Environment, Input, Output, Tunnel};
use crate::names::Meaning;
use crate::time::{Instant, SECOND, Timestamp};

/// Where the simulated clocks start: a second past the billionth, a recognisable moment.
pub const START: Timestamp = Timestamp(1_000_000_000 * 1_000_000_000);

/// How far the clock moves the first time tasks polled in vain; twice as far each time after.
const FIRST_PAUSE: Duration = Duration::from_micros(1);

type File = Rc<RefCell<Vec<u8>>>;

/// The simulated outside of a router.
#[derive(Default)]
pub struct Simulation {
    elapsed: Cell<u64>,
    tick: Cell<u64>,
    /// How far the wall clock was set forward, in nanoseconds.
    step: Cell<i64>,
    files: RefCell<HashMap<String, File>>,
    devices: RefCell<HashMap<String, Rc<SimulatedDevice>>>,
    interfaces: RefCell<HashMap<String, Meaning>>,
    output: RefCell<String>,
    errors: RefCell<String>,
}

impl Simulation {
    /// A simulation with no files, and devices that have received nothing.
    pub fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// Moves the clocks forward.
    pub fn advance(&self, span: Duration) {
        let nanoseconds = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed
            .set(self.elapsed.get().saturating_add(nanoseconds));
    }

    /// Has the clocks move on by so many nanoseconds whenever somebody looks at them.
    pub fn set_tick(&self, nanoseconds: u64) {
        self.tick.set(nanoseconds);
    }

    /// Sets the wall clock forward by so many nanoseconds, or back; the other clock knows nothing of it.
    pub fn step_wall_clock(&self, nanoseconds: i64) {
        self.step.set(self.step.get().saturating_add(nanoseconds));
    }

    /// Moves the clocks forward to `moment`, where it lies ahead.
    pub fn advance_to(&self, moment: Instant) {
        self.elapsed
            .set(self.elapsed.get().max(moment.0.saturating_sub(SECOND)));
    }

    /// Has a network interface of the host have addresses.
    pub fn put_interface(&self, name: &str, addresses: Meaning) {
        self.interfaces.borrow_mut().insert(name.into(), addresses);
    }

    /// Puts a file there to be read.
    pub fn put_file(&self, name: &str, contents: &[u8]) {
        self.files
            .borrow_mut()
            .insert(name.to_string(), Rc::new(RefCell::new(contents.to_vec())));
    }

    /// What a file holds.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.files
            .borrow()
            .get(name)
            .map(|file| file.borrow().clone())
    }

    /// The device called `name`.
    pub fn simulated_device(&self, name: &str) -> Rc<SimulatedDevice> {
        self.devices
            .borrow_mut()
            .entry(name.to_string())
            .or_default()
            .clone()
    }

    /// Takes what was written to the standard output.
    pub fn take_output(&self) -> String {
        self.output.take()
    }

    /// Takes what was written to the standard error output.
    pub fn take_errors(&self) -> String {
        self.errors.take()
    }

    /// Runs a router until it stops or has nothing more to do, or `limit` has gone by on the
    /// simulated clock. Returns whether it stopped.
    pub fn run(&self, driver: &mut Driver, limit: Duration) -> bool {
        let end = self.instant() + limit;
        let mut pause = FIRST_PAUSE;
        loop {
            match driver.step() {
                Step::Stop => return true,
                Step::Again => pause = FIRST_PAUSE,
                Step::Wait(None) => return false,
                Step::Wait(Some(moment)) | Step::Poll(Some(moment)) => {
                    if moment > end {
                        self.advance_to(end);
                        return false;
                    }
                    self.advance_to(moment);
                }
                // What polls without a timer waits for time itself, and may have to for long.
                Step::Poll(None) => {
                    self.advance(pause.min(end - self.instant()));
                    pause *= 2;
                }
            }
            if self.instant() >= end {
                return false;
            }
        }
    }
}

impl Environment for Simulation {
    fn instant(&self) -> Instant {
        self.elapsed.set(self.elapsed.get() + self.tick.get());
        Instant(SECOND + self.elapsed.get())
    }

    fn timestamp(&self) -> Timestamp {
        let elapsed = i64::try_from(self.elapsed.get()).unwrap_or(i64::MAX);
        let start = START.0.saturating_add(self.step.get());
        Timestamp(start.saturating_add(elapsed))
    }

    fn console(&self, stream: Console, text: &[u8]) {
        let target = match stream {
            Console::Output => &self.output,
            Console::Error => &self.errors,
        };
        target.borrow_mut().push_str(&String::from_utf8_lossy(text));
    }

    fn random_seed(&self) -> u64 {
        1
    }

    fn open_input(&self, name: &str) -> Result<Box<dyn Input>, AccessError> {
        let contents = self.file(name).ok_or(AccessError::NotFound)?;
        Ok(Box::new(FileInput { contents, at: 0 }))
    }

    fn open_output(&self, name: &str, append: bool) -> Result<Box<dyn Output>, AccessError> {
        let file = self
            .files
            .borrow_mut()
            .entry(name.to_string())
            .or_default()
            .clone();
        if !append {
            file.borrow_mut().clear();
        }
        Ok(Box::new(FileOutput { file }))
    }

    fn device(&self, name: &str) -> Result<Rc<dyn Device>, AccessError> {
        Ok(self.simulated_device(name))
    }

    fn interface_addresses(&self, name: &str) -> Option<Meaning> {
        self.interfaces.borrow().get(name).cloned()
    }

    fn tunnel(&self, tunnel: &Tunnel) -> Result<(String, Rc<dyn Device>), AccessError> {
        let name = if tunnel.name.is_empty() {
            "tun0"
        } else {
            &tunnel.name
        };
        Ok((name.to_string(), self.simulated_device(name)))
    }
}

struct FileInput {
    contents: Vec<u8>,
    at: usize,
}

impl Input for FileInput {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, AccessError> {
        let rest = &self.contents[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }

    fn contents(&self) -> Option<&[u8]> {
        Some(&self.contents)
    }
}

struct FileOutput {
    file: File,
}

impl Output for FileOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<(), AccessError> {
        self.file.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AccessError> {
        Ok(())
    }
}

/// A network device made of two lists of frames.
#[derive(Default)]
pub struct SimulatedDevice {
    arriving: RefCell<VecDeque<(Vec<u8>, Timestamp)>>,
    sent: RefCell<Vec<(Vec<u8>, Timestamp)>>,
}

impl SimulatedDevice {
    /// Has a frame arrive.
    pub fn arrive(&self, frame: &[u8], timestamp: Timestamp) {
        self.arriving
            .borrow_mut()
            .push_back((frame.to_vec(), timestamp));
    }

    /// Takes the frames that were sent, with their timestamps.
    pub fn take_sent(&self) -> Vec<(Vec<u8>, Timestamp)> {
        self.sent.take()
    }
}

impl Device for SimulatedDevice {
    fn receive(&self, pool: &Pool, limit: usize, batch: &mut Batch) {
        let mut arriving = self.arriving.borrow_mut();
        let count = limit.min(arriving.len());
        for (frame, timestamp) in arriving.drain(..count) {
            let mut packet = pool.packet(&frame);
            packet.set_timestamp(timestamp.0);
            batch.push(packet);
        }
    }

    fn send(&self, batch: &mut Batch) {
        let mut sent = self.sent.borrow_mut();
        sent.extend(
            batch
                .drain()
                .map(|packet| (packet.data().to_vec(), Timestamp(packet.timestamp()))),
        );
    }

    fn exhausted(&self) -> bool {
        self.arriving.borrow().is_empty()
    }
}
