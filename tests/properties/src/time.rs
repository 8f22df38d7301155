//! Clocks, timers, tasks.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use sprat::time::{Instant, sleep, sleep_until, timeout, wall};

use crate::{Shown, expect};

const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn show(property: &str) -> Option<Shown> {
    Some(match property {
        "clock-steady" => {
            let mut last = Instant::now();
            for _ in 0..100_000 {
                let now = Instant::now();
                if now < last {
                    return Some(Err(format!("{last:?}, then {now:?}")));
                }
                last = now;
            }
            Ok(())
        }
        "clock-fine" => {
            // Two readings differ long before a microsecond of work is a million of them.
            let first = Instant::now();
            let differs = (0..1_000_000).any(|_| Instant::now() != first);
            expect(differs, || "stands still".into())
        }
        // The outside compares with its own clocks.
        "clock-rate" => sprat::run(async {
            sleep(milliseconds(300)).await;
            Ok(())
        }),
        "clock-wall" => {
            let seconds = wall() / 1_000_000_000;
            sprat::place::write_console(format!("{seconds}").as_bytes());
            Ok(())
        }
        "clock-wall-advances" => sprat::run(async {
            let (wall_before, before) = (wall(), Instant::now());
            sleep(milliseconds(50)).await;
            let passed = Instant::now().since(before);
            let walled = Duration::from_nanos((wall() - wall_before).unsigned_abs());
            expect(walled.abs_diff(passed) < milliseconds(20), || {
                format!("{passed:?} by one clock, {walled:?} by the other")
            })
        }),
        // The outside moves the wall clock once it reads this line.
        "clock-steps" => {
            sprat::place::write_console(b"ready\n");
            sprat::run(step())
        }
        "timer-not-early" => sprat::run(async {
            for span in [1, 3, 10, 20] {
                let before = Instant::now();
                sleep(milliseconds(span)).await;
                let passed = Instant::now().since(before);
                expect(passed >= milliseconds(span), || format!("{passed:?}"))?;
            }
            Ok(())
        }),
        "timer-not-late" => sprat::run(async {
            // Of several, since the machine may have been given to others meanwhile.
            let mut best = Duration::MAX;
            for _ in 0..20 {
                let before = Instant::now();
                sleep(milliseconds(5)).await;
                best = best.min(Instant::now().since(before));
            }
            expect(best < milliseconds(25), || format!("{best:?} for 5 ms"))
        }),
        "timer-order" => sprat::run(async {
            let fired = Rc::new(RefCell::new(Vec::new()));
            let begin = Instant::now();
            let tasks = [600, 200, 400].map(|span| {
                let fired = fired.clone();
                sprat::spawn(async move {
                    sleep_until(begin.after(milliseconds(span))).await;
                    fired.borrow_mut().push(span);
                })
            });
            for task in tasks {
                task.await;
            }
            let fired = fired.take();
            expect(fired == [200, 400, 600], || format!("{fired:?}"))
        }),
        "timer-many" => sprat::run(async {
            let tasks: Vec<_> = (0..500)
                .map(|span| sprat::spawn(sleep(Duration::from_micros(span * 20))))
                .collect();
            for task in tasks {
                task.await;
            }
            Ok(())
        }),
        "timer-timeout" => sprat::run(async {
            let late = timeout(milliseconds(5), sleep(milliseconds(500))).await;
            let soon = timeout(milliseconds(500), sleep(milliseconds(1))).await;
            expect(late.is_err() && soon.is_ok(), || "the wrong one".into())
        }),
        "task-turns" => sprat::run(async {
            let said = Rc::new(RefCell::new(Vec::new()));
            let tasks = [1, 2].map(|name| {
                let said = said.clone();
                sprat::spawn(async move {
                    for _ in 0..3 {
                        said.borrow_mut().push(name);
                        sprat::yield_now().await;
                    }
                })
            });
            for task in tasks {
                task.await;
            }
            let said = said.take();
            expect(said == [1, 2, 1, 2, 1, 2], || format!("{said:?}"))
        }),
        _ => return None,
    })
}

/// The wall clock is moved, by two seconds at least; the other one goes on as if nothing had been.
async fn step() -> Shown {
    let nanoseconds = |instant: Instant| instant.since(Instant::from_nanoseconds(0)).as_nanos();
    let difference = |now| i128::from(wall()) - i128::try_from(nanoseconds(now)).unwrap_or(0);
    let begin = Instant::now();
    let first = difference(begin);
    let mut last = begin;
    loop {
        sleep(milliseconds(10)).await;
        let now = Instant::now();
        expect(now.since(last) < milliseconds(2000), || {
            format!("{:?} passed between two readings", now.since(last))
        })?;
        last = now;
        if (difference(now) - first).abs() >= 2_000_000_000 {
            return Ok(());
        }
        expect(now.since(begin) < milliseconds(60_000), || {
            "nobody moved it".into()
        })?;
    }
}
