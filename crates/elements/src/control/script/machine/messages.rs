//! What a script says of what went wrong.

use sprat_click::router::HandlerTarget;

use super::*;

impl Machine {
    /// Does what nobody called the script to do: complaints stand below its name.
    pub(super) fn uncalled<R>(
        &self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        self.begin(context, String::from("While executing"));
        let done = act(context);
        context.router().end();
        done
    }

    /// Begins what belongs to the script's start; its end is for the caller to tell the router.
    pub(super) fn begin_initializing(&self, context: &Context<'_>) {
        let landmark = context.router().landmark(context.id());
        self.begin(context, format!("{landmark}: While initializing"));
    }

    #[inline(never)]
    fn begin(&self, context: &Context<'_>, mut heading: String) {
        let router = context.router();
        let class = router.class(context.id()).name;
        for part in [" '", context.name(), " :: ", class, "':"] {
            heading.push_str(part);
        }
        router.begin(Circumstance::Root(heading));
    }

    /// Says what is wrong with something the script does.
    pub(super) fn complain(&self, context: &Context<'_>, message: &str) {
        context.router().complain(message);
    }

    /// Calls a handler: what it complains of, or refuses, stands below the call. Nothing where it
    /// could not be called or has refused, which has been said.
    pub(super) fn calling<R>(
        &self,
        context: &mut Context<'_>,
        (call, write): (&str, bool),
        act: impl FnOnce(&mut Context<'_>) -> Result<R, HandlerError>,
    ) -> Result<R, HandlerError> {
        let (name, value) = full_call(context, call);
        let space = if value.is_empty() { "" } else { " " };
        let heading = format!("While calling '{name}{space}{value}':");
        context.router().begin(Circumstance::Call(heading));
        let called = act(context);
        if let Err(error @ HandlerError::Failed(..)) = &called {
            self.complain(context, &error.in_call(write));
        }
        context.router().end();
        match &called {
            Ok(_) | Err(HandlerError::Failed(..)) => {}
            Err(error) => self.complain(context, &error.in_call(write)),
        }
        called
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
