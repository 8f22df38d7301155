//! Elements that control a router: scripts, control sockets, handlers, and what others are told.

mod address_info;
mod alignment;
mod chatter_socket;
mod control_socket;
mod entrance;
mod message;
mod schedule_info;
mod script;
mod suppressor;
#[cfg(test)]
mod tests;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &address_info::ADDRESS_INFO,
    &alignment::ALIGN,
    &alignment::ALIGNMENT_INFO,
    &chatter_socket::CHATTER_SOCKET,
    &control_socket::CONTROL_SOCKET,
    &script::DRIVER_MANAGER,
    &message::ERROR,
    &message::ERROR_ELEMENT,
    &message::MESSAGE,
    &script::POKE_HANDLERS,
    &address_info::PORT_INFO,
    &schedule_info::SCHEDULE_INFO,
    &script::SCRIPT,
    &suppressor::SUPPRESSOR,
];
