//! What elements hold, on its way from one instance to the one that takes its place.
//!
//! [`Router::export_state`](crate::Router::export_state) writes it, as bytes, and
//! [`Router::import_state`](crate::Router::import_state) of another router reads it. Elements of the
//! same name and class belong together, as for
//! [`Element::take_state`](crate::Element::take_state). Who reads trusts nothing: the bytes may be of
//! another version, cut off, or made up.
//!
//! ```text
//! SPRATST1, then for each element that holds something:
//! length of name (2 bytes)  length of class (2)  length of state (4)  name  class  state
//! ```
//!
//! Numbers are little-endian.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::configure::ElementId;
use crate::router::Router;

/// What exported state begins with: a new format has another number.
const BEGINNING: &[u8; 8] = b"SPRATST1";

/// Carries the state of an element out of one instance or into another. The same calls in the same
/// order write it there and read it here.
#[derive(Debug)]
pub struct Carrier<'a>(Way<'a>);

#[derive(Debug)]
enum Way<'a> {
    Out(&'a mut Vec<u8>),
    In(&'a [u8]),
}

/// State is not what such an element could have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl Carrier<'_> {
    /// Whether state is written; otherwise it is read.
    #[must_use]
    pub fn goes_out(&self) -> bool {
        matches!(self.0, Way::Out(_))
    }

    /// Whether nothing is left to be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Way::In([]))
    }

    /// Carries bytes.
    ///
    /// # Errors
    /// There are not so many.
    pub fn bytes(&mut self, value: &mut [u8]) -> Result<(), Damaged> {
        match &mut self.0 {
            Way::Out(bytes) => bytes.extend_from_slice(value),
            Way::In(rest) => {
                let (first, after) = rest.split_at_checked(value.len()).ok_or(Damaged)?;
                value.copy_from_slice(first);
                *rest = after;
            }
        }
        Ok(())
    }

    /// Carries a number of 8 bits.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn u8(&mut self, value: &mut u8) -> Result<(), Damaged> {
        self.bytes(core::slice::from_mut(value))
    }

    /// Carries a number of 16 bits.
    ///
    /// # Errors
    /// Not as much is left.
    pub fn u16(&mut self, value: &mut u16) -> Result<(), Damaged> {
        let mut bytes = value.to_le_bytes();
        self.bytes(&mut bytes)?;
        *value = u16::from_le_bytes(bytes);
        Ok(())
    }

    /// Carries a number of 32 bits.
    ///
    /// # Errors
    /// Not as much is left.
    pub fn u32(&mut self, value: &mut u32) -> Result<(), Damaged> {
        let mut bytes = value.to_le_bytes();
        self.bytes(&mut bytes)?;
        *value = u32::from_le_bytes(bytes);
        Ok(())
    }

    /// Carries a number of 64 bits.
    ///
    /// # Errors
    /// Not as much is left.
    pub fn u64(&mut self, value: &mut u64) -> Result<(), Damaged> {
        let mut bytes = value.to_le_bytes();
        self.bytes(&mut bytes)?;
        *value = u64::from_le_bytes(bytes);
        Ok(())
    }
}

/// Why state is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// It is no state that this version knows, or not whole. Nothing was taken in.
    Unknown,
    /// What this element is to have held is damaged. What came before that was taken in.
    Element(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no state of a router"),
            Self::Element(name) => {
                f.write_str("the state of ")?;
                f.write_str(name)?;
                f.write_str(" is damaged")
            }
        }
    }
}

impl core::error::Error for StateError {}

/// What one element held.
struct Record<'a> {
    name: &'a [u8],
    class: &'a [u8],
    state: &'a [u8],
}

/// Takes the next record off.
fn record<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *head;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes([a, b]).into())?;
    let (class, rest) = rest.split_at_checked(u16::from_le_bytes([c, d]).into())?;
    let length = usize::try_from(u32::from_le_bytes([e, f, g, h])).ok()?;
    let (state, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(Record { name, class, state })
}

impl Router {
    /// Writes out what elements hold, for the router of another instance.
    pub fn export_state(&self) -> Vec<u8> {
        let mut bytes = BEGINNING.to_vec();
        for id in self.order.iter().copied() {
            self.export_element(id, &mut bytes);
        }
        bytes
    }

    fn export_element(&self, id: ElementId, bytes: &mut Vec<u8>) {
        let begin = bytes.len();
        let (name, class) = (self.name(id), self.class(id).name);
        let (Ok(name_length), Ok(class_length)) =
            (u16::try_from(name.len()), u16::try_from(class.len()))
        else {
            return;
        };
        bytes.extend_from_slice(&name_length.to_le_bytes());
        bytes.extend_from_slice(&class_length.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(class.as_bytes());
        let head = bytes.len();
        let carried = self.enter(id, |element, context| {
            element.carry_state(context, &mut Carrier(Way::Out(bytes)))
        });
        match u32::try_from(bytes.len() - head) {
            Ok(length @ 1..) if carried == Some(Ok(())) => {
                bytes[begin + 4..begin + 8].copy_from_slice(&length.to_le_bytes());
            }
            // It holds nothing, or what cannot be carried.
            _ => bytes.truncate(begin),
        }
    }

    /// Takes in what the router of another instance wrote out. Elements that are not here, or of
    /// another class, are passed over.
    ///
    /// # Errors
    /// It is damaged.
    pub fn import_state(&self, state: &[u8]) -> Result<(), StateError> {
        let records = state.strip_prefix(BEGINNING).ok_or(StateError::Unknown)?;
        // All of it is there before any of it is used.
        let mut rest = records;
        while !rest.is_empty() {
            record(&mut rest).ok_or(StateError::Unknown)?;
        }
        let mut rest = records;
        while let Some(Record { name, class, state }) = record(&mut rest) {
            let name = core::str::from_utf8(name).map_err(|_| StateError::Unknown)?;
            let Some(id) = self.find(name) else {
                continue;
            };
            if self.class(id).name.as_bytes() != class {
                continue;
            }
            let carried = self.enter(id, |element, context| {
                let mut carrier = Carrier(Way::In(state));
                element.carry_state(context, &mut carrier)?;
                if carrier.is_empty() {
                    Ok(())
                } else {
                    Err(Damaged)
                }
            });
            if carried == Some(Err(Damaged)) {
                return Err(StateError::Element(name.into()));
            }
        }
        self.deliver();
        Ok(())
    }
}
