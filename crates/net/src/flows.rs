//! Which socket a connection's segments are for.
//!
//! A vector in order: it is searched for each segment and changed twice for each connection, there
//! are as many as the stack has connections, and its code is a tenth of a tree's.

use alloc::vec::Vec;

use crate::demux::Flow;
use crate::sockets::SocketId;

/// Connections by their flows.
#[derive(Default)]
pub(crate) struct Flows {
    sorted: Vec<(Flow, SocketId)>,
}

impl Flows {
    fn place(&self, flow: &Flow) -> Result<usize, usize> {
        self.sorted.binary_search_by(|(known, _)| known.cmp(flow))
    }

    pub(crate) fn get(&self, flow: &Flow) -> Option<SocketId> {
        let place = self.place(flow).ok()?;
        self.sorted.get(place).map(|(_, id)| *id)
    }

    /// Adds a connection, or puts it in another's place.
    pub(crate) fn insert(&mut self, flow: Flow, id: SocketId) {
        match self.place(&flow) {
            Ok(place) => self.sorted[place].1 = id,
            Err(place) => self.sorted.insert(place, (flow, id)),
        }
    }

    pub(crate) fn remove(&mut self, flow: &Flow) {
        if let Ok(place) = self.place(flow) {
            self.sorted.remove(place);
        }
    }
}
