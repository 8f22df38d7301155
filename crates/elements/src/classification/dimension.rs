//! One field and its classes.

use super::expression::{Field, Headers};
use super::interval_map::IntervalMap;

/// One field and its classes.
#[derive(Clone, Debug)]
pub(super) struct Dimension {
    /// The field.
    pub(super) field: Field,
    /// The class of each value.
    pub(super) map: IntervalMap,
    /// The class of a packet without the field.
    pub(super) missing: u16,
}

impl Dimension {
    /// The class of one packet.
    pub(super) fn class(&self, headers: &Headers<'_>) -> u16 {
        let mut class = [self.missing];
        if let Some(value) = self.field.read(headers) {
            self.map.classes(&[value], &mut class);
        }
        class[0]
    }
}
