//! What is wrong with a configuration, and where.
//!
//! A [`Diagnostic`] is one message. Its text is Click's own, so that scripts written for Click
//! find what they look for; beside it stands what a person needs to act: the place in the source,
//! the line itself, and a hint. [`Diagnostics`] collects them, because a configuration is checked
//! as a whole and all that is wrong with it is reported at once.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A place in a source text.
///
/// `file` and `line` are what a message names; `#line` directives move them. The excerpt is the
/// physical line, for showing the place with a caret.
#[derive(Clone)]
pub struct Landmark {
    /// The file as the user named it; `config` for a text given on the command line.
    pub file: Rc<str>,
    /// Counted from 1; 0 when unknown.
    pub line: u32,
    /// Counted in characters from 1; 0 when unknown.
    pub column: u32,
    origin: Option<Origin>,
}

/// Where a landmark truly lies: a text and a byte in it.
#[derive(Clone)]
struct Origin {
    text: Rc<str>,
    offset: usize,
}

impl Landmark {
    /// A place known by name only.
    #[must_use]
    pub fn new(file: impl Into<Rc<str>>, line: u32, column: u32) -> Self {
        Self {
            file: file.into(),
            line,
            column,
            origin: None,
        }
    }

    /// A place at byte `offset` of `text`; the column follows from it.
    #[must_use]
    pub fn within(file: Rc<str>, line: u32, text: &Rc<str>, offset: usize) -> Self {
        let origin = Origin {
            text: text.clone(),
            offset: floor_char_boundary(text, offset),
        };
        let column = origin.text[origin.line_start()..origin.offset]
            .chars()
            .count();
        let column = u32::try_from(column).unwrap_or(u32::MAX - 1) + 1;
        Self {
            file,
            line,
            column,
            origin: Some(origin),
        }
    }

    /// A place at byte `offset` of `text` whose column is known.
    pub(crate) fn placed(
        file: Rc<str>,
        line: u32,
        column: u32,
        text: &Rc<str>,
        offset: usize,
    ) -> Self {
        Self {
            file,
            line,
            column,
            origin: Some(Origin {
                text: text.clone(),
                offset: floor_char_boundary(text, offset),
            }),
        }
    }

    /// The source line this place is on, without its newline, where the source is known.
    #[must_use]
    pub fn excerpt(&self) -> Option<&str> {
        let origin = self.origin.as_ref()?;
        let line = &origin.text[origin.line_start()..];
        let end = line.find(['\n', '\r']).unwrap_or(line.len());
        Some(&line[..end])
    }

    /// The whole source text and the byte offset of this place in it, where known.
    #[must_use]
    pub fn source(&self) -> Option<(&Rc<str>, usize)> {
        self.origin
            .as_ref()
            .map(|origin| (&origin.text, origin.offset))
    }
}

impl Origin {
    fn line_start(&self) -> usize {
        self.text[..self.offset]
            .rfind('\n')
            .map_or(0, |newline| newline + 1)
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// `FILE:LINE`, or `FILE` alone when the line is unknown. A name that ends in a colon or a space
/// needs no colon more.
impl fmt::Display for Landmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            f.write_str(&self.file)
        } else if self.file.ends_with([':', ' ', '\t']) {
            write!(f, "{}{}", self.file, self.line)
        } else {
            write!(f, "{}:{}", self.file, self.line)
        }
    }
}

impl fmt::Debug for Landmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Two landmarks are equal when they name the same place.
impl PartialEq for Landmark {
    fn eq(&self, other: &Self) -> bool {
        self.line == other.line && self.column == other.column && self.file == other.file
    }
}

impl Eq for Landmark {}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something said on purpose, as the element `Message` does.
    Message,
    /// The configuration runs, though perhaps not as meant.
    Warning,
    /// The configuration cannot run.
    Error,
}

