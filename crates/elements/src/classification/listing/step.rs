//! One step of a listing: four bytes compared under a mask, and what its answer says of others.

use core::fmt;

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// On, where the expression that the step belongs to holds.
    Success,
    /// On, where it does not.
    Failure,
    /// Nowhere.
    Drop,
    /// Out of an output.
    Output(usize),
    /// To a step behind.
    Step(usize),
}

/// A comparison, and where its answers lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) offset: u32,
    pub(super) mask: u32,
    pub(super) value: u32,
    /// What a packet that ends too soon is taken to answer.
    pub(super) short: bool,
    pub(super) no: Target,
    pub(super) yes: Target,
}

impl Step {
    /// A comparison that leads on, which packets that end too soon do not pass.
    pub(super) fn new(offset: u32, mask: u32, value: u32) -> Self {
        Self {
            offset,
            mask,
            value: value & mask,
            short: false,
            no: Target::Failure,
            yes: Target::Success,
        }
    }

    /// What is compared, and what short packets answer.
    pub(super) fn comparison(&self) -> (u32, u32, u32, bool) {
        (self.offset, self.mask, self.value, self.short)
    }

    pub(super) fn target(&self, answer: bool) -> Target {
        if answer { self.yes } else { self.no }
    }

    pub(super) fn target_mut(&mut self, answer: bool) -> &mut Target {
        if answer { &mut self.yes } else { &mut self.no }
    }

    pub(super) fn targets_mut(&mut self) -> [&mut Target; 2] {
        [&mut self.no, &mut self.yes]
    }

    /// How long a packet must be for its bytes to be compared.
    pub(super) fn required_length(&self) -> u32 {
        match self.mask {
            0 => 0,
            mask => self.offset + 4 - mask.trailing_zeros() / 8,
        }
    }

    /// Whether its answer to a packet of which `known` bytes are there says something of `next`,
    /// whose answer would be `answer`, for packets that end too soon as well.
    fn speaks_for_short(&self, given: bool, next: &Self, answer: bool, known: u32) -> bool {
        let required = self.required_length();
        self.short != given
            || self.offset + 4 <= known
            || required <= known
            || required <= next.required_length() && answer == next.short
    }

    /// What `next` must answer where this step has answered `given`.
    pub(super) fn implies(&self, given: bool, next: &Self, known: u32) -> Option<bool> {
        if next.mask == 0 {
            return Some(true);
        }
        let here = self.offset == next.offset;
        let both = self.mask & next.mask;
        let sure = |answer| here && self.speaks_for_short(given, next, answer, known);
        if given {
            // What was compared there is what would be compared.
            let (inside, same) = (both == next.mask, self.value & both == next.value);
            if inside && same && sure(true) {
                return Some(true);
            }
            return (inside && !same && sure(false)).then_some(false);
        }
        // One bit that is not the one is the other.
        let opposite = self.mask & self.mask.wrapping_sub(1) == 0
            && self.mask == next.mask
            && self.value != next.value;
        if opposite && sure(true) {
            return Some(true);
        }
        // What holds of fewer bits only cannot hold of more.
        let refuted = both == self.mask && self.value == next.value & both;
        (self.mask == 0 || refuted && sure(false)).then_some(false)
    }

    /// Whether bytes can pass both steps; short packets too, if they are asked for.
    pub(super) fn agrees_with(&self, other: &Self, short_packets: bool) -> bool {
        let both = self.mask & other.mask;
        self.mask == 0
            || other.mask == 0
            || self.offset == other.offset
                && !(short_packets
                    && self.short != other.short
                    && self.required_length() < other.required_length())
                && (self.value ^ other.value) & both == 0
    }

    /// The one bit that tells this step from the one after its "no", where either answer leads to
    /// the same place: a step without that bit does for both.
    pub(super) fn needless_bit(&self, next: &Self) -> Option<u32> {
        let bit = self.value ^ next.value;
        let joined = Self::new(self.offset, self.mask & !bit, self.value);
        let alike = self.offset != 0
            && self.offset == next.offset
            && self.mask != 0
            && self.mask == next.mask
            && (self.short || !next.short)
            && self.yes == next.yes
            && bit & bit.wrapping_sub(1) == 0;
        (alike && joined.required_length() == self.required_length()).then_some(bit)
    }

    /// Whether it compares a single bit.
    pub(super) fn has_opposite(&self) -> bool {
        self.mask.is_power_of_two()
    }

    /// Asks for the other value of its bit.
    pub(super) fn turn(&mut self) {
        self.value ^= self.mask;
        core::mem::swap(&mut self.yes, &mut self.no);
        self.short = !self.short;
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(output) => write!(formatter, "[{output}]"),
            Self::Drop => formatter.write_str("[X]"),
            Self::Failure => formatter.write_str("[-]"),
            Self::Success => formatter.write_str("[+]"),
            Self::Step(number) => write!(formatter, "step {number}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            mask,
            value,
            short,
            no,
            yes,
        } = self;
        let short = if *short { "  short->yes" } else { "" };
        write!(
            formatter,
            "{offset:3}/{value:08x}%{mask:08x}  yes->{yes}  no->{no}{short}"
        )
    }
}
