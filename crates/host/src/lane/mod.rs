//! A lane: a process of one tenant that keeps its instances running on one thread.
//!
//! The thread turns the switch, and between turns acts on what has happened: an instance that ended
//! is replaced by one that was made ready before, a port that vanished is opened again when it is
//! back, and questions from the lane's socket are answered. What takes time is done on another
//! thread (`maker.rs`). Nothing of this needs the daemon.

mod asker;
mod bell;
mod maker;
mod plan;
mod server;
mod supervise;
mod unit;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use sprat_abi::control::MessageKind;
use sprat_monitor::monotonic_now;
use sprat_switch::port::PortError;
use sprat_switch::switch::{BridgeId, JoinId, PortId, Request as Ask, Switch, SwitchOptions};

use asker::{Asked, HandlerQuestion, HandlerReply, InstanceAsker};
use bell::Bell;
use maker::{Job, Maker};
use plan::Pending;
use server::Question;
use unit::Unit;

use crate::Programs;
use crate::control::{Console, Server, bind};
use crate::desired::Desired;
use crate::folders::{FolderError, Folders};
use crate::protocol::{Answer, InstanceStatus, PortStatus, Request, State, Status};

/// How long an instance may take to answer a request, in nanoseconds.
const PATIENCE: u64 = 5_000_000_000;

