//! Elements that control a router: scripts, control sockets, handlers.

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[];
