//! Reading what is written to handlers.

use alloc::format;
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, ArgumentError};
use sprat_click::{Arguments, Context, HandlerError};

/// Reads a value written to a handler as an argument of type `T` is read.
pub(crate) fn handler_value<T: Argument>(
    context: &Context<'_>,
    value: &str,
) -> Result<T, HandlerError> {
    T::parse(value.trim(), &context.names()).map_err(|error| unexpected(T::EXPECTED, &error))
}

/// Reads a value written to a handler whose element has words of its own for what is wrong with it.
pub(crate) fn value_or<T: Argument>(
    context: &Context<'_>,
    value: &str,
    complaint: &'static str,
) -> Result<T, HandlerError> {
    T::parse(value.trim(), &context.names()).map_err(|error| refused(complaint, error))
}

/// Reads a value written to a handler that stands for an argument of the same name (`Class::arguments`),
/// and words what is wrong with it as in a configuration.
pub(crate) fn argument_value<T: Argument>(
    context: &Context<'_>,
    handler: &str,
    value: &str,
) -> Result<T, HandlerError> {
    T::parse(value.trim(), &context.names()).map_err(|error| wrong(handler, &error))
}

// Once, and not for each type of argument.

#[inline(never)]
fn unexpected(expected: Option<&str>, error: &ArgumentError) -> HandlerError {
    HandlerError::failed(match expected {
        Some(what) => format!("expected {what}"),
        None => format!("{error}"),
    })
}

#[inline(never)]
fn refused(complaint: &str, _: ArgumentError) -> HandlerError {
    HandlerError::failed(complaint)
}

#[inline(never)]
fn wrong(handler: &str, error: &ArgumentError) -> HandlerError {
    let keyword = handler.to_ascii_uppercase();
    HandlerError::failed(format!("{keyword}: {error}"))
}

