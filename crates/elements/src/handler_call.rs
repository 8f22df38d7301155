//! A handler to be written when something happens: `COUNT_CALL`, `END_CALL` and the like.

use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::arguments::{Argument, ArgumentError, Names, split_first_word};
use sprat_click::{Context, Rejected};

/// `HANDLER [VALUE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandlerCall {
    handler: String,
    value: String,
}

impl Argument for HandlerCall {
    fn parse(text: &str, _: &dyn Names) -> Result<Self, ArgumentError> {
        let (handler, value) = split_first_word(text);
        if handler.is_empty() {
            return Err(ArgumentError::Unreadable);
        }
        Ok(Self {
            handler,
            value: value.to_string(),
        })
    }
}

impl HandlerCall {
    pub(crate) fn new(handler: String, value: &str) -> Self {
        Self {
            handler,
            value: value.to_string(),
        }
    }

    /// The handler and its value where the handler is this element's own, which the element can
    /// see to at once.
    pub(crate) fn own(&self, context: &Context<'_>) -> Option<(&str, &str)> {
        let (element, handler) = self.handler.rsplit_once('.')?;
        let outside = context.name().strip_suffix(element)?;
        (outside.is_empty() || outside.ends_with('/')).then_some((handler, self.value.as_str()))
    }

    /// With a variable of its value replaced.
    pub(crate) fn with(&self, variable: &str, value: &str) -> Self {
        let mut text = String::new();
        let mut rest = self.value.as_str();
        while let Some((before, behind)) = rest.split_once('$') {
            text.push_str(before);
            let braced = behind
                .strip_prefix('{')
                .and_then(|behind| behind.strip_prefix(variable)?.strip_prefix('}'));
            let bare = behind.strip_prefix(variable).filter(|behind| {
                !behind.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
            });
            match braced.or(bare) {
                Some(behind) => {
                    text.push_str(value);
                    rest = behind;
                }
                None => {
                    text.push('$');
                    rest = behind;
                }
            }
        }
        text.push_str(rest);
        Self::new(self.handler.clone(), &text)
    }

    /// Checks, once the router is whole, that the handler is there and can be written. From
    /// then on packets go one by one, for the call comes between two of them.
    pub(crate) fn check(&self, context: &Context<'_>) -> Result<(), Rejected> {
        context.observe_order();
        let router = context.router();
        let target = router
            .find_handler(Some(context.id()), &self.handler)
            .map_err(|error| context.error(error.in_call(true)))?;
        match router.handler_flags(&target) {
            Ok(flags) if flags.write => Ok(()),
            Ok(_) => Err(context.error(format!("no '{}' write handler", self.handler))),
            // The element's own handlers are there, and cannot be listed while it runs.
            Err(sprat_click::HandlerError::Busy(_)) => Ok(()),
            Err(error) => Err(context.error(error.in_call(true))),
        }
    }

    /// Writes the handler when this element has returned, after the packets it has put out; what
    /// goes wrong is said on the console.
    pub(crate) fn call(&self, context: &mut Context<'_>) {
        if let Err(error) = context.write_handler_after(&self.handler, &self.value) {
            context.chatter(format_args!("{}: {error}", context.name()));
        }
    }
}

/// As it was written.
impl core::fmt::Display for HandlerCall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.handler)?;
        match self.value.as_str() {
            "" => Ok(()),
            value => write!(f, " {value}"),
        }
    }
}

/// `N HANDLER [VALUE]`: a handler to be written when a count reaches N.
pub(crate) struct Trigger {
    at: u64,
    call: HandlerCall,
    /// Whether it has been written since the count began.
    fired: bool,
}

impl Argument for Trigger {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        let (number, call) = split_first_word(text);
        Ok(Self {
            at: u64::parse(&number, names)?,
            call: HandlerCall::parse(call, names)?,
            fired: false,
        })
    }
}

impl Trigger {
    pub(crate) fn new(at: u64, call: HandlerCall) -> Self {
        Self {
            at,
            call,
            fired: false,
        }
    }

    /// The handler that is to be written.
    pub(crate) fn into_call(self) -> HandlerCall {
        self.call
    }

    /// See [`HandlerCall::check`].
    pub(crate) fn check(&self, context: &Context<'_>) -> Result<(), Rejected> {
        self.call.check(context)
    }

    /// The count that it waits for.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Writes the handler, once, where the count has come to it.
    pub(crate) fn fire(trigger: &mut Option<Self>, count: u64, context: &mut Context<'_>) {
        if let Some(trigger) = trigger
            && count >= trigger.at
            && !core::mem::replace(&mut trigger.fired, true)
        {
            trigger.call.call(context);
        }
    }

    /// Makes it ready for a count that begins anew.
    pub(crate) fn begin_anew(trigger: &mut Option<Self>) {
        if let Some(trigger) = trigger {
            trigger.fired = false;
        }
    }
}

/// As it was written.
impl core::fmt::Display for Trigger {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", self.at, self.call)
    }
}
