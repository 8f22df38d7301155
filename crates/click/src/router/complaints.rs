//! Complaints of elements that call handlers, scripts above all: what stands above them, and where
//! they go.
//!
//! Calls lie in each other: a script writes a handler that is another script. What that one complains
//! of stands below what the first was doing, indented, and each heading is said once, when there is
//! something to say below it. Who called from outside may want to have the complaints for himself, or
//! not to hear of them.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::Router;

/// What complaints stand in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Circumstance {
    /// Something that nobody called: its heading stands on its own.
    Root(String),
    /// A call: its heading stands below that of the caller.
    Call(String),
    /// A call of somebody who takes the complaints.
    Collected,
    /// A call of somebody who has no ear for them.
    Unheard,
}

/// The circumstances of the present call, outermost first.
#[derive(Default)]
pub(super) struct Complaints {
    open: RefCell<Vec<Open>>,
    /// How many there were.
    count: Cell<u64>,
}

struct Open {
    circumstance: Circumstance,
    /// The heading has been said.
    said: bool,
    /// Lines for who takes them.
    lines: Vec<String>,
}

impl Router {
    /// Begins to do something; what is complained of until it ends stands below it.
    pub fn begin(&self, circumstance: Circumstance) {
        self.complaints.open.borrow_mut().push(Open {
            circumstance,
            said: false,
            lines: Vec::new(),
        });
    }

    /// Whether something has begun and not ended.
    pub fn has_begun(&self) -> bool {
        !self.complaints.open.borrow().is_empty()
    }

    /// Ends what was begun last, and gives the complaints where they were to be taken.
    pub fn end(&self) -> Vec<String> {
        let ended = self.complaints.open.borrow_mut().pop();
        ended.map(|ended| ended.lines).unwrap_or_default()
    }

    /// How many complaints there have been, heard or not. Warnings are none.
    pub fn complaints(&self) -> u64 {
        self.complaints.count.get()
    }

    /// Complains, below the headings that have not been said. An empty message says nothing.
    pub fn complain(&self, message: &str) {
        if message.is_empty() {
            return;
        }
        let count = &self.complaints.count;
        count.set(count.get() + 1);
        self.warn(message);
    }

    /// Says what is no mistake, below the headings that have not been said.
    pub fn warn(&self, message: &str) {
        let mut open = self.complaints.open.borrow_mut();
        let is_base = |open: &Open| !matches!(open.circumstance, Circumstance::Call(_));
        let base = open.iter().rposition(is_base);
        let mut lines = Vec::new();
        let mut indent = String::new();
        for open in &mut open[base.unwrap_or(0)..] {
            if let Circumstance::Root(heading) | Circumstance::Call(heading) = &open.circumstance {
                if !core::mem::replace(&mut open.said, true) {
                    lines.extend(heading.lines().map(|line| indent.clone() + line));
                }
                indent.push_str("  ");
            }
        }
        lines.extend(message.lines().map(|line| indent.clone() + line));
        let base = base.map(|base| &mut open[base]);
        match base {
            Some(base) if base.circumstance == Circumstance::Unheard => {}
            Some(base) if base.circumstance == Circumstance::Collected => base.lines.extend(lines),
            _ => {
                drop(open);
                let mut text = lines.join("\n");
                text.push('\n');
                self.say(text.as_bytes());
            }
        }
    }
}
