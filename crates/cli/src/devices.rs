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
