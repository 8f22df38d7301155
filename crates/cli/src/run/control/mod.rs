//! The control socket of a run: handlers of its instance, for whoever may connect.
//!
//! Each connection has a thread, which speaks Click's control protocol and puts questions to the
//! thread of the lane; that answers them between two entries (`desk.rs`). What the instance wrote to
//! its console is kept and given without asking it.

mod desk;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use sprat_host::control::{Console, Server};
use sprat_host::folders::make_private;
use sprat_switch::lane::{Lane, LaneError};

use desk::{Asker, Desk};

use super::RunCommand;
use super::error::RunError;
use super::live::Alarm;
use crate::control::address;
use crate::output::complain;

/// Questions that may wait for the lane.
const QUESTIONS: usize = 16;

/// How often a name is tried with another number behind it.
const NAMES: u32 = 1000;

/// How a run is controlled from outside, if it is.
#[derive(Default)]
pub(super) struct Control {
    open: Option<(Desk, Server)>,
}

impl Control {
    /// Listens where the arguments say; where they say nothing, under a name after the program if
    /// the run is `live` and goes on until somebody ends it.
    pub(super) fn open(
        arguments: &RunCommand,
        live: bool,
        alarm: &Alarm,
    ) -> Result<Self, RunError> {
        let explicit = match (&arguments.control, &arguments.name) {
            (Some(path), _) => path.clone(),
            (None, Some(name)) => {
                let folder = address::folder();
                prepare(&folder)?;
                address::socket(&folder, name)
            }
            (None, None) if live => return Ok(Self::open_unasked(arguments, alarm)),
            (None, None) => return Ok(Self::default()),
        };
        let control = Self::listen(&explicit, alarm).map_err(|source| RunError::Control {
            path: explicit.clone(),
            source,
        })?;
        if live && !arguments.quiet {
            match &arguments.name {
                Some(name) => say_name(name),
                None => complain!("control socket: {}", explicit.display()),
            }
        }
        Ok(control)
    }

    /// Listens under a name that nobody gave. What prevents that does not prevent the run.
    fn open_unasked(arguments: &RunCommand, alarm: &Alarm) -> Self {
        let folder = address::folder();
        let first = address::after(&arguments.program);
        let numbered = (2..NAMES).map(|number| format!("{first}-{number}"));
        let opened = prepare(&folder).and_then(|()| {
            for name in std::iter::once(first.clone()).chain(numbered) {
                let path = address::socket(&folder, &name);
                match Self::listen(&path, alarm) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    Err(source) => return Err(RunError::Control { path, source }),
                    Ok(control) => return Ok((control, name)),
                }
            }
            Err(RunError::Control {
                path: folder.clone(),
                source: io::ErrorKind::AddrInUse.into(),
            })
        });
        match opened {
            Ok((control, name)) => {
                if !arguments.quiet {
                    say_name(&name);
                }
                control
            }
            Err(error) => {
                complain!("warning: handlers cannot be reached from outside: {error}");
                Self::default()
            }
        }
    }

    fn listen(path: &Path, alarm: &Alarm) -> io::Result<Self> {
        let (ask, questions) = mpsc::sync_channel(QUESTIONS);
        let rung = Arc::<AtomicBool>::default();
        let console = Console::default();
        let asker = Asker {
            questions: ask,
            rung: rung.clone(),
            bell: Arc::new(alarm.bell()?),
            console: console.clone(),
        };
        let server = Server::open(path, asker)?;
        let desk = Desk {
            questions,
            rung,
            alarm: alarm.ear()?,
            console,
        };
        Ok(Self {
            open: Some((desk, server)),
        })
    }

    /// Keeps what the instance wrote to its console.
    pub(super) fn say(&self, text: &[u8]) {
        if let Some((desk, _)) = &self.open {
            desk.console.write(text);
        }
    }

    /// Answers what was asked meanwhile.
    ///
    /// # Errors
    /// The instance died of it.
    pub(super) fn answer(&self, lane: &mut Lane) -> Result<(), LaneError> {
        match &self.open {
            Some((desk, _)) => desk.answer(lane),
            None => Ok(()),
        }
    }
}

/// Says what a run that goes on until somebody ends it is called.
fn say_name(name: &str) {
    complain!("name: {name} (sprat logs {name}, sprat metrics {name})");
}

fn prepare(folder: &Path) -> Result<(), RunError> {
    make_private(folder).map_err(|source| RunError::Control {
        path: folder.to_owned(),
        source,
    })
}
