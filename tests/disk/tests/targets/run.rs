//! Starting the program on a target, and what became of it.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use self_booting::{boot_monitor, has_qemu, image, workspace};
use sprat_abi::control::{MessageHead, MessageKind};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::disk::{DiskMonitor, MachineKind};
use sprat_monitor::{
    Cause, Grant, GrantedDevice, Image, Instance, Monitor, Options, Outcome, ProcessMonitor,
    StandingTime, VmMonitor, monotonic_now,
};
use tempfile::TempDir;

use crate::machine;
use crate::peer::{self, Peer};

/// Longest that a run may take.
const LIMIT: Duration = Duration::from_secs(300);

/// How long nothing must move before a run is asked to end.
const QUIET: Duration = Duration::from_millis(400);

/// The same where frames are still missing.
const GIVEN_UP: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Vm,
    Process,
    Unix,
    Disk(MachineKind),
}

impl Target {
    /// Those that this machine has.
    pub(crate) fn all() -> Vec<Self> {
        let mut targets = Vec::new();
        match VmMonitor::open() {
            Ok(_) => targets.push(Self::Vm),
            Err(error) => println!("skipped: needs /dev/kvm: {error}"),
        }
        targets.extend([Self::Process, Self::Unix]);
        if has_qemu() {
            targets.extend(MachineKind::ALL.map(Self::Disk));
        }
        targets
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Process => "process",
            Self::Unix => "unix",
            Self::Disk(MachineKind::Microvm) => "disk microvm",
            Self::Disk(MachineKind::Pci) => "disk pci",
            Self::Disk(MachineKind::Bios) => "disk bios",
        }
    }
}

/// The program, for each kind of target.
pub(crate) struct Programs {
    pub(crate) image: Image,
    pub(crate) boot_monitor: Vec<u8>,
    unix: PathBuf,
}

impl Programs {
    pub(crate) fn build() -> Self {
        let status = Command::new(env!("CARGO"))
            .current_dir(workspace())
            .args(["build", "--quiet", "--locked", "--package", "properties"])
            .args(["--target-dir", "target/unix"])
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the program builds");
        Self {
            image: Image::load(&image("properties", None).image).expect("an image"),
            boot_monitor: boot_monitor(),
            unix: workspace().join("target/unix/debug/properties"),
        }
    }
}

/// What a run is given.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// Whether the property's name is left out.
    pub(crate) nameless: bool,
    pub(crate) configuration: Vec<u8>,
    /// For each device, what comes in there.
    pub(crate) devices: Vec<Vec<Vec<u8>>>,
    /// A file to read, `given.txt`.
    pub(crate) file: Option<Vec<u8>>,
    /// Whether there is a file to write.
    pub(crate) writes: bool,
    /// Requests, one after the other: a handler, and the value if it is a write.
    pub(crate) requests: Vec<(&'static str, Option<&'static str>)>,
    /// A disk's bytes, `data`, and whether they cannot be written.
    pub(crate) disk: Option<(Vec<u8>, bool)>,
    /// Bytes for the program's TCP port 7, which is to say them again: over a network in user mode.
    pub(crate) sends: Option<Vec<u8>>,
    /// Moves the wall clock once the program says that it is ready.
    pub(crate) step: bool,
    /// Asks for the end once nothing moves.
    pub(crate) stop: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exited(i32),
    /// An exception of this vector, at a region if it was a page fault.
    Faulted(u8, Option<&'static str>),
    /// A signal, where a program is an ordinary one.
    Signal,
    Other(String),
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) end: End,
    pub(crate) console: Vec<u8>,
    /// For each device, what went out there.
    pub(crate) frames: Vec<Vec<Vec<u8>>>,
    pub(crate) written: Vec<u8>,
    /// Status and text of each answer.
    pub(crate) answers: Vec<(u32, Vec<u8>)>,
    /// What was on the disk in the end.
    pub(crate) disk: Vec<u8>,
    /// What the program said again.
    pub(crate) said_again: Vec<u8>,
    pub(crate) elapsed: Duration,
}

impl Run {
    pub(crate) fn new(script: &Script) -> Self {
        Self {
            end: End::Other("never ended".into()),
            console: Vec::new(),
            frames: vec![Vec::new(); script.devices.len()],
            written: Vec::new(),
            answers: Vec::new(),
            disk: Vec::new(),
            said_again: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.console).into_owned()
    }
}

pub(crate) fn run(target: Target, programs: &Programs, name: &str, script: &Script) -> Run {
    match target {
        Target::Unix => as_program(&programs.unix, name, script),
        Target::Vm => held(
            &VmMonitor::open().expect("it opened before"),
            programs,
            name,
            script,
        ),
        Target::Process => held(&ProcessMonitor::new(), programs, name, script),
        Target::Disk(kind) if script.step => machine::stopped_for_a_while(kind, programs, name),
        Target::Disk(kind) => {
            let monitor = DiskMonitor::new(programs.boot_monitor.clone(), kind, None);
            held(&monitor, programs, name, script)
        }
    }
}

