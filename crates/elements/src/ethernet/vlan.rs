use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Ethernet, Vlan, ethertype};
use sprat_packet::{Batch, Packet};

use super::tag::{Tag, set_annotation};

pub(super) const VLAN_ENCAP: Class = Class::of::<VlanEncap>("VLANEncap").reconfigurable();
pub(super) const VLAN_DECAP: Class = Class::of::<VlanDecap>("VLANDecap");
pub(super) const SET_VLAN_ANNO: Class = Class::of::<SetVlanAnno>("SetVLANAnno").reconfigurable();
pub(super) const STRIP_ETHER_VLAN_HEADER: Class =
    Class::of::<StripEtherVlanHeader>("StripEtherVLANHeader")
        .ports("1/1-2")
        .processing("a/ah");

/// The addresses of an Ethernet header, which a tag stands behind.
const ADDRESSES: usize = 12;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// Bytes of a tag, the EtherType that announces it included.
const TAG: usize = 4;

/// The control information of the tag that `ethertype` announces in an Ethernet frame.
fn tag_of(frame: &[u8], ethertype: u16) -> Option<u16> {
    let ethernet = Ethernet::new(frame).ok()?;
    if ethernet.ethertype() != ethertype {
        return None;
    }
    let tag = Vlan::new(ethernet.payload()).ok()?;
    Some(tag.tag_control())
}

/// VLANEncap: puts a VLAN tag into Ethernet frames.
///
/// ```click
/// VLANEncap([VLAN_TCI, VLAN_PCP, keywords VLAN_ID, NATIVE_VLAN, ETHERTYPE])
/// ```
///
/// - VLAN_TCI: the tag's 16 bits, or `ANNO` for those of the packet's VLAN_TCI annotation.
/// - VLAN_ID: instead of VLAN_TCI, the number of the VLAN alone.
/// - VLAN_PCP: the priority, 0 to 7; 0.
/// - NATIVE_VLAN: packets of this VLAN get no tag; 0. With -1, all get one.
/// - ETHERTYPE: the type that announces the tag; 0x8100. 0x88a8 is that of a service VLAN.
///
/// Handlers: `vlan_tci`, `vlan_id`, `vlan_pcp`, `native_vlan`, `ethertype` (read, write).
///
/// See Click's manual page VLANEncap(n).
struct VlanEncap {
    tag: Tag,
    ethertype: u16,
}

impl Configure for VlanEncap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let tag = Tag::configure(arguments);
        let ethertype = arguments.keyword("ETHERTYPE").unwrap_or(ethertype::VLAN);
        arguments.finish()?;
        Ok(Self {
            tag: tag?,
            ethertype,
        })
    }
}

impl Element for VlanEncap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let Some(control) = self.tag.control(packet) else {
                packet.set_link_header(0, ETHERNET);
                continue;
            };
            if packet.len() < ADDRESSES {
                continue;
            }
            packet.prepend(TAG);
            let data = packet.data_mut();
            data.copy_within(TAG..TAG + ADDRESSES, 0);
            data[ADDRESSES..ADDRESSES + 2].copy_from_slice(&self.ethertype.to_be_bytes());
            data[ADDRESSES + 2..ADDRESSES + TAG].copy_from_slice(&control.to_be_bytes());
            packet.set_mac_header(0);
        }
    }

    fn configuration(&self) -> Option<String> {
        Some(self.tag.configuration())
    }

    fn handlers(&self, list: &mut HandlerList) {
        Tag::handlers(list);
        list.read_write("ethertype");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            // Click reads it in the configuration that it tells, where it is not.
            "ethertype" => Ok(String::new()),
            _ => self.tag.read(name),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "ethertype" => self.ethertype = crate::argument_value(context, name, value)?,
            _ => self.tag.write(context, name, value)?,
        }
        Ok(())
    }
}

