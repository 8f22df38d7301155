//! Elements that control a router: scripts, control sockets, handlers, and what others are told.

mod address_info;
mod alignment;
mod change_uid;
mod chatter_socket;
mod control_socket;
mod entrance;
mod information;
mod message;
mod progress_bar;
mod quit_watcher;
mod random_seed;
mod sched_order_test;
mod schedule_info;
mod script;
mod spinlock;
mod suppressor;
mod tasks;
#[cfg(test)]
mod tests;
mod timer_test;

use sprat_click::Class;

pub use control_socket::protocol::{Conversation, HandlerAccess};

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &address_info::ADDRESS_INFO,
    &alignment::ALIGN,
    &alignment::ALIGNMENT_INFO,
    &information::ANNOTATION_INFO,
    &information::BALANCED_THREAD_SCHED,
    &change_uid::CHANGE_UID,
    &chatter_socket::CHATTER_SOCKET,
    &information::CLICKY_INFO,
    &control_socket::CONTROL_SOCKET,
    &information::DEVIRTUALIZE_INFO,
    &information::DPDK_INFO,
    &script::DRIVER_MANAGER,
    &alignment::ENSURE_DPDK_BUFFER,
    &message::ERROR,
    &message::ERROR_ELEMENT,
    &information::FLOW_INFO,
    &tasks::HANDLER_TASK,
    &information::IP_FIELD_INFO,
    &information::IP_NAME_INFO,
    &message::MESSAGE,
    &tasks::NULL_TASK,
    &script::POKE_HANDLERS,
    &address_info::PORT_INFO,
    &progress_bar::PROGRESS_BAR,
    &quit_watcher::QUIT_WATCHER,
    &random_seed::RANDOM_SEED,
    &sched_order_test::SCHED_ORDER_TEST,
    &schedule_info::SCHEDULE_INFO,
    &script::SCRIPT,
    &spinlock::SPINLOCK_ACQUIRE,
    &spinlock::SPINLOCK_INFO,
    &spinlock::SPINLOCK_RELEASE,
    &information::STATIC_THREAD_SCHED,
    &suppressor::SUPPRESSOR,
    &timer_test::TIMER_TEST,
];
