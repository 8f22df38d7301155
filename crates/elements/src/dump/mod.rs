//! Elements that read and write traces, and print packets.

mod capture;
mod from_dump;
mod ip_print;
mod print;
mod summary;
pub(crate) mod text;
mod to_dump;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &from_dump::FROM_DUMP,
    &summary::FROM_IP_SUMMARY_DUMP,
    &ip_print::IP_PRINT,
    &print::PRINT,
    &to_dump::TO_DUMP,
    &summary::TO_IP_SUMMARY_DUMP,
];
