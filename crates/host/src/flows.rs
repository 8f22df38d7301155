//! Flow rules as people write them: what is done with frames of certain headers before they go their
//! usual way.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sprat_switch::switch::{EthernetAddress, Limit, Match, PortId, Prefix, Rule, Then, Vlan};
use utoipa::ToSchema;

/// A flow rule. The first that fits a frame counts; what is not given may be anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlowRule {
    /// Where frames come in: a port, or FUNCTION.DEVICE for what a function sends.
    pub on: String,
    /// The Ethernet address they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethernet_from: Option<Ethernet>,
    /// The Ethernet address they go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethernet_to: Option<Ethernet>,
    /// Their VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Their EtherType.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ether_type: Option<u16>,
    /// The addresses that packets come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Network>,
    /// The addresses that packets go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Network>,
    /// The protocol over IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The ports that they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ports: Option<Ports>,
    /// The ports that they go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ports: Option<Ports>,
    /// Bytes a second; what more comes is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Rate>,
    /// The Ethernet address that is written over the one they come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_ethernet_from: Option<Ethernet>,
    /// The Ethernet address that is written over the one they go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_ethernet_to: Option<Ethernet>,
    /// Where a copy goes too: a port, or FUNCTION.DEVICE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
    /// `pass`, `drop`, or where they go: a port, or FUNCTION.DEVICE.
    #[serde(default = "pass")]
    pub then: String,
}

fn pass() -> String {
    "pass".into()
}

impl FlowRule {
    /// Where frames may go by it, beside their usual way.
    pub fn targets(&self) -> impl Iterator<Item = &String> {
        let then = Some(&self.then).filter(|then| !matches!(then.as_str(), "pass" | "drop"));
        then.into_iter().chain(&self.copy)
    }

    /// The rule as a switch takes it, for frames that come in at a port; `find` knows the ports it
    /// names.
    pub(crate) fn rule(&self, on: PortId, find: impl Fn(&str) -> Option<PortId>) -> Option<Rule> {
        Some(Rule {
            fits: Match {
                port: Some(on),
                source: self.ethernet_from.map(|address| address.0),
                destination: self.ethernet_to.map(|address| address.0),
                vlan: self.vlan.and_then(Vlan::new),
                ether_type: self.ether_type,
                from: self.from.map(|network| network.0),
                to: self.to.map(|network| network.0),
                protocol: self.protocol.map(|protocol| protocol.0),
                source_ports: self.from_ports.map(|ports| (ports.0, ports.1)),
                destination_ports: self.to_ports.map(|ports| (ports.0, ports.1)),
            },
            limit: self.limit.map(|rate| Limit {
                rate: rate.0,
                // A tenth of a second, and a long frame in any case.
                burst: (rate.0 / 10).max(2048),
            }),
            set_destination: self.set_ethernet_to.map(|address| address.0),
            set_source: self.set_ethernet_from.map(|address| address.0),
            copy: match &self.copy {
                Some(name) => Some(find(name)?),
                None => None,
            },
            then: match self.then.as_str() {
                "pass" => Then::Pass,
                "drop" => Then::Drop,
                name => Then::Forward(find(name)?),
            },
        })
    }
}

/// As it is written, in a line.
impl fmt::Display for FlowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it is made of names and orders its parts.
        let parts = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        write!(f, "on {}", self.on)?;
        for (name, part) in parts.as_object().into_iter().flatten() {
            match (name.as_str(), part.as_str()) {
                ("on" | "then", _) => {}
                (name, Some(text)) => write!(f, " {name} {text}")?,
                (name, None) => write!(f, " {name} {part}")?,
            }
        }
        write!(f, " then {}", self.then)
    }
}

/// Types that stand as texts in files and messages.
macro_rules! textual {
    ($name:ident, $expected:literal) => {
        impl TryFrom<Written> for $name {
            type Error = String;

            fn try_from(written: Written) -> Result<Self, String> {
                let text = written.text();
                let wrong = || format!(concat!("expected ", $expected, ", found {}"), text);
                text.parse().map_err(|()| wrong())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use textual;

/// A text, or a number that stands for itself.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Written {
    Number(u64),
    Text(String),
}

impl Written {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "String")]
#[schema(value_type = String)]
pub struct Ethernet(EthernetAddress);

textual!(Ethernet, "an Ethernet address such as 02:00:00:00:00:01");

impl FromStr for Ethernet {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut address = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut address {
            let part = parts.next().ok_or(())?;
            let digits = (1..=2).contains(&part.len()) && !part.starts_with('+');
            *byte = u8::from_str_radix(part, 16)
                .ok()
                .filter(|_| digits)
                .ok_or(())?;
        }
        parts.next().is_none().then_some(Self(address)).ok_or(())
    }
}

impl fmt::Display for Ethernet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "String")]
#[schema(value_type = String)]
pub struct Network(pub(crate) Prefix);

