//! Routes as configurations and handlers write them.

use alloc::string::String;
use core::fmt;
use core::net::Ipv4Addr;

use sprat_click::arguments::{AddressOrPrefix, Argument, Names, parse_signed, split_words};

/// Where packets to a prefix go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The prefix's bits; those beyond its length are zero.
    pub(crate) prefix: u32,
    /// 0 to 32.
    pub(crate) length: u8,
    /// The next hop; unspecified where destinations are reached directly.
    pub(crate) gateway: Ipv4Addr,
    /// The output.
    pub(crate) port: u16,
}

/// What names a route to be removed: a prefix, and what else was said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteName {
    pub(crate) prefix: u32,
    pub(crate) length: u8,
    gateway: Ipv4Addr,
    pub(crate) port: Option<u16>,
}

impl RouteName {
    /// Reads `ADDR/MASK [GATEWAY] [OUTPUT]`; the output -1 is any.
    pub(crate) fn parse(text: &str, names: &dyn Names) -> Option<Self> {
        Self::read(text.trim_end().strip_suffix(" -1").unwrap_or(text), names)
    }

    fn read(text: &str, names: &dyn Names) -> Option<Self> {
        let words = split_words(text);
        let (prefix, rest) = words.split_first()?;
        let AddressOrPrefix(prefix) = AddressOrPrefix::parse(prefix, names).ok()?;
        let (gateway, port) = match rest {
            [] => (Ipv4Addr::UNSPECIFIED, None),
            [one] => match output(one) {
                Some(port) => (Ipv4Addr::UNSPECIFIED, Some(port)),
                None => (gateway(one, names)?, None),
            },
            [first, second] => (gateway(first, names)?, Some(output(second)?)),
            _ => return None,
        };
        let length = u8::try_from(prefix.length()?).ok()?;
        Some(Self {
            prefix: prefix.network().to_bits(),
            length,
            gateway,
            port,
        })
    }

    /// Whether this means `route`: where an output is named, all must be as it is there.
    pub(crate) fn means(&self, route: &Route) -> bool {
        (self.prefix, self.length) == (route.prefix, route.length)
            && self
                .port
                .is_none_or(|port| (self.gateway, port) == (route.gateway, route.port))
    }
}

/// As a route is written, with the output -1 where none is named.
impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map_or(-1, i32::from);
        write_route(f, (self.prefix, self.length), self.gateway, port)
    }
}

fn write_route(
    f: &mut fmt::Formatter<'_>,
    (prefix, length): (u32, u8),
    gateway: Ipv4Addr,
    port: i32,
) -> fmt::Result {
    write!(f, "{}/{length} ", Ipv4Addr::from_bits(prefix))?;
    match gateway {
        Ipv4Addr::UNSPECIFIED => f.write_str("-")?,
        gateway => write!(f, "{gateway}")?,
    }
    write!(f, " {port}")
}

/// A gateway's address; `-` says that there is none.
fn gateway(word: &str, names: &dyn Names) -> Option<Ipv4Addr> {
    if word == "-" {
        Some(Ipv4Addr::UNSPECIFIED)
    } else {
        Ipv4Addr::parse(word, names).ok()
    }
}

/// An output; a number that none can have stands for the last, which there never is.
fn output(word: &str) -> Option<u16> {
    let number = i32::try_from(parse_signed(word)?.ok()?).ok()?;
    Some(u16::try_from(number).unwrap_or(u16::MAX))
}

impl Route {
    /// Reads `ADDR/MASK [GATEWAY] OUTPUT`.
    pub(crate) fn parse(text: &str, names: &dyn Names) -> Option<Self> {
        let named = RouteName::read(text, names)?;
        Some(Self {
            prefix: named.prefix,
            length: named.length,
            gateway: named.gateway,
            port: named.port?,
        })
    }

    /// A line of the `table` handler: columns set apart by tabs.
    pub(crate) fn write_row(&self, out: &mut String) {
        use fmt::Write;
        let start = out.len();
        // Writing to a string does not fail.
        let _ = write!(out, "{}/{}", Ipv4Addr::from_bits(self.prefix), self.length);
        out.push_str(if out.len() - start < 16 { "\t\t" } else { "\t" });
        let start = out.len();
        match self.gateway {
            Ipv4Addr::UNSPECIFIED => out.push('-'),
            gateway => {
                let _ = write!(out, "{gateway}");
            }
        }
        out.push_str(if out.len() - start < 8 { "\t\t" } else { "\t" });
        let _ = writeln!(out, "{}", self.port);
    }
}

/// `ADDR/LENGTH GATEWAY OUTPUT`, with `-` for no gateway.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_route(
            f,
            (self.prefix, self.length),
            self.gateway,
            self.port.into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use sprat_click::arguments::NoNames;

    #[test]
    fn routes_are_read_and_written() {
        for (text, written) in [
            ("18.26/16 1.0.0.1 0", "18.26.0.0/16 1.0.0.1 0"),
            ("18.26.0/12 4.0.0.4 0", "18.16.0.0/12 4.0.0.4 0"),
            ("10.0.0.1 3", "10.0.0.1/32 - 3"),
            ("0/0 - 2", "0.0.0.0/0 - 2"),
            ("10.1.0.0/255.255.0.0 1", "10.1.0.0/16 - 1"),
        ] {
            assert_eq!(
                Route::parse(text, &NoNames).map(|route| route.to_string()),
                Some(written.into()),
                "{text}"
            );
        }
        for text in [
            "",
            "10.0.0.0/8",
            "10.0.0.0/8 1.0.0.1",
            "10.0.0.0/8 1.0.0.1 99999999999",
            "10.0.0.0/8 1 2 3",
            "x/8 1",
            "10.0.0.0/255.0.255.0 1",
        ] {
            assert_eq!(Route::parse(text, &NoNames), None, "{text}");
        }
    }

    #[test]
    fn a_route_is_named_by_its_prefix_and_may_be_described_further() {
        let route = Route::parse("10.0.0.0/8 1.0.0.1 2", &NoNames).unwrap();
        for (text, means) in [
            ("10.0.0.0/8", true),
            ("10.0.0.0/8 1.0.0.1 2", true),
            // Without an output the gateway is not looked at, with one it is.
            ("10.0.0.0/8 1.0.0.2", true),
            ("10.0.0.0/8 -1", true),
            ("10.0.0.0/8 - -1", true),
            ("10.0.0.0/8 2", false),
            ("10.0.0.0/8 - 2", false),
            ("10.0.0.0/8 1.0.0.1 3", false),
            ("10.0.0.0/8 1.0.0.2 2", false),
            ("10.0.0.0/9", false),
        ] {
            assert_eq!(
                RouteName::parse(text, &NoNames).unwrap().means(&route),
                means,
                "{text}"
            );
        }
    }
}
