//! Elements that rewrite addresses and ports, flow by flow.

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[];
