//! A lane: a process of one tenant that keeps its instances running on one thread.
//!
//! The thread turns the switch, and between turns acts on what has happened: an instance that ended
//! is replaced by one that was made ready before, and questions from the lane's socket are answered.
//! What takes time is done on another thread (`maker.rs`). Nothing of this needs the daemon.
//!
//! Before it begins the process gives up all that it does not need for this ([`confine`]): it opens
//! nothing itself any more. Ports, sockets and images come from the daemon (`given.rs`), and so does
//! a port in the place of one that vanished; who listens to what happens writes crash reports
//! (`teller.rs`).

mod asker;
mod bell;
mod capture;
mod carry;
mod given;
mod maker;
mod plan;
mod server;
mod status;
mod supervise;
mod teller;
mod unit;
mod wiring;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use sprat_abi::control::MessageKind;
use sprat_monitor::{Chosen, MonitorKind, SystemError, confine, monotonic_now};
use sprat_switch::port::PortError;
use sprat_switch::switch::{
    BridgeId, JoinId, LineId, PortId, Request as Ask, Switch, SwitchOptions,
};

use asker::{Asked, HandlerQuestion, HandlerReply, InstanceAsker};
use bell::Bell;
use carry::Carrying;
use given::Stock;
use maker::{Job, Maker};
use plan::Pending;
use server::Question;
use teller::Teller;
use unit::Unit;

use crate::Programs;
use crate::control::{Console, Server, bind};
use crate::desired::Desired;
use crate::folders::{FolderError, Folders};
use crate::protocol::{Answer, Confinement, Event, LogPiece, Request, State};

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
    /// It cannot give up what it must not keep.
    #[error("the lane cannot be confined: {0}")]
    Confinement(#[from] SystemError),
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
}

impl LanePort {
    /// That it failed, as it is told.
    fn failure(&self, name: &str, error: &str) -> Event {
        Event::PortFailed {
            port: name.into(),
            spec: self.spec.clone(),
            error: error.into(),
        }
    }
}

/// A join of a chain: the chain's beginning, and how many joins come before.
type Hop = (String, u16);

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
    /// This unit is to begin with it.
    Unit(String),
}

struct Lane {
    switch: Switch,
    maker: Maker,
    monitor: &'static str,
    confinement: Confinement,
    stock: Stock,
    /// Build ids of the images it was given, by path.
    images: BTreeMap<String, String>,
    teller: Teller,
    units: BTreeMap<String, Unit>,
    ports: BTreeMap<String, LanePort>,
    joins: BTreeMap<Hop, LaneJoin>,
    /// By the chain's beginning.
    lines: BTreeMap<String, LineId>,
    bridges: BTreeMap<String, LaneBridge>,
    /// For each rule of the switch, which of the flow rules it stands for.
    flows: Vec<usize>,
    desired: Desired,
    pending: Option<Pending>,
    making: HashMap<u64, Making>,
    asked: HashMap<u64, Asked>,
    carrying: HashMap<u64, Carrying>,
    questions: Sender<Question>,
    bell: Bell,
    tickets: u64,
    now: u64,
    ended: bool,
}

/// Runs the lane of this name until it is told to end.
///
/// # Errors
/// It cannot begin, or the system does not let it go on.
pub fn run(folders: &Folders, name: &str, programs: Programs) -> Result<(), LaneError> {
    // Whatever becomes of the terminal that the daemon was started at. Where the lane leads a group
    // of processes already, it was started by hand, and stays with its terminal.
    let _ = rustix::process::setsid();
    sprat_monitor::start_counting();
    folders.make()?;
    let path = folders.lane(name);
    let socket = |source| LaneError::Socket {
        path: path.clone(),
        source,
    };
    let listener = bind(&path).map_err(socket)?;
    let bell = Bell::new()?;
    let Chosen { monitor, .. } =
        sprat_monitor::open(None).map_err(|error| LaneError::Monitor(error.to_string()))?;
    let kind = monitor.kind();
    let confined = confine(kind, user(name))?;
    let maker = Maker::start(monitor, programs, bell.clone())?;
    let (questions, waiting) = channel();
    server::serve(listener, questions.clone(), bell.clone())?;
    let mut lane = Lane {
        switch: Switch::new(SwitchOptions::default()),
        maker,
        monitor: match kind {
            MonitorKind::Vm => "vm",
            MonitorKind::Process => "process",
            MonitorKind::Disk => "disk",
        },
        confinement: Confinement {
            user: confined.user,
            namespaces: confined.namespaces,
            landlock: confined.landlock,
        },
        stock: Stock::default(),
        images: BTreeMap::new(),
        teller: Teller::default(),
        units: BTreeMap::new(),
        ports: BTreeMap::new(),
        joins: BTreeMap::new(),
        lines: BTreeMap::new(),
        bridges: BTreeMap::new(),
        flows: Vec::new(),
        desired: Desired::default(),
        pending: None,
        making: HashMap::new(),
        asked: HashMap::new(),
        carrying: HashMap::new(),
        questions,
        bell: bell.clone(),
        tickets: 0,
        now: monotonic_now(),
        ended: false,
    };
    lane.go_on(&bell, &waiting)?;
    // Whoever is being answered still gets the answer.
    for unit in std::mem::take(&mut lane.units).into_values() {
        unit.console.end();
        drop(unit.server);
    }
    Ok(())
}

/// The user that the lane of this name becomes, where it may: a number of its own, from those that systems
/// leave unused (0x70000000 to 0x7fffffff).
fn user(name: &str) -> u32 {
    // FNV-1a, whose figures are fixed.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    0x7000_0000 | hash >> 4
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
            if moved || self.ended {
                continue;
            }
            if self
                .desired
                .functions
                .values()
                .any(|function| function.dedicated)
            {
                // A lane that is one function's alone looks again at once.
                std::hint::spin_loop();
            } else {
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

    /// Serves the control socket that was given for an instance. Without one it runs all the same.
    fn listen(&mut self, name: &str, console: &Console) -> Option<Server> {
        let listener = self.stock.sockets.remove(name)?;
        let asker = InstanceAsker {
            instance: name.into(),
            questions: self.questions.clone(),
            bell: self.bell.clone(),
            console: console.clone(),
        };
        Server::over(listener, asker).ok()
    }

    /// Tells this watcher what happens, and first what is not as it should be.
    fn watch(&mut self, watcher: std::sync::mpsc::SyncSender<Event>) {
        self.teller.watch(watcher);
        for (name, port) in &self.ports {
            if let Some(error) = &port.failed {
                self.teller.tell(port.failure(name, error));
            }
        }
    }

    fn answer(&mut self, question: Question) {
        let (request, descriptors, reply) = match question {
            Question::Lane {
                request,
                descriptors,
                reply,
            } => (request, descriptors, reply),
            Question::Handler(question) => return self.ask(question),
            Question::Metrics(question) => return self.answer_metrics(question),
            Question::Watch(watcher) => return self.watch(watcher),
        };
        let answer = match request {
            Request::Apply(desired) => return self.apply(*desired, reply),
            Request::Holds => Answer::Holds(self.holds()),
            Request::Take(given) => self.take(given, descriptors),
            // Their connections do that by themselves.
            Request::Watch | Request::Metrics { .. } => return,
            Request::Elements { instance } => self.elements(&instance),
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
                    Answer::Logs(LogPiece { next, text })
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
