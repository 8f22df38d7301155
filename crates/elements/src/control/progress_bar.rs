use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;
use core::time::Duration;

use sprat_click::arguments::{Raw, split_words};
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};

pub(super) const PROGRESS_BAR: Class = Class::of::<ProgressBar>("ProgressBar").ports("0/0");

const DEFAULT_UPDATE: Duration = Duration::from_millis(250);

/// Characters of the bar itself.
const WIDTH: usize = 40;

/// ProgressBar: shows on standard error how far something has come.
///
/// ```click
/// ProgressBar(POSHANDLER [, SIZEHANDLER, keywords FIXED_SIZE, BANNER, UPDATE, ACTIVE, DELAY,
///             CHECK_STDOUT])
/// ```
///
/// POSHANDLER are the names of read handlers with numbers, separated by spaces, whose sum is how far it
/// has come; SIZEHANDLER the same for how far it goes, which is read once. The line is written over each
/// time it changes:
///
/// ```text
/// trace  74% |******************************          | 23315KB    00:01 ETA
/// ```
///
/// - FIXED_SIZE: how far it goes, where no handler says.
/// - BANNER: what stands before the bar.
/// - UPDATE: how often it is shown; a quarter of a second.
/// - ACTIVE: whether it is shown; true.
/// - DELAY: for how long it is not shown at first; no time.
/// - CHECK_STDOUT is accepted and decides nothing.
///
/// Handlers: `mark_stopped`, `mark_done` (write): show it a last time, as it is or as complete; `pos`
/// (read); `size`, `active`, `banner`, `poshandler`, `sizehandler` (read, write); `reset` (write): begin
/// anew.
///
/// See Click's manual page ProgressBar(n).
struct ProgressBar {
    position_handlers: String,
    size_handlers: String,
    fixed: Option<f64>,
    banner: String,
    update: Duration,
    delay: Duration,
    active: bool,
    size: Option<f64>,
    start: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    Shown,
    Done,
}

impl Configure for ProgressBar {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let position = arguments.required::<Raw>("POSHANDLER");
        let size = arguments.position::<Raw>("SIZEHANDLER");
        let fixed = arguments.keyword::<f64>("FIXED_SIZE");
        let banner = arguments.keyword("BANNER").unwrap_or_default();
        let update = arguments.keyword("UPDATE").unwrap_or(DEFAULT_UPDATE);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let delay = arguments.keyword("DELAY").unwrap_or_default();
        arguments.keyword::<bool>("CHECK_STDOUT");
        arguments.finish()?;
        if fixed.is_some_and(|size| size < 0.0) {
            return Err(arguments.error("FIXED_SIZE: must be positive"));
        }
        Ok(Self {
            position_handlers: position?.0,
            size_handlers: size.map(|size| size.0).unwrap_or_default(),
            fixed,
            banner,
            update: update.max(Duration::from_millis(1)),
            delay,
            active,
            size: fixed,
            start: Instant(0),
            state: State::First,
        })
    }
}

/// The sum of what some handlers say; `None` where one says no number.
fn sum(context: &Context<'_>, handlers: &str) -> Option<f64> {
    let router = context.router();
    let words = split_words(handlers);
    let mut sum = None;
    for name in &words {
        let target = router.find_handler(Some(context.id()), name).ok()?;
        let value = decimal::parse(router.read_target(&target, "").ok()?.trim())?;
        sum = Some(sum.unwrap_or(0.0) + value);
    }
    sum
}

