//! Reading the arguments of one element.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::split::{split_arguments, split_words, unquote};
use super::{Argument, ArgumentError, Names};
use crate::diagnostics::{Diagnostic, Diagnostics, Landmark, Level};

/// What was wrong has been recorded already, where the arguments were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected;

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration was rejected")
    }
}

impl core::error::Error for Rejected {}

/// The arguments of one element, read one after the other.
///
/// Positions are given out in the order they are asked for. An argument that begins with a keyword
/// (a word of capitals, digits and underscores before a space) is never taken for a position.
/// [`finish`](Self::finish) reports what nobody asked for.
///
/// ```
/// use sprat_click::arguments::{Arguments, NoNames, Rejected};
///
/// fn configure(config: &str) -> Result<(u32, bool), Rejected> {
///     let mut arguments = Arguments::new(config, &NoNames);
///     let capacity = arguments.position("CAPACITY").unwrap_or(1000);
///     let verbose = arguments.keyword("VERBOSE").unwrap_or(false);
///     arguments.finish()?;
///     Ok((capacity, verbose))
/// }
/// assert_eq!(configure("20, VERBOSE true"), Ok((20, true)));
/// assert_eq!(configure("CAPACITY 20"), Ok((20, false)));
/// assert_eq!(configure("20, FLAVOR sour"), Err(Rejected));
/// ```
pub struct Arguments<'a> {
    items: Vec<Item>,
    names: &'a dyn Names,
    messages: Vec<Diagnostic>,
}

struct Item {
    text: String,
    used: bool,
}

impl Item {
    /// The keyword this argument begins with and the text after it.
    fn keyword(&self) -> Option<(&str, &str)> {
        split_keyword(&self.text)
    }

    /// The text after `name`, if this argument is that keyword; empty if it is the keyword alone.
    fn value_of(&self, name: &str) -> Option<&str> {
        let rest = self.text.strip_prefix(name)?;
        let value = rest.trim_start();
        (rest.is_empty() || value.len() < rest.len()).then_some(value)
    }
}

/// The keyword that an argument begins with, where it does, and the text after it.
pub(super) fn split_keyword(argument: &str) -> Option<(&str, &str)> {
    let length = argument
        .bytes()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let (word, rest) = argument.split_at(length);
    let starts = word.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    let value = rest.trim_start();
    (starts && value.len() < rest.len()).then_some((word, value))
}

impl<'a> Arguments<'a> {
    /// The arguments of a configuration string.
    #[must_use]
    pub fn new(config: &str, names: &'a dyn Names) -> Self {
        Self::from_items(split_arguments(config), names)
    }

    /// Arguments separated by spaces, as within one argument.
    #[must_use]
    pub fn from_words(argument: &str, names: &'a dyn Names) -> Self {
        Self::from_items(split_words(argument), names)
    }

    fn from_items(items: Vec<String>, names: &'a dyn Names) -> Self {
        let items = items
            .into_iter()
            .map(|text| Item { text, used: false })
            .collect();
        Self {
            items,
            names,
            messages: Vec::new(),
        }
    }

