//! Carrying packets from where they were put out to where they go.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;

use sprat_packet::Batch;

use super::{Output, Router, Traffic};
use crate::configure::ElementId;

/// Packets on their way to an input.
struct Pending {
    target: ElementId,
    port: u16,
    batch: Batch,
}

/// Packets put out and not yet delivered, and empty batches to be used again.
#[derive(Default)]
pub(super) struct Delivery {
    /// The next to be delivered is the last.
    pending: RefCell<Vec<Pending>>,
    spare: RefCell<Vec<Batch>>,
}

impl Delivery {
    /// Takes what an element has put out; called when it returns.
    #[inline]
    pub(super) fn collect(
        &self,
        traffic: &Traffic,
        outputs: &mut [Output],
        touched: &mut Vec<u16>,
    ) {
        if touched.is_empty() {
            return;
        }
        let mut pending = self.pending.borrow_mut();
        for port in touched.drain(..) {
            let output = &mut outputs[usize::from(port)];
            if let Some((target, port)) = output.target {
                let batch = mem::replace(&mut output.batch, self.spare_batch());
                traffic.give(batch.len());
                pending.push(Pending {
                    target,
                    port,
                    batch,
                });
            }
        }
    }

    #[inline]
    pub(super) fn spare_batch(&self) -> Batch {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    #[inline]
    pub(super) fn recycle(&self, mut batch: Batch) {
        batch.clear();
        self.spare.borrow_mut().push(batch);
    }

    fn len(&self) -> usize {
        self.pending.borrow().len()
    }

    /// Turns round what was put out since there were `mark` pending, so that what was put out
    /// first is delivered first.
    #[inline]
    fn put_in_order(&self, mark: usize) {
        let mut pending = self.pending.borrow_mut();
        if pending.len() > mark + 1 {
            pending[mark..].reverse();
        }
    }

    /// The next packets to deliver; one at a time where `exact`.
    #[inline]
    fn next(&self, exact: bool) -> Option<Pending> {
        let mut pending = self.pending.borrow_mut();
        if exact {
            let last = pending.last_mut()?;
            if last.batch.len() > 1 {
                let mut batch = self.spare_batch();
                batch.extend(last.batch.drain_front(1));
                return Some(Pending {
                    target: last.target,
                    port: last.port,
                    batch,
                });
            }
        }
        pending.pop()
    }
}

impl Router {
    /// Delivers everything that has been put out, and all that elements put out in turn.
    pub(crate) fn deliver(&self) {
        self.delivery.put_in_order(0);
        while let Some(Pending {
            target,
            port,
            mut batch,
        }) = self.delivery.next(self.exact.get())
        {
            let mark = self.delivery.len();
            self.node(target).traffic.take(batch.len());
            // Nothing runs while packets are delivered, so the element can always be entered.
            self.enter(target, |element, context| {
                element.push(context, usize::from(port), &mut batch)
            });
            self.delivery.recycle(batch);
            self.delivery.put_in_order(mark);
        }
    }

    /// Pulls up to `limit` packets at an input and adds them to `batch`.
    pub(crate) fn pull_input(&self, id: ElementId, port: usize, limit: usize, batch: &mut Batch) {
        let Some(Some((source, output))) = self.node(id).inputs.get(port).map(|input| input.source)
        else {
            return;
        };
        if limit == 0 {
            return;
        }
        let before = batch.len();
        if batch.is_empty() {
            self.pull_output(source, output, limit, batch);
        } else {
            let mut pulled = self.delivery.spare_batch();
            self.pull_output(source, output, limit, &mut pulled);
            batch.append(&mut pulled);
            self.delivery.recycle(pulled);
        }
        self.node(id).traffic.take(batch.len() - before);
    }

    fn pull_output(&self, source: ElementId, output: u16, limit: usize, batch: &mut Batch) {
        // A loop of pulls with no queue in it finds the element running, and nothing to pull.
        self.enter(source, |element, context| {
            element.pull(context, usize::from(output), limit, batch)
        });
        self.node(source).traffic.give(batch.len());
    }
}
