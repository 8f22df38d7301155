use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::EthernetFields;
use sprat_packet::{Batch, EtherAddress, Packet};

use super::tag::Tag;

pub(super) const ETHER_ENCAP: Class = Class::of::<EtherEncap>("EtherEncap")
    .reconfigurable()
    .arguments(&[
        ("src", "1 SRC"),
        ("dst", "2 DST"),
        ("ethertype", "0 ETHERTYPE"),
    ]);
pub(super) const ETHER_VLAN_ENCAP: Class =
    Class::of::<EtherVlanEncap>("EtherVLANEncap").reconfigurable();
pub(super) const ETHER_VLAN_ENCAP_OLD: Class = ETHER_VLAN_ENCAP.named("EtherVlanEncap");

/// Puts an Ethernet header before a packet and marks it as the link header, and what follows it as
/// the network header.
#[inline]
pub(super) fn encapsulate(packet: &mut Packet, header: &[u8]) {
    packet.prepend(header.len()).copy_from_slice(header);
    packet.set_link_header(0, header.len());
}

/// Reads ETHERTYPE, SRC and DST.
fn fields(arguments: &mut Arguments<'_>) -> Result<EthernetFields, Rejected> {
    let ethertype = arguments.required("ETHERTYPE");
    let source = arguments.required("SRC");
    let destination = arguments.required("DST");
    Ok(EthernetFields {
        ethertype: ethertype?,
        source: source?,
        destination: destination?,
    })
}

fn handlers(list: &mut HandlerList) {
    list.read_write("src")
        .read_write("dst")
        .read_write("ethertype");
}

fn read(fields: &EthernetFields, name: &str) -> Result<String, HandlerError> {
    Ok(match name {
        "src" => fields.source.to_string(),
        "dst" => fields.destination.to_string(),
        _ => fields.ethertype.to_string(),
    })
}

fn write(
    fields: &mut EthernetFields,
    context: &Context<'_>,
    name: &str,
    value: &str,
) -> Result<(), HandlerError> {
    match name {
        "src" => fields.source = crate::handler_value(context, value)?,
        "dst" => fields.destination = crate::handler_value(context, value)?,
        "ethertype" => fields.ethertype = crate::handler_value(context, value)?,
        _ => return Err(HandlerError::NoHandler(name.into())),
    }
    Ok(())
}

/// EtherEncap: puts an Ethernet header before packets.
///
/// ```click
/// EtherEncap(ETHERTYPE, SRC, DST)
/// ```
///
/// - ETHERTYPE: the type of what the packets hold, such as 0x0800 for IPv4.
/// - SRC, DST: the addresses.
///
/// Handlers: `src`, `dst`, `ethertype` (read, write).
///
/// See Click's manual page EtherEncap(n).
struct EtherEncap {
    fields: EthernetFields,
    header: [u8; 14],
}

impl Configure for EtherEncap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let fields = fields(arguments);
        arguments.finish()?;
        let fields = fields?;
        Ok(Self {
            fields,
            header: fields.to_bytes(),
        })
    }
}

impl Element for EtherEncap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            encapsulate(packet, &self.header);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        read(&self.fields, name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        // Each stands for an argument, and what is wrong with it is worded so.
        match name {
            "src" => self.fields.source = crate::argument_value(context, name, value)?,
            "dst" => self.fields.destination = crate::argument_value(context, name, value)?,
            _ => self.fields.ethertype = crate::argument_value(context, name, value)?,
        }
        self.header = self.fields.to_bytes();
        Ok(())
    }
}

/// EtherVLANEncap, EtherVlanEncap: put an Ethernet header with a VLAN tag before packets.
///
/// ```click
/// EtherVLANEncap(ETHERTYPE, SRC, DST, VLAN_TCI [, VLAN_PCP, keywords VLAN_ID, NATIVE_VLAN])
/// EtherVlanEncap(the same)
/// ```
///
/// - ETHERTYPE, SRC, DST: as for `EtherEncap`.
/// - VLAN_TCI: the tag's 16 bits, or `ANNO` for those of the packet's VLAN_TCI annotation.
/// - VLAN_ID: instead of VLAN_TCI, the number of the VLAN alone.
/// - VLAN_PCP: the priority, 0 to 7; 0.
/// - NATIVE_VLAN: packets of this VLAN get no tag; 0. With -1, all get one.
///
/// Handlers: `src`, `dst`, `ethertype`, `vlan_tci`, `vlan_id`, `vlan_pcp`, `native_vlan` (read,
/// write).
///
/// See Click's manual page EtherVLANEncap(n).
struct EtherVlanEncap {
    fields: EthernetFields,
    tag: Tag,
    /// The header without tag, and with one whose control information is yet to be set.
    plain: [u8; 14],
    tagged: [u8; 18],
}

