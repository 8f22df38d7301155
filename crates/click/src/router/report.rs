//! What elements say is wrong while they are initialized or run.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;

use super::Router;
use crate::configure::ElementId;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::environment::Console;

/// The timer of an element that listens, which expires when something was said.
pub(crate) const HEARD: usize = 3;

impl Router {
    pub(crate) fn report(&self, id: ElementId, message: String) {
        self.add(id, Diagnostic::error(message));
    }

    /// Reports what is wrong with a file that an element reads.
    pub(crate) fn report_in_file(&self, id: ElementId, place: String, mut diagnostic: Diagnostic) {
        diagnostic.file_place = Some(place);
        self.add(id, diagnostic);
    }

    pub(crate) fn report_warning(&self, id: ElementId, message: String) {
        self.add(id, Diagnostic::warning(message));
    }

    fn add(&self, id: ElementId, diagnostic: Diagnostic) {
        let context = format!(
            "While initializing '{} :: {}':",
            self.name(id),
            self.class(id).name
        );
        self.diagnostics
            .borrow_mut()
            .push(diagnostic.at(self.landmark(id)).within(context));
    }

    /// Warns of what an element could not take over from the one whose place it takes.
    pub(crate) fn warn_of_swap(&self, id: ElementId, message: &str) {
        let text = format!(
            "{}: While hot-swapping state into '{} :: {}':\n  warning: {message}\n",
            self.landmark(id),
            self.name(id),
            self.class(id).name
        );
        self.say(text.as_bytes());
    }

    /// Writes text for a person to read, and for the elements that listen.
    pub(crate) fn say(&self, text: &[u8]) {
        self.environment.console(Console::Error, text);
        for (id, heard) in &*self.listeners.borrow() {
            heard.borrow_mut().push_str(&String::from_utf8_lossy(text));
            self.set_timer(*id, HEARD, self.environment.instant());
        }
    }

    /// Has an element hear everything that is said from now on.
    pub(crate) fn listen(&self, id: ElementId, heard: Rc<RefCell<String>>) {
        self.listeners.borrow_mut().push((id, heard));
    }

    /// Takes what has been reported so far.
    pub fn take_diagnostics(&self) -> Diagnostics {
        core::mem::take(&mut self.diagnostics.borrow_mut())
    }
}
