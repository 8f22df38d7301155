//! Typed boot parameters.
//!
//! [`parameters!`](crate::parameters!) declares a structure with one field a parameter; its
//! documentation becomes the help text, in the image's manifest and behind `help`.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use sprat_abi::manifest::ManifestBuilder;
pub use sprat_abi::manifest::{ANY_NAME, ParameterType};

/// A type that boot parameters can have.
pub trait ParameterValue: Sized {
    /// What its text must look like.
    const TYPE: ParameterType;

    /// Reads the text.
    fn parse(text: &'static str) -> Option<Self>;
}

macro_rules! by_from_str {
    ($($type:ty => $kind:ident),* $(,)?) => {
        $(impl ParameterValue for $type {
            const TYPE: ParameterType = ParameterType::$kind;

            fn parse(text: &'static str) -> Option<Self> {
                text.parse().ok()
            }
        })*
    };
}

by_from_str! {
    u8 => Unsigned, u16 => Unsigned, u32 => Unsigned, u64 => Unsigned, usize => Unsigned,
    i8 => Signed, i16 => Signed, i32 => Signed, i64 => Signed,
    bool => Flag, IpAddr => Address,
}

impl ParameterValue for &'static str {
    const TYPE: ParameterType = ParameterType::Text;

    fn parse(text: &'static str) -> Option<Self> {
        Some(text)
    }
}

impl ParameterValue for Duration {
    const TYPE: ParameterType = ParameterType::Duration;

    /// A whole number and `ns`, `us`, `ms`, `s`, `min` or `h`.
    fn parse(text: &'static str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = text[..digits].parse().ok()?;
        let nanoseconds = match text[digits..].trim_start() {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        Some(Self::from_nanos(number.checked_mul(nanoseconds)?))
    }
}

/// One parameter that a program takes.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Its name.
    pub name: &'static str,
    /// What its value must look like.
    pub kind: ParameterType,
    /// The value where none is given; without one it must be given.
    pub default: Option<&'static str>,
    /// What it is for.
    pub help: &'static str,
}

/// A parameter that is text and need not be given.
const fn common(name: &'static str, default: &'static str, help: &'static str) -> Declaration {
    Declaration {
        name,
        kind: ParameterType::Text,
        default: Some(default),
        help,
    }
}

/// Parameters that every program takes.
pub const COMMON: &[Declaration] = &[
    #[cfg(feature = "net")]
    common("ip", "dhcp", "dhcp, off, or ADDRESS/PREFIX,..."),
    #[cfg(feature = "net")]
    common("gateway", "", "who leads to other networks"),
    #[cfg(feature = "net")]
    common(
        "dns",
        "",
        "name servers, asked before those that DHCP names",
    ),
    #[cfg(feature = "net")]
    common(
        "search",
        "",
        "domains that names without a dot are looked for in",
    ),
    common(
        "log",
        "info",
        "how much is logged: a level, or LEVEL,MODULE=LEVEL,...",
    ),
];

/// Why boot parameters are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterError {
    /// Not a parameter of this program.
    Unknown {
        /// The name given.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A value that is not of the parameter's type.
    Value {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: String,
        /// What was expected.
        kind: ParameterType,
    },
    /// A parameter that must be given and was not.
    Missing {
        /// The parameter.
        name: &'static str,
        /// What is expected.
        kind: ParameterType,
    },
    /// A parameter that is not UTF-8.
    Text,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } => {
                write!(out, "no parameter '{name}'; there are")?;
                known.iter().try_for_each(|name| write!(out, " {name}"))
            }
            Self::Value { name, value, kind } => {
                write!(
                    out,
                    "parameter '{name}' is '{value}': expected {}",
                    kind.name()
                )
            }
            Self::Missing { name, kind } => {
                write!(out, "parameter '{name}' ({}) must be given", kind.name())
            }
            Self::Text => out.write_str("a parameter is not UTF-8"),
        }
    }
}