/// The EtherType that announces a VLAN tag (IEEE 802.1Q).
const TAG_TYPE: u16 = sprat_packet::headers::ethertype::VLAN;

impl Configure for EtherVlanEncap {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let fields = fields(arguments);
        let tag = Tag::configure(arguments);
        arguments.finish()?;
        let mut element = Self {
            fields: fields?,
            tag: tag?,
            plain: [0; 14],
            tagged: [0; 18],
        };
        element.make_headers();
        Ok(element)
    }
}

impl EtherVlanEncap {
    fn make_headers(&mut self) {
        self.plain = self.fields.to_bytes();
        self.tagged[..12].copy_from_slice(&self.plain[..12]);
        self.tagged[12..14].copy_from_slice(&TAG_TYPE.to_be_bytes());
        self.tagged[16..].copy_from_slice(&self.plain[12..]);
    }
}

impl Element for EtherVlanEncap {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            match self.tag.control(packet) {
                Some(control) => {
                    self.tagged[14..16].copy_from_slice(&control.to_be_bytes());
                    encapsulate(packet, &self.tagged);
                }
                None => encapsulate(packet, &self.plain),
            }
        }
    }

    fn configuration(&self) -> Option<String> {
        let EthernetFields {
            ethertype,
            source,
            destination,
        } = self.fields;
        let tag = self.tag.configuration();
        Some(format!("{source}, {destination}, {ethertype}, {tag}"))
    }

    fn handlers(&self, list: &mut HandlerList) {
        handlers(list);
        Tag::handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.tag.read(name).or_else(|_| read(&self.fields, name))
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if Tag::has_handler(name) {
            return self.tag.write(context, name, value);
        }
        write(&mut self.fields, context, name, value)?;
        self.make_headers();
        Ok(())
    }
}

/// A broadcast header of `ethertype` from `source`, for elements that make frames.
pub(super) fn frame(destination: EtherAddress, source: EtherAddress, ethertype: u16) -> [u8; 14] {
    EthernetFields {
        destination,
        source,
        ethertype,
    }
    .to_bytes()
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn ether_encap_writes_addresses_and_type() {
        let bench = Bench::new(
            "FromDevice(in) -> e :: EtherEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2) -> ToDevice(out)",
        );
        bench.arrive("in", b"data");
        bench.run();
        bench.write("e.dst", "3:3:3:3:3:3");
        bench.write("e.ethertype", "0x86dd");
        bench.arrive("in", b"data");
        bench.run();
        assert_eq!(
            bench.sent("out"),
            [
                *b"\x02\x02\x02\x02\x02\x02\x01\x01\x01\x01\x01\x01\x08\x00data",
                *b"\x03\x03\x03\x03\x03\x03\x01\x01\x01\x01\x01\x01\x86\xdddata"
            ]
        );
        assert_eq!(bench.read("e.src"), "01-01-01-01-01-01");
        assert_eq!(bench.read("e.ethertype"), "34525");
        assert_eq!(bench.read("e.config"), "0x86dd, 1:1:1:1:1:1, 3:3:3:3:3:3");
    }

    #[test]
    fn what_is_stripped_comes_back_as_the_link_header() {
        let bench = Bench::new(
            "FromDevice(in) -> EtherEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2) -> Strip(14) -> ToDevice(out)",
        );
        bench.arrive("in", b"data");
        bench.run();
        assert_eq!(bench.sent("out"), [b"data"]);
    }

    /// The bytes after the addresses that `EtherVLANEncap(0x0800, ..., config)` writes.
    fn tag(before: &str, config: &str) -> std::vec::Vec<u8> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) {before} \
             -> EtherVLANEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2, {config}) -> ToDevice(out)"
        ));
        bench.arrive("in", b"d");
        bench.run();
        bench.sent("out").concat()[12..].to_vec()
    }

    #[test]
    fn ether_vlan_encap_is_known_by_its_old_name_too() {
        let bench = Bench::new(
            "Idle -> e :: EtherVlanEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2, 5) -> Discard",
        );
        assert_eq!(bench.read("e.vlan_id"), "5");
    }

    #[test]
    fn ether_vlan_encap_tags_all_but_the_native_vlan() {
        for (before, config, expected) in [
            ("", "1", &b"\x81\x00\x00\x01\x08\x00d"[..]),
            ("", "VLAN_ID 5, VLAN_PCP 2", b"\x81\x00\x40\x05\x08\x00d"),
            ("", "0", b"\x08\x00d"),
            ("", "0, NATIVE_VLAN -1", b"\x81\x00\x00\x00\x08\x00d"),
            ("", "7, NATIVE_VLAN 7", b"\x08\x00d"),
            ("-> SetVLANAnno(2, 1)", "ANNO", b"\x81\x00\x20\x02\x08\x00d"),
            ("", "ANNO", b"\x08\x00d"),
        ] {
            assert_eq!(tag(before, config), expected, "{before} {config}");
        }
    }
}
