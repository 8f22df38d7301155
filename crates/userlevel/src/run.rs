//! Taking a driver through its steps.

use std::time::Duration;

use sprat_click::Instant;
use sprat_click::driver::{Driver, Step};
use sprat_click::environment::{Device, Environment};

use crate::process::Process;

/// Steps between looks at sockets while there is always something to do.
const STEPS_BETWEEN_LOOKS: u32 = 16;

/// Steps without waiting after which simulated time goes on all the same: work takes no
/// simulated time, but a router that never rests must not make time stand still.
const RESTLESS: u32 = 10_000;

/// How long tasks that poll are left alone, after so many times that they found nothing.
const PATIENCE: [(u32, Duration); 3] = [
    (64, Duration::ZERO),
    (256, Duration::from_micros(50)),
    (u32::MAX, Duration::from_millis(1)),
];

/// How long a router may be quiet when all captures are read before it is taken to be done.
const LINGER: Duration = Duration::from_millis(100);

impl Process {
    /// Runs a router until it stops, a signal ends it, or all devices are captures read to their
    /// end and nothing moves any more.
    pub fn run(&self, driver: &mut Driver) {
        let mut steps: u32 = 0;
        let mut fruitless: u32 = 0;
        let mut last_work = self.instant();
        while !self.signals.interrupted() {
            match driver.step() {
                Step::Stop => break,
                Step::Again => {
                    fruitless = 0;
                    steps = steps.saturating_add(1);
                    last_work = self.instant();
                    if steps.is_multiple_of(STEPS_BETWEEN_LOOKS) {
                        self.readiness.wait(Some(Duration::ZERO));
                    }
                    if steps > RESTLESS {
                        self.clock.advance(Duration::from_micros(1));
                    }
                }
                Step::Wait(moment) => {
                    (steps, fruitless) = (0, 0);
                    self.end_where_exhausted(driver, last_work);
                    self.sleep(moment, None);
                }
                Step::Poll(moment) => {
                    steps = 0;
                    fruitless = fruitless.saturating_add(1);
                    self.end_where_exhausted(driver, last_work);
                    let patience = PATIENCE.iter().find(|(times, _)| fruitless <= *times);
                    self.sleep(moment, patience.map(|(_, span)| *span));
                }
            }
        }
        self.flush();
    }

    /// Asks the driver to stop when no capture has more to give and all is quiet.
    fn end_where_exhausted(&self, driver: &Driver, last_work: Instant) {
        let devices = self.devices.borrow();
        let live = !self.interfaces.borrow().is_empty();
        let exhausted = !live
            && devices.values().any(|device| device.has_input())
            && devices.values().all(|device| device.exhausted());
        let soon = |moment: Instant| moment.since(last_work) < LINGER;
        if exhausted
            && !self.told_exhausted.get()
            && (!driver.router().next_timer().is_some_and(soon) || !soon(self.instant()))
        {
            self.told_exhausted.set(true);
            driver.router().stop_driver();
        }
    }

    /// Waits for `moment` or something outside, at most for `patience`.
    fn sleep(&self, moment: Option<Instant>, patience: Option<Duration>) {
        self.flush();
        if self.clock.is_simulated() {
            self.readiness.wait(Some(Duration::ZERO));
            match moment {
                Some(moment) => return self.clock.advance_to(moment),
                // What polls without a timer waits for time itself.
                None if patience.is_some() => self.clock.advance(Duration::from_micros(1)),
                None => {}
            }
        }
        let left = moment.map(|moment| moment.since(self.instant()));
        self.readiness.wait(match (left, patience) {
            (Some(left), Some(patience)) => Some(left.min(patience)),
            (left, patience) => left.or(patience),
        });
        self.drain_wake();
    }

    fn drain_wake(&self) {
        if let Some(woken) = self.woken.as_ref().filter(|woken| woken.readable.get()) {
            let mut bytes = [0; 64];
            while rustix::io::read(&woken.socket, &mut bytes).is_ok_and(|count| count > 0) {}
            woken.readable.set(false);
        }
    }
}
