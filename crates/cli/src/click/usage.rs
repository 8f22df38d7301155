//! What is said of options that are wrong, in the words of Click's driver.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::output::complain;

/// What follows every complaint.
pub(super) const SHORT: &str = "\
Usage: click [OPTION]... [ROUTERFILE]
Try 'click --help' for more information.";

/// Says what is wrong with the command line.
pub(crate) fn complain_of_usage(error: &clap::Error) {
    match reason(error, std::env::args().next_back().as_deref()) {
        Some(reason) => complain!("click: {reason}\n{SHORT}"),
        None => {
            // Nobody is left to be told of a terminal that is gone.
            let _ = error.print();
        }
    }
}

/// The reason in Click's words, where it has some for it. `last` is the last word of the command
/// line: the option itself, where its value is missing.
fn reason(error: &clap::Error, last: Option<&str>) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    Some(match error.kind() {
        ErrorKind::UnknownArgument => format!("unrecognized option '{argument}'"),
        ErrorKind::TooManyValues => format!("'{}' can't take an argument", given(argument)),
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_none_or(str::is_empty) => {
            let short = last
                .filter(|word| word.starts_with('-') && !word.starts_with("--"))
                .and_then(|word| word.chars().next_back());
            match short {
                Some(letter) => format!("'-{letter}' requires an argument"),
                None => format!("'{}' requires an argument", given(argument)),
            }
        }
        ErrorKind::ValueValidation => {
            let kind = match given(argument) {
                "--simtime" => "a real number",
                _ => "an integer",
            };
            let value = text(ContextKind::InvalidValue)?;
            format!("'{}' expects {kind}, not '{value}'", given(argument))
        }
        _ => return None,
    })
}

/// The option as it is known: without the name of its value.
fn given(argument: &str) -> &str {
    argument.split([' ', '=']).next().unwrap_or(argument)
}

#[cfg(test)]
mod tests {
    use super::super::ClickCommand;
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        click: ClickCommand,
    }

    #[test]
    fn wrong_options_are_named_in_the_words_of_click() {
        for (words, expected) in [
            ("--foo", "unrecognized option '--foo'"),
            ("-Z", "unrecognized option '-Z'"),
            ("-qe", "'-e' requires an argument"),
            ("--handler", "'--handler' requires an argument"),
            ("-j x", "'--threads' expects an integer, not 'x'"),
        ] {
            let last = words.split(' ').next_back();
            let words = std::iter::once("click").chain(words.split(' '));
            let error = Command::try_parse_from(words).unwrap_err();
            assert_eq!(reason(&error, last).as_deref(), Some(expected), "{error}");
        }
    }
}