/// The whole part of a number that is not negative.
// A cast takes what is too large for the largest there is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// A line of progress, without its end.
fn line(banner: &str, position: f64, size: Option<f64>, passed: Duration, done: bool) -> String {
    let mut text = String::from("\r");
    text.push_str(banner);
    let part = size.map(|size| {
        if size > 0.0 {
            (position / size).clamp(0.0, 1.0)
        } else {
            1.0
        }
    });
    // Writing to a string cannot fail; so below.
    let _ = match part {
        Some(part) => write!(text, "{:4}% |", whole(part * 100.0)),
        None => text.write_str(" |"),
    };
    let (begin, end) = match part {
        Some(part) => (
            0,
            usize::try_from(whole(part * WIDTH as f64)).unwrap_or(WIDTH),
        ),
        // Three stars wander along, once a second.
        None => {
            let at = (passed.subsec_millis() as usize) * (WIDTH - 3) / 1000;
            (at, at + 3)
        }
    };
    text.extend((0..WIDTH).map(|at| if (begin..end).contains(&at) { '*' } else { ' ' }));
    let (mut amount, mut unit) = (position, "  ");
    for larger in ["KB", "MB", "GB", "TB"] {
        if amount < 100_000.0 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    let _ = write!(text, "| {:5}{unit}  ", whole(amount));
    let seconds = passed.as_secs_f64();
    let left = match part {
        _ if done => Some(seconds),
        Some(part) if part > 0.0 => Some(seconds * (1.0 - part) / part),
        _ => None,
    };
    match left {
        Some(left) => {
            let left = whole(left);
            let _ = write!(text, "{:4}:{:02}", left / 60, left % 60);
        }
        None => text.push_str("  --:--"),
    }
    text.push_str(if done { "    " } else { " ETA" });
    text
}

impl ProgressBar {
    fn show(&mut self, context: &Context<'_>, done: bool, complete: bool) {
        let Some(mut position) = sum(context, &self.position_handlers) else {
            return;
        };
        if self.state == State::First && self.fixed.is_none() {
            self.size = sum(context, &self.size_handlers);
        }
        if let Some(size) = self.size.filter(|_| complete) {
            position = size;
        }
        let passed = context.now().since(self.start);
        let mut text = line(&self.banner, position, self.size, passed, done);
        if done {
            text.push('\n');
        }
        context.say(text.as_bytes());
        self.state = if done { State::Done } else { State::Shown };
    }

    /// Shows it a last time, if it was shown before.
    fn finish(&mut self, context: &Context<'_>, complete: bool) {
        if self.state == State::Shown {
            self.show(context, true, complete);
        }
        self.state = State::Done;
    }

    fn begin(&mut self, context: &Context<'_>) {
        self.start = context.now();
        self.state = State::First;
        let first = self.delay.max(Duration::from_millis(1));
        context.set_timer_after(0, first);
    }
}

impl Element for ProgressBar {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let router = context.router();
        for names in [&self.position_handlers, &self.size_handlers] {
            for name in split_words(names) {
                let target = router.find_handler(Some(context.id()), &name);
                let flags = target.and_then(|target| router.handler_flags(&target));
                if let Err(error) = flags {
                    return Err(context.error(format!("{error}")));
                }
            }
        }
        if self.active {
            self.begin(context);
        }
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if self.active && self.state != State::Done {
            self.show(context, false, false);
            context.set_timer_after(0, self.update);
        }
    }

    fn cleanup(&mut self, context: &mut Context<'_>) {
        self.finish(context, false);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.button("mark_stopped")
            .button("mark_done")
            .read("pos")
            .read_write("size")
            .read_write("active")
            .read_write("banner")
            .read_write("poshandler")
            .read_write("sizehandler")
            .button("reset");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "pos" => {
                Ok(sum(context, &self.position_handlers)
                    .map_or_else(String::new, decimal::shortest))
            }
            "size" => Ok(self.size.map_or_else(String::new, decimal::shortest)),
            "active" => Ok(self.active.to_string()),
            "banner" => Ok(self.banner.clone()),
            "poshandler" => Ok(self.position_handlers.clone()),
            "sizehandler" => Ok(self.size_handlers.clone()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "mark_stopped" => self.finish(context, false),
            "mark_done" => self.finish(context, true),
            "size" => {
                self.fixed = Some(crate::handler_value(context, value)?);
                self.size = self.fixed;
            }
            "active" => {
                self.active = crate::value_or(context, value, "type mismatch")?;
                if self.active {
                    context.set_timer_after(0, self.update);
                }
            }
            "banner" => self.banner = value.into(),
            "poshandler" => self.position_handlers = value.into(),
            "sizehandler" => self.size_handlers = value.into(),
            "reset" => {
                self.active = true;
                self.begin(context);
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::string::String;

    use super::{WIDTH, line};
    use crate::testing::Bench;

    #[test]
    fn a_line_shows_part_amount_and_time_left() {
        let text = line("x", 30.0, Some(40.0), Duration::from_secs(90), false);
        let stars = "*".repeat(WIDTH * 3 / 4);
        let spaces = " ".repeat(WIDTH / 4);
        // Three quarters in ninety seconds: the last takes thirty.
        let expected = std::format!("\rx  75% |{stars}{spaces}|    30       0:30 ETA");
        assert_eq!(text, expected);
        let text = line("", 2_048_000.0, None, Duration::ZERO, false);
        assert!(text.ends_with("|  2000KB    --:-- ETA"), "{text}");
    }

    #[test]
    fn a_source_is_shown_until_it_is_done() {
        let bench = Bench::new(
            "s :: RatedSource(RATE 10) -> c :: Counter -> Discard;
             p :: ProgressBar(c.count, FIXED_SIZE 20, BANNER b, UPDATE 1, DELAY 0.5)",
        );
        bench.run_for(Duration::from_millis(400));
        assert_eq!(bench.simulation.take_errors(), "");
        bench.run_for(Duration::from_millis(800));
        let shown: String = bench.simulation.take_errors();
        assert!(shown.starts_with("\rb  30% |************  "), "{shown:?}");
        bench.write("p.mark_done", "");
        let shown: String = bench.simulation.take_errors();
        assert!(shown.starts_with("\rb 100% |*****"), "{shown:?}");
        assert!(shown.ends_with('\n'), "{shown:?}");
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.simulation.take_errors(), "");
        assert_eq!(bench.read("p.size"), "20");
    }

    #[test]
    fn handlers_must_be_there() {
        let errors = Bench::errors("ProgressBar(a.b)");
        assert!(errors.contains("no element 'a'"), "{errors}");
    }
}
