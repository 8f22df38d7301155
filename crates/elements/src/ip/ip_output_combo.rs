use core::net::Ipv4Addr;

use alloc::vec::Vec;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::{Batch, Packet, PacketKind};

use super::dec_ip_ttl::Hop;
use super::fix_ip_src::fix_source;
use super::ip_gw_options::OptionRouter;

pub(super) const IP_OUTPUT_COMBO: Class = Class::of::<IPOutputCombo>("IPOutputCombo")
    .ports("1/5")
    .processing("h/h");

/// IPOutputCombo: what a router does with a packet that goes out, in one element.
///
/// ```click
/// IPOutputCombo(COLOR, IPADDR, MTU)
/// ```
///
/// The same as
///
/// ```click
/// elementclass IPOutputCombo { $COLOR, $IPADDR, $MTU |
///     input -> DropBroadcasts -> p :: PaintTee($COLOR) -> g :: IPGWOptions($IPADDR)
///         -> FixIPSrc($IPADDR) -> d :: DecIPTTL -> l :: CheckLength($MTU) -> [0]output;
///     p[1] -> [1]output; g[1] -> [2]output; d[1] -> [3]output; l[1] -> [4]output;
/// }
/// ```
///
/// Output 1 is for redirects, 2 for bad options, 3 for packets without hops left, and 4 for those longer
/// than MTU, which an IPFragmenter may cut.
///
/// See Click's manual page IPOutputCombo(n).
pub(crate) struct IPOutputCombo {
    color: u8,
    address: Ipv4Addr,
    mtu: usize,
    router: OptionRouter,
}

impl Configure for IPOutputCombo {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let color = arguments.required("COLOR");
        let address = arguments.required("IPADDR");
        let mtu = arguments.required::<u32>("MTU");
        arguments.finish()?;
        let address = address?;
        Ok(Self {
            color: color?,
            address,
            mtu: mtu? as usize,
            router: OptionRouter::new(address, Vec::new()),
        })
    }
}

impl IPOutputCombo {
    #[inline]
    fn route(&mut self, context: &mut Context<'_>, mut packet: Packet) {
        if matches!(packet.kind(), PacketKind::Broadcast | PacketKind::Multicast) {
            return;
        }
        if packet.annotations().paint() == self.color {
            let copy = context.duplicate(&packet);
            context.emit(1, copy);
        }
        if !self.router.fill(context, &mut packet) {
            context.emit(2, packet);
            return;
        }
        fix_source(&mut packet, self.address);
        if !Hop::ALL.pass(&mut packet) {
            context.emit(3, packet);
            return;
        }
        let output = if packet.len() > self.mtu { 4 } else { 0 };
        context.emit(output, packet);
    }
}

impl Element for IPOutputCombo {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            self.route(context, packet);
        }
    }
}
