//! What a lane and those who ask it say to each other: one JSON value a line, over a Unix socket.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::desired::Desired;

/// Longest line, in bytes.
pub(crate) const LINE_LIMIT: u64 = 64 << 20;

/// What a lane is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// To do this from now on; the smallest change is made.
    Apply(Box<Desired>),
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
    /// To end an instance at once; it is replaced as after any other end.
    Kill {
        /// The instance.
        instance: String,
    },
    /// To end, with all instances.
    End,
}

/// What a lane answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// What the lane does.
    Status(Box<Status>),
    /// What a handler said.
    Text(String),
    /// What an instance wrote.
    Logs {
        /// What comes next begins here.
        next: u64,
        /// The text.
        text: String,
    },
    /// It could not be done.
    Refused(String),
}

/// What a lane does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// What holds its instances.
    pub monitor: String,
    /// Its instances.
    pub instances: Vec<InstanceStatus>,
    /// Its ports, and the devices of its instances.
    pub ports: Vec<PortStatus>,
}

/// An instance, or the place of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// How the last one ended that did not end well.
    pub last_end: Option<String>,
}

/// Whether an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
}

/// Asks a lane one thing.
///
/// # Errors
/// Nobody listens, or the answer is none.
pub fn ask(socket: &Path, request: &Request, patience: Duration) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    let mut reader = BufReader::new(io::Read::take(stream, LINE_LIMIT));
    if reader.read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}
