use alloc::string::{String, ToString};

use sprat_click::arguments::{Annotation, Argument, ArgumentError, Names, Word};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Ethernet, EthernetFields, EthernetMut, ethertype};
use sprat_packet::{Batch, EtherAddress, Packet};

pub(super) const ETHER_MIRROR: Class = Class::of::<EtherMirror>("EtherMirror");
pub(super) const ETHER_REWRITE: Class = Class::of::<EtherRewrite>("EtherRewrite");
pub(super) const ENSURE_ETHER: Class = Class::of::<EnsureEther>("EnsureEther");
pub(super) const STORE_ETHER_ADDRESS: Class = Class::of::<StoreEtherAddress>("StoreEtherAddress")
    .ports("1/1-2")
    .processing("a/ah");
pub(super) const GET_ETHER_ADDRESS: Class = Class::of::<GetEtherAddress>("GetEtherAddress")
    .ports("1/1-2")
    .processing("a/ah");
pub(super) const SET_ETHER_ADDRESS: Class = Class::of::<SetEtherAddress>("SetEtherAddress");

/// EtherMirror: swaps the addresses of Ethernet frames.
///
/// ```click
/// EtherMirror
/// ```
///
/// See Click's manual page EtherMirror(n).
struct EtherMirror;

impl Configure for EtherMirror {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for EtherMirror {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if let Some((destination, source)) = packet
                .data_mut()
                .get_mut(..12)
                .and_then(|addresses| addresses.split_at_mut_checked(6))
            {
                destination.swap_with_slice(source);
            }
        }
    }
}

/// EtherRewrite: sets the addresses of Ethernet frames.
///
/// ```click
/// EtherRewrite(SRC, DST)
/// ```
///
/// Handlers: `src`, `dst` (read, write).
///
/// See Click's manual page EtherRewrite(n).
struct EtherRewrite {
    source: EtherAddress,
    destination: EtherAddress,
}

impl Configure for EtherRewrite {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let destination = arguments.required("DST");
        arguments.finish()?;
        Ok(Self {
            source: source?,
            destination: destination?,
        })
    }
}

impl Element for EtherRewrite {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if let Ok(mut header) = EthernetMut::new(packet.data_mut()) {
                header.set_source(self.source);
                header.set_destination(self.destination);
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("src").read_write("dst");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        let address = match name {
            "src" => self.source,
            _ => self.destination,
        };
        Ok(address.to_string())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let address = crate::handler_value(context, value)?;
        match name {
            "src" => self.source = address,
            _ => self.destination = address,
        }
        Ok(())
    }
}

/// EnsureEther: sees to it that IP packets have an Ethernet header.
///
/// ```click
/// EnsureEther([ETHERTYPE, SRC, DST])
/// ```
///
/// Packets whose network header is marked get one unless they have it: an Ethernet header of IPv4 or
/// IPv6 right before the network header is left alone, or put back where it was stripped. Whatever else
/// stands before the network header is replaced by a header with ETHERTYPE (0x0800), SRC (1:1:1:1:1:1)
/// and DST (2:2:2:2:2:2). Packets whose network header is not marked, or was stripped itself, pass as they
/// are.
///
/// See Click's manual page EnsureEther(n).
struct EnsureEther {
    header: [u8; LENGTH],
}

/// Bytes of an Ethernet header.
const LENGTH: usize = 14;

impl Configure for EnsureEther {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let ethertype = arguments.position::<u32>("ETHERTYPE");
        let source = arguments.position("SRC");
        let destination = arguments.position("DST");
        arguments.finish()?;
        let Ok(ethertype) = u16::try_from(ethertype.unwrap_or(ethertype::IPV4.into())) else {
            let text = "argument 1 (Ethernet encapsulation type) must be <= 0xFFFF";
            return Err(arguments.error(text));
        };
        let fields = EthernetFields {
            ethertype,
            source: source.unwrap_or(EtherAddress([1; 6])),
            destination: destination.unwrap_or(EtherAddress([2; 6])),
        };
        Ok(Self {
            header: fields.to_bytes(),
        })
    }
}

/// Whether a packet begins with the Ethernet header of an IP packet.
fn begins_with_header(packet: &Packet) -> bool {
    Ethernet::new(packet.data())
        .is_ok_and(|header| matches!(header.ethertype(), ethertype::IPV4 | ethertype::IPV6))
}