    /// The names that addresses and ports may be given by.
    #[must_use]
    pub fn names(&self) -> &'a dyn Names {
        self.names
    }

    /// An optional argument, by position or as `NAME value`.
    pub fn position<T: Argument>(&mut self, name: &str) -> Option<T> {
        self.position_with(name, T::parse)
    }

    /// [`position`](Self::position) with a function that reads the text.
    pub fn position_with<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str, &dyn Names) -> Result<T, ArgumentError>,
    ) -> Option<T> {
        let text = self.take(name)?;
        self.read(name, &text, parse).ok()
    }

    /// A mandatory argument, by position or as `NAME value`.
    ///
    /// # Errors
    /// It is missing or malformed; that was recorded.
    pub fn required<T: Argument>(&mut self, name: &str) -> Result<T, Rejected> {
        self.required_with(name, T::parse)
    }

    /// [`required`](Self::required) with a function that reads the text.
    ///
    /// # Errors
    /// It is missing or malformed; that was recorded.
    pub fn required_with<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str, &dyn Names) -> Result<T, ArgumentError>,
    ) -> Result<T, Rejected> {
        match self.take(name) {
            Some(text) => self.read(name, &text, parse),
            None => Err(self.missing(name)),
        }
    }

    /// An optional argument that is given as `NAME value` only; the last of several counts.
    pub fn keyword<T: Argument>(&mut self, name: &str) -> Option<T> {
        self.keyword_with(name, T::parse)
    }

    /// [`keyword`](Self::keyword) with a function that reads the text.
    pub fn keyword_with<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str, &dyn Names) -> Result<T, ArgumentError>,
    ) -> Option<T> {
        let text = self.take_keyword(name)?;
        self.read(name, &text, parse).ok()
    }

    /// A mandatory argument that is given as `NAME value` only.
    ///
    /// # Errors
    /// It is missing or malformed; that was recorded.
    pub fn required_keyword<T: Argument>(&mut self, name: &str) -> Result<T, Rejected> {
        match self.take_keyword(name) {
            Some(text) => self.read(name, &text, T::parse),
            None => Err(self.missing(name)),
        }
    }

    /// The values of every `NAME value`, in order.
    pub fn keyword_all<T: Argument>(&mut self, name: &str) -> Vec<T> {
        self.take_keywords(name)
            .iter()
            .filter_map(|text| self.read(name, text, T::parse).ok())
            .collect()
    }

    /// All arguments that nobody asked for so far, as they stand: rules, routes, patterns.
    pub fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        for item in self.items.iter_mut().filter(|item| !item.used) {
            item.used = true;
            rest.push(item.text.clone());
        }
        rest
    }

    /// The number of arguments that nobody asked for so far.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.items.iter().filter(|item| !item.used).count()
    }

    /// Records an error.
    pub fn error(&mut self, message: impl Into<String>) -> Rejected {
        self.record(Level::Error, message.into());
        Rejected
    }

    /// Records a warning.
    pub fn warning(&mut self, message: impl Into<String>) {
        self.record(Level::Warning, message.into());
    }

    /// Records a warning of something that is as good as in a file which the element reads.
    pub fn warning_in_file(&mut self, place: impl Into<String>, message: impl Into<String>) {
        let mut warning = Diagnostic::warning(message);
        warning.file_place = Some(place.into());
        self.messages.push(warning);
    }

    /// Records something said on purpose, which is neither.
    pub fn message(&mut self, message: impl Into<String>) {
        self.record(Level::Message, message.into());
    }

    // Once, and not wherever something can be wrong.
    #[inline(never)]
    fn record(&mut self, level: Level, message: String) {
        self.messages.push(Diagnostic::new(level, message));
    }

    /// Reports arguments that nobody asked for.
    ///
    /// # Errors
    /// At least one error was recorded, now or before.
    pub fn finish(&mut self) -> Result<(), Rejected> {
        let mut unknown = Vec::new();
        let mut extra = false;
        for item in self.items.iter_mut().filter(|item| !item.used) {
            match item.keyword() {
                Some((keyword, _)) => unknown.push(keyword.to_string()),
                None => extra = true,
            }
            item.used = true;
        }
        for keyword in unknown {
            self.error(format!("{keyword}: unknown argument"));
        }
        if extra {
            self.error("too many arguments");
        }
        self.check()
    }

    /// # Errors
    /// At least one error was recorded so far.
    pub fn check(&self) -> Result<(), Rejected> {
        if self
            .messages
            .iter()
            .any(|message| message.level == Level::Error)
        {
            Err(Rejected)
        } else {
            Ok(())
        }
    }

    /// What was recorded, in order.
    #[must_use]
    pub fn messages(&self) -> &[Diagnostic] {
        &self.messages
    }

    /// Moves what was recorded to `diagnostics`, under a context such as
    /// `While configuring 'q :: Queue':`.
    pub fn report(&mut self, landmark: &Landmark, context: &str, diagnostics: &mut Diagnostics) {
        for message in self.messages.drain(..) {
            diagnostics.push(message.at(landmark).within(context));
        }
    }

    fn missing(&mut self, name: &str) -> Rejected {
        self.error(format!("{name}: required argument missing"))
    }

    fn read<T>(
        &mut self,
        name: &str,
        text: &str,
        parse: impl FnOnce(&str, &dyn Names) -> Result<T, ArgumentError>,
    ) -> Result<T, Rejected> {
        parse(text, self.names).map_err(|error| self.unreadable(name, text, &error))
    }

    // Once, and not for each type of argument.
    #[inline(never)]
    fn unreadable(&mut self, name: &str, text: &str, error: &ArgumentError) -> Rejected {
        self.record(Level::Error, format!("{name}: {error}"));
        if let (Some(variable), Some(message)) = (unset_variable(text), self.messages.last_mut()) {
            message.help = Some(format!(
                "${variable} is not set: --param {variable}=..., to sprat click {variable}=..., or \
                 define(${variable} ...)"
            ));
        }
        Rejected
    }

    #[inline(never)]
    fn take(&mut self, name: &str) -> Option<String> {
        self.take_keyword(name).or_else(|| self.take_position())
    }

    fn take_keywords(&mut self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        for item in self.items.iter_mut().filter(|item| !item.used) {
            if let Some(value) = item.value_of(name) {
                let value = value.to_string();
                item.used = true;
                values.push(value);
            }
        }
        values
    }

    /// A word that only looks like the keyword, such as a file named as one, has no value and is
    /// left for a position.
    fn take_keyword(&mut self, name: &str) -> Option<String> {
        let mut last = None;
        for item in self.items.iter_mut().filter(|item| !item.used) {
            if let Some(value) = item.value_of(name).filter(|value| !value.is_empty()) {
                last = Some(value.to_string());
                item.used = true;
            }
        }
        last
    }

    fn take_position(&mut self) -> Option<String> {
        let item = self
            .items
            .iter_mut()
            .find(|item| !item.used && item.keyword().is_none())?;
        item.used = true;
        Some(item.text.clone())
    }
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unused: Vec<&str> = self
            .items
            .iter()
            .filter(|item| !item.used)
            .map(|item| item.text.as_str())
            .collect();
        f.debug_struct("Arguments")
            .field("unused", &unused)
            .field("messages", &self.messages)
            .finish()
    }
}

