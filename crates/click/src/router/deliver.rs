//! Carrying packets from where they were put out to where they go.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem;

use sprat_packet::Batch;

use super::{HandlerTarget, Output, Router, Traffic};
use crate::configure::ElementId;
use crate::context::Context;

/// What is on its way.
enum Pending {
    /// Packets, to an input.
    Packets {
        target: ElementId,
        port: u16,
        batch: Batch,
    },
    /// A value, to a handler.
    Write(Box<HandlerWrite>),
}

/// A handler to be written when nothing runs any more that would be in its way.
struct HandlerWrite {
    from: ElementId,
    target: HandlerTarget,
    value: String,
}

/// What was put out and is not yet delivered, and empty batches to be used again.
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
                pending.push(Pending::Packets {
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
        if exact
            && let Pending::Packets {
                target,
                port,
                batch: packets,
            } = pending.last_mut()?
            && packets.len() > 1
        {
            let mut batch = self.spare_batch();
            batch.extend(packets.drain_front(1));
            return Some(Pending::Packets {
                target: *target,
                port: *port,
                batch,
            });
        }
        pending.pop()
    }
}

impl Router {
    /// Delivers everything that has been put out, and all that elements put out in turn.
    pub(crate) fn deliver(&self) {
        self.deliver_above(0);
    }

    /// How much is still to be delivered.
    pub(crate) fn delivery_mark(&self) -> usize {
        self.delivery.len()
    }

    /// Delivers what has been put out since there was as much pending as `mark` says. Packets
    /// wait as long as an element runs, for it might be the one they go to.
    pub(crate) fn deliver_above(&self, mark: usize) {
        if self.running.get() > 0 {
            return;
        }
        self.delivery.put_in_order(mark);
        while self.delivery.len() > mark
            && let Some(next) = self.delivery.next(self.exact.get())
        {
            let rest = self.delivery.len();
            match next {
                Pending::Packets {
                    target,
                    port,
                    mut batch,
                } => {
                    self.node(target).traffic.take(batch.len());
                    let begin = self.begin_measure();
                    self.enter(target, |element, context| {
                        element.push(context, usize::from(port), &mut batch)
                    });
                    self.end_measure(target, begin);
                    self.delivery.recycle(batch);
                }
                Pending::Write(write) => self.write_late(&write),
            }
            self.delivery.put_in_order(rest);
        }
    }

    /// Takes what a running element has put out so far, so that it comes before what follows.
    pub(crate) fn collect(&self, context: &mut Context<'_>) {
        let traffic = &self.node(context.id).traffic;
        self.delivery
            .collect(traffic, context.outputs, context.touched);
    }

    /// Writes a handler when nothing runs that would be in its way.
    pub(crate) fn write_later(&self, from: ElementId, target: HandlerTarget, value: &str) {
        let value = value.into();
        let write = HandlerWrite {
            from,
            target,
            value,
        };
        let mut pending = self.delivery.pending.borrow_mut();
        pending.push(Pending::Write(Box::new(write)));
    }

    fn write_late(&self, write: &HandlerWrite) {
        if let Err(error) = self.write_target(&write.target, &write.value) {
            let text = format!("{}: {error}\n", self.name(write.from));
            self.say(text.as_bytes());
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
        let begin = self.begin_measure();
        self.enter(source, |element, context| {
            element.pull(context, usize::from(output), limit, batch)
        });
        self.end_measure(source, begin);
        self.node(source).traffic.give(batch.len());
    }

    pub(crate) fn count_arrived(&self, id: ElementId, packets: usize) {
        self.node(id).traffic.take(packets);
    }

    pub(crate) fn count_left(&self, id: ElementId, packets: usize) {
        self.node(id).traffic.give(packets);
    }
}
