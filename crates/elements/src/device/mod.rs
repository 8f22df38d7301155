//! Elements that receive from and send to network devices.

mod from_device;
mod host;
mod to_device;

use sprat_click::Class;

/// The classes of this family.
pub(crate) const CLASSES: &[&Class] = &[
    &from_device::FROM_DEVICE,
    &from_device::POLL_DEVICE,
    &from_device::FROM_DPDK_DEVICE,
    &host::FROM_HOST,
    &host::KERNEL_TAP,
    &host::KERNEL_TUN,
    &to_device::TO_DEVICE,
    &to_device::TO_DPDK_DEVICE,
    &host::TO_HOST,
];
