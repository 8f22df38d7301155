//! What is said while a build runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sprat_image::Progress;

use crate::output::complain;

/// How often a build says how far it is where there is no terminal.
const REMINDER: Duration = Duration::from_secs(10);

/// Does a build, and shows how far it is; what cargo had to say is said when it is done.
pub(crate) fn watched<T, E>(
    build: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, E>,
) -> Result<T, E> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{spinner} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(100));
    let hidden = bar.is_hidden();
    let begin = Instant::now();
    let (done, crates) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut messages = Vec::new();
    let (working, stopped) = mpsc::channel();
    let built = thread::scope(|scope| {
        if hidden {
            scope.spawn(|| {
                remind(stopped, REMINDER, || {
                    let [done, crates] = [&done, &crates].map(|one| one.load(Ordering::Relaxed));
                    complain!(
                        "ready: {done} of {crates} crates, {} s",
                        begin.elapsed().as_secs()
                    );
                });
            });
        }
        let built = build(&mut |progress| match progress {
            Progress::Planned { crates: planned } => {
                if hidden {
                    complain!("building from {planned} crates, those that changed anew");
                }
                crates.store(planned, Ordering::Relaxed);
                done.store(0, Ordering::Relaxed);
                bar.set_length(planned as u64);
            }
            Progress::Compiled { name, done: so, .. } => {
                done.store(so, Ordering::Relaxed);
                bar.set_position(so as u64);
                bar.set_message(name);
            }
            Progress::Message(line) => messages.push(line),
            _ => bar.set_message("checking"),
        });
        drop(working);
        built
    });
    bar.finish_and_clear();
    let built = built?;
    messages.iter().for_each(|line| complain!("{line}"));
    Ok(built)
}

/// Says something again and again until the sender is gone. Linking the whole of an image is one step
/// that may take minutes: without a terminal nothing else says that it goes on.
fn remind(stopped: Receiver<()>, every: Duration, say: impl Fn()) {
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        say();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn it_is_said_again_while_nothing_happens_and_not_once_all_is_done() {
        let (working, stopped) = mpsc::channel();
        let working = Cell::new(Some(working));
        let said = Cell::new(0);
        remind(stopped, Duration::from_millis(1), || {
            said.set(said.get() + 1);
            if said.get() == 3 {
                working.take();
            }
        });
        assert_eq!(said.get(), 3);
    }
}
