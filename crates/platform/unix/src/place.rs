//! A thread as the place an instance runs in.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sprat_abi::boot::DeviceKind;
use sprat_abi::statistics::Region;
use sprat_packet::Pool;
use sprat_platform::{OutputFile, Platform, Request, Wake};

use crate::alarm::Alarm;
use crate::options::leak;
use crate::{HostBlock, HostDevice, Options};

thread_local! {
    static PLACE: OnceCell<&'static Unix> = const { OnceCell::new() };
    static NEEDED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Says that the program cannot do without a network device. It gets one whatever its command line
/// says, if nobody has asked for the place before.
pub fn need_network(name: &'static str) {
    NEEDED.with_borrow_mut(|needed| needed.push(name));
}

/// Ends the program that cannot be given a place.
fn refuse(error: &dyn std::fmt::Display) -> ! {
    crate::complain(format_args!("error: {error}"));
    std::process::exit(2)
}

/// The platform of one thread.
pub struct Unix {
    start: Instant,
    seed: [u8; 32],
    configuration: &'static [u8],
    parameters: Vec<&'static [u8]>,
    pool: Pool,
    wires: Vec<(&'static str, Rc<RefCell<dyn crate::Wire>>)>,
    networks_taken: Cell<bool>,
    input_files: Vec<(&'static str, &'static [u8])>,
    blocks: RefCell<Vec<HostBlock>>,
    output_files: RefCell<Vec<HostFile>>,
    quiet: bool,
    shared: Arc<Shared>,
}

struct Shared {
    alarm: Arc<Alarm>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    answers: VecDeque<(u64, u32, Vec<u8>)>,
    console: Vec<u8>,
    stop: bool,
}

/// Reaches a place from other threads: asks, listens, ends.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Sends a request.
    pub fn request(&self, request: Request) {
        self.with(|state| state.requests.push_back(request));
        self.shared.alarm.ring();
    }

    /// The next answer: the request's number, the status, and what goes with it.
    #[must_use]
    pub fn answer(&self) -> Option<(u64, u32, Vec<u8>)> {
        self.with(|state| state.answers.pop_front())
    }

    /// Everything written to the console since it was last asked for, of a
    /// [quiet](Options::quiet) place.
    #[must_use]
    pub fn console(&self) -> Vec<u8> {
        self.with(|state| std::mem::take(&mut state.console))
    }

    /// Asks the place to come to an end.
    pub fn stop(&self) {
        self.with(|state| state.stop = true);
        self.shared.alarm.ring();
    }

    fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(
            &mut self
                .shared
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl Options {
    /// Makes this thread such a place.
    ///
    /// # Panics
    /// When it is one already.
    pub fn install(self) -> Handle {
        let place = Unix::new(self);
        let handle = Handle {
            shared: place.shared.clone(),
        };
        let place: &'static Unix = Box::leak(Box::new(place));
        PLACE.with(|slot| assert!(slot.set(place).is_ok(), "this thread is a place already"));
        handle
    }
}

impl Unix {
    fn new(options: Options) -> Self {
        let shared = Arc::new(Shared {
            alarm: Arc::new(Alarm::new().unwrap_or_else(|error| refuse(&error))),
            state: Mutex::default(),
        });
        for link in &options.links {
            link.borrow().watch(shared.alarm.clone());
        }
        let bytes = |bytes: Vec<u8>| -> &'static [u8] { Box::leak(bytes.into_boxed_slice()) };
        let output = |path: &std::path::PathBuf| match std::fs::File::create(path) {
            Ok(file) => Some(HostFile {
                name: leak(&path.to_string_lossy()),
                file,
            }),
            Err(error) => {
                crate::complain(format_args!("{}: {error}", path.display()));
                None
            }
        };
        let first = options.wires.len();
        let blocks = (first..).zip(options.blocks);
        let blocks = blocks.map(|(index, (name, file))| HostBlock::new(name, index, file));
        Self {
            start: Instant::now(),
            seed: random(),
            configuration: bytes(options.configuration),
            parameters: options
                .parameters
                .into_iter()
                .map(|text| bytes(text.into_bytes()))
                .collect(),
            pool: Pool::growing(),
            wires: options.wires,
            networks_taken: Cell::new(false),
            input_files: options
                .input_files
                .into_iter()
                .map(|(name, contents)| (leak(&name), bytes(contents)))
                .collect(),
            blocks: RefCell::new(blocks.collect()),
            output_files: RefCell::new(options.output_files.iter().filter_map(output).collect()),
            quiet: options.quiet,
            shared,
        }
    }

    /// This thread's place; one made from the command line where none was installed.
    #[must_use]
    pub fn current() -> &'static Self {
        PLACE.with(|slot| {
            *slot.get_or_init(|| {
                let needed = NEEDED.take();
                let options = Options::parse(std::env::args().skip(1)).and_then(|mut options| {
                    // Cargo sets it from the package's configuration.
                    let publish = std::env::var("SPRAT_PUBLISH").unwrap_or_default();
                    options.publish_by_default(&publish);
                    options.open(&needed)
                });
                let options = options.unwrap_or_else(|error| refuse(&error));
                Box::leak(Box::new(Self::new(options)))
            })
        })
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(
            &mut self
                .shared
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn wake(&self) -> Wake {
        let mut ready = 0;
        let mut open = self.wires.is_empty();
        for (index, (_, wire)) in self.wires.iter().enumerate() {
            let wire = wire.borrow();
            ready |= u64::from(wire.has_frames()) << index;
            open |= wire.is_open();
        }
        let (request, stop) = self.state(|state| (!state.requests.is_empty(), state.stop));
        // When no frame can come any more the work is done, as it is under a monitor.
        Wake {
            ready,
            request,
            stop: stop || !open,
            now: self.monotonic(),
        }
    }
}

/// 32 bytes from the system.
fn random() -> [u8; 32] {
    use std::hash::{BuildHasher as _, RandomState};
    let mut seed = [0; 32];
    for bytes in seed.chunks_mut(8) {
        bytes.copy_from_slice(
            &RandomState::new()
                .hash_one(std::process::id())
                .to_le_bytes(),
        );
    }
    seed
}

impl Platform for Unix {
    type Network = HostDevice;
    type Block = HostBlock;
    type OutputFile = HostFile;

    const NAME: &'static str = "unix";
    const OFFERS: &'static [DeviceKind] = &[
        DeviceKind::Network,
        DeviceKind::Block,
        DeviceKind::InputFile,
        DeviceKind::OutputFile,
    ];

    fn write_console(&self, bytes: &[u8]) {
        if self.quiet {
            self.state(|state| state.console.extend_from_slice(bytes));
        } else {
            // A closed standard output has nowhere to be complained about.
            let _ = std::io::stdout().write_all(bytes);
        }
    }

    fn monotonic(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall(&self) -> i64 {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        }
    }

    fn seed(&self) -> [u8; 32] {
        self.seed
    }

    fn configuration(&self) -> &'static [u8] {
        self.configuration
    }

    fn parameters(&self) -> Vec<&'static [u8]> {
        self.parameters.clone()
    }

    fn pool(&self) -> Pool {
        self.pool.clone()
    }

    fn take_networks(&self) -> Vec<HostDevice> {
        if self.networks_taken.replace(true) {
            return Vec::new();
        }
        let mut devices = Vec::new();
        for (index, (name, wire)) in self.wires.iter().enumerate() {
            devices.push(HostDevice {
                name,
                index,
                pool: self.pool.clone(),
                wire: wire.clone(),
            });
        }
        devices
    }

    fn take_blocks(&self) -> Vec<HostBlock> {
        self.blocks.take()
    }

    fn input_files(&self) -> Vec<(&'static str, &'static [u8])> {
        self.input_files.clone()
    }

    fn take_output_files(&self) -> Vec<HostFile> {
        self.output_files.take()
    }

    fn yield_until(&self, deadline: Option<u64>) -> Wake {
        let wake = self.wake();
        let due = deadline.is_some_and(|deadline| deadline <= wake.now);
        if wake.ready != 0 || wake.request || wake.stop || due {
            return wake;
        }
        let due = deadline.map(|deadline| Duration::from_nanos(deadline - wake.now));
        {
            let wires: Vec<_> = self.wires.iter().map(|(_, wire)| wire.borrow()).collect();
            let descriptors: Vec<_> = wires.iter().filter_map(|wire| wire.descriptor()).collect();
            let patience = wires.iter().filter_map(|wire| wire.patience());
            let limit = patience.chain(due).min();
            self.shared.alarm.wait(&descriptors, limit);
        }
        self.wake()
    }

    fn next_request(&self) -> Option<Request> {
        self.state(|state| state.requests.pop_front())
    }

    fn respond(&self, request: u64, status: u32, answer: &[u8]) {
        self.state(|state| state.answers.push_back((request, status, answer.to_vec())));
    }

    fn statistics(&self) -> Option<&'static Region> {
        None
    }

    fn exit(&self, status: i32) -> ! {
        for (_, wire) in &self.wires {
            wire.borrow_mut().finish();
        }
        std::process::exit(status)
    }
}

/// A file that may be written.
pub struct HostFile {
    name: &'static str,
    file: std::fs::File,
}

impl OutputFile for HostFile {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.file.write_all(bytes) {
            crate::complain(format_args!("{}: {error}", self.name));
        }
    }
}
