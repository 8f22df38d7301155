//! What elements say is wrong while they are initialized or run.

use alloc::format;
use alloc::string::String;

use super::Router;
use crate::configure::ElementId;
use crate::diagnostics::{Diagnostic, Diagnostics};

impl Router {
    pub(crate) fn report(&self, id: ElementId, message: String) {
        self.add(id, Diagnostic::error(message));
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

    /// Takes what has been reported so far.
    pub fn take_diagnostics(&self) -> Diagnostics {
        core::mem::take(&mut self.diagnostics.borrow_mut())
    }
}
