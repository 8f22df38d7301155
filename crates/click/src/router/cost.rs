//! How much time elements take.
//!
//! Of the runs of tasks and timers one of so many is measured, with all that it pushes and pulls, and
//! counts for all of them: reading the clock for every batch would cost more than many elements do.

use core::cell::Cell;

use super::Router;
use crate::configure::ElementId;

/// One run of so many is measured. A prime, so that what comes back at regular intervals is seen too.
const INTERVAL: u32 = 61;

#[derive(Default)]
pub(super) struct Sampling {
    runs: Cell<u32>,
    measures: Cell<bool>,
    /// Nanoseconds that were measured, of all elements.
    measured: Cell<u64>,
}

/// The time so far, without what was measured; zero where nothing is.
pub(super) type Begin = u64;

impl Router {
    /// Nanoseconds that an element has taken so far, without those it pulled from, by an estimate.
    pub fn time(&self, id: ElementId) -> u64 {
        self.node(id).time.get()
    }

    /// A task or a timer is about to run: decides whether that is measured.
    #[inline(never)]
    pub(super) fn begin_run(&self) -> Begin {
        let sampling = &self.sampling;
        let runs = sampling.runs.get() + 1;
        sampling.measures.set(runs == INTERVAL);
        sampling.runs.set(if runs == INTERVAL { 0 } else { runs });
        self.begin_measure()
    }

    /// An element is about to run.
    #[inline]
    pub(super) fn begin_measure(&self) -> Begin {
        match self.sampling.measures.get() {
            true => self.unmeasured(),
            false => 0,
        }
    }

    /// Of what elements take that are called by another it is measured first, and so is none of this.
    #[cold]
    #[inline(never)]
    fn unmeasured(&self) -> u64 {
        let measured = self.sampling.measured.get();
        self.environment.instant().0.wrapping_sub(measured)
    }

    /// The element has run.
    #[inline]
    pub(super) fn end_measure(&self, id: ElementId, begin: Begin) {
        if begin != 0 {
            self.add_time(id, begin);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_time(&self, id: ElementId, begin: Begin) {
        let own = self.unmeasured().saturating_sub(begin);
        let (measured, time) = (&self.sampling.measured, &self.node(id).time);
        measured.set(measured.get() + own);
        time.set(time.get() + own * u64::from(INTERVAL));
    }
}
