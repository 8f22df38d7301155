use alloc::format;
use alloc::string::{String, ToString};
use core::net::{Ipv4Addr, Ipv6Addr};

use sprat_click::arguments::{Argument, Ipv4Prefix, Ipv6Prefix, Names, split_words, unquote};
use sprat_click::names::Meaning;
use sprat_click::{Arguments, Class, Configuration, Configure, Element, Phase, Rejected};
use sprat_packet::EtherAddress;

pub(super) const ADDRESS_INFO: Class = Class::of::<AddressInfo>("AddressInfo")
    .ports("0/0")
    .phase(Phase::Information);

/// AddressInfo: gives addresses names.
///
/// ```click
/// AddressInfo(NAME ADDRESS [ADDRESS ...], NAME ...)
/// ```
///
/// Each NAME stands for the addresses behind it, at most one of a kind: an IPv4 address, an IPv4
/// network, an IPv6 address or network, an Ethernet address. A network written as one of its hosts, such
/// as `10.0.0.1/8`, is that host's address too. Elements of the same compound element and those inside it
/// can use the name instead.
///
/// Where a name may stand for several, a suffix chooses: `NAME:ip`, `NAME:ipnet`, `NAME:bcast` (the
/// network's broadcast address), `NAME:ip6`, `NAME:ip6net`, `NAME:eth`. A network interface's name
/// that nothing else has stands for the interface's addresses, and `eth0:gw` for the gateway of its
/// default route, in routers that run as a process of the host; of other networks, `NAME:gw` is the first
/// address.
///
/// See Click's manual page AddressInfo(n).
struct AddressInfo;

impl Configure for AddressInfo {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let names = arguments.names();
        for entry in arguments.rest() {
            let words = split_words(&entry);
            let Some((name, addresses)) = words.split_first() else {
                continue;
            };
            let name = unquote(name);
            // The table must not be held while names are looked up in it.
            let mut meaning = Meaning::default();
            for address in addresses {
                if let Err(message) = learn(&mut meaning, &unquote(address), names) {
                    arguments.error(message);
                }
            }
            if addresses.is_empty() {
                arguments.error("expected 'NAME [ADDRS]'");
            }
            let mut table = configuration.addresses().borrow_mut();
            add(table.define(configuration.scope(), &name), meaning);
        }
        arguments.check()?;
        Ok(Self)
    }
}

/// Adds one address to what a name means: what is said later counts, but for a prefix with a host
/// in it, which takes nothing back.
fn learn(meaning: &mut Meaning, text: &str, names: &dyn Names) -> Result<(), String> {
    if let Ok(address) = EtherAddress::parse(text, names) {
        meaning.ethernet = Some(address);
    } else if let Ok(address) = Ipv4Addr::parse(text, names) {
        meaning.ipv4 = Some(address);
    } else if let Ok(prefix) = Ipv4Prefix::parse(text, names) {
        if prefix.address != prefix.network() || prefix.length() == Some(32) {
            meaning.ipv4.get_or_insert(prefix.address);
            meaning.ipv4_prefix.get_or_insert(prefix);
        } else {
            meaning.ipv4_prefix = Some(prefix);
        }
    } else if let Ok(address) = Ipv6Addr::parse(text, names) {
        meaning.ipv6 = Some(address);
    } else if let Ok(prefix) = Ipv6Prefix::parse(text, names) {
        if prefix.address != prefix.network() || prefix.length == 128 {
            meaning.ipv6.get_or_insert(prefix.address);
            meaning.ipv6_prefix.get_or_insert(prefix);
        } else {
            meaning.ipv6_prefix = Some(prefix);
        }
    } else {
        return Err(format!("'{text}' is not a recognizable address"));
    }
    Ok(())
}

/// What is said later counts.
fn add(known: &mut Meaning, new: Meaning) {
    known.ipv4 = new.ipv4.or(known.ipv4);
    known.ipv4_prefix = new.ipv4_prefix.or(known.ipv4_prefix);
    known.ipv6 = new.ipv6.or(known.ipv6);
    known.ipv6_prefix = new.ipv6_prefix.or(known.ipv6_prefix);
    known.ethernet = new.ethernet.or(known.ethernet);
}

