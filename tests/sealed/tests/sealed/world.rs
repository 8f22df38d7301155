//! Images, monitors, the neighbour, and how an attack is run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sprat_abi::control::MessageHead;
use sprat_abi::frame::FrameHead;
use sprat_abi::host::{Frame, Lie};
use sprat_image::{BuildOptions, Package, build_binary};
use sprat_monitor::{
    Death, Grant, GrantedDevice, Image, Instance, Monitor, Options, Outcome, ProcessMonitor,
    Symbols, VmMonitor,
};

/// Long enough for what ends by itself on a busy machine.
pub(crate) const BUDGET: Duration = Duration::from_secs(5);

pub(crate) struct Built {
    pub(crate) image: Image,
    /// The file with its symbols.
    sidecar: tempfile::NamedTempFile,
}

impl Built {
    pub(crate) fn symbols(&self) -> Symbols {
        Symbols::load(self.sidecar.path(), self.image.build_id()).expect("symbols")
    }
}

/// How long may pass before something counts as standing still, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An image, built the first time it is asked for.
pub(crate) fn built(name: &str) -> Arc<Built> {
    static BUILT: Mutex<Option<HashMap<String, Arc<Built>>>> = Mutex::new(None);
    let mut cache = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_default();
    cache
        .entry(name.into())
        .or_insert_with(|| Arc::new(build(name)))
        .clone()
}

fn build(name: &str) -> Built {
    // Where this runs without a compiler, on another machine, images come from a folder; a run with one
    // fills it.
    let kept = std::env::var_os("SPRAT_SEALED_IMAGES").map(PathBuf::from);
    let file = |kind: &str| {
        kept.as_ref()
            .map(|kept| kept.join(format!("{name}.{kind}")))
    };
    let read = |kind: &str| file(kind).and_then(|path| std::fs::read(path).ok());
    let (image, symbols) = match (read("image"), read("symbols")) {
        (Some(image), Some(symbols)) => (image, symbols),
        _ => {
            let (image, symbols) = compile(name);
            for (kind, bytes) in [("image", &image), ("symbols", &symbols)] {
                if let Some(path) = file(kind) {
                    std::fs::write(path, bytes).expect("written");
                }
            }
            (image, symbols)
        }
    };
    let image = Image::load(&image).expect("a sound image");
    let sidecar = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(sidecar.path(), &symbols).expect("written");
    Built { image, sidecar }
}

/// Image and symbols.
fn compile(name: &str) -> (Vec<u8>, Vec<u8>) {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: "sealed".into(),
    };
    let options = BuildOptions::new(workspace.join("target/images"));
    let built = build_binary(&package, name, &options, &mut |_| {}).expect("the image builds");
    (built.image, built.sidecar)
}

pub(crate) fn monitors() -> Vec<Box<dyn Monitor>> {
    let mut monitors: Vec<Box<dyn Monitor>> = vec![Box::new(ProcessMonitor::new())];
    match VmMonitor::open() {
        Ok(monitor) => monitors.push(Box::new(monitor)),
        Err(error) => {
            let needed = std::env::var_os("SPRAT_SEALED_NEEDS_KVM").is_some();
            assert!(!needed, "{error}");
            eprintln!("the vm monitor is left out: {error}");
        }
    }
    monitors
}

pub(crate) fn options(configuration: &[u8]) -> Options {
    let network = GrantedDevice::Network {
        address: [2, 0, 0, 0, 0, 1],
        frame_limit: 1514,
        features: 0,
    };
    Options {
        configuration: configuration.to_vec(),
        devices: vec![
            Grant {
                name: "eth0".into(),
                device: network,
            },
            Grant {
                name: "out.txt".into(),
                device: GrantedDevice::OutputFile,
            },
        ],
        ..Options::default()
    }
}

