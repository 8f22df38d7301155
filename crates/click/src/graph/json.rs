//! A configuration as JSON, for programs.

use core::fmt::{self, Write as _};

use super::{Flat, Flow};
use crate::diagnostics::Landmark;

/// Displays a configuration as JSON (RFC 8259): an object with `elements` (`name`, `class`,
/// `config`, `place`), `connections` (`from` and `to`, each with `element` and `port`; `flow`
/// where it is known; `place`) and `requirements`. A `place` has `file`, `line` and `column`.
pub struct Json<'a> {
    pub(super) flat: &'a Flat,
    pub(super) flows: &'a [Flow],
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\n  \"elements\": [")?;
        for (index, element) in self.flat.elements.iter().enumerate() {
            write!(
                f,
                "{}    {{\"name\": {}, \"class\": {}, \"config\": {}, \"place\": {}}}",
                separator(index),
                Text(&element.name),
                Text(&element.class),
                Text(&element.config),
                Place(&element.landmark)
            )?;
        }
        f.write_str("\n  ],\n  \"connections\": [")?;
        for (index, connection) in self.flat.connections.iter().enumerate() {
            let name = |(element, _): (usize, u16)| Text(&self.flat.elements[element].name);
            write!(
                f,
                "{}    {{\"from\": {{\"element\": {}, \"port\": {}}}, \"to\": {{\"element\": {}, \"port\": {}}}, ",
                separator(index),
                name(connection.from),
                connection.from.1,
                name(connection.to),
                connection.to.1
            )?;
            if let Some(flow) = self.flows.get(index) {
                write!(f, "\"flow\": \"{flow}\", ")?;
            }
            write!(f, "\"place\": {}}}", Place(&connection.landmark))?;
        }
        f.write_str("\n  ],\n  \"requirements\": [")?;
        for (index, requirement) in self.flat.requirements.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(
                f,
                "{separator}{{\"kind\": {}, \"name\": {}}}",
                Text(&requirement.kind),
                Text(&requirement.name)
            )?;
        }
        f.write_str("]\n}\n")
    }
}

fn separator(index: usize) -> &'static str {
    if index == 0 { "\n" } else { ",\n" }
}

/// A string in JSON.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

struct Place<'a>(&'a Landmark);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Landmark {
            file, line, column, ..
        } = self.0;
        write!(
            f,
            "{{\"file\": {}, \"line\": {line}, \"column\": {column}}}",
            Text(file)
        )
    }
}
