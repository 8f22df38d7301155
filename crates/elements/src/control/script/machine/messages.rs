//! What a script says of what went wrong.

use sprat_click::router::HandlerTarget;

use super::*;

/// What stands before a script's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Heading {
    /// Which script it is, before the first one.
    #[default]
    Due,
    /// That has been said: the messages stand below it.
    Said,
    /// Nothing, where the driver runs the script that manages it.
    None,
}

impl Machine {
    /// Says what is wrong with something the script does.
    pub(super) fn complain(&self, context: &Context<'_>, message: &str) {
        if message.is_empty() {
            return;
        }
        let class = context.router().class(context.id()).name;
        let heading = self.heading.get();
        let mut text = String::new();
        if heading == Heading::Due {
            text = format!("While executing '{} :: {class}':", context.name());
            self.heading.set(Heading::Said);
        }
        let indent = if heading == Heading::None { "" } else { "  " };
        for line in message.lines() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(indent);
            text.push_str(line);
        }
        context.chatter(format_args!("{text}"));
    }

    /// Says what is wrong with a call: where a handler has refused it, also which it was.
    pub(super) fn complain_of_call(
        &self,
        context: &Context<'_>,
        write: bool,
        call: &str,
        error: &HandlerError,
    ) {
        let HandlerError::Failed(messages, _) = error else {
            return self.complain(context, &error.in_call(write));
        };
        if messages.iter().all(String::is_empty) {
            return;
        }
        let (name, value) = full_call(context, call);
        let space = if value.is_empty() { "" } else { " " };
        let mut text = format!("While calling '{name}{space}{value}':");
        for line in messages.iter().flat_map(|message| message.lines()) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        self.complain(context, &text);
    }

    /// Says why the script is not run any further.
    pub(super) fn give_up(&self, context: &Context<'_>, why: &str) {
        let class = context.router().class(context.id()).name;
        context.chatter(format_args!(
            "{} :: {class}: {why}, giving up",
            context.name()
        ));
    }
}

/// The handler that a call names, with its element's whole name, and the rest of the call.
pub(super) fn full_call<'a>(context: &Context<'_>, call: &'a str) -> (String, &'a str) {
    let (name, value) = first_word(call);
    let name = unquote(name);
    let router = context.router();
    let full = match router.find_handler(Some(context.id()), &name) {
        Ok(HandlerTarget::Element(id, handler)) => format!("{}.{handler}", router.name(id)),
        _ => name,
    };
    (full, value)
}
