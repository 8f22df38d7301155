//! A picture of sizes: each part a rectangle as large as it is, inside the one that it is part of.
//!
//! Rectangles are laid out squarified (Bruls, Huizing and van Wijk): in rows along the shorter side,
//! each row as long as that makes its rectangles more square.

use std::fmt::Write as _;

use super::{Part, names};

const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 1000.0;
/// Room for the name of what has parts, above them.
const TITLE: f64 = 16.0;
/// Between a rectangle and what is in it.
const MARGIN: f64 = 2.0;
/// Width of a letter and height of a line, about.
const LETTER: f64 = 6.4;
const LINE: f64 = 13.0;
/// Smaller is not drawn.
const VISIBLE: f64 = 1.0;

/// How colourful rectangles are, and how light by their depth; the deepest counts for all below.
const SATURATION: f64 = 0.45;
const LIGHTNESS: [f64; 4] = [0.96, 0.86, 0.76, 0.66];

/// Draws what an image is made of as an SVG 1.1 picture.
#[must_use]
pub fn treemap(whole: &Part) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <style>rect{{stroke:#fff;stroke-width:0.6}}text{{pointer-events:none}}</style>\n"
    );
    let all = Rectangle {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height: HEIGHT,
    };
    draw(&mut svg, whole, Around::default(), all);
    svg.push_str("</svg>\n");
    svg
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Rectangle {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Rectangle {
    fn inside(self) -> Self {
        Self {
            x: self.x + MARGIN,
            y: self.y + TITLE,
            width: (self.width - 2.0 * MARGIN).max(0.0),
            height: (self.height - TITLE - MARGIN).max(0.0),
        }
    }

    /// A strip of this area along its shorter side, and what is left.
    fn cut(self, area: f64) -> (Self, Self) {
        let (mut strip, mut rest) = (self, self);
        if self.width >= self.height {
            strip.width = (area / self.height).min(self.width);
            rest.x += strip.width;
            rest.width -= strip.width;
        } else {
            strip.height = (area / self.width).min(self.height);
            rest.y += strip.height;
            rest.height -= strip.height;
        }
        (strip, rest)
    }
}

/// One rectangle for each area, which are in falling order and sum to the whole's.
fn lay_out(areas: &[f64], whole: Rectangle) -> Vec<Rectangle> {
    let mut placed = Vec::with_capacity(areas.len());
    let (mut left, mut rest) = (whole, areas);
    while !rest.is_empty() {
        let side = left.width.min(left.height);
        let mut length = 1;
        while length < rest.len() && worst(&rest[..=length], side) <= worst(&rest[..length], side) {
            length += 1;
        }
        let (row, after) = rest.split_at(length);
        let sum: f64 = row.iter().sum();
        let (strip, remaining) = left.cut(sum);
        let (mut x, mut y) = (strip.x, strip.y);
        for area in row {
            let share = area / sum;
            let mut one = Rectangle { x, y, ..strip };
            if left.width >= left.height {
                one.height = strip.height * share;
                y += one.height;
            } else {
                one.width = strip.width * share;
                x += one.width;
            }
            placed.push(one);
        }
        (left, rest) = (remaining, after);
    }
    placed
}

/// How far from a square the least square rectangle of a row is.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let of = |area: f64| {
        let ratio = side * side * area / (sum * sum);
        ratio.max(1.0 / ratio)
    };
    // They are in falling order: one of the ends is the worst.
    let ends = [row.first(), row.last()];
    ends.into_iter()
        .flatten()
        .fold(0.0, |worst, area| of(*area).max(worst))
}

/// What a part is in.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    /// In how many.
    depth: usize,
    /// The name of the innermost.
    name: &'a str,
    /// The names of all but the whole.
    path: &'a str,
    /// The crate's colour.
    hue: u32,
}

fn draw(svg: &mut String, part: &Part, around: Around<'_>, place: Rectangle) {
    if place.width < VISIBLE || place.height < VISIBLE {
        return;
    }
    let depth = around.depth;
    let path = match depth {
        0 | 1 => part.name.clone(),
        _ => format!("{} / {}", around.path, part.name),
    };
    let _ = write!(
        svg,
        "<g><title>{}: {} bytes</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
         height=\"{:.1}\" fill=\"{}\"/>",
        escape(&path),
        part.bytes(),
        place.x,
        place.y,
        place.width,
        place.height,
        colour(around.hue, LIGHTNESS[depth.min(LIGHTNESS.len() - 1)])
    );
    if place.height >= LINE {
        // What stands above it is not said again.
        let label = match depth {
            0 | 1 => part.name.clone(),
            2 => {
                let inner = part.name.strip_prefix(around.name);
                let inner = inner.and_then(|rest| rest.strip_prefix("::"));
                inner.unwrap_or(&part.name).to_owned()
            }
            _ => names::last_part(&part.name),
        };
        let label = fitting(&label, place.width);
        if !label.is_empty() {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                place.x + 3.0,
                place.y + 11.0,
                escape(&label)
            );
        }
    }
    svg.push_str("</g>\n");
    let inside = place.inside();
    if part.bytes() == 0 || inside.width < VISIBLE || inside.height < VISIBLE {
        return;
    }
    let parts: Vec<&Part> = part.parts.iter().filter(|part| part.bytes() > 0).collect();
    #[expect(clippy::cast_precision_loss, reason = "a pixel is many bytes")]
    let areas: Vec<f64> = parts
        .iter()
        .map(|inner| inner.bytes() as f64 / part.bytes() as f64 * inside.width * inside.height)
        .collect();
    let places = lay_out(&areas, inside);
    for (index, (inner, place)) in (0_u32..).zip(parts.into_iter().zip(places)) {
        let around = Around {
            depth: depth + 1,
            name: &part.name,
            path: &path,
            // Neighbours differ: each crate goes by the golden angle round the circle of colours.
            hue: match depth {
                0 => index * 137 % 360,
                _ => around.hue,
            },
        };
        draw(svg, inner, around, place);
    }
}

