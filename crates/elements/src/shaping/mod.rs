//! Elements that meter, shape and delay.

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[];
