//! Who has packets, who has room, and who waits to hear of it. Click calls these notifiers.
//!
//! A task that finds nothing to pull can sleep if everything upstream of it says when that
//! changes. The search goes from an input through the elements in between to those that signal;
//! where it ends at one that does not, the answer is always "perhaps".

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::{Router, ports};
use crate::configure::ElementId;
use crate::element::Signals;

/// The elements whose word counts for one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    elements: Vec<ElementId>,
    /// Something there never says anything, so nothing can be concluded.
    silent: bool,
}

/// An element's own signals and whose it hears.
#[derive(Default)]
pub(super) struct State {
    nonempty: Cell<bool>,
    /// How many packets there is room for, as far as is known.
    room: Cell<usize>,
    upstream: Vec<Sources>,
    downstream: Vec<Sources>,
    nonempty_listeners: RefCell<Vec<ElementId>>,
    nonfull_listeners: RefCell<Vec<ElementId>>,
}

impl Router {
    /// Finds out whose signals count where; once, when all elements are configured.
    pub(super) fn connect_signals(&mut self) {
        let signals: Vec<Signals> = self
            .nodes
            .iter()
            .map(|node| node.active.borrow().element.signals())
            .collect();
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let upstream = (0..node.inputs.len())
                .map(|port| self.search_upstream(&signals, index, port))
                .collect();
            let outputs = node.active.borrow().outputs.len();
            let downstream = (0..outputs)
                .map(|port| self.search_downstream(&signals, index, port))
                .collect();
            let state = &mut self.nodes[index].signal;
            state.upstream = upstream;
            state.downstream = downstream;
            state.room.set(usize::MAX);
        }
    }

    fn search_upstream(&self, signals: &[Signals], index: usize, port: usize) -> Sources {
        let mut found = Sources::default();
        let mut visited = crate::collections::Set::new();
        let mut open = Vec::from([(index, port)]);
        while let Some((index, port)) = open.pop() {
            let input = &self.nodes[index].inputs[port];
            if input.push || input.connected.is_empty() {
                found.silent = true;
                continue;
            }
            for &(id, output) in &input.connected {
                if !visited.insert((id, output)) {
                    continue;
                }
                if signals[id.index()].nonempty {
                    found.elements.push(id);
                    continue;
                }
                let node = self.node(id);
                let mut passed = false;
                for behind in 0..node.inputs.len() {
                    if ports::flows(node.class.flow, behind, usize::from(output))
                        && !node.inputs[behind].push
                    {
                        open.push((id.index(), behind));
                        passed = true;
                    }
                }
                found.silent |= !passed;
            }
        }
        found
    }

    fn search_downstream(&self, signals: &[Signals], index: usize, port: usize) -> Sources {
        let mut found = Sources::default();
        let mut visited = crate::collections::Set::new();
        let mut open = Vec::from([(index, port)]);
        while let Some((index, port)) = open.pop() {
            let target = self.nodes[index].active.borrow().outputs[port].target;
            let Some((id, input)) = target else {
                found.silent = true;
                continue;
            };
            if !visited.insert((id, input)) {
                continue;
            }
            if signals[id.index()].nonfull {
                found.elements.push(id);
                continue;
            }
            let node = self.node(id);
            let outputs = node.active.borrow().outputs.len();
            let mut passed = false;
            for ahead in 0..outputs {
                if ports::flows(node.class.flow, usize::from(input), ahead) {
                    open.push((id.index(), ahead));
                    passed = true;
                }
            }
            found.silent |= !passed;
        }
        found
    }

    pub(crate) fn wake_when_nonempty(&self, id: ElementId, port: usize) {
        if let Some(sources) = self.node(id).signal.upstream.get(port) {
            for source in &sources.elements {
                listen(&self.node(*source).signal.nonempty_listeners, id);
            }
        }
    }

    pub(crate) fn wake_when_nonfull(&self, id: ElementId, port: usize) {
        if let Some(sources) = self.node(id).signal.downstream.get(port) {
            for source in &sources.elements {
                listen(&self.node(*source).signal.nonfull_listeners, id);
            }
        }
    }

    #[inline]
    pub(crate) fn set_nonempty(&self, id: ElementId, value: bool) {
        let state = &self.node(id).signal;
        if state.nonempty.replace(value) != value && value {
            self.wake(&state.nonempty_listeners);
        }
    }

    #[inline]
    pub(crate) fn set_room(&self, id: ElementId, room: usize) {
        let state = &self.node(id).signal;
        if state.room.replace(room) == 0 && room > 0 {
            self.wake(&state.nonfull_listeners);
        }
    }

    fn wake(&self, listeners: &RefCell<Vec<ElementId>>) {
        for listener in listeners.borrow().iter() {
            self.schedule_task(*listener);
        }
    }

    #[inline]
    pub(crate) fn upstream_nonempty(&self, id: ElementId, port: usize) -> bool {
        self.any(self.node(id).signal.upstream.get(port), |state| {
            state.nonempty.get()
        })
    }

    #[inline]
    pub(crate) fn downstream_nonfull(&self, id: ElementId, port: usize) -> bool {
        self.any(self.node(id).signal.downstream.get(port), |state| {
            state.room.get() > 0
        })
    }

    /// For how many packets there is room behind an output, in each place that says so.
    pub(crate) fn downstream_room(&self, id: ElementId, port: usize) -> usize {
        let sources = self.node(id).signal.downstream.get(port);
        let places = sources.into_iter().flat_map(|sources| &sources.elements);
        places
            .map(|place| self.node(*place).signal.room.get())
            .min()
            .unwrap_or(usize::MAX)
    }

    #[inline]
    fn any(&self, sources: Option<&Sources>, says: impl Fn(&State) -> bool) -> bool {
        let Some(sources) = sources else { return true };
        sources.silent
            || sources
                .elements
                .iter()
                .any(|id| says(&self.node(*id).signal))
    }
}

fn listen(listeners: &RefCell<Vec<ElementId>>, id: ElementId) {
    let mut listeners = listeners.borrow_mut();
    if !listeners.contains(&id) {
        listeners.push(id);
    }
}
