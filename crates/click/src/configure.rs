//! What an element can see while it is made.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::RefCell;

use sprat_packet::Pool;

use crate::element::{Class, Element};
use crate::environment::Environment;
use crate::names::NameTable;

/// Which element of a router: its place in the list, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementId(pub u32);

impl ElementId {
    /// As an index.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: usize) -> Self {
        // A configuration of four thousand million elements does not fit in memory.
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Elements in the making: those already configured, by place.
pub(crate) type Unfinished = RefCell<alloc::vec::Vec<Option<Box<dyn Element>>>>;

/// An element's surroundings at the time it is configured.
pub struct Configuration<'a> {
    pub(crate) id: ElementId,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) directory: &'a Directory,
    pub(crate) unfinished: &'a Unfinished,
    pub(crate) environment: &'a Rc<dyn Environment>,
    pub(crate) pool: &'a Pool,
}

/// The names and classes of all elements of a router.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) names: alloc::vec::Vec<Rc<str>>,
    pub(crate) classes: alloc::vec::Vec<&'static Class>,
    /// How many outputs of each are in use.
    pub(crate) outputs: alloc::vec::Vec<usize>,
    pub(crate) by_name: crate::collections::Map<Rc<str>, ElementId>,
    pub(crate) addresses: RefCell<NameTable>,
}

impl Directory {
    /// The element that `name` means inside the compound that `prefix` (empty, or ending in a
    /// slash) names: the innermost one of that name, as scopes nest.
    pub(crate) fn resolve(&self, prefix: &str, name: &str) -> Option<ElementId> {
        scopes(prefix).find_map(|scope| {
            if scope.is_empty() {
                return self.by_name.get(name).copied();
            }
            let mut full = alloc::string::String::from(scope);
            full.push_str(name);
            self.by_name.get(full.as_str()).copied()
        })
    }

    /// The compound prefix of an element's own name.
    pub(crate) fn prefix(&self, id: ElementId) -> &str {
        prefix_of(&self.names[id.index()])
    }
}

/// The part of an element's name up to and with its last slash.
pub(crate) fn prefix_of(name: &str) -> &str {
    name.rfind('/').map_or("", |slash| &name[..=slash])
}

/// A prefix and those around it, from the inside out, down to the empty one.
pub(crate) fn scopes(prefix: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(Some(prefix), |scope| scope.strip_suffix('/').map(prefix_of))
}

impl<'a> Configuration<'a> {
    /// This element's place in the router.
    pub fn id(&self) -> ElementId {
        self.id
    }

    /// This element's name.
    pub fn name(&self) -> &'a str {
        &self.directory.names[self.id.index()]
    }

    /// The name of the compound element this element stands in, with its final slash; empty at
    /// the top.
    pub fn scope(&self) -> &'a str {
        self.directory.prefix(self.id)
    }

    /// Inputs in use.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs in use.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The element that `name` means here.
    pub fn find(&self, name: &str) -> Option<ElementId> {
        self.directory.resolve(self.scope(), name)
    }

    /// Whether elements stand in a compound element that `name` means here.
    pub fn has_inside(&self, name: &str) -> bool {
        let inside = |element: &Rc<str>| {
            let rest = element.strip_prefix(self.scope());
            let rest = rest.and_then(|rest| rest.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        self.directory.names.iter().any(inside)
    }

    /// Every element of the router, configured or not.
    pub fn elements(&self) -> impl Iterator<Item = ElementId> + use<> {
        (0..self.directory.names.len()).map(ElementId::from_index)
    }

    /// The class of another element.
    pub fn class_of(&self, id: ElementId) -> &'static Class {
        self.directory.classes[id.index()]
    }

    /// Outputs in use of another element.
    pub fn outputs_of(&self, id: ElementId) -> usize {
        self.directory.outputs[id.index()]
    }

    /// Calls `action` with an element that has been configured already, where it is a `T`.
    pub fn with<T: Element, R>(
        &self,
        id: ElementId,
        action: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let mut unfinished = self.unfinished.borrow_mut();
        let element = unfinished.get_mut(id.index())?.as_mut()?;
        element.downcast_mut::<T>().map(action)
    }

    /// The names that `AddressInfo` and its like define.
    pub fn addresses(&self) -> &'a RefCell<NameTable> {
        &self.directory.addresses
    }

    /// Where the router runs.
    pub fn environment(&self) -> &'a Rc<dyn Environment> {
        self.environment
    }

    /// Where packets come from.
    pub fn pool(&self) -> &'a Pool {
        self.pool
    }
}