/// The first variable in a text. Where one was known, its value stands in its place.
fn unset_variable(text: &str) -> Option<&str> {
    text.split('$').skip(1).find_map(|after| {
        let after = after.strip_prefix('{').unwrap_or(after);
        let length = after
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            .count();
        (length > 0).then(|| &after[..length])
    })
}

/// The first word of an argument, unquoted, and the text after it: for `KIND value…` forms.
#[must_use]
pub fn split_first_word(argument: &str) -> (String, &str) {
    let argument = argument.trim_start();
    let length = split_words(argument).first().map_or(0, String::len);
    (
        unquote(&argument[..length]),
        argument[length..].trim_start(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{IpProtocol, NoNames};
    use super::*;

    fn errors(arguments: &Arguments<'_>) -> Vec<String> {
        arguments
            .messages()
            .iter()
            .map(|message| message.message.clone())
            .collect()
    }

    #[test]
    fn positions_skip_keywords() {
        let mut arguments = Arguments::new("STOP true, abc, 5", &NoNames);
        assert_eq!(arguments.position("DATA"), Some(String::from("abc")));
        assert_eq!(arguments.position("LIMIT"), Some(5_i32));
        assert_eq!(arguments.keyword("STOP"), Some(true));
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn positions_may_be_named() {
        let mut arguments = Arguments::new("LIMIT 5, DATA \"a b\"", &NoNames);
        assert_eq!(arguments.position("DATA"), Some(String::from("a b")));
        assert_eq!(arguments.position("LIMIT"), Some(5_i32));
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn every_mistake_is_recorded_in_clicks_words() {
        let mut arguments = Arguments::new("x, , FOO 1, 2, 3", &NoNames);
        assert_eq!(arguments.position::<u32>("CAPACITY"), None);
        assert_eq!(arguments.required::<IpProtocol>("PROTO"), Err(Rejected));
        assert_eq!(arguments.required::<u32>("A"), Ok(2));
        assert_eq!(arguments.required_keyword::<u32>("COLOR"), Err(Rejected));
        assert_eq!(arguments.finish(), Err(Rejected));
        assert_eq!(
            errors(&arguments),
            [
                "CAPACITY: invalid number",
                "PROTO: parse error",
                "COLOR: required argument missing",
                "FOO: unknown argument",
                "too many arguments"
            ]
        );
    }

    #[test]
    fn a_variable_that_nobody_has_set_is_named() {
        let unset = |config: &str| {
            let mut arguments = Arguments::new(config, &NoNames);
            assert_eq!(arguments.required::<u32>("LIMIT"), Err(Rejected));
            assert_eq!(errors(&arguments), ["LIMIT: invalid number"]);
            arguments.messages()[0].help.clone().unwrap_or_default()
        };
        assert_eq!(
            unset("$N"),
            "$N is not set: --param N=..., to sprat click N=..., or define($N ...)"
        );
        assert!(unset("LIMIT 1${more_2}").starts_with("$more_2 is not set: "));
        for text in ["$", "5$", "${}", "$(add 1 2)"] {
            assert_eq!(unset(text), "", "{text}");
        }
        let mut arguments = Arguments::new("\"costs $N\"", &NoNames);
        assert_eq!(arguments.required("DATA"), Ok(String::from("costs $N")));
    }

    #[test]
    fn the_rest_keeps_order_and_leaves_nothing_unknown() {
        let mut arguments = Arguments::new(
            "pattern 1.0.0.1 - - - 0 0, REPLY_ANNO 5, MAZU 1.0.0.2",
            &NoNames,
        );
        assert_eq!(arguments.keyword("REPLY_ANNO"), Some(5_u8));
        assert_eq!(
            arguments.rest(),
            ["pattern 1.0.0.1 - - - 0 0", "MAZU 1.0.0.2"]
        );
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn a_repeated_keyword_gives_all_or_the_last() {
        let mut arguments = Arguments::new("A 1, A 2", &NoNames);
        assert_eq!(arguments.keyword_all::<u32>("A"), [1, 2]);
        let mut arguments = Arguments::new("A 1, A 2", &NoNames);
        assert_eq!(arguments.keyword("A"), Some(2_u32));
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn a_keyword_is_a_whole_word() {
        let mut arguments = Arguments::new("LIMITED 5", &NoNames);
        assert_eq!(arguments.keyword::<u32>("LIMIT"), None);
        let mut arguments = Arguments::new("IN1, STOP true", &NoNames);
        assert_eq!(arguments.required("FILENAME"), Ok(String::from("IN1")));
        assert_eq!(arguments.position::<String>("OTHER"), None);
    }

    #[test]
    fn the_first_word_stands_apart() {
        assert_eq!(
            split_first_word(" 'a b' c  d"),
            (String::from("a b"), "c  d")
        );
        assert_eq!(split_first_word(""), (String::new(), ""));
    }
}