fn parameters(name: &str, script: &Script) -> Vec<(String, String)> {
    let property = (!script.nameless).then(|| ("property".into(), name.into()));
    let given = script.parameters.iter();
    property
        .into_iter()
        .chain(given.map(|(name, value)| ((*name).into(), value.clone())))
        .collect()
}

/// The network device of that number.
fn network(number: usize) -> Grant {
    Grant {
        name: format!("eth{number}"),
        device: GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, u8::try_from(number + 1).expect("few")],
            frame_limit: 1514,
            features: 0,
        },
    }
}

fn held(monitor: &dyn Monitor, programs: &Programs, name: &str, script: &Script) -> Run {
    let begin = Instant::now();
    let folder = TempDir::new().expect("a folder");
    let mut devices: Vec<Grant> = (0..script.devices.len()).map(network).collect();
    if let Some(bytes) = &script.file {
        let path = folder.path().join("given");
        fs::write(&path, bytes).expect("written");
        devices.push(Grant {
            name: "given.txt".into(),
            device: GrantedDevice::InputFile(File::open(&path).expect("there")),
        });
    }
    if let Some((bytes, read_only)) = &script.disk {
        let path = folder.path().join("disk");
        fs::write(&path, bytes).expect("written");
        let file = File::options().read(true).write(!read_only).open(&path);
        devices.push(Grant {
            name: "data".into(),
            device: GrantedDevice::Block {
                file: Arc::new(file.expect("there")),
                blocks: bytes.len() as u64 / 512,
                read_only: *read_only,
            },
        });
    }
    if script.sends.is_some() {
        devices.push(network(0));
    }
    if script.writes {
        devices.push(Grant {
            name: "out.txt".into(),
            device: GrantedDevice::OutputFile,
        });
    }
    let options = Options {
        configuration: script.configuration.clone(),
        parameters: parameters(name, script),
        devices,
        ..Options::default()
    };
    let mut run = Run::new(script);
    match monitor.create(&programs.image, &options) {
        Ok(mut instance) => drive(&mut *instance, script, &mut run),
        Err(error) => run.end = End::Other(error.to_string()),
    }
    run.elapsed = begin.elapsed();
    run.disk = fs::read(folder.path().join("disk")).unwrap_or_default();
    run
}

/// Enters the instance until its end.
fn drive(instance: &mut dyn Instance, script: &Script, run: &mut Run) {
    let begin = Instant::now();
    let mut last_moved = Instant::now();
    let mut sent = vec![0; script.devices.len()];
    let mut asked = 0;
    let mut peer = script.sends.as_ref().map(|bytes| Peer::new(bytes.clone()));
    while begin.elapsed() < LIMIT {
        let came_in: usize = script.devices.iter().map(Vec::len).sum();
        let went_out: usize = run.frames.iter().map(Vec::len).sum();
        let long_enough = if went_out < came_in { GIVEN_UP } else { QUIET };
        let quiet =
            last_moved.elapsed() > long_enough && run.answers.len() == script.requests.len();
        let outcome = instance.enter(Duration::from_millis(100), script.stop && quiet);
        let mut moved = exchange(instance, script, run, &mut sent);
        if let Some(peer) = &mut peer {
            moved |= peer.exchange(instance.shared());
        }
        if script.step && run.console.ends_with(b"ready\n") {
            instance.shared().set_time(Some(an_hour_on()));
        }
        if asked < script.requests.len() && asked == run.answers.len() {
            let (handler, value) = script.requests[asked];
            let kind = match value {
                Some(_) => MessageKind::Write,
                None => MessageKind::Read,
            };
            let head = MessageHead {
                id: asked as u64 + 1,
                kind: kind as u16,
                ..MessageHead::default()
            };
            let value = value.unwrap_or("").as_bytes();
            let shared = instance.shared();
            if shared.send_request(head, handler.as_bytes(), value) == Ok(true) {
                asked += 1;
                moved = true;
            }
        }
        if moved {
            last_moved = Instant::now();
        }
        run.end = match outcome {
            Ok(Outcome::Yielded { .. } | Outcome::OutOfBudget) => {
                if !moved {
                    std::thread::sleep(Duration::from_micros(200));
                }
                continue;
            }
            Ok(Outcome::Exited { status }) => End::Exited(status),
            Ok(Outcome::Faulted(report)) => match report.cause {
                Cause::Exception { vector, .. } => End::Faulted(vector, report.region),
                cause => End::Other(cause.to_string()),
            },
            Err(error) => End::Other(error.to_string()),
        };
        break;
    }
    if let Some(peer) = peer {
        run.said_again = peer.finish();
    }
}

