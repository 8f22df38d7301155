use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::arguments::{Annotation, Argument, ArgumentError, Word};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, PacketKind};

pub(super) const SET_ANNO_BYTE: Class = Class::of::<SetAnnoByte>("SetAnnoByte").reconfigurable();
pub(super) const SET_PACKET_TYPE: Class = Class::of::<SetPacketType>("SetPacketType");
pub(super) const CLEAR_ANNO: Class = Class::of::<ClearAnno>("ClearAnno");

/// Reads the name or place of a one-byte annotation.
fn byte_annotation(
    text: &str,
    names: &dyn sprat_click::arguments::Names,
) -> Result<usize, ArgumentError> {
    Annotation::parse(text, names)?.sized(1)
}

/// SetAnnoByte: sets a one-byte annotation.
///
/// ```click
/// SetAnnoByte(ANNO, VALUE)
/// ```
///
/// - ANNO: the annotation, by name (`PAINT`) or by its place among the 48 bytes.
/// - VALUE: 0 to 255.
///
/// `Paint(VALUE, ANNO)` does the same, and is what Click tells to use instead.
///
/// Handlers: `anno` (read), `value` (read, write).
///
/// See Click's manual page SetAnnoByte(n).
struct SetAnnoByte {
    annotation: usize,
    value: u8,
}

impl Configure for SetAnnoByte {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let text = "SetAnnoByte(ANNO, VALUE) is obsolete, use Paint(VALUE, ANNO) instead";
        arguments.warning(text);
        let offset = arguments.keyword_with("OFFSET", byte_annotation);
        let annotation = match offset {
            Some(offset) => Ok(offset),
            None => arguments.required_with("ANNO", byte_annotation),
        };
        let value = arguments.required("VALUE");
        arguments.finish()?;
        Ok(Self {
            annotation: annotation?,
            value: value?,
        })
    }
}

impl Element for SetAnnoByte {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.set_annotation_byte(self.annotation, self.value);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("anno").read_write("value");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "anno" => Ok(self.annotation.to_string()),
            "value" => Ok(self.value.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "value" => self.value = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// SetPacketType: sets how packets are said to have been addressed on their link.
///
/// ```click
/// SetPacketType(TYPE)
/// ```
///
/// TYPE is `HOST`, `BROADCAST`, `MULTICAST`, `OTHERHOST` or `OUTGOING`.
///
/// See Click's manual page SetPacketType(n).
struct SetPacketType {
    kind: PacketKind,
}

fn packet_kind(
    text: &str,
    names: &dyn sprat_click::arguments::Names,
) -> Result<PacketKind, ArgumentError> {
    let Word(word) = Word::parse(text, names)?;
    match &*word.to_ascii_uppercase() {
        "HOST" => Ok(PacketKind::Host),
        "BROADCAST" => Ok(PacketKind::Broadcast),
        "MULTICAST" => Ok(PacketKind::Multicast),
        "OTHERHOST" => Ok(PacketKind::OtherHost),
        "OUTGOING" => Ok(PacketKind::Outgoing),
        _ => Err(ArgumentError::other(format!(
            "unrecognized packet type '{word}'"
        ))),
    }
}

impl Configure for SetPacketType {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let kind = arguments.required::<Word>("TYPE");
        arguments.finish()?;
        // Click names the type, and not the argument.
        let kind = packet_kind(&kind?.0, arguments.names());
        let kind = kind.map_err(|error| arguments.error(error.to_string()))?;
        Ok(Self { kind })
    }
}

impl Element for SetPacketType {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.set_kind(self.kind);
        }
    }
}

/// ClearAnno: sets all annotations of packets back to zero.
///
/// ```click
/// ClearAnno
/// ```
///
/// Timestamp and packet type are cleared with them; the places of the headers are kept.
struct ClearAnno;

impl Configure for ClearAnno {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for ClearAnno {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.clear_annotations();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_byte_that_was_set_is_found_under_its_name_and_cleared() {
        let bench = Bench::new(
            "FromDevice(in) -> s :: SetAnnoByte(16, 5) -> a :: PaintSwitch -> ToDevice(a0);
             a[1] -> Idle; a[2] -> Idle; a[3] -> Idle; a[4] -> Idle;
             a[5] -> ClearAnno -> CheckPaint(0) -> ToDevice(a5)",
        );
        bench.arrive("in", b"x");
        bench.run();
        bench.write("s.value", "0");
        bench.arrive("in", b"y");
        bench.run();
        assert_eq!(bench.sent("a5"), [b"x"]);
        assert_eq!(bench.sent("a0"), [b"y"]);
        assert_eq!(bench.read("s.anno"), "16");
    }

    #[test]
    fn what_is_not_a_packet_type_is_refused() {
        let errors = Bench::errors("Idle -> s :: SetPacketType(STRANGER) -> Idle");
        assert!(
            errors.contains("  unrecognized packet type 'STRANGER'"),
            "{errors}"
        );
    }
}
