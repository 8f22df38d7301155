//! Frames of captures and generators at a pace, on the machine's own time: as they were recorded, or so
//! many in a second.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use sprat_abi::host::Frame;
use sprat_monitor::monotonic_now;

use super::{Arrival, Counters, Port, PortError};

/// How fast frames come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// With the times between them that a capture has.
    Recorded,
    /// So many in a second, from each port.
    Rate(f64),
}

/// What ports that begin together have in common.
#[derive(Clone, Debug, Default)]
pub struct Start(Rc<Cell<Begun>>);

#[derive(Clone, Copy, Debug, Default)]
struct Begun {
    /// When the first frame of all was recorded, in nanoseconds since the Unix epoch.
    first: Option<i64>,
    /// When frames were asked for first, on the monotonic clock.
    at: Option<u64>,
}

impl Start {
    /// A port's first frame was recorded then.
    fn meet(&self, arrival: i64) {
        let mut begun = self.0.get();
        begun.first = Some(begun.first.map_or(arrival, |first| first.min(arrival)));
        self.0.set(begun);
    }

    /// How long ago frames were asked for first, in nanoseconds.
    fn passed(&self, now: u64) -> u64 {
        let mut begun = self.0.get();
        let at = *begun.at.get_or_insert(now);
        self.0.set(begun);
        now.saturating_sub(at)
    }

    /// The moment on the monotonic clock that is so long after the beginning.
    fn moment(&self, passed: u64) -> u64 {
        self.0.get().at.unwrap_or(0).saturating_add(passed)
    }
}

/// A port whose frames come at a pace.
pub struct Paced {
    port: Box<dyn Port>,
    pace: Pace,
    start: Start,
    met: bool,
    /// When the next frame arrives, as the port says.
    next: Arrival,
    /// Frames that were taken.
    given: u64,
}

impl Paced {
    /// The port at a pace. It begins with all others of this start: each is asked when its first frame
    /// arrives before any gives frames.
    #[must_use]
    pub fn new(port: Box<dyn Port>, pace: Pace, start: &Start) -> Self {
        Self {
            port,
            pace,
            start: start.clone(),
            met: false,
            next: Arrival::Live,
            given: 0,
        }
    }

    /// How long after the beginning a frame is due, at a rate and this number of frames before it.
    fn due(rate: f64, before: u64) -> u64 {
        whole((before as f64 * 1e9 / rate).ceil())
    }

    /// How many frames are due so long after the beginning.
    fn due_by(rate: f64, passed: u64) -> u64 {
        whole(passed as f64 * rate / 1e9).saturating_add(1)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "none is negative, and what is beyond all numbers is the last of them"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

impl Port for Paced {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        self.next = self.port.next_arrival()?;
        if let (false, Arrival::At(moment)) = (self.met, self.next) {
            self.met = true;
            self.start.meet(moment);
        }
        Ok(match (self.pace, self.next) {
            // When it was recorded does not matter.
            (Pace::Rate(_), Arrival::At(_)) => Arrival::Live,
            (_, next) => next,
        })
    }

    fn receive(
        &mut self,
        limit: usize,
        until: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        let passed = self.start.passed(monotonic_now());
        let taken = match self.pace {
            Pace::Recorded => {
                let first = self.start.0.get().first.unwrap_or(0);
                let until = until.min(first.saturating_add_unsigned(passed));
                self.port.receive(limit, until, deliver)?
            }
            Pace::Rate(rate) => {
                let due = Self::due_by(rate, passed).saturating_sub(self.given);
                let limit = limit.min(usize::try_from(due).unwrap_or(usize::MAX));
                self.port.receive(limit, i64::MAX, deliver)?
            }
        };
        self.given += taken as u64;
        Ok(taken)
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        self.port.send(part)
    }

    fn kick(&mut self) -> Result<(), PortError> {
        self.port.kick()
    }

    fn frame_limit(&self) -> usize {
        self.port.frame_limit()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.port.descriptor()
    }

    fn deadline(&self) -> Option<u64> {
        let passed = match (self.pace, self.next) {
            (_, Arrival::Never) => return self.port.deadline(),
            (Pace::Rate(rate), _) => Self::due(rate, self.given),
            (Pace::Recorded, Arrival::At(moment)) => {
                let first = self.start.0.get().first.unwrap_or(moment);
                u64::try_from(moment.saturating_sub(first)).unwrap_or(0)
            }
            (Pace::Recorded, Arrival::Live) => 0,
        };
        let due = self.start.moment(passed);
        Some(self.port.deadline().map_or(due, |own| own.min(due)))
    }

    fn flush(&mut self) -> Result<(), PortError> {
        self.port.flush()
    }

    fn finish(&mut self) -> Result<(), PortError> {
        self.port.finish()
    }

    fn counters(&self) -> &Counters {
        self.port.counters()
    }
}

#[cfg(test)]
mod tests {
    use sprat_abi::frame::FrameHead;