impl EnsureEther {
    fn ensure(&self, packet: &mut Packet) {
        let Some(before) = packet
            .network_offset()
            .and_then(|offset| usize::try_from(offset).ok())
        else {
            return;
        };
        if before == LENGTH && begins_with_header(packet) {
            return;
        }
        packet.strip(before);
        packet.prepend(LENGTH);
        if before != 0 || !begins_with_header(packet) {
            packet.data_mut()[..LENGTH].copy_from_slice(&self.header);
        }
    }
}

impl Element for EnsureEther {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            self.ensure(packet);
        }
    }
}

/// Where an Ethernet address stands: `src`, `dst` or a number of bytes.
fn offset(text: &str, names: &dyn Names) -> Result<usize, ArgumentError> {
    match text.to_ascii_lowercase().as_str() {
        "src" => Ok(6),
        "dst" => Ok(0),
        _ => u32::parse(text, names).map(|offset| offset as usize),
    }
}

/// The argument OFFSET, whose mistakes Click words on its own.
fn configured_offset(
    arguments: &mut Arguments<'_>,
    place: Result<Word, Rejected>,
) -> Result<usize, Rejected> {
    let place = offset(&place?.0, arguments.names());
    place.map_err(|_| arguments.error("type mismatch: bad OFFSET"))
}

/// StoreEtherAddress: writes an Ethernet address into packets.
///
/// ```click
/// StoreEtherAddress(ADDR, OFFSET)
/// StoreEtherAddress(OFFSET OFFSET, ANNO ANNO)
/// ```
///
/// - ADDR: the address. ANNO: instead, the place of the six-byte annotation that holds each packet's.
/// - OFFSET: a number of bytes, or `src` or `dst` for the addresses of an Ethernet header.
///
/// Packets that are too short go to output 1, and are dropped where it is not connected.
///
/// Handlers: `addr` (read, write).
///
/// See Click's manual page StoreEtherAddress(n).
struct StoreEtherAddress {
    address: EtherAddress,
    annotation: Option<usize>,
    offset: usize,
}

impl Configure for StoreEtherAddress {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.position("ADDR");
        let place = arguments.required::<Word>("OFFSET");
        let annotation = arguments.keyword_with("ANNO", annotation);
        arguments.finish()?;
        if address.is_some() == annotation.is_some() {
            return Err(arguments.error("must specify exactly one of ADDR/ANNO"));
        }
        Ok(Self {
            address: address.unwrap_or_default(),
            annotation,
            offset: configured_offset(arguments, place)?,
        })
    }
}

impl Element for StoreEtherAddress {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            let address = match self.annotation {
                None => self.address.0,
                Some(annotation) => {
                    core::array::from_fn(|byte| packet.annotations().byte(annotation + byte))
                }
            };
            let place = packet
                .data_mut()
                .get_mut(self.offset..)
                .and_then(|rest| rest.first_chunk_mut());
            if let Some(place) = place {
                *place = address;
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("addr");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "addr" => Ok(self.address.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "addr" => self.address = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// A six-byte annotation.
fn annotation(text: &str, names: &dyn Names) -> Result<usize, ArgumentError> {
    Annotation::parse(text, names)?.sized(6)
}

/// GetEtherAddress: copies an Ethernet address from packets into an annotation.
///
/// ```click
/// GetEtherAddress(ANNO, OFFSET)
/// ```
///
/// ANNO is the place of a six-byte annotation. OFFSET is a number of bytes, or `src` or `dst`
/// for the addresses of an Ethernet header. Packets that are too short go to output 1, and are
/// dropped where it is not connected.
///
/// See Click's manual page GetEtherAddress(n).
struct GetEtherAddress {
    annotation: usize,
    offset: usize,
}

impl Configure for GetEtherAddress {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let annotation = arguments.required_with("ANNO", annotation);
        let place = arguments.required::<Word>("OFFSET");
        arguments.finish()?;
        Ok(Self {
            annotation: annotation?,
            offset: configured_offset(arguments, place)?,
        })
    }
}

impl Element for GetEtherAddress {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            let place = packet.data().get(self.offset..);
            if let Some(address) = place.and_then(|rest| rest.first_chunk::<6>()).copied() {
                packet.set_annotation(self.annotation, &address);
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}

/// SetEtherAddress: sets an annotation to an Ethernet address.
///
/// ```click
/// SetEtherAddress(ADDR, ANNO)
/// ```
///
/// ANNO is the place of a six-byte annotation.
///
/// See Click's manual page SetEtherAddress(n).
struct SetEtherAddress {
    address: EtherAddress,
    annotation: usize,
}

impl Configure for SetEtherAddress {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let address = arguments.required("ADDR");
        let annotation = arguments.required_with("ANNO", annotation);
        arguments.finish()?;
        Ok(Self {
            address: address?,
            annotation: annotation?,
        })
    }
}

impl Element for SetEtherAddress {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.set_annotation(self.annotation, &self.address.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    fn through(elements: &str, frame: &[u8]) -> std::vec::Vec<u8> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> {elements} -> ToDevice(out)"
        ));
        bench.arrive("in", frame);
        bench.run();
        bench.sent("out").concat()
    }

