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

/// What a sealed instance has not and a configuration asks for all the same, and what to do instead.
pub(crate) fn missing_when_sealed(flat: &Flat) -> Vec<String> {
    let mut found = unknown_addresses(flat);
    for element in &flat.elements {
        match &*element.class {
            "ControlSocket" => found.push(format!(
                "{} has nothing to listen on in a sealed instance: leave it out; `sprat read` and \
                 `sprat write` reach the handlers, and programs by the instance's own socket",
                element.name
            )),
            // A name of a file that nothing has been put into.
            class if class.contains("Dump") => {
                let words = split_arguments(&element.config);
                let unset = words.iter().find_map(|word| word.strip_prefix('$'));
                found.extend(unset.map(|name| {
                    let name = name.trim_matches(['{', '}']);
                    format!("${name} is not set: --param {name}=..., or define(${name} ...)")
                }));
            }
            _ => {}
        }
    }
    found
}

/// Whether an element could take a device's name for an address: others take any text, or the device.
fn takes_addresses(class: &str) -> bool {
    let others = ["Device", "Print", "Script", "Info", "Host", "Message"];
    !others.iter().any(|other| class.contains(other))
}

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
            let alone = takes_addresses(&element.class);
            let asked = element.config.split(apart).find(|word| {
                let parts = word.rsplit_once(':');
                parts.is_some_and(|(name, what)| name == device && ADDRESSES.contains(&what))
                    || alone && *word == device
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
    fn what_a_sealed_instance_has_not_is_named() {
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
                "FromDevice(eth0) -> ARPResponder(eth0) -> ToDevice(eth0)",
                Some("eth0 is not known "),
            ),
            (
                "FromDevice(eth0) -> Print(\"eth0:\") -> ToDevice(eth1:ip)",
                None,
            ),
            ("FromDevice(eth0) -> Print(eth0) -> ToDevice(eth0)", None),
            (
                "FromDump($FILE) -> ToDump(${OTHER})",
                Some("$FILE is not set: "),
            ),
            (
                "Idle -> Discard; c :: ControlSocket(TCP, 7777)",
                Some("c has nothing to listen on"),
            ),
            ("FromDump(a$FILE) -> Script(write $x.y)", None),
            (
                "AddressInfo(eth0 1.0.0.2); FromDevice(eth0) -> IPEncap(udp, eth0:ip, 1.0.0.1) -> Discard",
                None,
            ),
        ] {
            let parse = parser(Rc::new(NoLibraries), Vec::new());
            let (flat, _) = parse(&sprat_elements::library(), text, "t").expect("a configuration");
            let found = super::missing_when_sealed(&flat);
            match expected {
                None => assert!(found.is_empty(), "{found:?}"),
                Some(expected) => assert!(found[0].starts_with(expected), "{found:?}"),
            }
        }
    }
}
