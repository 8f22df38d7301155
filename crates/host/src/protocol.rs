//! What a lane and those who ask it say to each other: one JSON value a line, over a Unix socket.
//!
//! A lane opens nothing itself. What it needs for something is given to it before, as descriptors
//! that travel with [`Request::Take`].

mod interface;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::descriptors::{Lines, send};
use crate::desired::{Desired, Part, PartWritten};
use crate::flows::FlowRule;

pub use interface::{Interface, InterfaceKind};

/// Longest line, in bytes.
pub(crate) const LINE_LIMIT: usize = 64 << 20;

/// What a lane is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// What it has been given.
    Holds,
    /// To take something that it cannot open itself.
    Take(Given),
    /// To do this from now on; the smallest change is made.
    Apply(Box<Desired>),
    /// To tell what happens, line by line, from now on: an [`Event`] each. Whoever asked before is
    /// told nothing more.
    Watch,
    /// What it does.
    Status,
    /// To read a handler of an instance.
    Read {
        /// The instance.
        instance: String,
        /// The handler.
        handler: String,
        /// What the handler is given.
        parameters: String,
    },
    /// To write one.
    Write {
        /// The instance.
        instance: String,
        /// The handler.
        handler: String,
        /// What is written.
        value: String,
    },
    /// What an instance wrote to its console from a byte on.
    Logs {
        /// The instance.
        instance: String,
        /// The first byte, counted from the first that was ever written.
        from: u64,
    },
    /// What the elements of an instance have counted.
    Elements {
        /// The instance.
        instance: String,
    },
    /// What an instance counts, and the host for it, as Prometheus text.
    Metrics {
        /// The instance.
        instance: String,
    },
    /// To end an instance at once; it is replaced as after any other end.
    Kill {
        /// The instance.
        instance: String,
    },
    /// To end, with all instances.
    End,
}

/// What a lane is given, with the descriptors that belong to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// A port that leads outside: its descriptors.
    Port {
        /// Its name.
        name: String,
        /// What it was declared as.
        spec: String,
        /// What is behind it.
        interface: Interface,
    },
    /// The control socket of an instance that is to come: one that is listened on.
    Socket {
        /// The instance.
        instance: String,
    },
    /// Somebody who reads the frames of a port, as a capture: a socket.
    Reader {
        /// The port, or INSTANCE.DEVICE.
        port: String,
        /// How many frames; without it, as long as it is read.
        count: Option<u64>,
    },
    /// An image: its file, and perhaps that of its symbols.
    Image {
        /// Where it was found.
        path: String,
        /// Its build id.
        build: String,
    },
}

/// What a lane has been given and still has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Holdings {
    /// Ports, and what they were declared as.
    pub ports: BTreeMap<String, String>,
    /// Instances with control sockets.
    pub sockets: BTreeSet<String>,
    /// Build ids of images, by their paths.
    pub images: BTreeMap<String, String>,
}

/// Something that happened in a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// An instance is in another state.
    Instance {
        /// Which one.
        instance: String,
        /// The function it is an instance of.
        function: String,
        /// The state.
        state: State,
        /// How often it was replaced.
        restarts: u64,
    },
    /// An instance did not end well.
    Died {
        /// Which one.
        instance: String,
        /// When, in milliseconds since 1970. (That it was told has an `at` of its own.)
        #[serde(rename = "ended_at", alias = "at")]
        at: u64,
        /// How.
        how: String,
        /// The report: how, with a backtrace, and the end of the console. Who listens to the daemon
        /// is told the file that it is in.
        report: String,
    },
    /// A port failed.
    PortFailed {
        /// Its name.
        port: String,
        /// What it was declared as.
        spec: String,
        /// Why.
        error: String,
    },
    /// A port that had failed is there again.
    PortBack {
        /// Its name.
        port: String,
    },
    /// A lane runs from now on.
    LaneStarted,
    /// A lane has ended.
    LaneEnded {
        /// Whether the kernel ended it because its tenant was over its limit.
        #[serde(default)]
        out_of_memory: bool,
    },
    /// Something else is declared.
    Declared {
        /// What has changed.
        changes: Vec<String>,
    },
}

/// An event, when it was, and in whose lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Happening {
    /// In milliseconds since 1970.
    pub at: u64,
    /// The lane, where it is about one: `TENANT`, or `TENANT.LANE` where the tenant has several.
    pub tenant: Option<String>,
    /// The event.
    #[serde(flatten)]
    pub what: Event,
}

/// What all lanes do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Lanes {
    /// Each of them.
    pub lanes: Vec<TenantLane>,
}