/// VLANDecap: takes the VLAN tag out of Ethernet frames.
///
/// ```click
/// VLANDecap([keywords ANNO, ETHERTYPE])
/// ```
///
/// - ANNO: whether to set the VLAN_TCI annotation to the tag's 16 bits, or to 0 for frames
///   without tag, which pass as they are; true.
/// - ETHERTYPE: the type that announces the tag; 0x8100.
///
/// See Click's manual page VLANDecap(n).
struct VlanDecap {
    annotate: bool,
    ethertype: u16,
}

impl Configure for VlanDecap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let annotate = arguments.position("ANNO").unwrap_or(true);
        let ethertype = arguments.keyword("ETHERTYPE").unwrap_or(ethertype::VLAN);
        arguments.finish()?;
        Ok(Self {
            annotate,
            ethertype,
        })
    }
}

impl Element for VlanDecap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let control = tag_of(packet.data(), self.ethertype);
            if self.annotate {
                set_annotation(packet, control.unwrap_or(0));
            }
            if control.is_some() {
                packet.data_mut().copy_within(0..ADDRESSES, TAG);
                packet.strip(TAG);
            }
            packet.set_link_header(0, ETHERNET);
        }
    }
}

/// SetVLANAnno: sets packets' VLAN annotation.
///
/// ```click
/// SetVLANAnno([VLAN_TCI, VLAN_PCP, keyword VLAN_ID])
/// ```
///
/// - VLAN_TCI: the 16 bits of a tag. VLAN_ID: instead, the number of the VLAN alone.
/// - VLAN_PCP: the priority, 0 to 7; 0.
///
/// Handlers: `vlan_tci`, `vlan_id`, `vlan_pcp` (read, write).
///
/// See Click's manual page SetVLANAnno(n).
struct SetVlanAnno {
    tag: Tag,
}

impl Configure for SetVlanAnno {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let tag = Tag::configure_fixed(arguments);
        arguments.finish()?;
        Ok(Self { tag: tag? })
    }
}

impl Element for SetVlanAnno {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if let Some(control) = self.tag.control(packet) {
                set_annotation(packet, control);
            }
        }
    }

    fn configuration(&self) -> Option<String> {
        Some(self.tag.configuration())
    }

    fn handlers(&self, list: &mut HandlerList) {
        Tag::control_handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.tag.read(name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.tag.write(context, name, value)
    }
}

/// StripEtherVLANHeader: removes the Ethernet header, with its VLAN tag where there is one.
///
/// ```click
/// StripEtherVLANHeader([NATIVE_VLAN])
/// ```
///
/// Sets the VLAN_TCI annotation to the tag's 16 bits, or to NATIVE_VLAN (0) for frames without
/// tag. With a negative NATIVE_VLAN, frames without tag go to output 1, and are dropped where it
/// is not connected; so are frames that are too short.
///
/// See Click's manual page StripEtherVLANHeader(n).
struct StripEtherVlanHeader {
    native: Option<u16>,
}

impl Configure for StripEtherVlanHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let native = arguments.position::<i16>("NATIVE_VLAN").unwrap_or(0);
        arguments.finish()?;
        if native > 0xfff {
            return Err(arguments.error("bad NATIVE_VLAN"));
        }
        Ok(Self {
            native: u16::try_from(native).ok(),
        })
    }
}

impl StripEtherVlanHeader {
    fn strip(&self, packet: &mut Packet) -> bool {
        let (control, length) = match (tag_of(packet.data(), ethertype::VLAN), self.native) {
            (Some(control), _) => (control, ETHERNET + TAG),
            (None, Some(native)) if packet.len() >= ETHERNET => (native, ETHERNET),
            _ => return false,
        };
        packet.set_mac_header(0);
        set_annotation(packet, control);
        packet.strip(length)
    }
}

impl Element for StripEtherVlanHeader {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if self.strip(&mut packet) {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    const PLAIN: &[u8] = b"\x02\x02\x02\x02\x02\x02\x01\x01\x01\x01\x01\x01\x08\x00data";

