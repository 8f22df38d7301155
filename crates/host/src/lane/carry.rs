//! Carrying what an instance holds over to the one that takes its place.
//!
//! Frames for the place wait from when the old instance is asked until the new one has taken in what
//! it said: no conversation begins or goes on in between that would be forgotten. Whoever has nothing
//! to hand over, or does not answer, is replaced by one that begins afresh.

use sprat_abi::control::{MessageKind, ROUTER_STATE, status};
use sprat_switch::switch::{Request as Ask, RequestError};

use super::maker::Job;
use super::{Lane, State};

/// How long an instance may take to hand over what it holds, or to take it in, in nanoseconds.
const PATIENCE: u64 = 2_000_000_000;

/// What is to be done with what a unit's instance says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carrying {
    /// It was asked what it holds: a change waits for that.
    OutForChange(String),
    /// The same; then it is put away.
    OutToRest(String),
    /// It was given what the one before it held.
    In(String),
}

impl Lane {
    /// Asks a unit's instance what it holds; frames for it wait.
    pub(super) fn carry_out(&mut self, carrying: Carrying) {
        let (Carrying::OutForChange(name) | Carrying::OutToRest(name) | Carrying::In(name)) =
            &carrying;
        if let Some(unit) = self.units.get(name) {
            self.switch.pause(unit.place, true);
            self.ask_for(unit.place, MessageKind::Export, Vec::new(), carrying);
        }
    }

    /// Gives the instance that is now in a unit's place what the one before it held.
    pub(super) fn carry_in(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let place = unit.place;
        match unit.saved.take() {
            Some(state) => {
                self.switch.pause(place, true);
                self.ask_for(place, MessageKind::Import, state, Carrying::In(name.into()));
            }
            None => self.switch.pause(place, false),
        }
    }

    fn ask_for(
        &mut self,
        place: sprat_switch::switch::InstanceId,
        kind: MessageKind,
        data: Vec<u8>,
        carrying: Carrying,
    ) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.carrying.insert(ticket, carrying);
        let request = Ask {
            ticket,
            kind,
            name: String::from_utf8_lossy(ROUTER_STATE).into_owned(),
            data,
            until: self.now.saturating_add(PATIENCE),
        };
        self.switch.request(place, request);
    }

    /// Goes on with what an instance said.
    pub(super) fn carried(&mut self, carrying: Carrying, result: Result<Vec<u8>, RequestError>) {
        let (Carrying::OutForChange(name) | Carrying::OutToRest(name) | Carrying::In(name)) =
            &carrying;
        let state = match result {
            Ok(state) => Some(state),
            Err(error) => {
                self.note_loss(name, &error);
                None
            }
        };
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        let place = unit.place;
        match carrying {
            Carrying::OutForChange(_) => {
                unit.saved = state;
                self.one_is_there();
            }
            Carrying::OutToRest(name) => {
                // It may have ended, or been stopped, or a frame may have come for it meanwhile.
                if unit.state == State::Running && !self.switch.has_kept(place) {
                    unit.saved = state;
                    self.put_away(&name);
                } else if unit.state == State::Running {
                    unit.due = Some(self.now.saturating_add(unit.idle));
                }
                self.switch.pause(place, false);
            }
            Carrying::In(_) => self.switch.pause(place, false),
        }
    }

    /// Says on its console that something is lost; not of programs that have nothing to hand over.
    fn note_loss(&mut self, name: &str, error: &RequestError) {
        let nothing = matches!(error, RequestError::Refused(refusal)
            if refusal.status == status::UNIMPLEMENTED);
        if let Some(unit) = self.units.get_mut(name).filter(|_| !nothing) {
            let text = format!("what it held is not carried over: {error}\n");
            unit.console.write(text.as_bytes());
        }
    }

    /// Takes a unit's instance away until a frame comes for it.
    pub(super) fn put_away(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        unit.enter(State::Waiting, self.now);
        self.switch.keep_frames(unit.place, true);
        if let Some(remains) = self.switch.take(unit.place) {
            self.maker.give(Job::Bury(remains));
        }
    }
}
