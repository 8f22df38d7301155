//! Strings, words, data and names of elements.

use alloc::string::String;
use alloc::vec::Vec;

use super::split::{split_words, unquote, unquote_bytes};
use super::{Argument, ArgumentError, Names};

/// A string: one word, unquoted. Spaces must be quoted.
impl Argument for String {
    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        match split_words(text).len() {
            1 => Ok(unquote(text)),
            _ => Err(ArgumentError::Unreadable),
        }
    }
}

/// A word: one string without spaces even after unquoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(pub String);

impl Argument for Word {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        let word = String::parse(text, names)?;
        if word.is_empty() || word.contains(|c: char| c.is_ascii_whitespace()) {
            return Err(ArgumentError::Unreadable);
        }
        Ok(Self(word))
    }
}

/// Data: the bytes a string stands for, which need not be text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Argument for Bytes {
    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        match split_words(text).len() {
            1 => Ok(Self(unquote_bytes(text))),
            _ => Err(ArgumentError::Unreadable),
        }
    }
}

/// The whole argument as it stands, quotation included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raw(pub String);

impl Argument for Raw {
    fn parse(text: &str, _names: &dyn Names) -> Result<Self, ArgumentError> {
        Ok(Self(String::from(text)))
    }
}

/// The name of an element, to be looked up from the compound that holds the one configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementName(pub String);

impl Argument for ElementName {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        let Word(name) = Word::parse(text, names)?;
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoNames;
    use super::*;

    #[test]
    fn a_string_is_one_word_however_quoted() {
        assert_eq!(
            String::parse("\"a b\"c", &NoNames),
            Ok(String::from("a bc"))
        );
        assert_eq!(String::parse("\"\"", &NoNames), Ok(String::new()));
        assert!(String::parse("a b", &NoNames).is_err());
        assert!(String::parse("", &NoNames).is_err());
        assert!(Word::parse("\"a b\"", &NoNames).is_err());
    }

    #[test]
    fn data_need_not_be_text() {
        assert_eq!(
            Bytes::parse("\\<00 ff>\"\\x80\"", &NoNames),
            Ok(Bytes(alloc::vec![0, 0xff, 0x80]))
        );
    }
}
