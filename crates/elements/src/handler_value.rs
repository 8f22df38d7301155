//! Reading what is written to handlers.

use alloc::format;
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, ArgumentError};
use sprat_click::{Arguments, Context, HandlerError};

/// Reads a value written to a handler as an argument of type `T` is read.
pub(crate) fn handler_value<T: Argument>(
    context: &Context<'_>,
    value: &str,
) -> Result<T, HandlerError> {
    T::parse(value.trim(), &context.names()).map_err(|error| unexpected(T::EXPECTED, &error))
}

/// Reads a value written to a handler that stands for an argument of the same name (`Class::arguments`),
/// and words what is wrong with it as in a configuration.
pub(crate) fn argument_value<T: Argument>(
    context: &Context<'_>,
    handler: &str,
    value: &str,
) -> Result<T, HandlerError> {
    T::parse(value.trim(), &context.names()).map_err(|error| wrong(handler, &error))
}

// Once, and not for each type of argument.

#[inline(never)]
fn unexpected(expected: Option<&str>, error: &ArgumentError) -> HandlerError {
    HandlerError::failed(match expected {
        Some(what) => format!("expected {what}"),
        None => format!("{error}"),
    })
}

#[inline(never)]
fn wrong(handler: &str, error: &ArgumentError) -> HandlerError {
    let keyword = handler.to_ascii_uppercase();
    HandlerError::failed(format!("{keyword}: {error}"))
}

/// What was found wrong with the words written to a handler, or with its parameters.
pub(crate) fn complaints(arguments: &Arguments<'_>) -> HandlerError {
    let messages = arguments.messages().iter();
    let messages = messages.map(|message| message.message.as_str());
    let messages: Vec<&str> = messages.collect();
    HandlerError::failed(messages.join("\n"))
}
