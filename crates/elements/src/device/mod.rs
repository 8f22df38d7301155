//! Elements that receive from and send to network devices.

mod from_device;
mod to_device;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &from_device::FROM_DEVICE,
    &from_device::POLL_DEVICE,
    &from_device::FROM_DPDK_DEVICE,
    &to_device::TO_DEVICE,
    &to_device::TO_DPDK_DEVICE,
];
