//! Elements that control a router: scripts, control sockets, handlers.

mod script;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[&script::DRIVER_MANAGER, &script::SCRIPT];