/// Why a lane cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its socket cannot be had.
    #[error("the lane's socket {}: {source}", path.display())]
    Socket {
        /// Where it was to be.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing can hold instances.
    #[error("no instances can be made: {0}")]
    Monitor(String),
    /// The system refuses something else.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The lane cannot sleep.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A port that leads outside.
struct LanePort {
    id: PortId,
    /// What it is, as it was declared.
    spec: String,
    failed: Option<String>,
    /// When it is opened again, where it has failed.
    due: u64,
}

/// A join, and which ports are its members.
struct LaneJoin {
    id: JoinId,
    members: Vec<PortId>,
}

/// A bridge, and what its members are in.
struct LaneBridge {
    id: BridgeId,
    members: Vec<(PortId, sprat_switch::switch::Membership)>,
}

/// What somebody waits for that an instance is making.
enum Making {
    /// A change needs it.
    Change(String),
    /// It is to be ready for this unit, or to take its place at once.
    Spare(String),
}

struct Lane {
    switch: Switch,
    maker: Maker,
    units: BTreeMap<String, Unit>,
    ports: BTreeMap<String, LanePort>,
    joins: BTreeMap<String, LaneJoin>,
    bridges: BTreeMap<String, LaneBridge>,
    desired: Desired,
    pending: Option<Pending>,
    making: HashMap<u64, Making>,
    asked: HashMap<u64, Asked>,
    questions: Sender<Question>,
    bell: Bell,
    folders: Folders,
    tickets: u64,
    now: u64,
    ended: bool,
}

/// Runs a tenant's lane until it is told to end.
///
/// # Errors
/// It cannot begin, or the system does not let it go on.
pub fn run(folders: &Folders, tenant: &str, programs: Programs) -> Result<(), LaneError> {
    // Whatever becomes of the terminal that the daemon was started at. Where the lane leads a group
    // of processes already, it was started by hand, and stays with its terminal.
    let _ = rustix::process::setsid();
    sprat_monitor::start_counting();
    folders.make()?;
    let path = folders.lane(tenant);
    let socket = |source| LaneError::Socket {
        path: path.clone(),
        source,
    };
    let listener = bind(&path).map_err(socket)?;
    let bell = Bell::new()?;
    let maker =
        Maker::start(programs, folders.crashes(), bell.clone()).map_err(LaneError::Monitor)?;
    let (questions, waiting) = channel();
    server::serve(listener, questions.clone(), bell.clone())?;
    let mut lane = Lane {
        switch: Switch::new(SwitchOptions::default()),
        maker,
        units: BTreeMap::new(),
        ports: BTreeMap::new(),
        joins: BTreeMap::new(),
        bridges: BTreeMap::new(),
        desired: Desired::default(),
        pending: None,
        making: HashMap::new(),
        asked: HashMap::new(),
        questions,
        bell: bell.clone(),
        folders: folders.clone(),
        tickets: 0,
        now: monotonic_now(),
        ended: false,
    };
    lane.go_on(&bell, &waiting)?;
    // So that their files go.
    for unit in std::mem::take(&mut lane.units).into_values() {
        unit.console.end();
        drop(unit.server);
    }
    // Whoever asks from now on is not kept waiting.
    let _ = std::fs::remove_file(&path);
    Ok(())
}

/// A question about a handler from the lane's own socket.
fn handler(
    instance: String,
    kind: MessageKind,
    handler: String,
    data: String,
    reply: Sender<Answer>,
) -> HandlerQuestion {
    HandlerQuestion {
        instance,
        kind,
        handler,
        data,
        reply: HandlerReply::Lane(reply),
    }
}

impl Lane {
    fn go_on(&mut self, bell: &Bell, questions: &Receiver<Question>) -> Result<(), LaneError> {
        while !self.ended {
            let moved = self.switch.turn();
            self.now = monotonic_now();
            for event in self.switch.take_events() {
                self.act_on(event);
            }
            while let Some(made) = self.maker.take() {
                self.place_made(made);
            }
            self.see_what_is_due();
            while let Ok(question) = questions.try_recv() {
                self.answer(question);
            }
            if !moved && !self.ended {
                self.switch.rest(self.next_due(), &[bell.descriptor()])?;
                bell.silence();
            }
        }
        Ok(())
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// A control socket for an instance. Without one it runs all the same.
    fn listen(&self, name: &str, console: &Console) -> Option<Server> {
        let asker = InstanceAsker {
            instance: name.into(),
            questions: self.questions.clone(),
            bell: self.bell.clone(),
            console: console.clone(),
        };
        let path = self.folders.run.join(format!("{name}.sock"));
        Server::open(&path, asker)
            .map_err(|error| {
                let text = format!("{}: {error}\n", path.display());
                console.write(text.as_bytes());
            })
            .ok()
    }

    fn answer(&mut self, question: Question) {
        let (request, reply) = match question {
            Question::Lane { request, reply } => (request, reply),
            Question::Handler(question) => return self.ask(question),
        };
        let answer = match request {
            Request::Apply(desired) => return self.apply(*desired, reply),
            Request::Status => Answer::Status(Box::new(self.status())),
            Request::Read {
                instance,
                handler,
                parameters,
            } => {
                let kind = MessageKind::Read;
                return self.ask(self::handler(instance, kind, handler, parameters, reply));
            }
            Request::Write {
                instance,
                handler,
                value,
            } => {
                let kind = MessageKind::Write;
                return self.ask(self::handler(instance, kind, handler, value, reply));
            }
            Request::Logs { instance, from } => match self.units.get(&instance) {
                Some(unit) => {
                    let (next, text) = unit.console.read(from, false).unwrap_or_default();
                    let text = String::from_utf8_lossy(&text).into_owned();
                    Answer::Logs { next, text }
                }
                None => self.no_such(&instance),
            },
            Request::Kill { instance } => self.kill(&instance),
            Request::End => {
                self.ended = true;
                Answer::Done
            }
        };
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    fn no_such(&self, instance: &str) -> Answer {
        let known: Vec<&str> = self.units.keys().map(String::as_str).collect();
        Answer::Refused(format!(
            "no instance {instance}; there are {}",
            known.join(", ")
        ))
    }

    fn ask(&mut self, question: HandlerQuestion) {
        let HandlerQuestion {
            instance,
            kind,
            handler,
            data,
            reply,
        } = question;
        let Some(unit) = self.units.get(&instance) else {
            if let HandlerReply::Lane(reply) = reply {
                let _ = reply.send(self.no_such(&instance));
            }
            return;
        };
        let place = unit.place;
        let ticket = self.ticket();
        let asked = Asked {
            handler: handler.clone(),
            writes: kind == MessageKind::Write,
            reply,
        };
        self.asked.insert(ticket, asked);
        let request = Ask {
            ticket,
            kind,
            name: handler,
            data: data.into_bytes(),
            until: self.now.saturating_add(PATIENCE),
        };
        self.switch.request(place, request);
    }

    fn status(&self) -> Status {
        let instances = self.units.values().map(|unit| {
            let (mut received, mut sent, mut dropped) = (0, 0, 0);
            for port in self.switch.devices(unit.place) {
                let counters = self.switch.port_counters(port);
                received += counters.sent.frames;
                sent += counters.received.frames;
                dropped += counters.total_dropped();
            }
            InstanceStatus {
                name: unit.name.clone(),
                function: unit.function.clone(),
                state: unit.state,
                milliseconds: self.now.saturating_sub(unit.since) / 1_000_000,
                restarts: unit.restarts,
                received,
                sent,
                dropped,
                entries: self.switch.instance_counters(unit.place).entries,
                last_end: unit.last_end.clone(),
            }
        });
        let outside = self.ports.iter();
        let outside = outside.map(|(name, port)| (name.clone(), port.id, port.failed.clone()));
        let devices = self.units.values().flat_map(|unit| {
            let ports = self.switch.devices(unit.place);
            ports.map(|port| (self.switch.port_name(port).to_string(), port, None))
        });
        let ports = outside.chain(devices).map(|(name, port, failed)| {
            let counters = self.switch.port_counters(port);
            let dropped = counters.dropped.iter();
            PortStatus {
                name,
                failed,
                received: (counters.received.frames, counters.received.bytes),
                sent: (counters.sent.frames, counters.sent.bytes),
                dropped: dropped
                    .map(|(cause, frames)| (cause.to_string(), *frames))
                    .collect(),
            }
        });
        Status {
            pid: std::process::id(),
            monitor: self.maker.monitor.clone(),
            instances: instances.collect(),
            ports: ports.collect(),
        }
    }

    /// Ends an instance at once.
    fn kill(&mut self, instance: &str) -> Answer {
        let Some(unit) = self.units.get(instance) else {
            return self.no_such(instance);
        };
        if unit.state != State::Running {
            return Answer::Refused(format!("{instance} is not running"));
        }
        let place = unit.place;
        if let Some(remains) = self.switch.take(place) {
            self.maker.give(Job::Bury(remains));
            self.instance_ended(place, sprat_monitor::Death::Killed);
        }
        Answer::Done
    }
}
