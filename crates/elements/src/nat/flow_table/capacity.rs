//! How many flows a table may hold.

use sprat_click::arguments::{Argument, ArgumentError, Names};

/// Most flows a table may hold: their numbers have 31 bits, and one is no flow.
const LARGEST: usize = (1 << 31) - 2;

/// A table's capacity as Click writes it: `FLOWS [RESERVATION]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::nat) struct Capacity {
    pub(in crate::nat) flows: usize,
    pub(in crate::nat) reservation: usize,
}

impl Capacity {
    /// So many flows, with the reservation that Click makes: an eighth of them, at most 50.
    pub(in crate::nat) fn of(flows: usize) -> Self {
        let flows = flows.min(LARGEST);
        Self {
            flows,
            reservation: (flows / 8).min(50),
        }
    }
}

impl Argument for Capacity {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        let (flows, reservation) = text
            .split_once(|c: char| c.is_ascii_whitespace())
            .map_or((text, None), |(flows, rest)| (flows, Some(rest.trim())));
        let capacity = Self::of(usize::parse(flows, names)?);
        Ok(match reservation {
            Some(text) => Self {
                reservation: usize::parse(text, names)?.min(capacity.flows),
                ..capacity
            },
            None => capacity,
        })
    }
}