impl core::error::Error for ParameterError {}

/// The parameters given at the start.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pairs: Vec<(&'static str, &'static str)>,
}

impl Given {
    /// Reads `KEY=VALUE` texts; a lone `KEY` has the value `true`. Of two with one name the later
    /// counts.
    ///
    /// # Errors
    /// When one is not UTF-8.
    pub fn read(texts: impl IntoIterator<Item = &'static [u8]>) -> Result<Self, ParameterError> {
        let mut given = Self::default();
        for text in texts {
            let text = core::str::from_utf8(text).map_err(|_| ParameterError::Text)?;
            given
                .pairs
                .push(text.split_once('=').unwrap_or((text, "true")));
        }
        Ok(given)
    }

    /// Refuses what is not declared; a declaration called [`ANY_NAME`] allows every name.
    ///
    /// # Errors
    /// The first unknown name.
    pub fn check_names(&self, declared: &[Declaration]) -> Result<(), ParameterError> {
        let mut known = Vec::new();
        for declarations in [declared, COMMON] {
            for declaration in declarations {
                known.push(declaration.name);
            }
        }
        if known.contains(&ANY_NAME) {
            return Ok(());
        }
        for (name, _) in &self.pairs {
            if *name != "help" && !known.contains(name) {
                return Err(ParameterError::Unknown {
                    name: (*name).to_string(),
                    known,
                });
            }
        }
        Ok(())
    }

    /// Everything given, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.pairs.iter().copied()
    }

    /// The text given for a name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'static str> {
        self.pairs
            .iter()
            .rev()
            .find(|(given, _)| *given == name)
            .map(|(_, value)| *value)
    }

    /// The value of a declared parameter.
    ///
    /// # Errors
    /// When it is missing without a default, or is not of its type.
    pub fn value<T: ParameterValue>(&self, declaration: &Declaration) -> Result<T, ParameterError> {
        let Declaration {
            name,
            kind,
            default,
            ..
        } = *declaration;
        let text = self
            .text(name)
            .or(default)
            .ok_or(ParameterError::Missing { name, kind })?;
        T::parse(text).ok_or_else(|| ParameterError::Value {
            name,
            value: text.to_string(),
            kind,
        })
    }
}

/// What `help` prints.
#[must_use]
pub fn help(declared: &[Declaration]) -> String {
    use fmt::Write as _;
    let mut text = String::from("parameters:\n");
    for Declaration {
        name,
        kind,
        default,
        help,
    } in declared.iter().chain(COMMON)
    {
        // Writing to a string does not fail.
        let _ = write!(text, "  {name} ({})", kind.name());
        let _ = match default {
            Some(default) => write!(text, ", default '{default}'"),
            None => write!(text, ", must be given"),
        };
        let _ = writeln!(text, "\n      {}", help.trim_ascii());
    }
    text
}

/// Adds parameters to a manifest, the common ones last.
#[doc(hidden)]
#[must_use]
pub const fn declare(builder: ManifestBuilder, declared: &[Declaration]) -> ManifestBuilder {
    add(add(builder, declared), COMMON)
}

const fn add(mut builder: ManifestBuilder, declared: &[Declaration]) -> ManifestBuilder {
    let mut at = 0;
    while at < declared.len() {
        let Declaration {
            name,
            kind,
            default,
            help,
        } = declared[at];
        builder = builder.parameter(name, kind, default, help);
        at += 1;
    }
    builder
}

/// A structure of parameters, made by [`parameters!`](crate::parameters!).
pub trait Parameters: Sized {
    /// The parameters it holds.
    const DECLARED: &'static [Declaration];

    /// Reads them all.
    ///
    /// # Errors
    /// When one is missing or not of its type.
    fn from_given(given: &Given) -> Result<Self, ParameterError>;
}

/// A program without parameters of its own.
impl Parameters for () {
    const DECLARED: &'static [Declaration] = &[];