/// A colour by its angle on the circle of colours and its lightness, as SVG 1.1 writes it (that has
/// no `hsl`): the conversion of CSS Color 3, section 4.2.4, in its shorter form.
fn colour(hue: u32, lightness: f64) -> String {
    let amplitude = SATURATION * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let angle = (offset + f64::from(hue) / 30.0) % 12.0;
        let value = lightness - amplitude * (angle - 3.0).min(9.0 - angle).clamp(-1.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 255"
        )]
        let byte = (value * 255.0).round() as u8;
        byte
    };
    format!(
        "#{:02x}{:02x}{:02x}",
        channel(0.0),
        channel(8.0),
        channel(4.0)
    )
}

/// As much of a name as fits: all of it, what is behind its last `::`, or the beginning; nothing
/// where that says nothing.
fn fitting(name: &str, width: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred at most, and not below zero"
    )]
    let letters = ((width - 6.0).max(0.0) / LETTER) as usize;
    let fits = |name: &str| name.chars().count() <= letters;
    if fits(name) {
        return name.to_owned();
    }
    let last = name.rsplit("::").next().unwrap_or(name);
    let name =
        match last.starts_with(|c: char| c.is_alphabetic() || c == '_') && !last.contains('>') {
            true => last,
            false => name,
        };
    match letters {
        _ if fits(name) => name.to_owned(),
        0..4 => String::new(),
        _ => name.chars().take(letters - 1).chain(['…']).collect(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_kept_and_nothing_overlaps() {
        // The example of the paper: a 6 by 4 rectangle and these areas.
        let whole = Rectangle {
            x: 0.0,
            y: 0.0,
            width: 6.0,
            height: 4.0,
        };
        let areas = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0];
        let places = lay_out(&areas, whole);
        for (place, area) in places.iter().zip(areas) {
            assert!(
                (place.width * place.height - area).abs() < 1e-9,
                "{place:?}"
            );
        }
        // The paper's result: two of 3 by 2 above each other, then 4 and 3 side by side.
        let corners: Vec<(f64, f64)> = places[..4].iter().map(|place| (place.x, place.y)).collect();
        assert_eq!(corners[0], (0.0, 0.0));
        assert_eq!(corners[1], (0.0, 2.0));
        assert_eq!(corners[2], (3.0, 0.0));
        assert!(
            (corners[3].0 - (3.0 + 12.0 / 7.0)).abs() < 1e-9,
            "{corners:?}"
        );
        for (index, one) in places.iter().enumerate() {
            for other in &places[index + 1..] {
                let apart = one.x + one.width <= other.x + 1e-9
                    || other.x + other.width <= one.x + 1e-9
                    || one.y + one.height <= other.y + 1e-9
                    || other.y + other.height <= one.y + 1e-9;
                assert!(apart, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn names_are_text_and_never_markup() {
        let leaf = Part {
            name: "<a::B as c::D>::e & more".into(),
            code: 10,
            ..Part::default()
        };
        let whole = Part {
            name: "image".into(),
            code: 10,
            parts: vec![leaf],
            ..Part::default()
        };
        let svg = treemap(&whole);
        assert!(
            svg.contains("&lt;a::B as c::D&gt;::e &amp; more: 10 bytes"),
            "{svg}"
        );
        assert_eq!(svg.matches("<rect").count(), 2);
    }

    #[test]
    fn colours_are_those_of_css_in_hexadecimal() {
        // From CSS's hsl(): at hue 0 red is l + s·min(l, 1 − l), green and blue l less as much.
        assert_eq!(colour(0, 0.66), "#cf8181");
        assert_eq!(colour(120, 0.66), "#81cf81");
        assert_eq!(colour(240, 0.66), "#8181cf");
        assert_eq!(colour(60, 0.96), "#f9f9f0");
        let svg = treemap(&Part::default());
        assert!(svg.contains("fill=\"#") && !svg.contains("hsl"), "{svg}");
    }

    #[test]
    fn a_label_leaves_out_what_stands_above_it() {
        let part = |name: &str, parts: Vec<Part>| Part {
            name: name.into(),
            code: 10_000,
            parts,
            ..Part::default()
        };
        let function = part("<click::language::Builder>::statement", vec![]);
        let module = part("click::language", vec![function]);
        let svg = treemap(&part("image", vec![part("click", vec![module])]));
        for label in ["image", "click", "language", "Builder::statement"] {
            assert!(svg.contains(&format!(">{label}</text>")), "{label}: {svg}");
        }
    }

    #[test]
    fn what_does_not_fit_loses_its_beginning_before_its_end() {
        let letters = |count: f64| 6.0 + LETTER * count + 0.1;
        for (count, expected) in [
            (18.0, "Builder::statement"),
            (17.0, "statement"),
            (9.0, "statement"),
            (6.0, "state…"),
            (3.0, ""),
        ] {
            assert_eq!(fitting("Builder::statement", letters(count)), expected);
        }
        assert_eq!(fitting("drop::<a::B>", letters(6.0)), "drop:…");
        assert_eq!(fitting("run::{closure#0}", letters(6.0)), "run::…");
    }

    #[test]
    fn an_empty_part_is_drawn_without_dividing_by_its_size() {
        let svg = treemap(&Part::default());
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
