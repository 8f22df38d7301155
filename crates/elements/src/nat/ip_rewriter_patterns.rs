use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::split_words;
use sprat_click::{Arguments, Class, Configuration, Configure, Element, Phase, Rejected};

use super::pattern::Pattern;

/// IPRewriterPatterns: names patterns for rewriters to share.
///
/// ```click
/// IPRewriterPatterns(NAME SADDR SPORT DADDR DPORT, ...)
/// ```
///
/// An input specification of a rewriter may then be `pattern NAME FOUTPUT ROUTPUT`. Rewriters that
/// name the same pattern share it: where ports or addresses are taken in order they take turns. All
/// names in a configuration must differ.
///
/// See Click's manual page IPRewriterPatterns(n).
pub(super) const IP_REWRITER_PATTERNS: Class =
    Class::of::<IpRewriterPatterns>("IPRewriterPatterns")
        .ports("0/0")
        .phase(Phase::Information);

pub(super) struct IpRewriterPatterns {
    patterns: Vec<(String, Rc<Pattern>)>,
}

impl IpRewriterPatterns {
    /// The pattern called `name`.
    pub(super) fn find(&self, name: &str) -> Option<Rc<Pattern>> {
        let found = self.patterns.iter().find(|(known, _)| known == name);
        found.map(|(_, pattern)| pattern.clone())
    }
}

impl Configure for IpRewriterPatterns {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut patterns: Vec<(String, Rc<Pattern>)> = Vec::new();
        for text in arguments.rest() {
            let words = split_words(&text);
            let Some((name, words)) = words.split_first() else {
                continue;
            };
            let taken = patterns.iter().any(|(known, _)| known == name)
                || find_pattern(configuration, name).is_some();
            let read = if taken {
                Err(format!("pattern '{name}' already defined"))
            } else {
                Pattern::parse(words, arguments.names())
            };
            match read {
                Ok(pattern) => patterns.push((name.clone(), Rc::new(pattern))),
                Err(message) => {
                    arguments.error(message);
                }
            }
        }
        arguments.finish()?;
        Ok(Self { patterns })
    }
}

/// The pattern that an element configured so far calls `name`.
pub(super) fn find_pattern(configuration: &Configuration<'_>, name: &str) -> Option<Rc<Pattern>> {
    configuration
        .elements()
        .filter(|id| configuration.class_of(*id).name == IP_REWRITER_PATTERNS.name)
        .find_map(|id| {
            configuration
                .with(id, |patterns: &mut IpRewriterPatterns| patterns.find(name))
                .flatten()
        })
}

impl Element for IpRewriterPatterns {}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_name_means_one_pattern() {
        for twice in [
            "IPRewriterPatterns(a 1.0.0.1 - - -, , a 1.0.0.2 - - -)",
            "IPRewriterPatterns(a 1.0.0.1 - - -); IPRewriterPatterns(a 1.0.0.3 - - -)",
        ] {
            let errors = Bench::errors(twice);
            assert_eq!(
                errors.matches("pattern 'a' already defined").count(),
                1,
                "{errors}"
            );
        }
    }

    #[test]
    fn an_unknown_pattern_is_named() {
        let errors = Bench::errors("Idle -> IPRewriter(pattern p 0 0) -> Idle");
        assert!(
            errors.contains("input spec 0: no such pattern 'p'"),
            "{errors}"
        );
    }
}
