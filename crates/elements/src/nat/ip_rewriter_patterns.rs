use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::split_words;
use sprat_click::{Arguments, Class, Configuration, Configure, Element, Phase, Rejected};

use super::pattern::Pattern;

pub(super) const IP_REWRITER_PATTERNS: Class =
    Class::of::<IpRewriterPatterns>("IPRewriterPatterns")
        .ports("0/0")
        .phase(Phase::Information);

/// IPRewriterPatterns: names patterns for rewriters to share.
///
/// ```click
/// IPRewriterPatterns(NAME SADDR SPORT DADDR DPORT, ...)
/// ```
///
/// A rewriter's input specification may then be `pattern NAME FOUTPUT ROUTPUT`.
///
/// See Click's manual page IPRewriterPatterns(n).
pub(super) struct IpRewriterPatterns {
    patterns: Vec<(String, Pattern)>,
}

impl IpRewriterPatterns {
    /// The pattern called `name`.
    pub(super) fn find(&self, name: &str) -> Option<&Pattern> {
        self.patterns
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, pattern)| pattern)
    }
}

impl Configure for IpRewriterPatterns {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut patterns: Vec<(String, Pattern)> = Vec::new();
        for (number, text) in arguments.rest().iter().enumerate() {
            let words = split_words(text);
            let read = match words.split_first() {
                Some((name, words)) if patterns.iter().all(|(known, _)| known != name) => {
                    Pattern::parse(words, arguments.names()).map(|pattern| (name.clone(), pattern))
                }
                Some((name, _)) => Err(format!("pattern name '{name}' already taken")),
                None => Err("empty pattern".into()),
            };
            match read {
                Ok(named) => patterns.push(named),
                Err(message) => {
                    arguments.error(format!("pattern {number}: {message}"));
                }
            }
        }
        arguments.finish()?;
        Ok(Self { patterns })
    }
}

impl Element for IpRewriterPatterns {}
