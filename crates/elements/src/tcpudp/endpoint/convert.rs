use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::headers::tcp_flags;

use super::super::segment::{headers, unsummed};
use super::of_no_connection;

pub(in super::super) const BUFFER_CONVERTER: Class =
    Class::of::<BufferConverter>("BufferConverter")
        .ports("2/1")
        .processing("lh/h");

/// BufferConverter: reads and writes TCP segments by a handler.
///
/// ```click
/// BufferConverter(MTU)
/// ```
///
/// Handler: `data` (read): pulls TCP/IP packets at input 0, whose network header annotation is set, until
/// one has a payload, and says that. `data` (write): sends the text at output 0, in segments with up to MTU
/// bytes of it; addresses, ports and numbers are zero, and for other elements to set, as checksums are.
/// What comes to input 1 is dropped: one day it should tell what the way takes.
///
/// See Click's class BufferConverter, of its folder `local`.
pub(crate) struct BufferConverter {
    longest: usize,
}

/// What fits into an IP packet.
const LONGEST_PAYLOAD: u32 = 65_535 - 40;

impl Configure for BufferConverter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let longest = arguments.required::<u32>("MTU");
        if longest.is_ok_and(|longest| !(1..=LONGEST_PAYLOAD).contains(&longest)) {
            arguments.error("MTU: must be between 1 and 65495");
        }
        arguments.finish()?;
        Ok(Self {
            longest: longest? as usize,
        })
    }
}

impl Element for BufferConverter {
    fn push(&mut self, _: &mut Context<'_>, _: usize, _: &mut Batch) {}

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("data");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        if name != "data" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        let mut batch = Batch::new();
        loop {
            context.pull(0, 1, &mut batch);
            let Some(packet) = batch.drain().next() else {
                return Ok(String::new());
            };
            match headers(&packet) {
                Some((_, tcp)) if !tcp.payload().is_empty() => {
                    return Ok(String::from_utf8_lossy(tcp.payload()).into_owned());
                }
                _ => {}
            }
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if name != "data" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        let (network, header) = of_no_connection(tcp_flags::PSH);
        for part in value.as_bytes().chunks(self.longest) {
            let packet = unsummed(context, network, header, part);
            context.emit(0, packet);
        }
        Ok(())
    }
}