/// What was found wrong with the words written to a handler, or with its parameters.
pub(crate) fn complaints(arguments: &Arguments<'_>) -> HandlerError {
    let messages = arguments.messages().iter();
    let messages = messages.map(|message| message.message.as_str());
    let messages: Vec<&str> = messages.collect();
    HandlerError::failed(messages.join("\n"))
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    /// What Click's own elements say, from their sources.
    #[test]
    fn elements_refuse_values_in_words_of_their_own() {
        for (element, handler, value, said) in [
            (
                "Idle -> e :: Switch -> Discard",
                "switch",
                "x",
                "Switch output must be integer",
            ),
            (
                "Idle -> e :: PullSwitch -> Idle",
                "switch",
                "x",
                "syntax error",
            ),
            (
                "Idle -> e :: Shaper(1) -> Idle",
                "rate",
                "x",
                "RATE: invalid number",
            ),
            (
                "Idle -> e :: RatedSplitter(1) -> Discard",
                "rate",
                "x",
                "RATE: invalid number",
            ),
            ("e :: RatedSource -> Discard", "rate", "x", "syntax error"),
            ("e :: RatedSource -> Discard", "limit", "x", "syntax error"),
            (
                "e :: InfiniteSource(ACTIVE false) -> Discard",
                "burst",
                "0",
                "burstsize parameter must be integer >= 1",
            ),
            (
                "e :: InfiniteSource(ACTIVE false) -> Discard",
                "length",
                "x",
                "length must be integer",
            ),
            (
                "e :: TimedSource -> Discard",
                "interval",
                "0",
                "bad interval",
            ),
            ("e :: TimedSource -> Discard", "active", "x", "bad active"),
            (
                "e :: TimedSource -> Discard",
                "limit",
                "x",
                "expected integer",
            ),
            (
                "Idle -> e :: Unqueue -> Discard",
                "burst",
                "x",
                "syntax error",
            ),
            ("Idle -> e :: Discard", "active", "x", "syntax error"),
            (
                "Idle -> e :: DelayShaper(1) -> Idle",
                "delay",
                "x",
                "delay must be a timestamp",
            ),
            (
                "Idle -> e :: DelayUnqueue(1) -> Discard",
                "delay",
                "x",
                "expected time in seconds",
            ),
            (
                "Idle -> e :: AggregateCounter -> Discard",
                "freeze",
                "x",
                "type mismatch",
            ),
            (
                "Idle -> e :: AggregateCounter -> Discard",
                "call_after_agg",
                "x",
                "argument to 'aggregate_call' should be 'N HANDLER [VALUE]'",
            ),
            (
                "Idle -> e :: ICMPPingSource(1.0.0.1, 1.0.0.2) -> Discard",
                "limit",
                "x",
                "'limit' should be integer",
            ),
            (
                "Idle -> e :: RED(5, 30, 0.1) -> Queue -> Idle",
                "min_thresh",
                "x",
                "MIN_THRESH: invalid number",
            ),
            (
                "Idle -> e :: RED(5, 30, 0.1) -> Queue -> Idle",
                "min_thresh",
                "40",
                "MIN_THRESH must be <= MAX_THRESH",
            ),
            (
                "Idle -> e :: EtherSwitch -> Discard; Idle -> [1] e [1] -> Discard",
                "timeout",
                "x",
                "expected timeout (integer)",
            ),
            (
                "e :: FastUDPSource(10, -1, 60, 1:1:1:1:1:1, 1.0.0.1, 1, 2:2:2:2:2:2, 2.0.0.2, 2) -> Discard",
                "limit",
                "-1",
                "limit parameter must be integer >= 0",
            ),
            (
                "Idle -> e :: IPRateMonitor(PACKETS, 1, 1) -> Discard",
                "anno_level",
                "1.0.0.1, 7, 1",
                "2nd argument specifies a level, between 0 and 3, to annotate",
            ),
            (
                "Idle -> e :: TimeFilter -> Discard",
                "start",
                "x",
                "expected time",
            ),
            (
                "Idle -> e :: Suppressor -> Discard",
                "active0",
                "x",
                "type mismatch",
            ),
        ] {
            let bench = Bench::new(element);
            assert_eq!(
                bench
                    .write_fails(&std::format!("e.{handler}"), value)
                    .as_deref(),
                Some(said),
                "{element} {handler}"
            );
        }
    }

    #[test]
    fn elements_tell_what_they_are_set_to_as_their_configuration() {
        for (element, handler, before, after) in [
            ("Idle -> e :: Switch -> Discard", "switch", "0", "-1"),
            ("Idle -> e :: PullSwitch -> Idle", "switch", "0", "-1"),
            ("Idle -> e :: Shaper(5) -> Idle", "rate", "5", "7"),
            ("Idle -> e :: RatedSplitter(5) -> Discard", "rate", "5", "7"),
            (
                "Idle -> e :: BandwidthShaper(1000) -> Idle",
                "rate",
                "8kbps",
                "16kbps",
            ),
        ] {
            let bench = Bench::new(element);
            assert_eq!(bench.read("e.config"), before, "{element}");
            bench.write(&std::format!("e.{handler}"), after);
            assert_eq!(bench.read("e.config"), after, "{element}");
        }
    }

    #[test]
    fn a_red_tells_all_that_it_is_set_to() {
        let bench = Bench::new("Idle -> e :: RED(5, 30, 0.25, GENTLE false) -> q :: Queue -> Idle");
        bench.write("e.max_thresh", "40");
        assert_eq!(
            bench.read("e.config"),
            "5, 40, 0.25, QUEUES q, STABILITY 4, GENTLE false"
        );
    }

    #[test]
    fn what_is_to_be_called_begins_with_a_number() {
        for (element, said) in [
            ("Counter(COUNT_CALL x)", "  COUNT_CALL type mismatch\n"),
            (
                "AggregateCounter(AGGREGATE_CALL x)",
                "  AGGREGATE_CALL first word should be unsigned (number of aggregates)\n",
            ),
            (
                "AggregateCounter(COUNT_CALL x)",
                "  COUNT_CALL first word should be unsigned (count)\n",
            ),
            (
                "RandomBitErrors(2)",
                "  drop probability must be between 0 and 1\n",
            ),
            (
                "RandomBitErrors(0.1, x)",
                "  bad action 'x' (must be 'set', 'clear', or 'flip')\n",
            ),
        ] {
            let errors = Bench::errors(&std::format!("Idle -> {element} -> Discard"));
            assert!(errors.contains(said), "{errors}");
        }
    }
}
