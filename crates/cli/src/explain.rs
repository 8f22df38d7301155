//! Showing people what is wrong with a configuration, and where.

use std::fmt::Write;
use std::io::IsTerminal;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
    SourceSpan,
};
use sprat_click::diagnostics::{Diagnostic, Diagnostics, Level};

use crate::output;

/// Prints messages on the standard error output: Click's text, and on a terminal the place in
/// the source and what to do about it.
pub(crate) fn explain(diagnostics: &Diagnostics) {
    if std::io::stderr().is_terminal() {
        // Whether standard output is a terminal does not matter here, as miette's choice would have it.
        let plain = std::env::var_os("NO_COLOR").is_some();
        let theme = if plain {
            GraphicalTheme::unicode_nocolor
        } else {
            GraphicalTheme::unicode
        };
        output::complain_as_it_is(format_args!("{}", explanation(diagnostics, theme)));
    } else {
        output::complain_as_it_is(format_args!("{diagnostics}"));
    }
}

/// The same for those who are no scripts written for Click: what to do is said anywhere.
pub(crate) fn explain_with_help(diagnostics: &Diagnostics) {
    explain(diagnostics);
    if !std::io::stderr().is_terminal() {
        for help in diagnostics
            .iter()
            .filter_map(|message| message.help.as_ref())
        {
            output::complain_as_it_is(format_args!("  help: {help}\n"));
        }
    }
}

/// Click's text, with the place after all messages about it.
fn explanation(diagnostics: &Diagnostics, theme: fn() -> GraphicalTheme) -> String {
    let mut text = String::new();
    let mut rest: Vec<Diagnostic> = diagnostics.iter().cloned().collect();
    while let Some(first) = rest.first() {
        let same = |other: &Diagnostic| {
            first.context.is_some()
                && (&other.context, &other.landmark) == (&first.context, &first.landmark)
        };
        let count = 1 + rest[1..].iter().take_while(|other| same(other)).count();
        let group: Diagnostics = rest.drain(..count).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "{group}");
        if let Some(place) = group.iter().next().and_then(|first| place(first, theme())) {
            text.push_str(&place);
        }
        for help in group.iter().filter_map(|message| message.help.as_ref()) {
            let _ = writeln!(text, "  help: {help}");
        }
    }
    text
}

/// The line of the source with a mark under the place, and its neighbours.
fn place(diagnostic: &Diagnostic, theme: GraphicalTheme) -> Option<String> {
    if diagnostic.level == Level::Message {
        return None;
    }
    let landmark = diagnostic.landmark.as_ref()?;
    let (source, offset) = landmark.source()?;
    let word = source[offset..]
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_@/$".contains(byte))
        .count();
    let span = SourceSpan::from(offset..offset + word.max(1).min(source.len() - offset));
    let report = MietteDiagnostic::new("").with_label(LabeledSpan::underline(span));
    let named = NamedSource::new(&landmark.file, source.to_string());
    let report = Report::from(report).with_source_code(named);
    let mut drawn = String::new();
    GraphicalReportHandler::new_themed(theme)
        .with_context_lines(1)
        .render_report(&mut drawn, report.as_ref())
        .ok()?;
    // Above the frame stands the message, which Click's text has given already.
    let frame = drawn.lines().skip_while(|line| !line.contains('╭'));
    Some(frame.fold(String::new(), |text, line| text + line + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sprat_click::diagnostics::Landmark;

    #[test]
    fn a_place_is_shown_once_under_all_messages_about_it() {
        let source = "a :: Idle;\nb :: Queue(x);\n".into();
        let landmark = Landmark::within("t.click".into(), 2, &source, 16);
        let context = "While configuring 'b :: Queue':";
        let diagnostics: Diagnostics = [
            Diagnostic::error("CAPACITY: invalid number"),
            Diagnostic::error("FOO: unknown argument").help("Queue takes CAPACITY"),
        ]
        .into_iter()
        .map(|message| message.at(&landmark).within(context))
        .collect();
        let text = explanation(&diagnostics, GraphicalTheme::unicode_nocolor);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "t.click:2: While configuring 'b :: Queue':",
                "  CAPACITY: invalid number",
                "  FOO: unknown argument"
            ]
        );
        assert!(lines[3].contains("t.click:2:6"), "{text}");
        assert!(lines[5].contains("b :: Queue(x);"), "{text}");
        assert_eq!(lines.last(), Some(&"  help: Queue takes CAPACITY"));
        assert_eq!(text.matches("b :: Queue(x);").count(), 1, "{text}");
    }
}