/// One message about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub level: Level,
    /// Where; `None` for what concerns the configuration as a whole.
    pub landmark: Option<Landmark>,
    /// Click's text does not say where: only those who show the source do.
    pub place_unsaid: bool,
    /// What was being done, such as `While configuring 'q :: Queue':`; printed once above all
    /// messages that share it.
    pub context: Option<String>,
    /// Where in a file that an element reads: said before all else, as Click does.
    pub file_place: Option<String>,
    /// Click's text, without the place. May have several lines.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A message of the given level about no place in particular.
    #[must_use]
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self {
            level,
            landmark: None,
            place_unsaid: false,
            context: None,
            file_place: None,
            message: message.into(),
            help: None,
        }
    }

    /// An error about no place in particular.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Level::Error, message)
    }

    /// A warning about no place in particular.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Level::Warning, message)
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, landmark: &Landmark) -> Self {
        self.landmark = Some(landmark.clone());
        self
    }

    /// The same, at a place that Click's text does not name.
    #[must_use]
    pub fn at_unsaid(mut self, landmark: &Landmark) -> Self {
        self.landmark = Some(landmark.clone());
        self.place_unsaid = true;
        self
    }

    /// The same, under a context line.
    #[must_use]
    pub fn within(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// The same, with a hint.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn write_lines(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        let level = if self.level == Level::Warning {
            "warning: "
        } else {
            ""
        };
        for (number, line) in self.message.split('\n').enumerate() {
            if let Some(place) = &self.file_place {
                f.write_str(place)?;
                f.write_str(": ")?;
            }
            match (&self.context, &self.landmark) {
                (Some(_), _) => f.write_str("  ")?,
                (None, Some(landmark)) if !self.place_unsaid => write!(f, "{landmark}: ")?,
                (None, _) => {}
            }
            if number == 0 {
                f.write_str(level)?;
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// Messages in the order they were found.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No messages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds an error at a place.
    pub fn error(&mut self, landmark: &Landmark, message: impl Into<String>) {
        self.push(Diagnostic::error(message).at(landmark));
    }

    /// Adds a warning at a place.
    pub fn warning(&mut self, landmark: &Landmark, message: impl Into<String>) {
        self.push(Diagnostic::warning(message).at(landmark));
    }

    /// Moves all messages of `other` to the end of this list.
    pub fn append(&mut self, mut other: Diagnostics) {
        self.list.append(&mut other.list);
    }

    /// True when at least one message is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|diagnostic| diagnostic.level == Level::Error)
    }

    /// The number of errors.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.list
            .iter()
            .filter(|diagnostic| diagnostic.level == Level::Error)
            .count()
    }

    /// True when nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of messages of every level.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The messages in order.
    pub fn iter(&self) -> core::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = alloc::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = core::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Self {
            list: iter.into_iter().collect(),
        }
    }
}

/// Click's text: `FILE:LINE: message`, each line ended by a newline; messages of one context at
/// one place stand indented by two spaces under `FILE:LINE: context`.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut open: Option<(&str, Option<&Landmark>)> = None;
        for diagnostic in &self.list {
            let landmark = diagnostic.landmark.as_ref();
            let context = diagnostic
                .context
                .as_deref()
                .map(|context| (context, landmark));
            if let Some((text, place)) = context
                && open != context
            {
                match place {
                    Some(landmark) => writeln!(f, "{landmark}: {text}")?,
                    None => writeln!(f, "{text}")?,
                }
            }
            open = context;
            diagnostic.write_lines(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_place_precedes_every_line_of_a_message() {
        let mut diagnostics = Diagnostics::new();
        diagnostics.error(&Landmark::new("t.click", 3, 1), "first\nsecond");
        diagnostics.warning(&Landmark::new("t.click", 4, 1), "perhaps");
        assert_eq!(
            diagnostics.to_string(),
            "t.click:3: first\nt.click:3: second\nt.click:4: warning: perhaps\n"
        );
    }

    #[test]
    fn messages_of_one_context_stand_indented_under_it() {
        let place = Landmark::new("t.click", 1, 9);
        let context = "While configuring 'Queue@2 :: Queue':";
        let diagnostics: Diagnostics = [
            Diagnostic::error("CAPACITY: invalid number")
                .at(&place)
                .within(context),
            Diagnostic::error("FOO: unknown argument")
                .at(&place)
                .within(context),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            diagnostics.to_string(),
            "t.click:1: While configuring 'Queue@2 :: Queue':\n  CAPACITY: invalid number\n  FOO: unknown argument\n"
        );
    }

    #[test]
    fn a_warning_about_nothing_in_particular_has_no_place() {
        let diagnostics: Diagnostics = [Diagnostic::warning(
            "t.click: configuration has no elements, exiting",
        )]
        .into_iter()
        .collect();
        assert_eq!(
            diagnostics.to_string(),
            "warning: t.click: configuration has no elements, exiting\n"
        );
        assert!(!diagnostics.has_errors());
    }

    #[test]
    fn a_landmark_shows_its_line_and_counts_columns_in_characters() {
        let text: Rc<str> = "a -> b;\nµ :: Queue(x)\n".into();
        let offset = text.find("Queue").unwrap();
        let landmark = Landmark::within("t.click".into(), 2, &text, offset);
        assert_eq!(landmark.column, 6);
        assert_eq!(landmark.excerpt(), Some("µ :: Queue(x)"));
        assert_eq!(landmark.to_string(), "t.click:2");
        assert_eq!(Landmark::new("line ", 2, 1).to_string(), "line 2");
    }
}
