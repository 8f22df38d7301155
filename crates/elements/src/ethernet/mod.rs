//! Elements of the link: Ethernet, ARP, VLAN.

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[];
