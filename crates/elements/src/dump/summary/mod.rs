//! IP summary dumps: packets as lines of chosen fields.
//!
//! [`fields`] is the table of fields. Each knows how to write itself from a packet ([`View`]) and
//! how to read itself into a packet to be ([`Draft`]).

mod binary;
mod draft;
mod fields;
mod flow_dumps;
mod from;
mod ip_fields;
mod ip_options;
mod layout;
#[cfg(test)]
mod length_tests;
mod lines;
mod netflow;
mod packet_fields;
mod payload;
mod reader;
mod tcp_options;
mod tcpdump;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;
mod to;
mod transport_fields;
mod view;

pub(super) use flow_dumps::TO_IP_FLOW_DUMPS;
pub(super) use from::{FROM_IP_SUMMARY_DUMP, FROM_NETFLOW_SUMMARY_DUMP, FROM_TCPDUMP};
pub(super) use to::TO_IP_SUMMARY_DUMP;

use draft::Draft;
use view::View;