    fn from_given(_: &Given) -> Result<Self, ParameterError> {
        Ok(())
    }
}

/// Declares a structure of boot parameters: documentation, name, type, and a default as it would
/// be written on the command line.
///
/// ```
/// sprat::parameters! {
///     /// What hello takes.
///     pub struct Options {
///         /// Whom to greet.
///         name: &'static str = "world",
///         /// How often.
///         times: u32 = "1",
///         /// A parameter without a default must be given.
///         port: u16,
///     }
/// }
/// ```
#[macro_export]
macro_rules! parameters {
    ($(#[$attribute:meta])* $visibility:vis struct $type:ident {
        $($(#[doc = $help:literal])+ $name:ident: $value:ty $(= $default:literal)?),* $(,)?
    }) => {
        $(#[$attribute])*
        $visibility struct $type {
            $($(#[doc = $help])+ $visibility $name: $value,)*
        }

        impl $crate::parameters::Parameters for $type {
            const DECLARED: &'static [$crate::parameters::Declaration] = &[
                $($crate::parameters::Declaration {
                    name: stringify!($name),
                    kind: <$value as $crate::parameters::ParameterValue>::TYPE,
                    default: $crate::parameters!(@default $($default)?),
                    help: concat!($($help),+).trim_ascii(),
                },)*
            ];

            fn from_given(
                given: &$crate::parameters::Given,
            ) -> Result<Self, $crate::parameters::ParameterError> {
                let mut declared = Self::DECLARED.iter();
                // Fields are read in the order in which they were declared, just above.
                Ok(Self {
                    $($name: match declared.next() {
                        Some(declaration) => given.value::<$value>(declaration)?,
                        None => unreachable!(),
                    },)*
                })
            }
        }
    };
    (@default $default:literal) => { Some($default) };
    (@default) => { None };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::parameters! {
        #[derive(Debug, PartialEq)]
        struct Sample {
            /// Whom to greet.
            name: &'static str = "world",
            /// How often.
            times: u32 = "1",
            /// Where to listen.
            port: u16,
        }
    }

    fn given(texts: &[&'static str]) -> Given {
        Given::read(texts.iter().map(|text| text.as_bytes())).expect("UTF-8")
    }

    #[test]
    fn values_are_read_by_type_and_defaults_fill_in() {
        let sample = Sample::from_given(&given(&["port=80", "times=2", "times=3"]));
        assert_eq!(
            sample,
            Ok(Sample {
                name: "world",
                times: 3,
                port: 80
            })
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let missing = Sample::from_given(&given(&["times=2"]));
        assert_eq!(
            missing,
            Err(ParameterError::Missing {
                name: "port",
                kind: ParameterType::Unsigned
            })
        );
        let wrong = Sample::from_given(&given(&["port=65536"])).expect_err("too large");
        assert_eq!(
            wrong.to_string(),
            "parameter 'port' is '65536': expected unsigned number"
        );
        let unknown = given(&["prot=80"])
            .check_names(Sample::DECLARED)
            .expect_err("misspelt");
        let common = COMMON.iter().map(|declared| declared.name);
        assert_eq!(
            unknown,
            ParameterError::Unknown {
                name: "prot".into(),
                known: ["name", "times", "port"]
                    .into_iter()
                    .chain(common)
                    .collect()
            }
        );
    }

    #[test]
    fn help_lists_every_parameter_with_its_type_and_default() {
        let text = help(Sample::DECLARED);
        assert!(
            text.contains("  times (unsigned number), default '1'\n      How often."),
            "{text}"
        );
        assert!(
            text.contains("  port (unsigned number), must be given"),
            "{text}"
        );
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(Duration::parse("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(Duration::parse("2min"), Some(Duration::from_secs(120)));
        for wrong in ["", "5", "ms", "1 year", "-1s", "99999999999999h"] {
            assert_eq!(Duration::parse(wrong), None, "{wrong}");
        }
    }
}
