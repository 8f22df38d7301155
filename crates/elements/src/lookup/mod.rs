//! Elements that choose a route.

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[];
