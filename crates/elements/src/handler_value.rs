//! Reading what is written to handlers.

use alloc::format;

use sprat_click::arguments::Argument;
use sprat_click::{Context, HandlerError};

/// Reads a value written to a handler as an argument of type `T` is read.
pub(crate) fn handler_value<T: Argument>(
    context: &Context<'_>,
    value: &str,
) -> Result<T, HandlerError> {
    T::parse(value.trim(), &context.names())
        .map_err(|error| HandlerError::failed(format!("{}: {error}", context.name())))
}
