//! Elements that control a router: scripts, control sockets, handlers, and what others are told.

mod address_info;
mod alignment;
mod chatter_socket;
mod control_socket;
mod entrance;
mod information;
mod message;
mod schedule_info;
mod script;
mod suppressor;
#[cfg(test)]
mod tests;

use sprat_click::Class;

pub use control_socket::protocol::{Conversation, HandlerAccess};

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &address_info::ADDRESS_INFO,
    &alignment::ALIGN,
    &alignment::ALIGNMENT_INFO,
    &information::ANNOTATION_INFO,
    &information::BALANCED_THREAD_SCHED,
    &chatter_socket::CHATTER_SOCKET,
    &information::CLICKY_INFO,
    &control_socket::CONTROL_SOCKET,
    &information::DEVIRTUALIZE_INFO,
    &script::DRIVER_MANAGER,
    &message::ERROR,
    &message::ERROR_ELEMENT,
    &information::FLOW_INFO,
    &message::MESSAGE,
    &script::POKE_HANDLERS,
    &address_info::PORT_INFO,
    &schedule_info::SCHEDULE_INFO,
    &script::SCRIPT,
    &information::STATIC_THREAD_SCHED,
    &suppressor::SUPPRESSOR,
];
