//! How elements that number flows tell others which numbers will not come again.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use sprat_click::{Context, ElementId, Rejected};

use super::aggregate_ip_addr_pair::AggregateIpAddrPair;
use super::aggregate_ip_flows::AggregateIpFlows;
use super::aggregate_last::AggregateLast;

/// Numbers that are over and have not been looked at.
pub(crate) type Numbers = Rc<RefCell<Vec<u32>>>;

/// Who wants to know.
#[derive(Default)]
pub(crate) struct Ended {
    listeners: Vec<(Numbers, ElementId)>,
}

impl Ended {
    /// Tells everyone that a number is over.
    pub(super) fn tell(&self, number: u32) {
        for (numbers, _) in &self.listeners {
            numbers.borrow_mut().push(number);
        }
    }

    /// Tells everyone that these numbers are over, now.
    pub(super) fn tell_all(&self, context: &Context<'_>, numbers: impl Iterator<Item = u32>) {
        numbers.for_each(|number| self.tell(number));
        self.wake(context);
    }

    /// Has those look who otherwise might not for a while. Others do when packets come.
    pub(super) fn wake(&self, context: &Context<'_>) {
        for (numbers, listener) in &self.listeners {
            if !numbers.borrow().is_empty() {
                context.with(*listener, |_: &mut AggregateLast, context| {
                    context.schedule_task();
                });
            }
        }
    }
}

/// The numbers that the element called `notifier` will have told, for the element of the context.
pub(crate) fn listen(context: &Context<'_>, notifier: &str) -> Result<Numbers, Rejected> {
    let numbers = Numbers::default();
    let listener = (numbers.clone(), context.id());
    let id = context.find(notifier);
    let found = id.is_some_and(|id| {
        let add = |ended: &mut Ended| ended.listeners.push(listener.clone());
        let flows = context.with(id, |it: &mut AggregateIpFlows, _| add(&mut it.ended));
        let pairs = || context.with(id, |it: &mut AggregateIpAddrPair, _| add(&mut it.ended));
        flows.or_else(pairs).is_some()
    });
    match found {
        true => Ok(numbers),
        false => Err(context.error(format!(
            "NOTIFIER: '{notifier}' is no element that numbers flows"
        ))),
    }
}