    fn through(elements: &str, frame: &[u8]) -> std::vec::Vec<u8> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> {elements} -> ToDevice(out)"
        ));
        bench.arrive("in", frame);
        bench.run();
        bench.sent("out").concat()
    }

    /// `PLAIN` with a tag.
    fn tagged(tag: &[u8; 4]) -> std::vec::Vec<u8> {
        [&PLAIN[..12], tag, &PLAIN[12..]].concat()
    }

    #[test]
    fn tags_go_in_behind_the_addresses_and_out_again() {
        assert_eq!(
            through("VLANEncap(0x1234)", PLAIN),
            tagged(b"\x81\x00\x12\x34")
        );
        assert_eq!(
            through("VLANEncap(VLAN_ID 4, VLAN_PCP 1, ETHERTYPE 0x88a8)", PLAIN),
            tagged(b"\x88\xa8\x20\x04")
        );
        assert_eq!(through("VLANEncap(0)", PLAIN), PLAIN);
        assert_eq!(through("VLANDecap", &tagged(b"\x81\x00\x12\x34")), PLAIN);
        assert_eq!(
            through("VLANDecap", &tagged(b"\x88\xa8\x00\x01")),
            tagged(b"\x88\xa8\x00\x01")
        );
        assert_eq!(through("VLANDecap", PLAIN), PLAIN);
    }

    #[test]
    fn the_annotation_carries_a_tag_from_one_element_to_another() {
        let tag = tagged(b"\x81\x00\x60\x07");
        assert_eq!(through("VLANDecap -> VLANEncap(ANNO)", &tag), tag);
        assert_eq!(
            through("VLANDecap(ANNO false) -> VLANEncap(ANNO)", &tag),
            PLAIN
        );
        assert_eq!(through("SetVLANAnno(7, 3) -> VLANEncap(ANNO)", PLAIN), tag);
    }

    #[test]
    fn headers_are_stripped_with_and_without_tag() {
        let tag = tagged(b"\x81\x00\x60\x07");
        assert_eq!(through("StripEtherVLANHeader", &tag), b"data");
        assert_eq!(through("StripEtherVLANHeader", PLAIN), b"data");
        assert_eq!(through("StripEtherVLANHeader(-1)", PLAIN), b"");
        assert_eq!(through("StripEtherVLANHeader(-1)", &tag), b"data");
    }

    #[test]
    fn what_is_written_joins_the_other_arguments() {
        let bench = Bench::new("Idle -> v :: VLANEncap(VLAN_ID 5, VLAN_PCP 1) -> Idle");
        for (handler, value, config) in [
            ("v.vlan_id", "6", "VLAN_ID 6, VLAN_PCP 1"),
            // The priority is an argument of its own.
            ("v.vlan_tci", "0x4007", "VLAN_ID 7, VLAN_PCP 3"),
            ("v.vlan_pcp", "2", "VLAN_ID 7, VLAN_PCP 2"),
            ("v.vlan_tci", "ANNO", "ANNO"),
            ("v.vlan_id", "3", "ANNO"),
            ("v.vlan_tci", "3", "VLAN_ID 3, VLAN_PCP 0"),
            ("v.native_vlan", "9", "VLAN_ID 3, VLAN_PCP 0, NATIVE_VLAN 9"),
        ] {
            bench.write(handler, value);
            assert_eq!(bench.read("v.config"), config, "{handler} {value}");
        }
        for (handler, value, error) in [
            ("v.vlan_id", "4096", "VLAN_ID: out of range, bound 4095"),
            ("v.vlan_pcp", "8", "VLAN_PCP: out of range, bound 7"),
            ("v.vlan_tci", "x", "VLAN_TCI: invalid number"),
        ] {
            let refused = bench.write_fails(handler, value);
            assert!(refused.is_some_and(|refused| refused.contains(error)));
        }
    }

    #[test]
    fn frames_cut_short_do_no_harm() {
        for length in 0..18 {
            let frame = &tagged(b"\x81\x00\x60\x07")[..length];
            for element in ["VLANEncap(5)", "VLANDecap", "StripEtherVLANHeader"] {
                through(element, frame);
            }
        }
    }
}
