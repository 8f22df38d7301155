use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::Batch;

use super::generator::Generator;

pub(super) const INFINITE_SOURCE: Class = Class::of::<InfiniteSource<false>>("InfiniteSource")
    .ports("0/1")
    .reconfigurable();
pub(super) const RANDOM_SOURCE: Class = Class::of::<InfiniteSource<true>>("RandomSource")
    .ports("0/1")
    .reconfigurable();

/// InfiniteSource: makes packets as fast as they are taken.
///
/// ```click
/// InfiniteSource([DATA, LIMIT, BURST, ACTIVE, keywords LENGTH, TIMESTAMP, STOP, END_CALL])
/// RandomSource(LENGTH [, LIMIT, BURST, ACTIVE, keywords TIMESTAMP, STOP, END_CALL])
/// ```
///
/// - DATA: the packet's bytes; by default a text of 69 characters.
/// - LIMIT: packets to make; negative, the default: without end.
/// - BURST: packets made each time it is scheduled; 1.
/// - ACTIVE: whether it makes any; true.
/// - LENGTH: the packet's length; DATA is repeated or cut to it. Negative: DATA's own.
/// - TIMESTAMP: whether packets get the present time; true.
/// - STOP: whether the driver stops when LIMIT is reached; false.
/// - END_CALL: a handler to write when LIMIT is reached.
///
/// The packets of a `RandomSource` are LENGTH random bytes, other ones each time. Either stops
/// making packets while what follows it says that it is full.
///
/// Handlers: `count` (read); `reset` (write) starts the count anew; `data`, `limit`, `burst`,
/// `active`, `length` (read, write); those of its task. A `RandomSource` has no `data`.
///
/// See Click's manual pages InfiniteSource(n) and RandomSource(n).
struct InfiniteSource<const RANDOM: bool> {
    generator: Generator,
    burst: Option<usize>,
    active: bool,
    batch: Batch,
}

impl<const RANDOM: bool> Configure for InfiniteSource<RANDOM> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut generator = if RANDOM {
            Generator::random(arguments)?
        } else {
            Generator::with_data(arguments)
        };
        generator.read_limit(arguments);
        let burst = arguments.position::<i32>("BURST");
        let active = arguments.position("ACTIVE").unwrap_or(true);
        generator.read_keywords(arguments);
        arguments.finish()?;
        if burst.is_some_and(|burst| burst < 1) {
            return Err(arguments.error("burst size must be >= 1"));
        }
        Ok(Self {
            generator,
            burst: burst.and_then(|burst| usize::try_from(burst).ok()),
            active,
            batch: Batch::new(),
        })
    }
}

impl<const RANDOM: bool> InfiniteSource<RANDOM> {
    fn resume(&self, context: &Context<'_>) {
        let ready = self.active && !self.generator.finished();
        context.set_nonempty(ready);
        if ready && context.output_pushes(0) {
            context.schedule_task();
        }
    }
}

impl<const RANDOM: bool> Element for InfiniteSource<RANDOM> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.generator.initialize(context)?;
        if context.output_pushes(0) {
            context.wake_when_nonfull(0);
        }
        self.resume(context);
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        if !self.active || !context.downstream_nonfull(0) {
            return false;
        }
        let left = self.generator.left();
        if left == 0 {
            self.generator.end(context);
            return false;
        }
        let count = context.source_burst(0, self.burst).min(left);
        self.generator.make(context, count, &mut self.batch);
        context.forward(0, &mut self.batch);
        context.schedule_task();
        true
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let left = self.generator.left();
        if self.active && left > 0 {
            self.generator.make(context, limit.min(left), batch);
            return;
        }
        context.set_nonempty(false);
        if self.active {
            self.generator.end(context);
        }
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.generator.handlers(list);
        list.read_write("burst")
            .read_write("burstsize")
            .read_write("active")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "burst" | "burstsize" => Ok(self.burst.unwrap_or(1).to_string()),
            "active" => Ok(self.active.to_string()),
            _ => self.generator.read(name),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "burst" | "burstsize" => {
                let complaint = "burstsize parameter must be integer >= 1";
                let burst = crate::value_or::<u32>(context, value, complaint)?;
                if burst == 0 {
                    return Err(HandlerError::failed(complaint));
                }
                self.burst = Some(burst as usize);
            }
            "active" => {
                self.active = crate::value_or(context, value, "active parameter must be boolean")?;
            }
            _ => {
                let complaint = match name {
                    "limit" => "limit parameter must be integer",
                    _ => "length must be integer",
                };
                self.generator.write(context, name, value, complaint)?;
            }
        }
        self.resume(context);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn random_packets_have_a_length_and_differ() {
        let bench = Bench::new("s :: RandomSource(67, LIMIT 2) -> ToDevice(out)");
        bench.run();
        let sent = bench.sent("out");
        assert_eq!(sent.len(), 2);
        assert!(sent.iter().all(|frame| frame.len() == 67));
        assert_ne!(sent[0], sent[1]);
        assert_eq!(bench.read("s.length"), "67");
    }

    #[test]
    fn data_is_repeated_or_cut_to_the_length() {
        let bench = Bench::new("s :: InfiniteSource(abc, LIMIT 1, LENGTH 7) -> ToDevice(out)");
        bench.run();
        for (length, data) in [("2", "xyz"), ("-1", "\"x\""), ("3", "")] {
            bench.write("s.datasize", length);
            assert_eq!(bench.read("s.length"), length);
            bench.write("s.burstsize", "1");
            assert_eq!(bench.read("s.burst"), "1");
            bench.write("s.data", data);
            bench.write("s.reset", "");
            bench.run();
        }
        assert_eq!(
            bench.sent("out"),
            [&b"abcabca"[..], b"xy", b"\"x\"", b"\0\0\0"]
        );
    }

    #[test]
    fn end_call_comes_once_and_after_what_follows_had_its_turn() {
        let bench = Bench::new(
            "s :: InfiniteSource(LIMIT 5, BURST 5, END_CALL c.reset) -> Queue(5) -> c :: Counter \
             -> u :: Unqueue(BURST 5) -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("s.count"), "5");
        assert_eq!(bench.read("c.count"), "0");
        bench.write("s.reset", "");
        bench.run();
        assert_eq!(bench.read("c.count"), "0");
    }

    #[test]
    fn a_source_without_packets_ends_all_the_same() {
        for path in ["->", "-> Unqueue ->"] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource(LIMIT 0, STOP true) {path} Discard"
            ));
            assert!(bench.run(), "{path}");
        }
    }
}
