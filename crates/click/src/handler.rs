//! Handlers: the named values of an element that can be read and written while it runs.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// What can be done with a handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandlerFlags {
    /// It can be read.
    pub read: bool,
    /// It can be written.
    pub write: bool,
    /// Reading takes parameters.
    pub parameters: bool,
    /// Its value changes only when it is written or the element reconfigured.
    pub calm: bool,
    /// Reading it takes long.
    pub expensive: bool,
    /// Its bytes are data and not text: nothing is trimmed.
    pub raw: bool,
    /// Writing it needs no value.
    pub button: bool,
    /// It is a truth value.
    pub checkbox: bool,
    /// Only elements may read it: it is neither listed nor read for anybody outside.
    pub private: bool,
}

/// One handler of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerInfo {
    /// Its name, without the element's.
    pub name: Cow<'static, str>,
    /// What can be done with it.
    pub flags: HandlerFlags,
}

/// The handlers of an element, in the order they are listed.
#[derive(Clone, Debug, Default)]
pub struct HandlerList {
    list: Vec<HandlerInfo>,
    others: Option<HandlerFlags>,
}

impl HandlerList {
    /// Adds a handler; flags add up where one of that name is there.
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, flags: HandlerFlags) -> &mut Self {
        let name = name.into();
        match self.list.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.flags = HandlerFlags {
                    read: known.flags.read || flags.read,
                    write: known.flags.write || flags.write,
                    ..flags
                };
            }
            None => self.list.push(HandlerInfo { name, flags }),
        }
        self
    }

    /// Adds a handler that can be read.
    pub fn read(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Self {
        self.add(
            name,
            HandlerFlags {
                read: true,
                ..HandlerFlags::default()
            },
        )
    }

    /// Adds a handler that can be read with parameters.
    pub fn read_with_parameters(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Self {
        self.add(
            name,
            HandlerFlags {
                read: true,
                parameters: true,
                ..HandlerFlags::default()
            },
        )
    }

    /// Adds a handler that can be written.
    pub fn write(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Self {
        self.add(
            name,
            HandlerFlags {
                write: true,
                ..HandlerFlags::default()
            },
        )
    }

    /// Adds a handler that is written to make something happen; its value is not looked at.
    pub fn button(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Self {
        self.add(
            name,
            HandlerFlags {
                write: true,
                button: true,
                ..HandlerFlags::default()
            },
        )
    }

    /// Adds a handler that can be read and written.
    pub fn read_write(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Self {
        self.add(
            name,
            HandlerFlags {
                read: true,
                write: true,
                ..HandlerFlags::default()
            },
        )
    }

    /// The handler called `name`.
    pub fn find(&self, name: &str) -> Option<&HandlerInfo> {
        self.list.iter().find(|known| known.name == name)
    }

    /// Says that handlers of every other name are there too, though they are not listed.
    pub fn others(&mut self, flags: HandlerFlags) -> &mut Self {
        self.others = Some(flags);
        self
    }

    /// What can be done with the handler called `name`, where there is one.
    pub fn flags(&self, name: &str) -> Option<HandlerFlags> {
        self.find(name).map(|known| known.flags).or(self.others)
    }

    /// All handlers.
    pub fn iter(&self) -> core::slice::Iter<'_, HandlerInfo> {
        self.list.iter()
    }
}

/// Why a handler could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerError {
    /// What was asked for is no handler's name.
    Malformed,
    /// No element has that name.
    NoElement(String),
    /// The element has no handler of that name.
    NoHandler(String),
    /// It cannot be read.
    NotReadable(String),
    /// It cannot be written.
    NotWritable(String),
    /// It was read with parameters and takes none.
    NoParameters(String),
    /// The element is in the middle of something and cannot be asked.
    Busy(String),
    /// The element refused the value or could not answer; its messages, and the status that a
    /// script sees: an error number of C, negative.
    Failed(Vec<String>, i32),
}

impl HandlerError {
    /// The status of most refusals: EINVAL.
    pub const INVALID: i32 = -22;

    /// The element's refusal with one message.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::refused(Vec::from([message.into()]))
    }

    /// The element's refusal with these messages.
    pub fn refused(messages: Vec<String>) -> Self {
        Self::Failed(messages, Self::INVALID)
    }

    /// What Click says where an element, not a person, calls the handler.
    pub fn in_call(&self, write: bool) -> String {
        let kind = if write { "write" } else { "read" };
        match self {
            Self::NoElement(name) => format!("no element named '{name}'"),
            Self::NoHandler(name) | Self::NotReadable(name) | Self::NotWritable(name) => {
                format!("no '{name}' {kind} handler")
            }
            Self::Malformed | Self::NoParameters(_) | Self::Busy(_) | Self::Failed(..) => {
                self.to_string()
            }
        }
    }
}

/// Click's words; one line for each message of the element.
impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("syntax error"),
            Self::NoElement(name) => write!(f, "no element '{name}'"),
            Self::NoHandler(name) => write!(f, "no '{name}' handler"),
            Self::NotReadable(name) => write!(f, "'{name}' is a write handler"),
            Self::NotWritable(name) => write!(f, "'{name}' is a read handler"),
            Self::NoParameters(name) => {
                write!(f, "read handler '{name}' does not take parameters")
            }
            Self::Busy(name) => write!(f, "'{name}' is running and cannot be asked now"),
            Self::Failed(messages, _) => {
                for (number, message) in messages.iter().enumerate() {
                    if number > 0 {
                        f.write_str("\n")?;
                    }
                    f.write_str(message)?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for HandlerError {}