    #[test]
    fn a_mirror_swaps_addresses_of_whole_headers_only() {
        assert_eq!(through("EtherMirror", b"dddddDsssssStt"), b"sssssSdddddDtt");
        assert_eq!(through("EtherMirror", b"dddddDsssss"), b"dddddDsssss");
    }

    #[test]
    fn rewriting_sets_both_addresses() {
        assert_eq!(
            through(
                "EtherRewrite(61:61:61:61:61:61, 62:62:62:62:62:62)",
                b"dddddDsssssStt."
            ),
            b"bbbbbbaaaaaatt."
        );
    }

    #[test]
    fn addresses_are_stored_at_src_dst_or_any_offset() {
        let address = "61:61:61:61:61:61";
        for (offset, expected) in [
            ("src", &b"012345aaaaaaCD"[..]),
            ("dst", b"aaaaaa6789ABCD"),
            ("8", b"01234567aaaaaa"),
            ("9", b""),
        ] {
            assert_eq!(
                through(
                    &std::format!("StoreEtherAddress({address}, {offset})"),
                    b"0123456789ABCD"
                ),
                expected,
                "{offset}"
            );
        }
    }

    #[test]
    fn only_packets_without_header_get_one() {
        // The shortest IPv4 header, and the same behind an Ethernet header.
        let mut ip = [0; 20];
        ip[0] = 0x45;
        ip[3] = 20;
        let framed = through("MarkIPHeader -> EnsureEther", &ip);
        assert_eq!(
            framed[..14],
            *b"\x02\x02\x02\x02\x02\x02\x01\x01\x01\x01\x01\x01\x08\x00"
        );
        assert_eq!(framed[14..], ip);
        let own = "EnsureEther(0x0800, 3:3:3:3:3:3, 3:3:3:3:3:3)";
        for before in ["MarkIPHeader(14)", "Strip(14) -> MarkIPHeader"] {
            assert_eq!(through(&std::format!("{before} -> {own}"), &framed), framed);
        }
        // A header of something else gives way; what is not marked is left alone.
        let mut other = framed.clone();
        other[12] = 0x86;
        let replaced = through("MarkIPHeader(14) -> EnsureEther", &other);
        assert_eq!(replaced, framed);
        assert_eq!(through("EnsureEther", &ip), ip);
    }

    #[test]
    fn an_address_is_stored_from_an_annotation() {
        let frame = b"dddddd\x00\x01\x02\x03\x04\x05\x08\x00";
        assert_eq!(
            through(
                "GetEtherAddress(20, src) -> StoreEtherAddress(OFFSET DST, ANNO 20)",
                frame
            )[..6],
            [0, 1, 2, 3, 4, 5]
        );
        let errors = crate::testing::Bench::errors(
            "Idle -> StoreEtherAddress(1:1:1:1:1:1, src, ANNO 20) -> Discard;
             Idle -> StoreEtherAddress(1:1:1:1:1:1, x) -> Discard",
        );
        for error in [
            "  must specify exactly one of ADDR/ANNO\n",
            "  type mismatch: bad OFFSET\n",
        ] {
            assert!(errors.contains(error), "{errors}");
        }
    }

    #[test]
    fn an_address_goes_to_an_annotation_byte_for_byte() {
        // Byte 20 is the first of the VLAN annotation, which VLANEncap writes out.
        let frame = b"dddddd\x00\x01\x02\x03\x04\x05\x08\x00";
        let tag = through("GetEtherAddress(20, src) -> VLANEncap(ANNO)", frame);
        assert_eq!(tag[12..16], *b"\x81\x00\x00\x01");
        let tag = through("SetEtherAddress(0:5:0:0:0:0, 20) -> VLANEncap(ANNO)", frame);
        assert_eq!(tag[12..16], *b"\x81\x00\x00\x05");
        assert_eq!(through("GetEtherAddress(20, 9)", frame), b"");
    }
}
