//! A configuration with all compounds expanded: a list of elements and how they are connected.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::diagnostics::Landmark;

/// An element of a flat configuration.
#[derive(Clone, Debug)]
pub struct FlatElement {
    /// Its full name, compounds included: `outer/inner`.
    pub name: Rc<str>,
    /// Its class.
    pub class: Rc<str>,
    /// Its configuration string.
    pub config: Rc<str>,
    /// Where it was declared.
    pub landmark: Landmark,
}

/// A connection from an output to an input: element by place in the list, and port.
#[derive(Clone, Debug)]
pub struct FlatConnection {
    /// The output.
    pub from: (usize, u16),
    /// The input.
    pub to: (usize, u16),
    /// Where the connection was written.
    pub landmark: Landmark,
}

/// A configuration as a flat graph.
#[derive(Clone, Debug, Default)]
pub struct Flat {
    /// The elements, in the order of their declarations.
    pub elements: Vec<FlatElement>,
    /// The connections, in order; none stands there twice.
    pub connections: Vec<FlatConnection>,
    /// The packages the configuration requires.
    pub requirements: Vec<Rc<str>>,
}

impl Flat {
    /// The configuration as Click source.
    pub fn unparse(&self) -> alloc::string::String {
        let mut text = alloc::string::String::new();
        for element in &self.elements {
            text.push_str(&element.name);
            text.push_str(" :: ");
            text.push_str(&element.class);
            if !element.config.is_empty() {
                text.push('(');
                text.push_str(&element.config);
                text.push(')');
            }
            text.push_str(";\n");
        }
        for connection in &self.connections {
            let (from, to) = (
                &self.elements[connection.from.0],
                &self.elements[connection.to.0],
            );
            text.push_str(&alloc::format!(
                "{} [{}] -> [{}] {};\n",
                from.name,
                connection.from.1,
                connection.to.1,
                to.name
            ));
        }
        text
    }
}
