use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::check_ip_header::{HeaderChecker, REASONS};
use super::header_report::HeaderReport;

pub(super) const IP_INPUT_COMBO: Class = Class::of::<IPInputCombo>("IPInputCombo")
    .ports("1/1-2")
    .processing("a/ah");

/// IPInputCombo: what a router does with a frame that comes in, in one element.
///
/// ```click
/// IPInputCombo(COLOR [, keywords BADSRC, INTERFACES, GOODDST, CHECKSUM, VERBOSE, DETAILS])
/// ```
///
/// The same as `Paint(COLOR) -> Strip(14) -> CheckIPHeader(keywords) -> GetIPAddress(16)`, with bad
/// packets leaving by output 1 where it is used.
///
/// Handlers: those of CheckIPHeader.
///
/// See Click's manual page IPInputCombo(n).
pub(crate) struct IPInputCombo {
    color: u8,
    checker: HeaderChecker,
    report: HeaderReport,
}

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

impl Configure for IPInputCombo {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let color = arguments.required("COLOR");
        let checker = HeaderChecker::configure(arguments);
        let report = HeaderReport::configure(arguments, configuration, "IP", REASONS);
        arguments.finish()?;
        Ok(Self {
            color: color?,
            checker,
            report,
        })
    }
}

impl Element for IPInputCombo {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Self {
            color,
            checker,
            report,
        } = self;
        batch.filter(|mut packet| {
            packet.set_paint(*color);
            packet.set_mac_header(0);
            packet.strip(ETHERNET);
            match checker.check(&mut packet, 0) {
                Ok(()) => Some(packet),
                Err(fault) => {
                    report.bad(context, fault as usize);
                    context.emit(1, packet);
                    None
                }
            }
        });
        report.good(batch.len());
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.report.handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.report.read(name)
    }
}
