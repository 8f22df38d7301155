//! VLAN tags (IEEE 802.1Q, 802.1ad) and the walk to the network layer.

use super::ethernet::{Ethernet, ethertype};
use super::{HeaderError, field::Field};
use core::ops::{Deref, DerefMut};

header_view! {
    /// A VLAN tag without its leading EtherType: tag control information and the EtherType that follows.
    VlanView, Vlan, VlanMut, 4
}

header_fields! { VlanView, 4;
    /// Tag control information: priority (3 bits), drop eligible (1 bit), VLAN identifier (12 bits).
    u16, tag_control, set_tag_control, 0;
    /// EtherType of what follows the tag.
    u16, ethertype, set_ethertype, 2;
}

impl<H: Deref<Target = [u8; 4]>, R> VlanView<H, R> {
    #[inline]
    #[expect(
        clippy::unused_self,
        reason = "the same shape as the other headers' checks"
    )]
    fn check(&self) -> Result<(), HeaderError> {
        Ok(())
    }

    /// VLAN identifier, 0 to 4095.
    #[inline]
    #[must_use]
    pub fn identifier(&self) -> u16 {
        self.tag_control() & 0x0fff
    }

    /// Priority code point, 0 to 7.
    #[inline]
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.header[0] >> 5
    }

    /// Drop eligible indicator.
    #[inline]
    #[must_use]
    pub fn drop_eligible(&self) -> bool {
        self.header[0] & 0x10 != 0
    }

    /// The tag as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> VlanFields {
        VlanFields {
            tag_control: self.tag_control(),
            ethertype: self.ethertype(),
        }
    }
}

impl<H: DerefMut<Target = [u8; 4]>, R> VlanView<H, R> {
    /// Sets the VLAN identifier to the low 12 bits of `identifier`.
    #[inline]
    pub fn set_identifier(&mut self, identifier: u16) {
        let others = self.tag_control() & 0xf000;
        self.set_tag_control(others | identifier & 0x0fff);
    }
}

/// A VLAN tag as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanFields {
    /// Tag control information.
    pub tag_control: u16,
    /// EtherType of what follows the tag.
    pub ethertype: u16,
}

impl VlanFields {
    /// The tag as it goes on the wire, after the EtherType that announces it.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        let mut header = [0; 4];
        self.tag_control.write(&mut header, 0);
        self.ethertype.write(&mut header, 2);
        header
    }
}

/// Where a frame's network layer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkLayer {
    /// EtherType behind the last tag.
    pub ethertype: u16,
    /// Offset from the start of the frame, in bytes.
    pub offset: usize,
    /// Tag control information of the outermost tag.
    pub outer_tag: Option<u16>,
}

/// Walks an Ethernet header and at most two VLAN tags to the network layer.
///
/// # Errors
/// When the frame ends before the network layer's EtherType.
#[inline]
pub fn network_layer(frame: &[u8]) -> Result<NetworkLayer, HeaderError> {
    let ethernet = Ethernet::new(frame)?;
    let mut found = NetworkLayer {
        ethertype: ethernet.ethertype(),
        offset: 14,
        outer_tag: None,
    };
    let mut rest = ethernet.payload();
    for _ in 0..2 {
        if !matches!(
            found.ethertype,
            ethertype::VLAN | ethertype::SERVICE_VLAN | ethertype::QINQ
        ) {
            break;
        }
        let tag = Vlan::new(rest)?;
        found.outer_tag = found.outer_tag.or(Some(tag.tag_control()));
        found.ethertype = tag.ethertype();
        found.offset += 4;
        rest = tag.rest;
    }
    Ok(found)
}