/// What a lane does, or why it does not say.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TenantLane {
    /// The lane: `TENANT`, or `TENANT.LANE` where the tenant has several.
    pub tenant: String,
    /// What its lane does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Why it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What has changed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    /// In words, one each.
    pub changes: Vec<String>,
}

/// What a handler said.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Text {
    /// The text.
    pub text: String,
}

/// What an instance wrote.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogPiece {
    /// What comes next begins here.
    pub next: u64,
    /// The text.
    pub text: String,
}

/// What an element of a router has counted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ElementStatus {
    /// Its name.
    pub name: String,
    /// Packets that came in.
    pub received: u64,
    /// Packets that went out.
    pub sent: u64,
    /// Times its task ran.
    pub runs: u64,
    /// Nanoseconds it took without those it pulled from, an estimate: one run of its tasks and timers in
    /// 61 is measured.
    #[serde(default)]
    pub time: u64,
}

/// What a lane answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// What the lane has been given.
    Holds(Holdings),
    /// What the lane does.
    Status(Box<Status>),
    /// What a handler said.
    Text(String),
    /// What an instance wrote.
    Logs(LogPiece),
    /// What elements have counted.
    Elements(Vec<ElementStatus>),
    /// It could not be done.
    Refused(String),
}

/// What a lane does.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// What holds its instances.
    pub monitor: String,
    /// What holds the process itself.
    pub confinement: Confinement,
    /// Its instances.
    pub instances: Vec<InstanceStatus>,
    /// Its ports, and the devices of its instances.
    pub ports: Vec<PortStatus>,
    /// Its flow rules, in their order.
    pub flows: Vec<FlowStatus>,
}

/// A flow rule, and what it has done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FlowStatus {
    /// The rule.
    pub rule: FlowRule,
    /// Frames that it fitted.
    pub frames: u64,
    /// Of those, how many were over its limit.
    pub over_limit: u64,
}

/// Shares of conversations.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Shares {
    /// By function: what it gets from now on. One that gets nothing leaves its place.
    #[schema(value_type = BTreeMap<String, PartWritten>)]
    pub shares: BTreeMap<String, Part>,
}

/// What holds a lane's process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Confinement {
    /// The user it has become, where the daemon is root.
    pub user: Option<u32>,
    /// Whether it has namespaces of its own.
    pub namespaces: bool,
    /// Whether Landlock holds it too.
    pub landlock: bool,
}

/// An instance, or the place of one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InstanceStatus {
    /// Its name.
    pub name: String,
    /// The function it is an instance of.
    pub function: String,
    /// Whether it runs, and why not.
    pub state: State,
    /// For how long it has been so, in milliseconds.
    pub milliseconds: u64,
    /// How often it was replaced.
    pub restarts: u64,
    /// Frames it received.
    pub received: u64,
    /// Frames it sent.
    pub sent: u64,
    /// Frames for it and from it that were dropped.
    pub dropped: u64,
    /// Times it was entered.
    pub entries: u64,
    /// Time spent in it, in microseconds.
    pub inside: u64,
    /// How the last one ended that did not end well.
    pub last_end: Option<String>,
}

/// How an instance ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Crash {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The file that says so.
    pub file: String,
    /// What it says.
    pub report: String,
}

/// Whether an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It runs.
    Running,
    /// It is being made.
    Starting,
    /// It begins when a frame comes.
    Waiting,
    /// It ended, and is replaced in a while.
    BackingOff,
    /// It ended and is not replaced.
    Ended,
    /// Somebody stopped it.
    Stopped,
}

impl State {
    /// As people read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::BackingOff => "backing off",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
        }
    }
}

/// What passed a port.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PortStatus {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub failed: Option<String>,
    /// Frames and bytes that entered the switch here.
    pub received: (u64, u64),
    /// Frames and bytes that left it here.
    pub sent: (u64, u64),
    /// Frames that were dropped, by cause.
    pub dropped: Vec<(String, u64)>,
    /// Frames that captures of the port had no room for.
    pub uncaptured: u64,
}

/// Asks a lane one thing.
///
/// # Errors
/// Nobody listens, or the answer is none.
pub fn ask(socket: &Path, request: &Request, patience: Duration) -> io::Result<Answer> {
    ask_with(socket, request, &[], patience)
}

/// The same, with descriptors.
///
/// # Errors
/// As for [`ask`].
pub fn ask_with(
    socket: &Path,
    request: &Request,
    descriptors: &[BorrowedFd<'_>],
    patience: Duration,
) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    send(&stream, &line(request)?, descriptors)?;
    match Lines::new(&stream, LINE_LIMIT, false).next()? {
        Some((answer, _)) => Ok(serde_json::from_slice(&answer)?),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What is said, as a line.
pub(crate) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