textual!(Network, "addresses such as 192.0.2.0/24 or 2001:db8::1");

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| ())?)),
            None => (text, None),
        };
        let (address, bits, before) = match address.parse().map_err(|_| ())? {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 32, 96),
            IpAddr::V6(address) => (address, 128, 0),
        };
        let length = length.unwrap_or(bits);
        (length <= bits)
            .then(|| {
                Self(Prefix {
                    address: address.octets(),
                    length: before + length,
                })
            })
            .ok_or(())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::Ipv6Addr::from(self.0.address);
        match (address.to_ipv4_mapped(), self.0.length.checked_sub(96)) {
            (Some(address), Some(length)) => write!(f, "{address}/{length}"),
            _ => write!(f, "{address}/{}", self.0.length),
        }
    }
}

/// A protocol over IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "String")]
#[schema(value_type = String)]
pub struct Protocol(u8);

textual!(Protocol, "tcp, udp, icmp, icmp6 or a number up to 255");

/// Numbers by the register of protocol numbers (IANA).
const PROTOCOLS: [(&str, u8); 4] = [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmp6", 58)];

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match PROTOCOLS.iter().find(|(name, _)| *name == text) {
            Some((_, number)) => Ok(Self(*number)),
            None => text.parse().map(Self).map_err(|_| ()),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match PROTOCOLS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The first and the last of some ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "String")]
#[schema(value_type = String)]
pub struct Ports(u16, u16);

textual!(Ports, "a port such as 53 or ports such as 1000-2000");

impl FromStr for Ports {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self(first, last)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 == self.1 {
            true => write!(f, "{}", self.0),
            false => write!(f, "{}-{}", self.0, self.1),
        }
    }
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Written", into = "String")]
#[schema(value_type = String)]
pub struct Rate(u64);

textual!(Rate, "bytes a second such as 125000, 10K, 5M or 1G");

impl FromStr for Rate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Thousands, as is usual for rates.
        let units = [('K', 1000), ('M', 1_000_000), ('G', 1_000_000_000_u64)];
        let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
        let (digits, unit) = match unit {
            Some((_, unit)) => (&text[..text.len() - 1], *unit),
            None => (text, 1),
        };
        let rate = digits
            .parse()
            .ok()
            .and_then(|rate: u64| rate.checked_mul(unit));
        rate.filter(|rate| *rate > 0).map(Self).ok_or(())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use sprat_switch::port::Sink;
    use sprat_switch::switch::{Switch, SwitchOptions};

    use super::*;

    fn read(text: &str) -> Result<FlowRule, String> {
        toml::from_str(text).map_err(|error| error.message().to_string())
    }

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        let rule = read(
            "on = 'wan'\nprotocol = 'udp'\nfrom = '10.0.0.0/8'\nto = '2001:db8::1'\n\
             to-ports = '1000-2000'\nfrom-ports = 53\nlimit = '10K'\nethernet-to = '2:0:0:0:0:A'\n\
             vlan = 10\nthen = 'lan'",
        )
        .expect("sound");
        assert_eq!(
            rule.to_string(),
            "on wan ethernet-to 02:00:00:00:00:0a from 10.0.0.0/8 from-ports 53 limit 10000 \
             protocol udp to 2001:db8::1/128 to-ports 1000-2000 vlan 10 then lan"
        );
        let again = serde_json::to_string(&rule).expect("JSON");
        assert_eq!(
            serde_json::from_str::<FlowRule>(&again).expect("the same"),
            rule
        );
        assert_eq!(rule.targets().collect::<Vec<_>>(), ["lan"]);
        let mut switch = Switch::new(SwitchOptions::default());
        let [wan, lan] =
            ["wan", "lan"].map(|name| switch.add_port(name, Box::new(Sink::default())));
        let found = rule.rule(wan, |name| (name == "lan").then_some(lan));
        let found = found.expect("known ports");
        assert_eq!(
            (found.fits.port, found.then),
            (Some(wan), Then::Forward(lan))
        );
        assert_eq!(found.fits.protocol, Some(17));
        assert_eq!(found.fits.from.map(|from| from.length), Some(96 + 8));
        assert_eq!(found.fits.destination_ports, Some((1000, 2000)));
    }

    #[test]
    fn mistakes_say_what_was_expected() {
        for (text, expected) in [
            (
                "to = '10.0.0.0/33'",
                "expected addresses such as 192.0.2.0/24 or 2001:db8::1, found 10.0.0.0/33",
            ),
            (
                "protocol = 'tpc'",
                "expected tcp, udp, icmp, icmp6 or a number up to 255, found tpc",
            ),
            (
                "to-ports = '2000-1000'",
                "expected a port such as 53 or ports such as 1000-2000, found 2000-1000",
            ),
            (
                "to-ports = 70000",
                "expected a port such as 53 or ports such as 1000-2000, found 70000",
            ),
            (
                "limit = '0'",
                "expected bytes a second such as 125000, 10K, 5M or 1G, found 0",
            ),
            (
                "ethernet-to = '02:00:00'",
                "expected an Ethernet address such as 02:00:00:00:00:01, found 02:00:00",
            ),
        ] {
            let error = read(&format!("on = 'wan'\n{text}")).expect_err(text);
            assert_eq!(error, expected);
        }
        let error = read("on = 'wan'\ntoo = 1").expect_err("unknown");
        assert!(error.contains("too"), "{error}");
    }
}
