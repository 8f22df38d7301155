//! Log lines to the console.
//!
//! Applications log through the `log` crate. The boot parameter `log` says how much is shown:
//! `info` for everything, or with exceptions by module, `warn,sprat_click=debug`.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use log::{LevelFilter, Log, Metadata, Record};
use sprat_platform::Platform as _;

use crate::local::local;
use crate::target::platform;

local! {
    static LEVELS: RefCell<Levels> = RefCell::new(Levels::new());
}

/// How much is shown, by module.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Levels {
    all: LevelFilter,
    /// Module paths with a level of their own.
    modules: Vec<(String, LevelFilter)>,
}

/// A text that says no levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError {
    /// The part that is not understood.
    pub part: String,
}

impl fmt::Display for LevelError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "'{}' is not a log level: expected off, error, warn, info, debug or trace, or MODULE=LEVEL",
            self.part
        )
    }
}

impl core::error::Error for LevelError {}

impl Levels {
    const fn new() -> Self {
        Self {
            all: LevelFilter::Info,
            modules: Vec::new(),
        }
    }

    fn parse(text: &str) -> Result<Self, LevelError> {
        let mut levels = Self::new();
        for part in text
            .split(',')
            .map(str::trim_ascii)
            .filter(|part| !part.is_empty())
        {
            let level = |name: &str| {
                name.trim_ascii().parse().map_err(|_| LevelError {
                    part: part.to_string(),
                })
            };
            match part.split_once('=') {
                None => levels.all = level(part)?,
                Some((module, name)) => levels
                    .modules
                    .push((module.trim_ascii().to_string(), level(name)?)),
            }
        }
        Ok(levels)
    }

    /// The level for a module: that of the longest path it lies in.
    fn of(&self, target: &str) -> LevelFilter {
        let inside = |module: &str| {
            target
                .strip_prefix(module)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.modules
            .iter()
            .filter(|(module, _)| inside(module))
            .max_by_key(|(module, _)| module.len())
            .map_or(self.all, |(_, level)| *level)
    }

    fn highest(&self) -> LevelFilter {
        self.modules
            .iter()
            .map(|(_, level)| *level)
            .fold(self.all, Ord::max)
    }
}

struct ConsoleLog;

impl Log for ConsoleLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        LEVELS.with(|levels| metadata.level() <= levels.borrow().of(metadata.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let microseconds = platform().monotonic() / 1000;
        let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
        // One write a line, so that lines of two programs on one terminal do not mix.
        let line = format!(
            "[{seconds:5}.{fraction:06}] {:5} {}: {}\n",
            record.level(),
            record.target(),
            record.args()
        );
        platform().write_console(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Makes the `log` crate write to the console.
pub(crate) fn start() {
    // It is set already where a program runs several instances, and then to this very logger.
    let _ = log::set_logger(&ConsoleLog);
    log::set_max_level(LevelFilter::Info);
}

/// Sets how much is shown from now on: `info`, or `warn,some_module=debug`.
///
/// # Errors
/// When a part is not a level; then nothing changes.
pub fn set_levels(text: &str) -> Result<(), LevelError> {
    let levels = Levels::parse(text)?;
    log::set_max_level(levels.highest());
    LEVELS.with(|slot| *slot.borrow_mut() = levels);
    Ok(())
}

/// Writes how much is shown, as [`set_levels`] takes it.
pub(crate) fn write_levels(out: &mut dyn fmt::Write) -> fmt::Result {
    LEVELS.with(|levels| {
        let levels = levels.borrow();
        out.write_str(name(levels.all))?;
        levels
            .modules
            .iter()
            .try_for_each(|(module, level)| write!(out, ",{module}={}", name(*level)))
    })
}

fn name(level: LevelFilter) -> &'static str {
    match level {
        LevelFilter::Off => "off",
        LevelFilter::Error => "error",
        LevelFilter::Warn => "warn",
        LevelFilter::Info => "info",
        LevelFilter::Debug => "debug",
        LevelFilter::Trace => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_module_path_that_holds_a_target_decides() {
        let levels = Levels::parse("warn, click=debug,click::nat=off").expect("valid");
        let cases = [
            ("web", LevelFilter::Warn),
            ("click", LevelFilter::Debug),
            ("click::language", LevelFilter::Debug),
            ("click::nat::table", LevelFilter::Off),
            ("click_house", LevelFilter::Warn),
        ];
        for (target, expected) in cases {
            assert_eq!(levels.of(target), expected, "{target}");
        }
        assert_eq!(levels.highest(), LevelFilter::Debug);
    }

    #[test]
    fn a_wrong_level_is_named() {
        assert_eq!(
            Levels::parse("info,net=loud"),
            Err(LevelError {
                part: "net=loud".into()
            })
        );
    }
}
