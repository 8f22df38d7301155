//! `define` and `require`.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::parser::NESTING;
use super::Builder;
use crate::arguments::{split_arguments, split_words, unquote};
use crate::diagnostics::{Diagnostic, Landmark};
use crate::graph::Requirement;

impl Builder<'_> {
    pub(super) fn define(&mut self, arguments: &str, at: &Landmark) {
        for argument in split_arguments(arguments) {
            let (name, value) = variable_name(argument.strip_prefix('$').unwrap_or(""));
            if name.is_empty() || (!value.is_empty() && !value.starts_with(char::is_whitespace)) {
                let diagnostic =
                    Diagnostic::error("bad 'define' declaration: not a variable").at(at);
                let help = format!("expected '$NAME VALUE', found '{argument}'");
                self.diagnostics.push(diagnostic.help(help));
                continue;
            }
            let frame = self.frame();
            let name: Rc<str> = name.into();
            if frame.parameters.insert(name.clone()) {
                Rc::make_mut(&mut frame.scope.definitions).insert(name, value.trim().to_string());
            } else {
                self.error(at, format!("parameter '${name}' multiply defined"));
            }
        }
    }

    /// `file` is how many libraries lie around a statement at file scope.
    pub(super) fn require(&mut self, arguments: &str, at: &Landmark, file: Option<usize>) {
        for argument in split_arguments(arguments) {
            let words: Vec<String> = split_words(&argument)
                .iter()
                .map(|word| unquote(word))
                .collect();
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["library", name] => match file {
                    None => self.error(
                        at,
                        "'require library' must be used at file scope".to_string(),
                    ),
                    Some(depth) => self.library(name, at, depth),
                },
                ["package", name] => self.package("package", name, at),
                // An old name for what every configuration now may use.
                ["compact_config"] => self.requirements.push(Requirement {
                    kind: "".into(),
                    name: "compact_config".into(),
                }),
                [name] if !["package", "library"].contains(&name) => {
                    self.package("package", name, at);
                }
                _ => {
                    let diagnostic = Diagnostic::error("syntax error at requirement").at(at);
                    let help = format!("expected a package's name, found '{argument}'");
                    self.diagnostics.push(diagnostic.help(help));
                }
            }
        }
    }

    fn package(&mut self, kind: &str, name: &str, at: &Landmark) {
        if !self.libraries.package(name) {
            self.error(at, format!("package '{name}' not found in CLICKPATH/lib"));
        }
        let requirement = Requirement {
            kind: kind.into(),
            name: name.into(),
        };
        if self.required.insert(requirement.clone()) {
            self.requirements.push(requirement);
        }
    }

    fn library(&mut self, name: &str, at: &Landmark, depth: usize) {
        if !self.libraries_read.insert(name.to_string()) {
            return;
        }
        if depth == NESTING {
            return self.error(
                at,
                format!("libraries require each other more than {NESTING} deep"),
            );
        }
        match self.libraries.library(name) {
            Some(source) => self.read_file(source, depth + 1),
            None => self.error(at, format!("library '{name}' not found in CLICKPATH/conf")),
        }
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
