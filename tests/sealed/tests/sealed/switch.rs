//! Attackers on a switch: whatever one does, its neighbours on the same thread lose no frame.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::{Death, Instance, Monitor, monotonic_now};
use sprat_switch::port::{Arrival, Counters, DropCause, Port, PortError};
use sprat_switch::switch::{
    Event, InstanceId, Looking, Match, Mirror, PortId, Rule, Side, Switch, SwitchOptions, Then,
};

use crate::world::{PATIENCE, built, monitors, options};

/// A port whose far end is the test.
#[derive(Clone, Default)]
struct Far(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    coming: VecDeque<Vec<u8>>,
    gone: Vec<Vec<u8>>,
}

impl Far {
    fn with<R>(&self, action: impl FnOnce(&mut Ends) -> R) -> R {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn offer(&self, frames: impl IntoIterator<Item = Vec<u8>>) {
        self.with(|ends| ends.coming.extend(frames));
    }

    fn gone(&self) -> Vec<Vec<u8>> {
        self.with(|ends| ends.gone.clone())
    }
}

/// The switch's end of it.
struct Near {
    far: Far,
    counters: Counters,
}

impl Port for Near {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        Ok(Arrival::Live)
    }

    fn receive(
        &mut self,
        limit: usize,
        _: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        self.far.with(|ends| {
            let mut taken = 0;
            while taken < limit
                && let Some(frame) = ends.coming.front()
                && deliver(&Frame::new(frame, FrameHead::default()))
            {
                ends.coming.pop_front();
                taken += 1;
            }
            Ok(taken)
        })
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let mut bytes = Vec::new();
        part.append_to(&mut bytes);
        self.far.with(|ends| ends.gone.push(bytes));
        Ok(())
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// A switch with ports of tests.
struct World {
    switch: Switch,
    events: Vec<Event>,
}

impl World {
    fn new() -> Self {
        let options = SwitchOptions {
            budget: Duration::from_millis(5),
            patience: 10,
            ..SwitchOptions::default()
        };
        Self {
            switch: Switch::new(options),
            events: Vec::new(),
        }
    }

    fn port(&mut self) -> (PortId, Far) {
        let far = Far::default();
        let near = Near {
            far: far.clone(),
            counters: Counters::default(),
        };
        (self.switch.add_port("far", Box::new(near)), far)
    }

    /// A place with an instance, and the port of its device.
    fn instance(&mut self, instance: Box<dyn Instance>) -> (InstanceId, PortId) {
        let place = self.switch.add_place("function", &["eth0".into()]);
        self.switch.put(place, instance);
        let port = self.switch.devices(place).next().expect("a device");
        (place, port)
    }

    /// Turns until `done`.
    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "it never came");
            let moved = self.switch.turn();
            self.events.extend(self.switch.take_events());
            if !moved {
                let soon = monotonic_now() + 1_000_000;
                self.switch.rest(soon, &[]).expect("sleep");
            }
        }
    }

    fn dropped(&self, port: PortId) -> Vec<(DropCause, u64)> {
        self.switch.port_counters(port).dropped
    }
}

fn create(monitor: &dyn Monitor, name: &str, configuration: &[u8]) -> Box<dyn Instance> {
    let image = &built(name).image;
    monitor
        .create(image, &options(configuration))
        .expect("created")
}

