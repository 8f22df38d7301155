//! A router's graph as a picture: packets go from left to right.

use std::fmt::Write;

use sprat_click::router::Router;

use super::{Line, lines};

const LETTER: usize = 8;
const BOX_HEIGHT: usize = 44;
const ROW: usize = 70;
const GAP: usize = 60;
const MARGIN: usize = 20;

/// Where an element stands.
struct Place {
    x: usize,
    y: usize,
    width: usize,
}

/// The graph as SVG. Dashed lines are pulled.
pub(super) fn draw(router: &Router) -> String {
    let lines = lines(router);
    let columns = columns(router.len(), &lines);
    let places = places(router, &columns);
    let right = places.iter().map(|place| place.x + place.width).max();
    let bottom = places.iter().map(|place| place.y + BOX_HEIGHT).max();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         font-family=\"monospace\" font-size=\"13\">\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
        right.unwrap_or(0) + MARGIN,
        bottom.unwrap_or(0) + MARGIN + GAP / 2
    );
    for line in &lines {
        draw_line(&mut text, line, &places);
    }
    for (id, place) in router.elements().zip(&places) {
        let Place { x, y, width } = place;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" \
             height=\"{BOX_HEIGHT}\" rx=\"4\" fill=\"#fff\" stroke=\"#333\"/>\
             <text x=\"{tx}\" y=\"{ty}\">{}</text>\
             <text x=\"{tx}\" y=\"{by}\" fill=\"#777\">{}</text></g>",
            escape(&router.element_config(id)),
            escape(router.name(id)),
            escape(router.class(id).name),
            tx = x + LETTER,
            ty = y + 18,
            by = y + 35,
        );
    }
    text.push_str("</svg>\n");
    text
}

fn draw_line(text: &mut String, line: &Line, places: &[Place]) {
    let (from, to) = (&places[line.from.index()], &places[line.to.index()]);
    let (x1, y1) = (from.x + from.width, from.y + BOX_HEIGHT / 2);
    let (x2, y2) = (to.x, to.y + BOX_HEIGHT / 2);
    let dash = if line.pushes {
        ""
    } else {
        " stroke-dasharray=\"5 3\""
    };
    let path = if x2 > x1 {
        let middle = x1.midpoint(x2);
        format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}")
    } else {
        // Back to the left, below both boxes.
        let low = y1.max(y2) + BOX_HEIGHT;
        let (out, back) = (x1 + GAP / 2, x2.saturating_sub(GAP / 2));
        format!("M{x1} {y1}C{out} {low} {back} {low} {x2} {y2}")
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<path d=\"{path}\" fill=\"none\" stroke=\"#333\" marker-end=\"url(#tip)\"{dash}>\
         <title>[{}] to [{}]</title></path>",
        line.output, line.input
    );
}

/// Each element's column: one more than that of the last element before it, loops aside.
fn columns(count: usize, lines: &[Line]) -> Vec<usize> {
    let mut columns = vec![0; count];
    // The longest way without a loop has fewer steps than there are elements.
    for _ in 0..count {
        let mut changed = false;
        for line in lines {
            let (from, to) = (line.from.index(), line.to.index());
            let next = columns[from] + 1;
            if columns[to] < next && next < count {
                columns[to] = next;
                changed = true;
            }
        }
        if !changed {
            return columns;
        }
    }
    // There is a loop: breadth first from the elements that nothing leads to.
    let led_to = |index| lines.iter().any(|line| line.to.index() == index);
    let mut columns: Vec<usize> = (0..count)
        .map(|index| if led_to(index) { usize::MAX } else { 0 })
        .collect();
    loop {
        let mut changed = false;
        for line in lines {
            let (from, to) = (line.from.index(), line.to.index());
            if columns[from] != usize::MAX && columns[to] == usize::MAX {
                columns[to] = columns[from] + 1;
                changed = true;
            }
        }
        if !changed {
            match columns.iter().position(|column| *column == usize::MAX) {
                Some(unreached) => columns[unreached] = 0,
                None => return columns,
            }
        }
    }
}

fn places(router: &Router, columns: &[usize]) -> Vec<Place> {
    let width = |index: usize| {
        let id = sprat_click::ElementId(u32::try_from(index).unwrap_or(u32::MAX));
        let letters = router.name(id).chars().count();
        (letters.max(router.class(id).name.len()) + 2) * LETTER
    };
    let last = columns.iter().max().map_or(0, |last| last + 1);
    let mut widths = vec![0; last];
    for (index, column) in columns.iter().enumerate() {
        widths[*column] = widths[*column].max(width(index));
    }
    let mut rows = vec![0; last];
    columns
        .iter()
        .map(|&column| {
            let row = rows[column];
            rows[column] += 1;
            Place {
                x: MARGIN
                    + widths[..column]
                        .iter()
                        .map(|width| width + GAP)
                        .sum::<usize>(),
                y: MARGIN + row * ROW,
                width: widths[column],
            }
        })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
