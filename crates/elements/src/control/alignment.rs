use alloc::format;

use sprat_click::arguments::{Argument, split_words, unquote};
use sprat_click::{Arguments, Class, Configuration, Configure, Element, Phase, Rejected};

pub(super) const ALIGNMENT_INFO: Class = Class::of::<AlignmentInfo>("AlignmentInfo")
    .ports("0/0")
    .phase(Phase::Information);

/// AlignmentInfo: tells elements how packets lie in memory.
///
/// ```click
/// AlignmentInfo(ELEMENT [MODULUS OFFSET ...], ...)
/// ```
///
/// Accepted for the sake of configurations that `click-align` has been over. Here headers are
/// read wherever they lie, so it decides nothing.
///
/// See Click's manual page AlignmentInfo(n).
struct AlignmentInfo;

impl Configure for AlignmentInfo {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        for (at, entry) in arguments.rest().iter().enumerate() {
            let words = split_words(entry);
            let Some((name, numbers)) = words.split_first() else {
                arguments.warning(format!("empty configuration argument {at}"));
                continue;
            };
            // Of elements that are not there nothing is asked.
            if configuration.find(&unquote(name)).is_none() {
                continue;
            }
            if !numbers.len().is_multiple_of(2) {
                arguments.error("expected 'ELEMENTNAME CHUNK OFFSET [CHUNK OFFSET...]'");
            }
            for pair in numbers.chunks_exact(2) {
                for (number, what) in pair.iter().zip(["CHUNK", "OFFSET"]) {
                    if i32::parse(number, arguments.names()).is_err() {
                        arguments.error(format!("expected {what}"));
                    }
                }
            }
        }
        Ok(Self)
    }
}

impl Element for AlignmentInfo {}

pub(super) const ALIGN: Class = Class::of::<Align>("Align");

/// Align: passes packets on.
///
/// ```click
/// Align(MODULUS, OFFSET)
/// ```
///
/// In Click it moves packets to where MODULUS divides their address less OFFSET. Here headers
/// are read wherever they lie, and nothing is moved.
///
/// See Click's manual page Align(n).
struct Align;

impl Configure for Align {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let modulus = arguments.required::<u32>("MODULUS");
        let offset = arguments.required::<i32>("OFFSET");
        arguments.finish()?;
        let (modulus, offset) = (modulus?, offset?);
        if ![2, 4, 8].contains(&modulus) {
            return Err(arguments.error("MODULUS must be 2, 4, or 8"));
        }
        if i64::from(offset) >= i64::from(modulus) {
            return Err(arguments.error("OFFSET must be smaller than MODULUS"));
        }
        Ok(Self)
    }
}

impl Element for Align {}

pub(super) const ENSURE_DPDK_BUFFER: Class = Class::of::<EnsureDPDKBuffer>("EnsureDPDKBuffer");

/// EnsureDPDKBuffer: passes packets on.
///
/// ```click
/// EnsureDPDKBuffer([keywords FORCE_COPY, EXTRA_HEADROOM])
/// ```
///
/// Accepted for the sake of configurations that were written for DPDK, whose devices take packets from no
/// other memory. Here each device takes every packet.
///
/// See Click's class EnsureDPDKBuffer.
struct EnsureDPDKBuffer;

impl Configure for EnsureDPDKBuffer {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.position::<bool>("FORCE_COPY");
        arguments.position::<u32>("EXTRA_HEADROOM");
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for EnsureDPDKBuffer {}
