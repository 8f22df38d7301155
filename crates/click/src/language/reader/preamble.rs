//! `define` and `require`.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::lexer::{Kind, Lexer};
use super::{Body, NESTING, Reader};
use crate::arguments::{split_arguments, split_words, unquote};
use crate::diagnostics::Diagnostic;
use crate::graph::Requirement;

impl Reader<'_> {
    /// `define(…)`, of which the `define` is taken.
    pub(super) fn define(&mut self) {
        if !self.expect(Kind::Sign('('), "'('") {
            return;
        }
        let arguments = self.configuration();
        for argument in split_arguments(&arguments) {
            if argument.is_empty() {
                continue;
            }
            let (name, value) = variable_name(argument.strip_prefix('$').unwrap_or(""));
            if name.is_empty() || (!value.is_empty() && !value.starts_with(char::is_whitespace)) {
                let message = "bad 'define' declaration: not a variable";
                let diagnostic = Diagnostic::error(message).at(&self.lexer.here());
                let help = format!("expected '$NAME VALUE', found '{argument}'");
                self.diagnostics.push(diagnostic.help(help));
                continue;
            }
            let frame = self.frame();
            let name: Rc<str> = name.into();
            if frame.parameters.insert(name.clone()) {
                Rc::make_mut(&mut frame.scope.definitions).insert(name, value.trim().to_string());
            } else {
                self.error(format!("parameter '${name}' multiply defined"));
            }
        }
    }

    /// `require(…)`, of which the `require` is taken.
    pub(super) fn require(&mut self) {
        if !self.expect(Kind::Sign('('), "'('") {
            return;
        }
        let arguments = self.configuration();
        self.accept(Kind::Sign(';'));
        for argument in split_arguments(&arguments) {
            let words: Vec<String> = split_words(&argument)
                .iter()
                .map(|word| unquote(word))
                .collect();
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                [] => {}
                ["library", _] if self.scopes.len() > 1 => {
                    self.error("'require library' must be used at file scope");
                }
                ["library", name] => self.library(name),
                ["package", name] => self.package("package", name),
                // An old name for what every configuration now may use.
                ["compact_config"] => self.requirements.push(Requirement {
                    kind: "".into(),
                    name: "compact_config".into(),
                }),
                [name] if !["package", "library"].contains(&name) => {
                    self.package("package", name);
                }
                _ => {
                    let diagnostic =
                        Diagnostic::error("syntax error at requirement").at(&self.lexer.here());
                    let help = format!("expected a package's name, found '{argument}'");
                    self.diagnostics.push(diagnostic.help(help));
                }
            }
        }
    }

    fn package(&mut self, kind: &str, name: &str) {
        if !self.libraries.package(name) {
            let missing = format!(
                "can't find required package '{name}.uo'\nin CLICKPATH or '/usr/local/lib'"
            );
            let context = format!("While loading package '{name}':");
            self.diagnostics
                .push(Diagnostic::error(missing).within(context));
            let missing = format!("requirement '{name}' not available");
            let diagnostic = Diagnostic::error(missing).at_unsaid(&self.lexer.here());
            self.diagnostics.push(diagnostic);
        }
        self.requirements.push(Requirement {
            kind: kind.into(),
            name: name.into(),
        });
    }

    fn library(&mut self, name: &str) {
        if !self.libraries_read.insert(name.to_string()) {
            return;
        }
        if self.libraries_open == NESTING {
            return self.error(format!(
                "libraries require each other more than {NESTING} deep"
            ));
        }
        let Some(source) = self.libraries.library(name) else {
            return self.error(format!("library '{name}' not found in CLICKPATH/conf"));
        };
        let outer = core::mem::replace(&mut self.lexer, Lexer::new(source));
        // A group around the statement is none of the library's.
        let depth = core::mem::take(&mut self.depth);
        self.libraries_open += 1;
        self.statements(Body::File);
        self.libraries_open -= 1;
        self.depth = depth;
        self.lexer = outer;
    }
}

/// The name at the start of a text that stood after `$`, and the text after it.
fn variable_name(text: &str) -> (&str, &str) {
    let length = text
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count();
    text.split_at(length)
}
