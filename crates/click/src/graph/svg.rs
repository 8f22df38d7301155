//! A configuration as a picture.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::layout::{Layout, Point, Size, place};
use super::{Flat, FlatElement, Flow, shortened};

/// Displays a configuration as SVG: elements in layers from sources to sinks, a solid line where
/// packets are pushed and a dashed one where they are pulled.
pub struct Svg<'a> {
    pub(super) flat: &'a Flat,
    pub(super) flows: &'a [Flow],
}

const MARGIN: i32 = 16;
/// The width of a letter of 12 pixels, on the safe side: the reader's font is not known here.
const LETTER: i32 = 8;
const HEIGHT: i32 = 44;
/// The least distance of ports on an element's edge.
const PORT: i32 = 14;
/// The most letters of a line of text in a box.
const LETTERS: usize = 36;

const HEAD: &str = "<style>\
    text{font:12px sans-serif;text-anchor:middle;fill:#1b1f24}\
    .class{fill:#57606a;font-size:11px}\
    rect{fill:#f6f8fa;stroke:#57606a}\
    path{fill:none;stroke:#0969da;stroke-width:1.4}\
    .pull{stroke-dasharray:5 3;stroke:#1a7f37}\
    circle{fill:#57606a}\
    </style>\n\
    <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
    <polygon points=\"0,0 8,4 0,8\" fill=\"#57606a\"/></marker></defs>\n";

impl fmt::Display for Svg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.flat.port_counts();
        let sizes: Vec<Size> = self
            .flat
            .elements
            .iter()
            .zip(&counts)
            .map(|(element, ports)| size(element, *ports))
            .collect();
        let edges: Vec<(usize, usize)> = self
            .flat
            .connections
            .iter()
            .map(|c| (c.from.0, c.to.0))
            .collect();
        let Layout {
            corners,
            bends,
            size: whole,
        } = place(&sizes, &edges);
        let (width, height) = (whole.width + 2 * MARGIN, whole.height + 2 * MARGIN);
        writeln!(
            f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">"
        )?;
        writeln!(f, "{HEAD}<g transform=\"translate({MARGIN} {MARGIN})\">")?;
        for (index, connection) in self.flat.connections.iter().enumerate() {
            let ((from, output), (to, input)) = (connection.from, connection.to);
            let start = port(
                corners[from],
                sizes[from],
                output,
                counts[from].1,
                sizes[from].height,
            );
            let end = port(corners[to], sizes[to], input, counts[to].0, 0);
            let class = if self.flows.get(index) == Some(&Flow::Pull) {
                " class=\"pull\""
            } else {
                ""
            };
            write!(
                f,
                "<path{class} marker-end=\"url(#tip)\" d=\"M{} {}",
                start.x, start.y
            )?;
            let mut here = start;
            for &next in bends[index].iter().chain([&end]) {
                // Leaves and enters straight, even where the line leads up or to a neighbour.
                let bend = ((next.y - here.y).abs() / 2).clamp(14, 90);
                write!(
                    f,
                    "C{} {} {} {} {} {}",
                    here.x,
                    here.y + bend,
                    next.x,
                    next.y - bend,
                    next.x,
                    next.y
                )?;
                here = next;
            }
            f.write_str("\"/>\n")?;
        }
        for (index, element) in self.flat.elements.iter().enumerate() {
            draw(f, element, corners[index], sizes[index])?;
        }
        f.write_str("</g>\n</svg>\n")
    }
}

fn lines(element: &FlatElement) -> (alloc::string::String, alloc::string::String) {
    let class = match &*element.config {
        "" => alloc::string::String::from(&*element.class),
        config => alloc::format!("{}({config})", element.class),
    };
    (
        shortened(&element.name, LETTERS),
        shortened(&class, LETTERS),
    )
}

fn size(element: &FlatElement, (inputs, outputs): (usize, usize)) -> Size {
    let (name, class) = lines(element);
    let letters = i32::try_from(name.chars().count().max(class.chars().count())).unwrap_or(0);
    let ports = i32::try_from(inputs.max(outputs)).unwrap_or(i32::MAX / PORT - 1);
    Size {
        width: (letters * LETTER + 16).max((ports + 1) * PORT).max(60),
        height: HEIGHT,
    }
}

/// The place of a port: spread evenly over the edge that lies `down` from the corner.
fn port(corner: Point, size: Size, port: u16, count: usize, down: i32) -> Point {
    let count = i64::try_from(count).unwrap_or(i64::MAX - 1);
    let across = i64::from(size.width) * (i64::from(port) + 1) / (count + 1);
    Point {
        x: corner.x + i32::try_from(across).unwrap_or(0),
        y: corner.y + down,
    }
}

fn draw(
    f: &mut fmt::Formatter<'_>,
    element: &FlatElement,
    corner: Point,
    size: Size,
) -> fmt::Result {
    let (name, class) = lines(element);
    let Point { x, y } = corner;
    let middle = x + size.width / 2;
    writeln!(
        f,
        "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"4\"/>\
         <text x=\"{middle}\" y=\"{}\">{}</text><text class=\"class\" x=\"{middle}\" y=\"{}\">{}</text></g>",
        Text(&alloc::format!("{element}")),
        size.width,
        size.height,
        y + 18,
        Text(&name),
        y + 34,
        Text(&class)
    )
}

/// Text in XML.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '\n' | '\t' => f.write_char(' ')?,
                // XML 1.0 has no way to write other control characters.
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
