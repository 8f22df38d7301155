//! Writing a flat configuration as Click text.

use core::fmt;

use alloc::vec::Vec;

use super::{Flat, FlatElement, Requirement};
use crate::arguments::quote;
use crate::collections::{Map, sort};

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
        f.write_str(&quote(&self.name))
    }
}

/// The text that the handlers `flatconfig` and `config` give, and `click-flatten` writes:
/// requirements and declarations, with an empty line after each, and connections, by the elements and
/// ports they lead from and to. Those are strung together where one ends at the first input of an
/// element and the next begins at its first output. Read again, it gives the same configuration.
impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_requirements(f)?;
        self.write_declarations(f)?;
        if !self.elements.is_empty() {
            writeln!(f)?;
        }
        self.write_connections(f)
    }
}

impl Flat {
    /// One line and an empty one: `require(package a, package b);`
    fn write_requirements(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            f.write_str(if index == 0 { "require(" } else { ", " })?;
            write!(f, "{requirement}")?;
        }
        if self.requirements.is_empty() {
            Ok(())
        } else {
            f.write_str(");\n\n")
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
        let mut ends: Vec<Ends> = self.connections.iter().map(|c| (c.from, c.to)).collect();
        sort(&mut ends);
        let (next, first) = strings(&ends);
        let mut written = alloc::vec![false; ends.len()];
        // Those that nothing leads to begin a string; then circles, wherever they are entered.
        let starts = (0..first.len())
            .filter(|&index| first[index])
            .chain(0..first.len());
        for start in starts {
            if written[start] {
                continue;
            }
            let ((element, port), _) = ends[start];
            f.write_str(&self.elements[element].name)?;
            if port > 0 {
                write!(f, " [{port}]")?;
            }
            let mut arrow = " -> ";
            let mut here = Some(start);
            while let Some(index) = here.filter(|&index| !written[index]) {
                let (_, (element, port)) = ends[index];
                f.write_str(arrow)?;
                if port > 0 {
                    write!(f, "[{port}] ")?;
                }
                f.write_str(&self.elements[element].name)?;
                written[index] = true;
                arrow = "\n    -> ";
                here = next[index];
            }
            f.write_str(";\n")?;
        }
        Ok(())
    }
}

/// The ends of a connection: an element and one of its ports.
type Ends = ((usize, u16), (usize, u16));

/// Which connections may follow one that enters an element at its first input.
#[derive(Clone, Copy, Default)]
struct Followers {
    /// The first that goes on to a first input.
    straight: Option<usize>,
    /// The last of all.
    last: Option<usize>,
}

/// Which connection follows which, and which follow none.
fn strings(ends: &[Ends]) -> (Vec<Option<usize>>, Vec<bool>) {
    // The second are for one that leads back to where it begins, which does not follow itself.
    let mut leaving: Map<usize, [Followers; 2]> = Map::new();
    for (index, (from, to)) in ends.iter().enumerate() {
        if from.1 > 0 {
            continue;
        }
        let followers = leaving.get_or_insert_with(from.0, Default::default);
        let known = if from == to { 1 } else { 2 };
        for followers in &mut followers[..known] {
            if to.1 == 0 {
                followers.straight.get_or_insert(index);
            }
            followers.last = Some(index);
        }
    }
    let mut first = alloc::vec![true; ends.len()];
    let mut next = alloc::vec![None; ends.len()];
    for (index, (from, to)) in ends.iter().enumerate() {
        let followers = leaving.get(&to.0).filter(|_| to.1 == 0);
        let followers = followers.map(|followers| followers[usize::from(from == to)]);
        if let Some(Followers { straight, last }) = followers
            && let Some(after) = straight.or(last)
        {
            next[index] = Some(after);
            first[after] = false;
        }
    }
    (next, first)
}
