use alloc::format;

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
        for entry in arguments.rest() {
            let words = sprat_click::arguments::split_words(&entry);
            let known = words.first().is_some_and(|name| {
                configuration
                    .find(&sprat_click::arguments::unquote(name))
                    .is_some()
            });
            let numbers = words.iter().skip(1).all(|word| word.parse::<u32>().is_ok());
            if !known || !numbers || words.len().is_multiple_of(2) {
                arguments.warning(format!(
                    "expected 'ELEMENT [MODULUS OFFSET ...]', not '{entry}'"
                ));
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
        let offset = arguments.required::<u32>("OFFSET");
        arguments.finish()?;
        let (modulus, offset) = (modulus?, offset?);
        if ![1, 2, 4, 8].contains(&modulus) || offset >= modulus {
            return Err(arguments.error("bad modulus and offset"));
        }
        Ok(Self)
    }
}

impl Element for Align {}