/// An honest instance beside those that attack. On a thread of its own it is sent frames without a
/// pause, from before the first attack until after the last, and every one must come back, in order
/// and whole.
pub(crate) struct Neighbour {
    batches: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    pub(crate) fn new(monitor: &dyn Monitor) -> Self {
        let mut instance = monitor
            .create(&built("forwards").image, &options(b""))
            .expect("created");
        let (batches, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let (batches, over) = (batches.clone(), over.clone());
            move || {
                let mut next = 0;
                while !over.load(Ordering::Relaxed) {
                    next = forward(&mut *instance, next);
                    batches.fetch_add(1, Ordering::Relaxed);
                    // A share of the processor for those who attack.
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        });
        Self {
            batches,
            over,
            thread: Some(thread),
        }
    }

    /// That a batch is forwarded that was not begun yet.
    pub(crate) fn goes_on(&mut self) {
        let begun = self.batches.load(Ordering::Relaxed) + 1;
        let start = Instant::now();
        while self.batches.load(Ordering::Relaxed) <= begun {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                self.end();
                panic!("the neighbour ended by itself");
            }
            assert!(start.elapsed() < PATIENCE, "the neighbour stands still");
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Has it end, and fails as it failed.
    fn end(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(Err(failure)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(failure);
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a batch of frames that begins with number `first`, and expects every one back; says which
/// number is next.
fn forward(instance: &mut dyn Instance, first: u64) -> u64 {
    let frames: Vec<Vec<u8>> = (first..first + 100).map(frame).collect();
    let offered = frames
        .iter()
        .map(|frame| Frame::new(frame, FrameHead::default()));
    let delivery = instance.shared().deliver(0, offered).expect("honest");
    assert_eq!(delivery.delivered, 100);
    let outcome = instance.enter(BUDGET, false).expect("entered");
    assert!(matches!(outcome, Outcome::Yielded { .. }), "{outcome:?}");
    let mut next = first;
    let drained = instance.shared().drain(0, u32::MAX, |part| {
        let mut bytes = vec![];
        part.append_to(&mut bytes);
        assert_eq!(bytes, frame(next), "frame {next}");
        next += 1;
    });
    assert_eq!((drained, next), (Ok(100), first + 100));
    instance.shared().reclaim().expect("honest");
    next
}

/// The frame of a sequence number: number, and bytes that depend on it.
fn frame(number: u64) -> Vec<u8> {
    let length = 60 + usize::try_from(number * 37 % 1400).expect("small");
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length, number.to_le_bytes()[0]);
    bytes
}

/// Uses everything that is shared with an instance, as a lane does after each entry.
pub(crate) fn serve(instance: &mut dyn Instance) -> Result<usize, Lie> {
    let shared = instance.shared();
    shared.reclaim()?;
    shared.drain(0, u32::MAX, |part| {
        let mut bytes = vec![];
        part.append_to(&mut bytes);
    })?;
    let mut text = vec![0; 1 << 20];
    let console = shared.read_console(&mut text)?;
    shared.read_output(0, &mut text)?;
    while shared.receive_answer(&mut text)?.is_some() {}
    shared.send_request(MessageHead::default(), b"name", b"")?;
    shared.deliver(0, [Frame::new(&[0; 60], FrameHead::default())])?;
    assert!(shared.records().count() <= 512 && shared.events().count() <= 256);
    Ok(console)
}

/// Runs an instance to its death, and sees that the neighbour goes on. A few entries must do.
pub(crate) fn attack(
    monitor: &dyn Monitor,
    neighbour: &mut Neighbour,
    name: &str,
    configuration: &[u8],
) -> Death {
    let built = built(name);
    let mut instance = monitor
        .create(&built.image, &options(configuration))
        .expect("created");
    let first = [Frame::new(&[0; 60], FrameHead::default())];
    instance
        .shared()
        .deliver(0, first)
        .expect("nothing was broken yet");
    let mut budgets = 0;
    for _ in 0..20 {
        neighbour.goes_on();
        let budget = if name == "spins" {
            Duration::from_millis(20)
        } else {
            BUDGET
        };
        match instance.enter(budget, false).expect("entered") {
            Outcome::Exited { status } => {
                neighbour.goes_on();
                return Death::Exited(status);
            }
            Outcome::Faulted(mut report) => {
                report.name_frames(&built.symbols());
                neighbour.goes_on();
                return Death::Faulted(report);
            }
            Outcome::OutOfBudget => {
                budgets += 1;
                if budgets == 3 {
                    instance.kill();
                    neighbour.goes_on();
                    return Death::Hung { budgets };
                }
            }
            Outcome::Yielded { .. } => {
                if let Err(lie) = serve(&mut *instance) {
                    instance.kill();
                    neighbour.goes_on();
                    return Death::Lied(lie);
                }
            }
        }
    }
    panic!("{name} is still alive");
}
