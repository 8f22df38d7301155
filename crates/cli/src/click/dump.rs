//! A router's graph in forms for people and programs.

use std::fmt::Write;

use serde_json::json;
use sprat_click::ElementId;
use sprat_click::router::Router;

use super::arguments::Form;

/// The graph of a router.
pub(super) fn dump(router: &Router, form: Form) -> String {
    match form {
        Form::Flat => router.flat_configuration(),
        Form::Json => as_json(router),
        Form::Dot => as_dot(router),
        Form::Svg => picture::draw(router),
    }
}

mod picture;

/// A line from an output to an input.
struct Line {
    from: ElementId,
    output: usize,
    to: ElementId,
    input: usize,
    pushes: bool,
}

fn lines(router: &Router) -> Vec<Line> {
    let mut lines = Vec::new();
    for from in router.elements() {
        for (output, (pushes, ends)) in router.outputs_of(from).into_iter().enumerate() {
            lines.extend(ends.into_iter().map(|(to, input)| Line {
                from,
                output,
                to,
                input: input.into(),
                pushes,
            }));
        }
    }
    lines
}

fn as_json(router: &Router) -> String {
    let elements: Vec<_> = router
        .elements()
        .map(|id| {
            let landmark = router.landmark(id);
            json!({
                "name": router.name(id),
                "class": router.class(id).name,
                "config": router.element_config(id),
                "file": &*landmark.file,
                "line": landmark.line,
            })
        })
        .collect();
    let connections: Vec<_> = lines(router)
        .iter()
        .map(|line| {
            json!({
                "from": router.name(line.from),
                "output": line.output,
                "to": router.name(line.to),
                "input": line.input,
                "processing": if line.pushes { "push" } else { "pull" },
            })
        })
        .collect();
    format!(
        "{:#}\n",
        json!({ "elements": elements, "connections": connections })
    )
}

fn as_dot(router: &Router) -> String {
    let mut text = String::from("digraph router {\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for id in router.elements() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  n{} [label={:?}];",
            id.index(),
            format!("{}\n{}", router.name(id), router.class(id).name)
        );
    }
    for line in lines(router) {
        let _ = writeln!(
            text,
            "  n{} -> n{} [taillabel=\"{}\", headlabel=\"{}\"{}];",
            line.from.index(),
            line.to.index(),
            line.output,
            line.input,
            if line.pushes { "" } else { ", style=dashed" }
        );
    }
    text.push_str("}\n");
    text
}