/// A UDP frame of a flow, with a number at its end.
fn frame(flow: u16, number: u32) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([
        0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    frame.extend(flow.to_be_bytes());
    frame.extend([0, 53, 0, 26, 0, 0]);
    frame.extend([0; 14]);
    frame.extend(number.to_be_bytes());
    frame
}

#[test]
fn every_frame_comes_back_in_order_however_many_come_at_once() {
    for monitor in monitors() {
        let mut world = World::new();
        let (port, far) = world.port();
        let (_, device) = world.instance(create(&*monitor, "forwards", b""));
        world.switch.wire(port, device);
        let frames: Vec<_> = (0..10_000).map(|number| frame(1, number)).collect();
        far.offer(frames.clone());
        world.until(|_| far.with(|ends| ends.gone.len()) >= 10_000);
        assert!(far.gone() == frames);
        assert_eq!(world.dropped(device), []);
        let counters = world.switch.port_counters(device);
        assert_eq!(
            (counters.received.frames, counters.sent.frames),
            (10_000, 10_000)
        );
    }
}

/// An instance that gives back what it hears, as it is, speaks for whoever it heard: on a line that is
/// dropped and counted, over a wire, where there are several and by a rule, unless it may.
#[test]
fn who_speaks_for_the_host_it_speaks_to_is_not_heard() {
    for monitor in monitors() {
        for way in ["wire", "several", "rule", "looked at"] {
            let mut world = World::new();
            let (port, far) = world.port();
            let (_, device) = world.instance(create(&*monitor, "forwards", b""));
            let join = world.switch.wire(port, device);
            let line = world.switch.add_line();
            world.switch.align(join, line, 0);
            match way {
                "several" => {
                    let (_, second) = world.instance(create(&*monitor, "forwards", b""));
                    world.switch.join(join, Side::Right, second, 0);
                }
                "rule" => world.switch.set_rules(vec![Rule {
                    fits: Match {
                        port: Some(device),
                        ..Match::default()
                    },
                    limit: None,
                    set_destination: None,
                    set_source: None,
                    copy: None,
                    then: Then::Forward(port),
                }]),
                "looked at" => world.switch.mirror(port, Box::new(Nobody)),
                _ => {}
            }
            let frames: Vec<_> = (0..100).map(|number| frame(1, number)).collect();
            far.offer(frames.clone());
            world.until(|world| world.switch.port_counters(device).received.frames >= 100);
            assert_eq!(world.dropped(device), [(DropCause::Forged, 100)], "{way}");
            assert!(far.gone().is_empty(), "{way}");
            world.switch.set_addresses(line, &[], vec![device]);
            far.offer(frames.clone());
            world.until(|_| far.with(|ends| ends.gone.len()) >= 100);
            assert!(far.gone() == frames, "{way}");
        }
    }
}

/// Also over a wire: what comes while a place is paused is for whoever is there afterwards.
#[test]
fn what_comes_while_a_place_is_paused_waits() {
    for monitor in monitors() {
        let mut world = World::new();
        let (port, far) = world.port();
        let (place, device) = world.instance(create(&*monitor, "forwards", b""));
        world.switch.wire(port, device);
        far.offer([frame(1, 0)]);
        world.until(|_| far.with(|ends| ends.gone.len() == 1));
        world.switch.pause(place, true);
        let frames: Vec<_> = (1..100).map(|number| frame(1, number)).collect();
        far.offer(frames.clone());
        world.until(|_| far.with(|ends| ends.coming.is_empty()));
        assert_eq!(world.switch.port_counters(device).sent.frames, 1);
        world.switch.pause(place, false);
        world.until(|_| far.with(|ends| ends.gone.len() == 100));
        assert!(far.gone()[1..] == frames);
    }
}

/// Looks on, and keeps nothing.
struct Nobody;

impl Mirror for Nobody {
    fn see(&mut self, _: &Frame<'_>, _: i64) -> bool {
        true
    }

    fn turn(&mut self) -> Looking {
        Looking::On
    }
}

/// Half of the flows go to an instance that never yields. Each of the others' frames comes back; each
/// of its own is dropped and counted, and in the end it is.
#[test]
fn one_that_never_yields_costs_only_itself_and_then_its_life() {
    for monitor in monitors() {
        let mut world = World::new();
        let (port, far) = world.port();
        let (spinning, lost) = world.instance(create(&*monitor, "spins", b""));
        let (_, device) = world.instance(create(&*monitor, "forwards", b""));
        let join = world.switch.add_join();
        world.switch.join(join, Side::Left, port, 1);
        world.switch.join(join, Side::Right, lost, 1);
        world.switch.join(join, Side::Right, device, 1);
        for round in 0..20 {
            far.offer((0..400).map(|flow| frame(flow, round)));
            world.until(|_| far.with(|ends| ends.coming.is_empty()));
        }
        let dead = |world: &mut World| {
            world.events.iter().any(|event| {
                matches!(event, Event::Ended { instance, death, .. }
                    if *instance == spinning && matches!(**death, Death::Hung { budgets: 10 }))
            })
        };
        world.until(dead);
        far.offer((0..400).map(|flow| frame(flow, 20)));
        world.until(|_| far.with(|ends| ends.coming.is_empty()));
        let passed = |world: &World| world.switch.port_counters(device).sent.frames;
        world.until(|world| far.gone().len() as u64 == passed(world));
        // Every frame went somewhere: to the one that forwards, into the rings of the one that spins
        // or to a drop that is counted.
        let counters = world.switch.port_counters(lost);
        let dropped: u64 = counters.dropped.iter().map(|(_, frames)| frames).sum();
        assert_eq!(passed(&world) + counters.sent.frames + dropped, 21 * 400);
        let full = counters
            .dropped
            .iter()
            .find(|(cause, _)| *cause == DropCause::ReceiverFull);
        assert!(full.is_some_and(|(_, frames)| *frames > 0), "{counters:?}");
        // After its end nobody's flow is lost any more.
        let last = |frame: &&Vec<u8>| frame.ends_with(&20_u32.to_be_bytes());
        assert_eq!(far.gone().iter().filter(last).count(), 400);
    }
}

/// Two get more frames than the thread can carry, of different lengths, and a third gets one now and
/// then: the two have as many carried as each other, and the third all of its own.
#[test]
fn under_overload_each_gets_an_equal_share_and_who_asks_for_little_gets_it() {
    for monitor in monitors() {
        let mut world = World::new();
        let mut ends = Vec::new();
        for _ in 0..3 {
            let (port, far) = world.port();
            let (_, device) = world.instance(create(&*monitor, "forwards", b""));
            world.switch.wire(port, device);
            ends.push((far, device));
        }
        let long = |number| [frame(1, number), vec![0; 1400]].concat();
        let mut small = Vec::new();
        for round in 0..40 {
            // More than is carried in a turn, whatever is left.
            for (far, fresh) in [
                (&ends[0].0, &frame as &dyn Fn(u16, u32) -> _),
                (&ends[1].0, &|_, number| long(number)),
            ] {
                let missing = 4096 - far.with(|ends| ends.coming.len()).min(4096);
                far.offer((0..missing).map(|_| fresh(1, round)));
            }
            let few = frame(2, round);
            ends[2].0.offer([few.clone()]);
            small.push(few);
            world.switch.turn();
        }
        let carried = |index: usize| ends[index].0.with(|ends| ends.gone.len());
        let [one, other] = [carried(0), carried(1)];
        assert!(
            one > 1000 && one.abs_diff(other) <= one / 10,
            "{one} and {other}"
        );
        world.until(|_| carried(2) >= small.len());
        assert!(ends[2].0.gone() == small);
        assert_eq!(world.dropped(ends[2].1), []);
    }
}

#[test]
fn one_that_lies_is_ended_and_another_takes_its_place() {
    for monitor in monitors() {
        for lie in [
            &b"receive index"[..],
            b"transmit index",
            b"transmit twice",
            b"supply index",
        ] {
            let mut world = World::new();
            let (port, far) = world.port();
            let (place, device) = world.instance(create(&*monitor, "lies", lie));
            world.switch.wire(port, device);
            let lied = |world: &mut World| {
                world.events.iter().any(|event| {
                    matches!(event, Event::Ended { death, .. } if matches!(**death, Death::Lied(_)))
                })
            };
            far.offer([frame(1, 0)]);
            world.until(|world| {
                far.offer([frame(1, 0)]);
                lied(world)
            });
            world.until(|_| far.with(|ends| ends.coming.is_empty()));
            assert!(
                world
                    .dropped(device)
                    .iter()
                    .any(|(cause, _)| *cause == DropCause::Ended)
                    || far.gone().is_empty()
            );
            far.with(|ends| ends.gone.clear());
            world.switch.put(place, create(&*monitor, "forwards", b""));
            far.offer([frame(1, 77)]);
            world.until(|_| !far.gone().is_empty());
            assert_eq!(far.gone(), [frame(1, 77)]);
        }
    }
}

#[test]
fn the_first_frame_boots_an_instance_and_is_not_lost() {
    for monitor in monitors() {
        let mut world = World::new();
        let (port, far) = world.port();
        let place = world.switch.add_place("function", &["eth0".into()]);
        let device = world.switch.devices(place).next().expect("a device");
        world.switch.wire(port, device);
        world.switch.keep_frames(place, true);
        far.offer((0..3).map(|number| frame(1, number)));
        world.until(|world| matches!(world.events[..], [Event::Wanted { .. }]));
        world.switch.put(place, create(&*monitor, "forwards", b""));
        world.until(|_| far.gone().len() == 3);
        assert_eq!(far.gone(), [0, 1, 2].map(|number| frame(1, number)));
    }
}

#[test]
fn an_instance_that_is_asked_to_stop_exits() {
    for monitor in monitors() {
        let mut world = World::new();
        let (place, _) = world.instance(create(&*monitor, "forwards", b""));
        world.until(|world| world.switch.instance_counters(place).entries > 0);
        world.switch.stop(place);
        world.until(|world| {
            world.events.iter().any(|event| {
                matches!(event, Event::Ended { death, .. } if matches!(**death, Death::Exited(0)))
            })
        });
    }
}

#[test]
fn what_a_flood_says_is_cut_off_and_counted() {
    for monitor in monitors() {
        let mut world = World::new();
        let (place, _) = world.instance(create(&*monitor, "floods_the_console", b""));
        world.until(|world| {
            let counters = world.switch.instance_counters(place);
            counters.console_dropped > 0 || counters.entries > 10
        });
        let said = world.events.iter().filter_map(|event| match event {
            Event::Console { text, .. } => Some(text.len()),
            _ => None,
        });
        let limit = SwitchOptions::default().console_limit;
        assert!(said.clone().count() > 0);
        for length in said {
            assert!(length <= limit, "{length}");
        }
    }
}
