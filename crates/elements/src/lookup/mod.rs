//! Elements that choose a route.

mod ip_lookup;
mod route;
mod table;
#[cfg(test)]
mod tests;

use sprat_click::Class;

pub(crate) use ip_lookup::IPLookup;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &ip_lookup::DIRECT,
    &ip_lookup::LINEAR,
    &ip_lookup::RADIX,
    &ip_lookup::RANGE,
    &ip_lookup::SORTED,
    &ip_lookup::STATIC,
];
