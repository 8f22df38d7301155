//! Changing one argument of a configuration string.

use alloc::format;
use alloc::string::String;

use super::reader::split_keyword;
use super::split::{is_space, split_arguments};

/// Where one argument stands in a configuration string: by its keyword, or at its position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArgumentPlace<'a> {
    position: Option<usize>,
    keyword: &'a str,
}

impl<'a> ArgumentPlace<'a> {
    /// Reads a place as Click writes it: `0 COLOR` or `COLOR`.
    pub(crate) fn of(text: &'a str) -> Self {
        let (position, keyword) = match text.split_once(' ') {
            Some((position, keyword)) => (position.parse().ok(), keyword),
            None => (None, text),
        };
        Self { position, keyword }
    }

    /// The configuration string with another value there: what had the keyword goes, and it is
    /// the last argument; what had the position stays where it is.
    pub(crate) fn replaced(self, config: &str, value: &str) -> String {
        let value = value.trim();
        let mut items = split_arguments(config);
        let before = items.len();
        let named = |item: &String| {
            let rest = item.strip_prefix(self.keyword);
            rest.is_some_and(|rest| rest.starts_with(is_space))
        };
        items.retain(|item| !named(item));
        let count = items.len();
        let positional = |item: &&mut String| split_keyword(item).is_none();
        let item = self.position.and_then(|position| items.get_mut(position));
        match item.filter(positional) {
            Some(item) if before == count => *item = value.into(),
            _ => items.push(format!("{} {value}", self.keyword)),
        }
        items.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_changed_where_it_stands_or_put_last() {
        for (place, config, changed) in [
            ("0 COLOR", "3", "5"),
            ("0 COLOR", "3, ANNO 17", "5, ANNO 17"),
            ("0 COLOR", "COLOR 3, ANNO 17", "ANNO 17, COLOR 5"),
            ("0 COLOR", "", "COLOR 5"),
            ("1 DST", "SRC 1, 2", "SRC 1, 5"),
            ("1 DST", "SRC 1", "SRC 1, DST 5"),
            ("0 SRC", "DST 2", "DST 2, SRC 5"),
            ("ACTIVE", "0.5, ACTIVE false", "0.5, ACTIVE 5"),
        ] {
            assert_eq!(ArgumentPlace::of(place).replaced(config, " 5\n"), changed);
        }
    }
}
