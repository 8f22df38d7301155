use alloc::string::{String, ToString};

use sprat_click::arguments::{Annotation, Argument};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, annotations};

pub(super) const PAINT: Class = Class::of::<Paint>("Paint").reconfigurable();
pub(super) const CHECK_PAINT: Class = Class::of::<CheckPaint>("CheckPaint")
    .ports("1/1-2")
    .processing("a/ah")
    .reconfigurable();
pub(super) const PAINT_TEE: Class = Class::of::<PaintTee>("PaintTee")
    .ports("1/2")
    .processing("a/ah")
    .reconfigurable();
pub(super) const PAINT_SWITCH: Class = Class::of::<PaintSwitch>("PaintSwitch")
    .ports("1/-")
    .processing("h/h");

/// The one-byte annotation that the argument ANNO names; the paint where it is missing.
pub(super) fn byte_annotation(arguments: &mut Arguments<'_>) -> usize {
    arguments
        .position_with("ANNO", |text, names| {
            Annotation::parse(text, names)?.sized(1)
        })
        .unwrap_or(annotations::PAINT)
}

/// A color and the annotation that holds it: what all elements of paint are about.
struct Color {
    color: u8,
    annotation: usize,
}

impl Color {
    fn configure(arguments: &mut Arguments<'_>) -> Result<Self, Rejected> {
        let color = arguments.required("COLOR");
        let annotation = byte_annotation(arguments);
        arguments.finish()?;
        Ok(Self {
            color: color?,
            annotation,
        })
    }

    // There is no other handler than `color`.

    fn read(&self) -> Result<String, HandlerError> {
        Ok(self.color.to_string())
    }

    fn write(&mut self, context: &Context<'_>, value: &str) -> Result<(), HandlerError> {
        self.color = crate::handler_value(context, value)?;
        Ok(())
    }
}

/// Implements an element that has the handler `color` and is otherwise told by its body.
macro_rules! colored {
    ($element:ident { $($body:tt)* }) => {
        impl Configure for $element {
            fn configure(
                arguments: &mut Arguments<'_>,
                _: &Configuration<'_>,
            ) -> Result<Self, Rejected> {
                Color::configure(arguments).map(Self)
            }
        }

        impl Element for $element {
            $($body)*

            fn handlers(&self, list: &mut HandlerList) {
                list.read_write("color");
            }

            fn read(
                &mut self,
                _: &mut Context<'_>,
                _: &str,
                _: &str,
            ) -> Result<String, HandlerError> {
                self.0.read()
            }

            fn write(
                &mut self,
                context: &mut Context<'_>,
                _: &str,
                value: &str,
            ) -> Result<(), HandlerError> {
                self.0.write(context, value)
            }
        }
    };
}

/// Paint: sets packets' paint annotation.
///
/// ```click
/// Paint(COLOR [, ANNO])
/// ```
///
/// - COLOR: 0 to 255.
/// - ANNO: the one-byte annotation to set; PAINT.
///
/// Handlers: `color` (read, write).
///
/// See Click's manual page Paint(n).
struct Paint(Color);

colored!(Paint {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.set_annotation_byte(self.0.annotation, self.0.color);
        }
    }
});

/// CheckPaint: passes packets of one color.
///
/// ```click
/// CheckPaint(COLOR [, ANNO])
/// ```
///
/// Packets whose paint is not COLOR go to output 1, and are dropped where it is not connected.
/// ANNO names the one-byte annotation to look at; PAINT.
///
/// Handlers: `color` (read, write).
///
/// See Click's manual page CheckPaint(n).
struct CheckPaint(Color);

