//! Writing a flat configuration as Click text.

use core::fmt;

use alloc::vec::Vec;

use super::{Flat, FlatElement, Requirement};

/// `name :: Class(config)`
impl fmt::Display for FlatElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} :: {}", self.name, self.class)?;
        if self.config.is_empty() {
            Ok(())
        } else {
            write!(f, "({})", self.config)
        }
    }
}

/// `package NAME`, or the name alone.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.kind.is_empty() {
            write!(f, "{} ", self.kind)?;
        }
        f.write_str(&self.name)
    }
}

/// The text that the handlers `flatconfig` and `config` give, and `click-flatten` writes:
/// requirements, declarations, connections, each part set apart by an empty line. Connections are
/// strung together where one ends at the element the next begins at. Read again, it gives the same
/// configuration.
impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_requirements(f)?;
        if !self.requirements.is_empty() && !self.elements.is_empty() {
            writeln!(f)?;
        }
        self.write_declarations(f)?;
        if !self.connections.is_empty() {
            writeln!(f)?;
        }
        self.write_connections(f)
    }
}

impl Flat {
    /// One line: `require(package a, package b);`
    fn write_requirements(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            f.write_str(if index == 0 { "require(" } else { ", " })?;
            write!(f, "{requirement}")?;
        }
        if self.requirements.is_empty() {
            Ok(())
        } else {
            f.write_str(");\n")
        }
    }

    /// A line for each element.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_declarations(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        self.elements
            .iter()
            .try_for_each(|element| writeln!(f, "{element};"))
    }

    fn write_connections(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let (next, first) = self.strings();
        let mut written = alloc::vec![false; self.connections.len()];
        // Those that nothing leads to begin a string; then circles, wherever they are entered.
        let starts = (0..first.len())
            .filter(|&index| first[index])
            .chain(0..first.len());
        for start in starts {
            if written[start] {
                continue;
            }
            self.write_output(start, f)?;
            let mut arrow = " -> ";
            let mut here = Some(start);
            while let Some(index) = here.filter(|&index| !written[index]) {
                f.write_str(arrow)?;
                self.write_input(index, f)?;
                written[index] = true;
                arrow = "\n    -> ";
                here = next[index];
                if let Some(after) = here.filter(|&after| !written[after])
                    && self.connections[after].from.1 > 0
                {
                    write!(f, " [{}]", self.connections[after].from.1)?;
                }
            }
            f.write_str(";\n")?;
        }
        Ok(())
    }

    fn write_output(&self, connection: usize, f: &mut dyn fmt::Write) -> fmt::Result {
        let (element, port) = self.connections[connection].from;
        f.write_str(&self.elements[element].name)?;
        if port > 0 {
            write!(f, " [{port}]")
        } else {
            Ok(())
        }
    }

    fn write_input(&self, connection: usize, f: &mut dyn fmt::Write) -> fmt::Result {
        let (element, port) = self.connections[connection].to;
        if port > 0 {
            write!(f, "[{port}] ")?;
        }
        f.write_str(&self.elements[element].name)
    }

    /// Which connection follows which, and which follow none. A connection that enters at a port
    /// goes on with the first that leaves at the same port.
    fn strings(&self) -> (Vec<Option<usize>>, Vec<bool>) {
        let mut leaving: crate::collections::Map<(usize, u16), usize> =
            crate::collections::Map::new();
        for (index, connection) in self.connections.iter().enumerate().rev() {
            leaving.insert(connection.from, index);
        }
        let mut first = alloc::vec![true; self.connections.len()];
        let mut next = alloc::vec![None; self.connections.len()];
        for (index, connection) in self.connections.iter().enumerate() {
            if let Some(after) = leaving
                .remove(&connection.to)
                .filter(|&after| after != index)
            {
                next[index] = Some(after);
                first[after] = false;
            }
        }
        (next, first)
    }
}
