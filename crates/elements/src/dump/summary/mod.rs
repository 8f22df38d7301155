//! IP summary dumps: packets as lines of chosen fields.
//!
//! [`fields`] is the table of fields. Each knows how to write itself from a packet ([`View`]) and
//! how to read itself into a packet to be ([`Draft`]).

mod binary;
mod draft;
mod fields;
mod from;
mod ip_fields;
mod ip_options;
mod lines;
mod packet_fields;
mod payload;
mod reader;
mod tcp_options;
#[cfg(test)]
mod tests;
mod to;
mod transport_fields;
mod view;

pub(super) use from::FROM_IP_SUMMARY_DUMP;
pub(super) use to::TO_IP_SUMMARY_DUMP;

use draft::Draft;
use view::View;
