//! The network devices that a configuration's elements name.

use sprat_click::arguments::{split_arguments, split_first_word};
use sprat_click::graph::{Flat, FlatElement};

/// The device that an element names: its first argument, or DEVNAME.
pub(crate) fn named_by(element: &FlatElement) -> Option<String> {
    split_arguments(&element.config)
        .iter()
        .find_map(|argument| {
            let (first, rest) = split_first_word(argument);
            if first == "DEVNAME" {
                return Some(split_first_word(rest.trim()).0.to_owned());
            }
            (rest.trim().is_empty() && !first.is_empty()).then(|| first.to_owned())
        })
}

/// The devices of all elements, in the order in which they are first named.
pub(crate) fn names(flat: &Flat) -> Vec<String> {
    const CLASSES: [&str; 3] = ["FromDevice", "PollDevice", "ToDevice"];
    let mut names = Vec::new();
    for element in &flat.elements {
        if !CLASSES.contains(&&*element.class) {
            continue;
        }
        if let Some(name) = named_by(element)
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// What follows the colon of a device's name where its address is meant.
const ADDRESSES: [&str; 12] = [
    "ip", "ip4", "ipaddr", "ip6", "eth", "ethaddr", "mac", "net", "ipnet", "ipprefix", "gw",
    "bcast",
];

/// Which addresses of its devices a configuration asks for by their names, and what to write instead:
/// a sealed instance is not told them.
pub(crate) fn unknown_addresses(flat: &Flat) -> Vec<String> {
    let declared = |device: &str| {
        let mut information = flat
            .elements
            .iter()
            .filter(|one| &*one.class == "AddressInfo");
        information.any(|one| {
            let arguments = split_arguments(&one.config);
            arguments.iter().any(|it| split_first_word(it).0 == device)
        })
    };
    let mut found: Vec<String> = Vec::new();
    for device in names(flat) {
        if declared(&device) {
            continue;
        }
        for element in &flat.elements {
            let apart = |c: char| c.is_whitespace() || "(),\"'&|!".contains(c);
            let asked = element.config.split(apart).find(|word| {
                let parts = word.rsplit_once(':');
                parts.is_some_and(|(name, what)| name == device && ADDRESSES.contains(&what))
            });
            if let Some(word) = asked {
                found.push(format!(
                    "{word} is not known in a sealed instance: write the address, or say with \
                     AddressInfo({device} 10.0.0.1/24 02:00:00:00:00:01) what it is"
                ));
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use sprat_click::language::{NoLibraries, parser};

    #[test]
    fn addresses_of_devices_that_nobody_has_declared_are_named() {
        for (text, expected) in [
            (
                "FromDevice(eth0) -> IPEncap(udp, eth0:ip, 1.0.0.1) -> ToDevice(eth1)",
                Some("eth0:ip "),
            ),
            (
                "FromDevice(eth0) -> ARPResponder(eth1:ip eth0:eth) -> ToDevice(eth0)",
                Some("eth0:eth "),
            ),
            (
                "FromDevice(eth0) -> Print(\"eth0:\") -> ToDevice(eth1:ip)",
                None,
            ),
            (
                "AddressInfo(eth0 1.0.0.2); FromDevice(eth0) -> IPEncap(udp, eth0:ip, 1.0.0.1) -> Discard",
                None,
            ),
        ] {
            let parse = parser(Rc::new(NoLibraries), Vec::new());
            let (flat, _) = parse(&sprat_elements::library(), text, "t").expect("a configuration");
            let found = super::unknown_addresses(&flat);
            match expected {
                None => assert!(found.is_empty(), "{found:?}"),
                Some(expected) => assert!(found[0].starts_with(expected), "{found:?}"),
            }
        }
    }
}
