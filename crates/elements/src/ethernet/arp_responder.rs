use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{AddressOrPrefix, Argument, Ipv4Prefix, Names, split_words, unquote};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::VLAN_TCI;
use sprat_packet::headers::{Arp, ArpFields, Ethernet, arp_operation, ethertype};
use sprat_packet::{Batch, EtherAddress, Packet};

use super::encap::frame;

pub(super) const ARP_RESPONDER: Class = Class::of::<ArpResponder>("ARPResponder")
    .ports("1/1-2")
    .processing("a/ah")
    .reconfigurable();

/// Bytes of an ARP packet for IPv4 in its Ethernet frame.
pub(super) const FRAME: usize = 14 + Arp::LENGTH;

/// Reads the ARP packet for IPv4 that an Ethernet frame holds.
pub(super) fn arp_of(data: &[u8]) -> Option<ArpFields> {
    let header = Ethernet::new(data).ok()?;
    if header.ethertype() != ethertype::ARP {
        return None;
    }
    Arp::new(header.payload()).ok()?.fields()
}

/// Writes an ARP packet and its Ethernet header over the first bytes of `data`, which are
/// [`FRAME`] at least.
pub(super) fn write_arp(data: &mut [u8], destination: EtherAddress, arp: ArpFields) {
    data[..14].copy_from_slice(&frame(destination, arp.sender_hardware, ethertype::ARP));
    data[14..FRAME].copy_from_slice(&arp.to_bytes());
}

/// ARPResponder: answers ARP requests.
///
/// ```click
/// ARPResponder(IP/MASK [IP/MASK...] ETH, IP2/MASK2 [...] ETH2, ...)
/// ```
///
/// A request for an address that one of the prefixes covers is answered with the Ethernet
/// address that goes with it; the longest prefix counts. A name that `AddressInfo` gives both an
/// IP and an Ethernet address can stand for both. Everything else goes to output 1, and is
/// dropped where it is not connected. Frames come with their Ethernet header. Prefixes of any
/// length make it a proxy for networks.
///
/// Handlers: `table` (read); `lookup` (read): the Ethernet address for an IP address; `add`
/// (write) an entry `IP/MASK ETH`; `remove` (write) the entry of `IP/MASK`.
///
/// See Click's manual page ARPResponder(n).
struct ArpResponder {
    /// The longest prefixes first.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    prefix: Ipv4Prefix,
    address: EtherAddress,
}

/// Bits of a prefix that count.
fn bits(prefix: Ipv4Prefix) -> u32 {
    prefix.mask.to_bits().count_ones()
}

/// Reads the entries of one argument: prefixes, and the Ethernet address of all of them.
fn parse_entries(text: &str, names: &dyn Names) -> Result<Vec<Entry>, String> {
    let mut prefixes = Vec::new();
    let mut address = None;
    let mut implied = None;
    for word in split_words(text) {
        if let Ok(AddressOrPrefix(prefix)) = AddressOrPrefix::parse(&word, names) {
            prefixes.push(prefix);
            implied = implied.or_else(|| EtherAddress::parse(&word, names).ok());
        } else if let Ok(found) = EtherAddress::parse(&word, names) {
            if address.replace(found).is_some() {
                return Err("more than one ETH".into());
            }
        } else {
            return Err("expected IP/MASK ETH".into());
        }
    }
    if prefixes.is_empty() {
        return Err("missing IP/MASK".into());
    }
    let Some(address) = address.or(implied) else {
        return Err("missing ETH".into());
    };
    Ok(prefixes
        .into_iter()
        .map(|prefix| Entry {
            prefix: Ipv4Prefix {
                address: prefix.network(),
                mask: prefix.mask,
            },
            address,
        })
        .collect())
}

impl Configure for ArpResponder {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut responder = Self {
            entries: Vec::new(),
        };
        let names = arguments.names();
        let mut repeated = Vec::new();
        for (number, text) in arguments.rest().iter().enumerate() {
            match parse_entries(text, names) {
                Ok(entries) => {
                    for entry in entries {
                        if responder.find(entry.prefix).is_some() {
                            repeated.push(entry.prefix);
                        }
                        responder.set(entry);
                    }
                }
                Err(error) => {
                    arguments.error(format!("argument {number}: {error}"));
                }
            }
        }
        for prefix in repeated {
            arguments.warning(format!("multiple entries for {prefix}"));
        }
        arguments.finish()?;
        Ok(responder)
    }
}

impl ArpResponder {
    fn find(&self, prefix: Ipv4Prefix) -> Option<usize> {
        self.entries.iter().position(|entry| entry.prefix == prefix)
    }

    /// Adds an entry, or replaces the one of the same prefix.
    fn set(&mut self, entry: Entry) {
        if let Some(place) = self.find(entry.prefix) {
            self.entries[place] = entry;
            return;
        }
        // Before all that it is a part of; else in the order in which they came.
        let outer = |other: &Entry| {
            bits(other.prefix) < bits(entry.prefix) && other.prefix.contains(entry.prefix.address)
        };
        let place = self.entries.iter().position(outer);
        let place = place.unwrap_or(self.entries.len());
        self.entries.insert(place, entry);
    }

    fn lookup(&self, address: Ipv4Addr) -> Option<EtherAddress> {
        self.entries
            .iter()
            .find(|entry| entry.prefix.contains(address))
            .map(|entry| entry.address)
    }

