//! One end of a TCP connection, put together from elements.

pub(super) mod acknowledge;
pub(super) mod buffer;
pub(super) mod connection;
pub(super) mod convert;
pub(super) mod copy;
pub(super) mod demultiplex;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::collections::Set;
use sprat_click::{Context, Element, ElementId};
use sprat_packet::headers::{Ipv4, Ipv4Fields, TcpFields, protocol};

/// What all these elements give as their packets' window.
const WINDOW: u16 = 32120;

/// What they give as their type of service: that delay matters (RFC 1349).
const LOW_DELAY: u8 = 0x10;

/// The headers of a segment with these flags, before it is known of which connection it is.
fn of_no_connection(flags: u8) -> (Ipv4Fields, TcpFields) {
    let network = Ipv4Fields {
        type_of_service: LOW_DELAY,
        total_length: 0,
        identification: 0,
        flags_and_offset: Ipv4::DONT_FRAGMENT,
        time_to_live: 255,
        protocol: protocol::TCP,
        source: Ipv4Addr::UNSPECIFIED,
        destination: Ipv4Addr::UNSPECIFIED,
    };
    let header = TcpFields {
        source_port: 0,
        destination_port: 0,
        sequence: 0,
        acknowledgement: 0,
        flags,
        window: WINDOW,
        checksum: 0,
        urgent: 0,
    };
    (network, header)
}

/// Which way to look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Upstream,
    Downstream,
}

/// The nearest element that is a `T`, of those that packets come from or go to by port 0.
fn nearest<T: Element>(context: &Context<'_>, direction: Direction) -> Option<ElementId> {
    let router = context.router();
    let own = context.id();
    let mut next: Vec<Vec<ElementId>> = alloc::vec![Vec::new(); router.len()];
    for id in router.elements() {
        for (port, (_, targets)) in router.outputs_of(id).into_iter().enumerate() {
            for (target, input) in targets {
                let (from, to, port) = match direction {
                    Direction::Downstream => (id, target, port),
                    Direction::Upstream => (target, id, usize::from(input)),
                };
                if from != own || port == 0 {
                    next[from.index()].push(to);
                }
            }
        }
    }
    let mut seen: Set<ElementId> = [own].into_iter().collect();
    let mut open = VecDeque::from([own]);
    while let Some(id) = open.pop_front() {
        for &found in &next[id.index()] {
            if !seen.insert(found) {
                continue;
            }
            if context.with::<T, _>(found, |_, _| ()).is_some() {
                return Some(found);
            }
            open.push_back(found);
        }
    }
    None
}
