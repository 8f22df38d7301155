//! What FromDump tells and is told while it runs.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::decimal;
use sprat_click::{Context, HandlerError, HandlerList};

use super::FromDump;

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

impl FromDump {
    pub(super) fn read_handler(&self, name: &str) -> Result<String, HandlerError> {
        let file = self.file.as_ref();
        let known = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        match name {
            "count" => Ok(self.count.to_string()),
            "active" => Ok(self.active.to_string()),
            "filename" => Ok(self.name.clone()),
            "sampling_prob" => Ok(decimal::shortest(f64::from(self.sample) / 65_536.0)),
            "packet_filepos" => Ok(self.packet_position.to_string()),
            "encap" => Ok(known(file.map(|file| link_name(file.link)))),
            "filesize" => Ok(known(
                file.and_then(|file| file.reader.input.contents())
                    .map(|contents| contents.len().to_string()),
            )),
            "filepos" => Ok(known(file.map(|file| file.reader.position.to_string()))),
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
                let active = crate::handler_value(context, value)?;
                self.set_active(context, active);
            }
            "extend_interval" => {
                let span: Duration = crate::handler_value(context, value)?;
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

/// A link type as Click calls it.
fn link_name(link: u32) -> String {
    use crate::dump::capture::link as kind;
    match link {
        kind::ETHERNET => "ETHER".into(),
        kind::RAW | kind::RAW_BSD | kind::RAW_OPENBSD => "IP".into(),
        kind::NULL => "NULL".into(),
        kind::LINUX_SLL => "SLL".into(),
        kind::C_HDLC => "PPP_HDLC".into(),
        kind::ATM_RFC1483 => "ATM".into(),
        other => other.to_string(),
    }
}
