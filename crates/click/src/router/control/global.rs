//! The router's own handlers.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

use super::shown::handler_line;
use super::{HandlerTarget, READ, WRITE};
use crate::handler::{HandlerError, HandlerFlags};
use crate::router::Router;

/// The router's own handlers, in the order in which Click lists them; `traffic`, which Click has
/// not, is not listed.
pub const GLOBAL_HANDLERS: [(&str, HandlerFlags); 13] = [
    ("version", READ),
    ("driver", READ),
    ("config", READ),
    ("flatconfig", READ),
    ("requirements", READ),
    ("handlers", READ),
    ("list", READ),
    ("stop", WRITE),
    ("classes", READ),
    ("packages", READ),
    ("hotconfig", HandlerFlags { raw: true, ..WRITE }),
    (
        "timewarp",
        HandlerFlags {
            write: true,
            ..READ
        },
    ),
    ("traffic", READ),
];

/// The version of Click whose behaviour this is.
pub const CLICK_VERSION: &str = "2.1";

impl Router {
    pub(super) fn global_handlers(&self) -> impl Iterator<Item = (&'static str, HandlerFlags)> {
        let swaps = self.source.builder.swaps();
        GLOBAL_HANDLERS
            .into_iter()
            .filter(move |(name, _)| swaps || *name != "hotconfig")
    }

    pub(super) fn read_global(&self, name: &str, parameters: &str) -> Result<String, HandlerError> {
        let flags = self.handler_flags(&HandlerTarget::Global(name.into()))?;
        if !flags.read {
            return Err(HandlerError::NotReadable(name.into()));
        }
        if !parameters.is_empty() {
            return Err(HandlerError::NoParameters(name.into()));
        }
        let lines = |names: &mut dyn Iterator<Item = &str>| {
            names.fold(String::new(), |text, name| text + name + "\n")
        };
        Ok(match name {
            "version" => CLICK_VERSION.into(),
            "list" => {
                let names = &self.directory.names;
                format!(
                    "{}\n{}",
                    names.len(),
                    lines(&mut names.iter().map(|name| &**name))
                )
            }
            "classes" => lines(&mut self.source.builder.library().names().into_iter()),
            // Who requires it asks not to keep the text.
            "config" if self.requires("compact_config") => self.flat_configuration().unparse(),
            "config" => self.source.text.to_string(),
            "flatconfig" => self.flat_configuration().unparse(),
            "requirements" => {
                let requirements = self.source.flat.requirements.iter();
                // What is required and its name, each on a line.
                lines(
                    &mut requirements.flat_map(|requirement| match &*requirement.kind {
                        "" => [&*requirement.name, ""],
                        kind => [kind, &*requirement.name],
                    }),
                )
            }
            "handlers" => {
                let mut text = String::new();
                let listed = self
                    .global_handlers()
                    .filter(|(name, _)| *name != "traffic");
                for (name, flags) in listed {
                    handler_line(&mut text, name, flags);
                }
                text
            }
            "traffic" => self.traffic_text(),
            "driver" => "userlevel".into(),
            // Everything is built in, so no package ever is loaded; nor is time warped.
            "packages" => String::new(),
            _ => "1".into(),
        })
    }

    pub(super) fn write_global(&self, name: &str, value: &str) -> Result<(), HandlerError> {
        let flags = self.handler_flags(&HandlerTarget::Global(name.into()))?;
        if !flags.write {
            return Err(HandlerError::NotWritable(name.into()));
        }
        match name {
            "stop" => {
                self.adjust_run_count(-stop_count(value));
                Ok(())
            }
            "hotconfig" => self.replace_with(value).map_err(HandlerError::refused),
            _ => Err(HandlerError::failed(
                "time can be warped with --simtime only",
            )),
        }
    }

    /// For each element a line: name, class, packets in, packets out.
    fn traffic_text(&self) -> String {
        let mut text = String::new();
        for id in self.elements() {
            let (taken, given) = self.traffic(id);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{}\t{}\t{taken}\t{given}",
                self.name(id),
                self.class(id).name
            );
        }
        text
    }

    fn requires(&self, name: &str) -> bool {
        let mut requirements = self.source.flat.requirements.iter();
        requirements.any(|requirement| &*requirement.name == name)
    }
}

/// How many stops a value written to `stop` asks for: one, unless it is a number.
fn stop_count(value: &str) -> i64 {
    value.trim().parse().unwrap_or(1)
}
