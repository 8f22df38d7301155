//! Elements that carry packets over the sockets of the system.

mod mcast_socket;
mod raw_socket;
#[expect(
    clippy::module_inception,
    reason = "the element's name is the family's"
)]
mod socket;
mod transport;

use sprat_click::Class;

pub(crate) const CLASSES: &[&Class] = &[
    &mcast_socket::MCAST_SOCKET,
    &raw_socket::RAW_SOCKET,
    &socket::SOCKET,
];