colored!(CheckPaint {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Color { color, annotation } = self.0;
        batch.filter(|packet| {
            if packet.annotations().byte(annotation) == color {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
});

/// PaintTee: copies packets of one color.
///
/// ```click
/// PaintTee(COLOR [, ANNO])
/// ```
///
/// All packets go to output 0; a copy of each whose paint is COLOR goes to output 1. ANNO names
/// the one-byte annotation to look at; PAINT. Made for redirects:
///
/// ```click
/// FromDevice(eth7) -> Paint(7) -> ...
/// routes[7] -> pt :: PaintTee(7) -> ... -> ToDevice(eth7);
/// pt[1] -> ICMPError(18.26.4.24, 5, 1) -> [0]routes;
/// ```
///
/// Handlers: `color` (read, write).
///
/// See Click's manual page PaintTee(n).
struct PaintTee(Color);

colored!(PaintTee {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter() {
            if packet.annotations().byte(self.0.annotation) == self.0.color {
                let copy = context.duplicate(packet);
                context.emit(1, copy);
            }
        }
    }
});

/// The paint that means every output.
const EVERY_OUTPUT: u8 = 255;

/// PaintSwitch: sends each packet to the output that its paint names.
///
/// ```click
/// PaintSwitch([ANNO])
/// ```
///
/// A packet of paint K goes to output K, and is dropped where there is none. One of paint 255
/// goes to every output, in copies. ANNO names the one-byte annotation to look at; PAINT.
///
/// See Click's manual page PaintSwitch(n).
struct PaintSwitch {
    annotation: usize,
}

impl Configure for PaintSwitch {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let annotation = byte_annotation(arguments);
        arguments.finish()?;
        Ok(Self { annotation })
    }
}

impl Element for PaintSwitch {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            let paint = packet.annotations().byte(self.annotation);
            if paint != EVERY_OUTPUT {
                context.emit(usize::from(paint), packet);
                continue;
            }
            let last = context.outputs().saturating_sub(1);
            for port in 0..last {
                let copy = context.duplicate(&packet);
                context.emit(port, copy);
            }
            context.emit(last, packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_written_color_leaves_the_configuration_as_it_was_written() {
        let bench = Bench::new("Idle -> p :: Paint(3, 17) -> Idle");
        bench.write("p.color", "5");
        assert_eq!(bench.read("p.color"), "5");
        assert_eq!(bench.read("p.config"), "3, 17");
        for color in ["red", "256", "-1"] {
            assert_eq!(
                bench.write_fails("p.color", color).as_deref(),
                Some("expected uint8_t")
            );
        }
        assert_eq!(bench.read("p.color"), "5");
    }

    #[test]
    fn check_paint_passes_the_color_and_diverts_the_others() {
        let bench = Bench::new(
            "FromDevice(in) -> p :: Paint(3) -> c :: CheckPaint(3) -> ToDevice(same);
             c[1] -> ToDevice(other)",
        );
        bench.arrive("in", b"a");
        bench.run();
        bench.write("p.color", "4");
        bench.arrive("in", b"b");
        bench.run();
        assert_eq!(bench.sent("same"), [b"a"]);
        assert_eq!(bench.sent("other"), [b"b"]);
        assert_eq!(bench.read("p.color"), "4");
    }

    #[test]
    fn annotations_of_paint_are_apart_from_each_other() {
        let bench = Bench::new(
            "FromDevice(in) -> Paint(1) -> Paint(2, 17) -> CheckPaint(1) \
             -> CheckPaint(2, ANNO 17) -> ToDevice(out)",
        );
        bench.arrive("in", b"a");
        bench.run();
        assert_eq!(bench.sent("out"), [b"a"]);
    }

    #[test]
    fn paint_refuses_colors_and_annotations_of_more_than_a_byte() {
        for (config, error) in [
            ("256", "COLOR: out of range, bound 255"),
            ("1, DST_IP", "ANNO: expected 1-byte annotation"),
        ] {
            let errors = Bench::errors(&std::format!("Idle -> p :: Paint({config}) -> Idle"));
            assert!(errors.contains(error), "{errors}");
        }
    }

    #[test]
    fn paint_tee_copies_only_its_color() {
        let bench = Bench::new(
            "FromDevice(in) -> p :: Paint(7) -> t :: PaintTee(7) -> Strip(1) -> ToDevice(all);
             t[1] -> ToDevice(copies)",
        );
        bench.arrive("in", b"xa");
        bench.run();
        bench.write("p.color", "8");
        bench.arrive("in", b"xb");
        bench.run();
        assert_eq!(bench.sent("all"), [b"a", b"b"]);
        assert_eq!(bench.sent("copies"), [b"xa"]);
    }

    #[test]
    fn paint_switch_chooses_drops_and_copies_by_paint() {
        let bench = Bench::new(
            "FromDevice(in) -> p :: Paint(1) -> s :: PaintSwitch -> ToDevice(zero);
             s[1] -> ToDevice(one)",
        );
        for (color, frame) in [("1", b"a"), ("0", b"b"), ("2", b"c"), ("255", b"d")] {
            bench.write("p.color", color);
            bench.arrive("in", frame);
            bench.run();
        }
        assert_eq!(bench.sent("zero"), [b"b", b"d"]);
        assert_eq!(bench.sent("one"), [b"a", b"d"]);
    }
}
