//! Elements that know nothing of protocols: sources and sinks, queues, counters, switches,
//! schedulers, shapers.

mod counter;
mod discard;
mod idle;
mod infinite_source;
mod null;
mod queue;
mod strip;
mod tee;
mod unqueue;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &counter::COUNTER,
    &discard::DISCARD,
    &idle::IDLE,
    &infinite_source::INFINITE_SOURCE,
    &null::NULL,
    &queue::FULL_NOTE_QUEUE,
    &queue::NOTIFIER_QUEUE,
    &queue::QUEUE,
    &queue::SIMPLE_QUEUE,
    &queue::THREAD_SAFE_QUEUE,
    &strip::STRIP,
    &strip::UNSTRIP,
    &tee::TEE,
    &unqueue::UNQUEUE,
];
