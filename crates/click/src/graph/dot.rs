//! A configuration in the language of Graphviz.

use core::fmt::{self, Write as _};

use super::{Flat, Flow};

/// Displays a configuration for `dot`: a box for each element with its inputs above and its outputs
/// below, a solid line where packets are pushed and a dashed one where they are pulled.
pub struct Dot<'a> {
    pub(super) flat: &'a Flat,
    pub(super) flows: &'a [Flow],
}

impl fmt::Display for Dot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("digraph click {\n  node [shape=record, fontname=\"sans-serif\", fontsize=11];\n  edge [fontname=\"sans-serif\"];\n")?;
        let counts = self.flat.port_counts();
        for (index, (element, (inputs, outputs))) in
            self.flat.elements.iter().zip(counts).enumerate()
        {
            write!(f, "  n{index} [label=\"{{")?;
            write_ports(f, 'i', inputs)?;
            if inputs > 0 {
                f.write_char('|')?;
            }
            write!(f, "{}\\n{}", Label(&element.name), Label(&element.class))?;
            if !element.config.is_empty() {
                write!(f, "({})", Label(&super::shortened(&element.config, 40)))?;
            }
            if outputs > 0 {
                f.write_char('|')?;
            }
            write_ports(f, 'o', outputs)?;
            f.write_str("}\"];\n")?;
        }
        for (index, connection) in self.flat.connections.iter().enumerate() {
            let ((from, output), (to, input)) = (connection.from, connection.to);
            let style = if self.flows.get(index) == Some(&Flow::Pull) {
                " [style=dashed]"
            } else {
                ""
            };
            writeln!(f, "  n{from}:o{output}:s -> n{to}:i{input}:n{style};")?;
        }
        f.write_str("}\n")
    }
}

fn write_ports(f: &mut fmt::Formatter<'_>, side: char, count: usize) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    f.write_char('{')?;
    for port in 0..count {
        let separator = if port == 0 { "" } else { "|" };
        write!(f, "{separator}<{side}{port}> {port}")?;
    }
    f.write_char('}')
}

/// Text within the label of a record.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\\' | '{' | '}' | '|' | '<' | '>' => write!(f, "\\{c}")?,
                '\n' => f.write_str(" ")?,
                c if c.is_control() => {}
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