    /// Turns a request into the answer to it, where there is one.
    fn answer(&self, packet: &mut Packet) -> bool {
        let Some(request) = arp_of(packet.data()) else {
            return false;
        };
        if request.operation != arp_operation::REQUEST {
            return false;
        }
        let Some(address) = self.lookup(request.target_protocol) else {
            return false;
        };
        let reply = ArpFields {
            operation: arp_operation::REPLY,
            sender_hardware: address,
            sender_protocol: request.target_protocol,
            target_hardware: request.sender_hardware,
            target_protocol: request.sender_protocol,
        };
        packet.truncate(FRAME);
        write_arp(packet.data_mut(), request.sender_hardware, reply);
        // It is a packet of its own, of the same device and VLAN, and of the same time: captures are in
        // order.
        let tag = packet.annotations().half(VLAN_TCI);
        let (device, time) = (packet.device(), packet.timestamp());
        packet.clear_annotations();
        packet.set_device(device);
        packet.set_timestamp(time);
        packet.set_annotation_half(VLAN_TCI, tag);
        packet.set_mac_header(0);
        packet.set_network_header(FRAME - Arp::LENGTH, 0);
        true
    }
}

impl Element for ArpResponder {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if self.answer(&mut packet) {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("table")
            .read_with_parameters("lookup")
            .write("add")
            .write("remove");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "table" => Ok(self.entries.iter().fold(String::new(), |text, entry| {
                format!("{text}{} {}\n", entry.prefix, entry.address)
            })),
            _ => {
                let address = Ipv4Addr::parse(parameters.trim(), &context.names())
                    .map_err(|_| HandlerError::failed("expected IP address"))?;
                Ok(self
                    .lookup(address)
                    .map_or_else(String::new, |address| address.to_string()))
            }
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let names = context.names();
        match name {
            "add" => {
                let entries = parse_entries(&unquote(value), &names);
                for entry in entries.map_err(HandlerError::failed)? {
                    self.set(entry);
                }
                Ok(())
            }
            _ => {
                let AddressOrPrefix(prefix) = AddressOrPrefix::parse(value.trim(), &names)
                    .map_err(|_| HandlerError::failed("expected IP/MASK"))?;
                let Some(place) = self.find(prefix) else {
                    return Err(HandlerError::failed(format!("{prefix} not found")));
                };
                self.entries.remove(place);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    /// A request (RFC 826) of 5.0.0.1, who is at 02-00-00-00-00-01, for 1.2.3.`target`.
    fn request(target: u8) -> std::vec::Vec<u8> {
        [
            &b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06"[..],
            b"\0\x01\x08\0\x06\x04\0\x01\x02\0\0\0\0\x01\x05\0\0\x01\0\0\0\0\0\0\x01\x02\x03",
            &[target],
        ]
        .concat()
    }

    #[test]
    fn requests_are_answered_by_the_longest_prefix() {
        let bench = Bench::new(
            "FromDevice(in) -> r :: ARPResponder(1.2.3.0/24 3:3:3:3:3:3, 1.2.3.4 4:4:4:4:4:4) \
             -> ToDevice(out); r[1] -> ToDevice(rest)",
        );
        let mut padded = request(4);
        padded.resize(60, 0);
        bench.arrive("in", &padded);
        bench.arrive("in", &request(5));
        let mut other = request(4);
        other[40] = 9;
        bench.arrive("in", &other);
        bench.run();
        let answer = |address: u8, target: u8| {
            [
                &b"\x02\0\0\0\0\x01"[..],
                &[address; 6],
                b"\x08\x06\0\x01\x08\0\x06\x04\0\x02",
                &[address; 6],
                b"\x01\x02\x03",
                &[target],
                b"\x02\0\0\0\0\x01\x05\0\0\x01",
            ]
            .concat()
        };
        assert_eq!(bench.sent("out"), [answer(4, 4), answer(3, 5)]);
        assert_eq!(bench.sent("rest"), [other]);
        assert_eq!(
            bench.read("r.table"),
            "1.2.3.4/32 04-04-04-04-04-04\n1.2.3.0/24 03-03-03-03-03-03\n"
        );
    }

    #[test]
    fn entries_come_and_go() {
        let bench = Bench::new("Idle -> r :: ARPResponder -> Idle");
        assert_eq!(bench.read("r.table"), "");
        bench.write("r.add", "1.0.0.0/8 2.0.0.7/8 1:1:1:1:1:1");
        bench.write("r.add", "2.0.0.0/8 2:2:2:2:2:2");
        assert_eq!(
            bench.read("r.table"),
            "1.0.0.0/8 01-01-01-01-01-01\n2.0.0.0/8 02-02-02-02-02-02\n"
        );
        bench.write("r.remove", "1.0.0.0/8");
        assert_eq!(bench.read("r.table"), "2.0.0.0/8 02-02-02-02-02-02\n");
    }

    #[test]
    fn only_whole_requests_are_answered() {
        let bench =
            Bench::new("FromDevice(in) -> r :: ARPResponder(0/0 1:1:1:1:1:1) -> ToDevice(out)");
        for length in 0..42 {
            bench.arrive("in", &request(4)[..length]);
        }
        let mut reply = request(4);
        reply[21] = 2;
        bench.arrive("in", &reply);
        let mut token_ring = request(4);
        token_ring[15] = 6;
        bench.arrive("in", &token_ring);
        bench.run();
        assert!(bench.sent("out").is_empty());
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for (config, error) in [
            ("1.0.0.1", "argument 0: missing ETH"),
            (", 1.0.0.1 1:1:1:1:1:1", "argument 0: missing IP/MASK"),
            ("1:1:1:1:1:1", "argument 0: missing IP/MASK"),
            ("1.0.0.1 1:1:1:1:1:1, x", "argument 1: expected IP/MASK ETH"),
        ] {
            let errors =
                Bench::errors(&std::format!("Idle -> r :: ARPResponder({config}) -> Idle"));
            assert!(errors.contains(error), "{errors}");
        }
    }
}
