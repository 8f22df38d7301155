//! What is said of options that are wrong, in the words of Click's driver.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::output::complain;

/// What follows every complaint.
pub(super) const SHORT: &str = "\
Usage: click [OPTION]... [ROUTERFILE]
Try 'click --help' for more information.";

/// Says what is wrong with the command line.
pub(crate) fn complain_of_usage(error: &clap::Error) {
    let words: Vec<String> = std::env::args().collect();
    match reason(error, &words) {
        Some(reason) => complain!("click: {reason}\n{SHORT}"),
        None => {
            // Nobody is left to be told of a terminal that is gone.
            let _ = error.print();
        }
    }
}

/// The reason in Click's words, where it has some for it, for this command line.
fn reason(error: &clap::Error, words: &[String]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    let option = as_given(argument, words);
    Some(match error.kind() {
        ErrorKind::UnknownArgument => format!("unrecognized option '{argument}'"),
        ErrorKind::TooManyValues => format!("'{option}' can't take an argument"),
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_none_or(str::is_empty) => {
            format!("'{option}' requires an argument")
        }
        ErrorKind::ValueValidation => {
            let value = text(ContextKind::InvalidValue)?;
            format!("'{option}' expects an integer, not '{value}'")
        }
        _ => return None,
    })
}

/// An option, which is known by its long name and its value's, as it was given: by its long name,
/// or by its letter.
fn as_given(argument: &str, words: &[String]) -> String {
    let long = argument.split([' ', '=', '[']).next().unwrap_or(argument);
    let letter = match long {
        "--threads" => 'j',
        "--exit-handler" => 'x',
        "--clickpath" => 'C',
        long => long.trim_start_matches('-').chars().next().unwrap_or('-'),
    };
    let of_letters = |word: &&String| word.starts_with('-') && !word.starts_with("--");
    let mut short = words.iter().filter(of_letters);
    match words.iter().any(|word| word.starts_with(long)) {
        false if short.any(|word| word.contains(letter)) => format!("-{letter}"),
        _ => long.into(),
    }
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
            ("-j x", "'-j' expects an integer, not 'x'"),
            ("--threads=x", "'--threads' expects an integer, not 'x'"),
            ("--quit=1", "'--quit' can't take an argument"),
        ] {
            let words: Vec<String> = words.split(' ').map(String::from).collect();
            let line = std::iter::once("click".to_string()).chain(words.clone());
            let error = Command::try_parse_from(line).unwrap_err();
            assert_eq!(reason(&error, &words).as_deref(), Some(expected), "{error}");
        }
    }
}