impl Element for AddressInfo {}

pub(super) const PORT_INFO: Class = Class::of::<PortInfo>("PortInfo")
    .ports("0/0")
    .phase(Phase::Information);

/// PortInfo: gives TCP and UDP ports names.
///
/// ```click
/// PortInfo(NAME PORT[/PROTOCOL] [ALIAS ...], NAME ...)
/// ```
///
/// Each NAME and ALIAS stands for PORT, of the PROTOCOL `tcp` or `udp`, or of both without one.
/// Text after `#` is a comment, as in `/etc/services`.
///
/// See Click's manual page PortInfo(n).
struct PortInfo;

impl Configure for PortInfo {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        for entry in arguments.rest() {
            let words = split_words(entry.split('#').next().unwrap_or_default());
            if words.is_empty() {
                continue;
            }
            let Some((port, tcp, udp)) = words.get(1).and_then(|word| port(word)) else {
                arguments.error("expected 'NAME PORT/PROTO'");
                continue;
            };
            let mut table = configuration.addresses().borrow_mut();
            for name in words.iter().take(1).chain(words.iter().skip(2)) {
                let meaning = table.define(configuration.scope(), &unquote(name));
                if tcp {
                    meaning.tcp_port = Some(port);
                }
                if udp {
                    meaning.udp_port = Some(port);
                }
            }
        }
        arguments.check()?;
        Ok(Self)
    }
}

/// A port, and whether it is one of TCP and of UDP.
fn port(text: &str) -> Option<(u16, bool, bool)> {
    let text = unquote(text);
    let (port, protocol) = match text.split_once('/') {
        Some((port, protocol)) => (port.to_string(), protocol.to_ascii_lowercase()),
        None => (text, String::new()),
    };
    let port = port.parse().ok()?;
    match protocol.as_str() {
        "" => Some((port, true, true)),
        "tcp" | "6" => Some((port, true, false)),
        "udp" | "17" => Some((port, false, true)),
        // Ports of other protocols have no names that anybody would ask for.
        _ => Some((port, false, false)),
    }
}

impl Element for PortInfo {}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use sprat_click::arguments::Ipv4Prefix;
    use sprat_click::names::Meaning;
    use sprat_click::simulation::Simulation;
    use sprat_packet::EtherAddress;

    use crate::testing::Bench;

    fn with_interface(configuration: &str) -> Bench {
        let simulation = Simulation::new();
        let address = Ipv4Addr::new(1, 0, 0, 7);
        let interface = Meaning {
            ethernet: Some(EtherAddress([2, 0, 0, 0, 0, 7])),
            ipv4: Some(address),
            ipv4_prefix: Ipv4Prefix::new(address, 24),
            gateway: Some(Ipv4Addr::new(1, 0, 0, 1)),
            ..Meaning::default()
        };
        simulation.put_interface("eth0", interface);
        Bench::with(simulation, configuration)
    }

    #[test]
    fn an_interfaces_name_stands_for_its_addresses() {
        let bench = with_interface(
            "Idle -> r :: ARPResponder(eth0:ip eth0:eth, eth0:ipnet eth0) -> Discard;
             Idle -> g :: GetIPAddress(16) -> l :: LinearIPLookup(0/0 eth0:gw 0) -> Discard;
             Idle -> q :: ARPQuerier(eth0) -> Discard; q[1] -> Discard; Idle -> [1]q",
        );
        assert_eq!(
            bench.read("r.table"),
            "1.0.0.7/32 02-00-00-00-00-07\n1.0.0.0/24 02-00-00-00-00-07\n"
        );
        assert_eq!(bench.read("l.lookup 9.9.9.9"), "0 1.0.0.1");
        assert_eq!(bench.read("q.ipaddr"), "1.0.0.7");
    }

    #[test]
    fn a_defined_name_goes_before_an_interfaces() {
        let bench = with_interface(
            "AddressInfo(eth0 9.0.0.1); Idle -> r :: ARPResponder(eth0:ip eth0:eth) -> Discard",
        );
        assert_eq!(bench.read("r.table"), "9.0.0.1/32 02-00-00-00-00-07\n");
    }
}