/// The host's time, but for a wall clock that was moved.
fn an_hour_on() -> StandingTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let wall = since.map_or(0, |since| since.as_nanos()) + 3_600_000_000_000;
    StandingTime {
        monotonic: monotonic_now(),
        wall: i64::try_from(wall).expect("before the year 2262"),
    }
}

/// Moves what can be moved; whether there was anything.
fn exchange(
    instance: &mut dyn Instance,
    script: &Script,
    run: &mut Run,
    sent: &mut [usize],
) -> bool {
    let shared = instance.shared();
    let mut moved = false;
    for (at, frames) in script.devices.iter().enumerate() {
        let rest = &frames[sent[at]..];
        let heads = rest
            .iter()
            .map(|frame| Frame::new(frame, FrameHead::default()));
        let delivered = shared.deliver(at, heads).map_or(0, |done| done.delivered);
        sent[at] += delivered as usize;
        let out = &mut run.frames[at];
        let drained = shared.drain(at, u32::MAX, |frame| {
            let mut bytes = Vec::new();
            frame.append_to(&mut bytes);
            out.push(bytes);
        });
        moved |= delivered > 0 || drained.is_ok_and(|count| count > 0);
    }
    let _ = shared.reclaim();
    moved |= shared.serve_blocks().is_ok_and(|served| served > 0);
    let mut part = [0; 4096];
    while let Ok(count @ 1..) = shared.read_console(&mut part) {
        run.console.extend_from_slice(&part[..count]);
        moved = true;
    }
    while script.writes
        && let Ok(count @ 1..) = shared.read_output(0, &mut part)
    {
        run.written.extend_from_slice(&part[..count]);
        moved = true;
    }
    let mut buffer = vec![0; shared.answer_limit()];
    while let Ok(Some(message)) = shared.receive_answer(&mut buffer) {
        run.answers
            .push((message.head.status, message.data.to_vec()));
        moved = true;
    }
    moved
}

fn as_program(program: &Path, name: &str, script: &Script) -> Run {
    let begin = Instant::now();
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let mut command = Command::new(program);
    command.current_dir(folder.path()).stdin(Stdio::null());
    for (name, value) in parameters(name, script) {
        command.arg(format!("--{name}={value}"));
    }
    if !script.configuration.is_empty() {
        fs::write(at("configuration"), &script.configuration).expect("written");
        command.args(["--config", "configuration"]);
    }
    if let Some(bytes) = &script.file {
        fs::write(at("given.txt"), bytes).expect("written");
        command.args(["--file", "given.txt"]);
    }
    if script.writes {
        command.args(["--write", "out.txt"]);
    }
    if let Some((bytes, _)) = &script.disk {
        fs::write(at("disk"), bytes).expect("written");
        command.args(["--block", "data=disk"]);
    }
    let speaker = script.sends.as_ref().map(|bytes| {
        let port = peer::free_port();
        command.args(["--port", "eth0=user", "--publish"]);
        command.arg(format!("127.0.0.1:{port}:7"));
        peer::speak(port, bytes.clone())
    });
    for (number, frames) in script.devices.iter().enumerate() {
        let (input, output) = (format!("in{number}.pcap"), format!("out{number}.pcap"));
        let file = BufWriter::new(File::create(at(&input)).expect("made"));
        let mut capture = PcapWriter::new(file).expect("a capture");
        for frame in frames {
            let length = u32::try_from(frame.len()).expect("short");
            let packet = PcapPacket::new(Duration::ZERO, length, frame);
            capture.write_packet(&packet).expect("written");
        }
        drop(capture);
        command.args(["--in", &format!("eth{number}={input}")]);
        command.args(["--out", &format!("eth{number}={output}")]);
    }
    let output = command.output().expect("it runs");
    let frames = (0..script.devices.len()).map(|number| {
        let Ok(file) = File::open(at(&format!("out{number}.pcap"))) else {
            return Vec::new();
        };
        let mut reader = PcapReader::new(BufReader::new(file)).expect("a capture");
        let mut frames = Vec::new();
        while let Some(packet) = reader.next_packet() {
            frames.push(packet.expect("a packet").data.into_owned());
        }
        frames
    });
    Run {
        end: output.status.code().map_or(End::Signal, End::Exited),
        console: output.stdout,
        frames: frames.collect(),
        written: fs::read(at("out.txt")).unwrap_or_default(),
        disk: fs::read(at("disk")).unwrap_or_default(),
        said_again: speaker.map_or(Vec::new(), |speaker| speaker.join().expect("no panic")),
        elapsed: begin.elapsed(),
        ..Run::new(script)
    }
}