    use super::*;
    use crate::port::{Generator, GeneratorOptions};

    const BASE: i64 = 1_700_000_000_000_000_000;
    const MILLISECOND: u64 = 1_000_000;

    /// Frames recorded at these milliseconds after the base.
    struct Recorded {
        times: Vec<i64>,
        counters: Counters,
    }

    impl Port for Recorded {
        fn next_arrival(&mut self) -> Result<Arrival, PortError> {
            let at = |time: &i64| Arrival::At(BASE + time * 1_000_000);
            Ok(self.times.first().map_or(Arrival::Never, at))
        }

        fn receive(
            &mut self,
            limit: usize,
            until: i64,
            deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
        ) -> Result<usize, PortError> {
            let mut taken = 0;
            while taken < limit
                && matches!(self.next_arrival()?, Arrival::At(moment) if moment <= until)
                && deliver(&Frame::new(&[0; 60], FrameHead::default()))
            {
                self.times.remove(0);
                taken += 1;
            }
            Ok(taken)
        }

        fn send(&mut self, _: &Frame<'_>) -> Result<(), PortError> {
            Ok(())
        }

        fn counters(&self) -> &Counters {
            &self.counters
        }
    }

    fn recorded(times: &[i64]) -> Box<dyn Port> {
        Box::new(Recorded {
            times: times.into(),
            counters: Counters::default(),
        })
    }

    /// Asks the ports as a lane does until none has frames: when each frame came, in milliseconds after
    /// the first question, and from which.
    fn play(ports: &mut [Paced]) -> Vec<(u64, usize)> {
        let begin = monotonic_now();
        let mut came = Vec::new();
        loop {
            let arrivals: Vec<_> = ports
                .iter_mut()
                .map(|port| port.next_arrival().expect("sound"))
                .collect();
            if arrivals.iter().all(|arrival| *arrival == Arrival::Never) {
                return came;
            }
            let mut taken = 0;
            for (number, port) in ports.iter_mut().enumerate() {
                taken += port
                    .receive(8, i64::MAX, &mut |_| {
                        came.push(((monotonic_now() - begin) / MILLISECOND, number));
                        true
                    })
                    .expect("sound");
            }
            let due = ports.iter().filter_map(Port::deadline).min();
            if let (0, Some(due)) = (taken, due) {
                let now = monotonic_now();
                assert!(due > now || due + 50 * MILLISECOND > now, "it was due");
                std::thread::sleep(std::time::Duration::from_nanos(due.saturating_sub(now)));
            }
        }
    }

    #[test]
    fn what_was_recorded_comes_with_the_times_between_its_frames() {
        let start = Start::default();
        let mut ports = [&[20, 70, 70][..], &[0, 40]]
            .map(|times| Paced::new(recorded(times), Pace::Recorded, &start));
        let came = play(&mut ports);
        let order: Vec<_> = came.iter().map(|(_, port)| *port).collect();
        assert_eq!(order, [1, 0, 1, 0, 0]);
        for ((at, _), due) in came.iter().zip([0, 20, 40, 70, 70]) {
            assert!((due..due + 50).contains(at), "{came:?}");
        }
    }

    #[test]
    fn at_a_rate_frames_come_evenly_whenever_they_were_recorded() {
        let start = Start::default();
        let options = GeneratorOptions {
            size: 60,
            count: Some(11),
            flows: 1,
        };
        let years = 900_000_000_000;
        let mut ports = [
            Paced::new(Box::new(Generator::new(options)), Pace::Rate(100.0), &start),
            Paced::new(recorded(&[0, 1, years]), Pace::Rate(20.0), &start),
        ];
        let came = play(&mut ports);
        for (port, step, count) in [(0, 10, 11), (1, 50, 3)] {
            let times: Vec<_> = came.iter().filter(|(_, from)| *from == port).collect();
            assert_eq!(times.len(), count);
            for ((at, _), due) in times.iter().zip((0..).map(|number| number * step)) {
                assert!((due..due + 50).contains(at), "{came:?}");
            }
        }
    }
}
