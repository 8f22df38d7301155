use alloc::string::String;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};

pub(super) const MESSAGE: Class = Class::of::<Message>("Message").ports("0/0");

/// Message: says something while the router is configured.
///
/// ```click
/// Message(TEXT [, keywords TYPE, CLASSNAME])
/// ```
///
/// - TEXT: what it says.
/// - TYPE: MESSAGE (the default), WARNING or ERROR; an error keeps the router from running.
///
/// See Click's manual page Message(n).
struct Message;

impl Configure for Message {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let text = arguments.required::<String>("MESSAGE");
        let kind = arguments.position::<String>("TYPE").unwrap_or_default();
        arguments.finish()?;
        let text = text?;
        match kind.to_ascii_uppercase().as_str() {
            "" | "MESSAGE" => arguments.message(text),
            "WARNING" => arguments.warning(text),
            "ERROR" => return Err(arguments.error(text)),
            _ => return Err(arguments.error("unrecognized message type")),
        }
        Ok(Self)
    }
}

impl Element for Message {}

pub(super) const ERROR: Class = Class::of::<ErrorElement>("Error")
    .ports("-/-")
    .processing("a/a");
pub(super) const ERROR_ELEMENT: Class = ERROR.named("ErrorElement");

/// ErrorElement: is an error wherever it stands.
///
/// ```click
/// Error
/// ```
///
/// A router with such an element does not run, and it does not say why. It may have any ports, and any
/// arguments.
///
/// See Click's manual page Error(n).
struct ErrorElement;

impl Configure for ErrorElement {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.rest();
        Ok(Self)
    }
}

impl Element for ErrorElement {
    fn initialize(&mut self, _: &mut Context<'_>) -> Result<(), Rejected> {
        Err(Rejected)
    }
}
