//! What FromDump tells and is told while it runs.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::{Context, HandlerError, HandlerList};

use super::FromDump;
use crate::dump::capture::link;
use crate::dump::trace::OpenFile;
use crate::quantity_text::binary_fraction_text;

pub(super) fn list(list: &mut HandlerList) {
    list.read("count")
        .button("reset_counts")
        .read_write("active")
        .read("filename")
        .read("encap");
    list.read("filesize")
        .read_write("filepos")
        .read("packet_filepos")
        .read("sampling_prob")
        .write("extend_interval")
        .button("reset_timing")
        .button("stop")
        .task();
}

/// What is known of a file, also when it has been read.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    link: u32,
    size: Option<usize>,
    pub(super) position: usize,
}

impl Facts {
    pub(super) fn of(file: &OpenFile) -> Self {
        Self {
            link: file.link,
            size: file.reader.input.contents().map(|contents| contents.len()),
            position: file.reader.position,
        }
    }
}

impl FromDump {
    pub(super) fn read_handler(&self, name: &str) -> Result<String, HandlerError> {
        let facts = self.file.as_ref().map(Facts::of).or(self.ended);
        let known = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        match name {
            "count" => Ok(self.count.to_string()),
            "active" => Ok(self.active.to_string()),
            "filename" => Ok(self.name.clone()),
            "sampling_prob" => Ok(binary_fraction_text(self.sample.into(), 16)),
            "packet_filepos" => Ok(self.packet_position.to_string()),
            "encap" => Ok(facts.map_or_else(|| "<none>".into(), |facts| link::name(facts.link))),
            "filesize" => Ok(known(
                facts
                    .and_then(|facts| facts.size)
                    .map(|size| size.to_string()),
            )),
            "filepos" => Ok(known(facts.map(|facts| facts.position.to_string()))),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    pub(super) fn write_handler(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => self.count = 0,
            "reset_timing" => self.origin = None,
            "active" => {
                let active = crate::value_or(context, value, "type mismatch")?;
                self.set_active(context, active);
            }
            "extend_interval" => {
                let complaint = "'extend_interval' takes a time interval";
                let span: Duration = crate::value_or(context, value, complaint)?;
                self.window.extend(span);
                self.set_active(context, true);
            }
            "filepos" => {
                let position: u32 = crate::handler_value(context, value)?;
                self.seek(context, position as usize)
                    .map_err(|reason| HandlerError::failed(format!("{}: {reason}", self.name)))?;
                self.set_active(context, self.active);
            }
            "stop" => {
                self.active = false;
                context.set_nonempty(false);
                context.stop_driver();
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }

    fn set_active(&mut self, context: &mut Context<'_>, active: bool) {
        self.active = active;
        let going = active && (self.file.is_some() || self.next.is_some());
        context.set_nonempty(going);
        if going && context.output_pushes(0) {
            context.schedule_task();
        }
    }
}
