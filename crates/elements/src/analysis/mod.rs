//! Elements that measure traffic: aggregates, rates, flows.

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[];
