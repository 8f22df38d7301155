//! A picture of sizes: each part a rectangle as large as it is, inside the one that it is part of.
//!
//! Rectangles are laid out squarified (Bruls, Huizing and van Wijk): in rows along the shorter side,
//! each row as long as that makes its rectangles more square.

use std::fmt::Write as _;

use super::Part;

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

/// Draws what an image is made of as an SVG picture.
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
    draw(&mut svg, whole, "", all, 0, 0);
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

fn draw(svg: &mut String, part: &Part, path: &str, place: Rectangle, depth: u32, hue: u32) {
    if place.width < VISIBLE || place.height < VISIBLE {
        return;
    }
    let path = match depth {
        0 | 1 => part.name.clone(),
        _ => format!("{path} / {}", part.name),
    };
    let light = [96, 86, 76, 66][depth.min(3) as usize];
    let _ = write!(
        svg,
        "<g><title>{}: {} bytes</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
         height=\"{:.1}\" fill=\"hsl({hue},45%,{light}%)\"/>",
        escape(&path),
        part.bytes(),
        place.x,
        place.y,
        place.width,
        place.height
    );
    if place.height >= LINE {
        let name = fitting(&part.name, place.width);
        if !name.is_empty() {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                place.x + 3.0,
                place.y + 11.0,
                escape(&name)
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
        // Neighbours differ: each crate goes by the golden angle round the circle of colours.
        let hue = if depth == 0 { index * 137 % 360 } else { hue };
        draw(svg, inner, &path, place, depth + 1, hue);
    }
}

/// As much of a name as fits; nothing where that says nothing.
fn fitting(name: &str, width: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred at most, and not below zero"
    )]
    let letters = ((width - 6.0).max(0.0) / LETTER) as usize;
    match name.chars().count() {
        count if count <= letters => name.to_owned(),
        _ if letters < 4 => String::new(),
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
    fn an_empty_part_is_drawn_without_dividing_by_its_size() {
        let svg = treemap(&Part::default());
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
