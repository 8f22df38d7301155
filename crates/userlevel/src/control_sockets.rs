//! Control sockets that the command line adds to every configuration.

use std::path::Path;
use std::rc::Rc;

use sprat_click::arguments::quote;
use sprat_click::diagnostics::Landmark;
use sprat_click::graph::FlatElement;
use sprat_click::router::Parse;

/// A control socket that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlAddress {
    /// A TCP port; one that ends in `+` stands for the first free one from there on.
    Port(String),
    /// A Unix socket's path.
    Unix(String),
    /// A connection that is there already, by its descriptor.
    Descriptor(i32),
}

impl ControlAddress {
    fn configuration(&self) -> String {
        match self {
            Self::Port(port) => format!("TCP, {port}"),
            Self::Unix(path) => format!("UNIX, {}", quote(&Path::new(path).to_string_lossy())),
            Self::Descriptor(number) => format!("SOCKET, {number}"),
        }
    }
}

/// Has the configurations that `parse` reads hold these control sockets too, under the names
/// `click_driver@@ControlSocket`, `click_driver@@ControlSocket@1` and so on.
pub fn with_control_sockets(parse: Parse, addresses: Vec<ControlAddress>) -> Parse {
    Box::new(move |library, text, file| {
        let (mut flat, diagnostics) = parse(library, text, file)?;
        for (number, address) in addresses.iter().enumerate() {
            let name: Rc<str> = match number {
                0 => "click_driver@@ControlSocket".into(),
                _ => format!("click_driver@@ControlSocket@{number}").into(),
            };
            flat.elements.push(FlatElement {
                name,
                class: "ControlSocket".into(),
                config: address.configuration().into(),
                landmark: Landmark::new("click", 0, 0),
            });
        }
        Ok((flat, diagnostics))
    })
}
