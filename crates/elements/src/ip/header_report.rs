//! What the elements that check headers have in common: counts of bad packets by reason, messages
//! about them, and the handlers that show both.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use sprat_click::{Arguments, Configuration, Context, HandlerError, HandlerList};

/// Counts and reports packets with bad headers.
pub(crate) struct HeaderReport {
    /// The protocol, as messages name it.
    protocol: &'static str,
    /// A text for each reason.
    reasons: &'static [&'static str],
    /// What messages begin with: each of Click's elements has its own way.
    introduction: String,
    verbose: bool,
    good: u64,
    bad: u64,
    details: Option<Box<[u64]>>,
}

impl HeaderReport {
    /// Reads the keywords VERBOSE and DETAILS.
    pub(crate) fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
        protocol: &'static str,
        reasons: &'static [&'static str],
    ) -> Self {
        let verbose = arguments.keyword("VERBOSE").unwrap_or(false);
        let details = arguments.keyword("DETAILS").unwrap_or(false);
        let class = configuration.class_of(configuration.id()).name;
        let name = configuration.name();
        Self {
            protocol,
            reasons,
            introduction: match protocol {
                "IP" => format!("{name}: "),
                "UDP" => String::new(),
                _ => format!("{name} :: {class}: "),
            },
            verbose,
            good: 0,
            bad: 0,
            details: details.then(|| vec![0; reasons.len()].into()),
        }
    }

    /// Counts good packets.
    #[inline]
    pub(crate) fn good(&mut self, packets: usize) {
        self.good += packets as u64;
    }

    /// Counts a bad packet, and says so if it is the first or all are to be told.
    #[cold]
    pub(crate) fn bad(&mut self, context: &Context<'_>, reason: usize) {
        if self.bad == 0 || self.verbose {
            let text = self.reasons.get(reason).copied().unwrap_or_default();
            context.chatter(format_args!(
                "{}{} header check failed: {text}",
                self.introduction, self.protocol
            ));
        }
        self.bad += 1;
        if let Some(count) = self
            .details
            .as_mut()
            .and_then(|details| details.get_mut(reason))
        {
            *count += 1;
        }
    }

    pub(crate) fn handlers(&self, list: &mut HandlerList) {
        list.read("count").read("drops");
        if self.details.is_some() {
            list.read("drop_details");
        }
    }

    pub(crate) fn read(&self, name: &str) -> Result<String, HandlerError> {
        match (name, &self.details) {
            ("count", _) => Ok(self.good.to_string()),
            ("drops", _) => Ok(self.bad.to_string()),
            ("drop_details", Some(details)) => Ok(self
                .reasons
                .iter()
                .zip(details)
                .map(|(text, count)| format!("{count}\t{text}\n"))
                .collect()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
