//! Elements that read and write traces, and print packets.

mod capture;
mod datagram;
mod erf;
mod file;
mod from_dump;
mod ip_print;
mod nlanr;
mod print;
mod summary;
pub(crate) mod text;
mod to_dump;
mod trace;
#[cfg(test)]
mod trace_tests;
mod window;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &from_dump::FROM_DAG_DUMP,
    &from_dump::FROM_DUMP,
    &from_dump::FROM_NLANR_DUMP,
    &summary::FROM_IP_SUMMARY_DUMP,
    &summary::FROM_NETFLOW_SUMMARY_DUMP,
    &summary::FROM_TCPDUMP,
    &ip_print::IP_PRINT,
    &print::PRINT,
    &to_dump::TO_DUMP,
    &summary::TO_IP_FLOW_DUMPS,
    &summary::TO_IP_SUMMARY_DUMP,
];
