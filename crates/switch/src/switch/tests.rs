//! Ports without instances: bridges, rules and wires, over ports whose far end is the test.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::*;
use crate::port::{Arrival, DropCause, Generator, GeneratorOptions, Sink};

/// A port whose far end is the test.
#[derive(Clone, Default)]
struct Far(Rc<RefCell<Ends>>);

#[derive(Default)]
struct Ends {
    coming: VecDeque<Vec<u8>>,
    gone: Vec<Vec<u8>>,
}

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
        let mut taken = 0;
        while taken < limit {
            let Some(frame) = self.far.0.borrow_mut().coming.pop_front() else {
                break;
            };
            assert!(deliver(&Frame::new(&frame, FrameHead::default())));
            taken += 1;
        }
        Ok(taken)
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let mut bytes = Vec::new();
        part.append_to(&mut bytes);
        if bytes.ends_with(b"broken") {
            return Err(PortError::OneWay {
                name: "far".into(),
                can: "breaks",
            });
        }
        self.far.0.borrow_mut().gone.push(bytes);
        Ok(())
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

fn port(switch: &mut Switch) -> (PortId, Far) {
    let far = Far::default();
    let near = Near {
        far: far.clone(),
        counters: Counters::default(),
    };
    (switch.add_port("far", Box::new(near)), far)
}

fn ports<const N: usize>(switch: &mut Switch) -> ([PortId; N], [Far; N]) {
    let all: Vec<_> = (0..N).map(|_| port(switch)).collect();
    (
        std::array::from_fn(|index| all[index].0),
        std::array::from_fn(|index| all[index].1.clone()),
    )
}

impl Far {
    /// Offers a frame, and lets the switch have a turn.
    fn offer(&self, switch: &mut Switch, frame: &[u8]) {
        self.0.borrow_mut().coming.push_back(frame.to_vec());
        switch.turn();
    }

    fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.borrow_mut().gone)
    }
}

const A: EthernetAddress = [2, 0, 0, 0, 0, 0xa];
const B: EthernetAddress = [2, 0, 0, 0, 0, 0xb];
const ALL: EthernetAddress = [0xff; 6];

fn frame(source: EthernetAddress, destination: EthernetAddress, rest: &[u8]) -> Vec<u8> {
    [&destination[..], &source, rest].concat()
}

/// A tag of VLAN 10 (IEEE 802.1Q), and what comes behind it.
const TAGGED: &[u8] = &[0x81, 0, 0, 10, 0x88, 0xb5, 1, 2, 3];
const UNTAGGED: &[u8] = &[0x88, 0xb5, 1, 2, 3];

/// Also where a rule would hand the frame on, and nothing is learnt of it.
#[test]
fn what_a_member_of_a_bridge_forges_is_dropped_and_counted() {
    let mut switch = Switch::new(SwitchOptions::default());
    let ([own, other, third], [at_own, at_other, at_third]) = ports(&mut switch);
    let bridge = switch.add_bridge();
    for port in [other, third] {
        switch.bridge(bridge, port, Membership::default());
    }
    let membership = Membership {
        sources: Some(vec![A]),
        ..Membership::default()
    };
    switch.bridge(bridge, own, membership);
    at_own.offer(&mut switch, &frame(B, ALL, UNTAGGED));
    switch.set_rules(vec![Rule {
        fits: Match {
            port: Some(own),
            ..Match::default()
        },
        limit: None,
        set_destination: None,
        set_source: None,
        copy: None,
        then: Then::Forward(other),
    }]);
    at_own.offer(&mut switch, &frame(B, ALL, UNTAGGED));
    assert!(at_other.take().is_empty() && at_third.take().is_empty());
    let dropped = switch.port_counters(own).dropped;
    assert_eq!(dropped, [(DropCause::Forged, 2)]);
    at_own.offer(&mut switch, &frame(A, ALL, UNTAGGED));
    assert_eq!(at_other.take(), [frame(A, ALL, UNTAGGED)]);
    // Where B is nobody knows: what is for it goes everywhere.
    at_other.offer(&mut switch, &frame(A, B, UNTAGGED));
    assert_eq!(at_third.take(), [frame(A, B, UNTAGGED)]);
}

#[test]
fn a_bridge_puts_tags_on_and_takes_them_off() {
    let mut switch = Switch::new(SwitchOptions::default());
    let ([access, other, trunk], [at_access, at_other, at_trunk]) = ports(&mut switch);
    let vlan = Vlan::new(10);
    let bridge = switch.add_bridge();
    for port in [access, other] {
        let membership = Membership {
            untagged: vlan,
            ..Membership::default()
        };
        switch.bridge(bridge, port, membership);
    }
    let membership = Membership {
        untagged: None,
        tagged: vlan.into_iter().collect(),
        sources: None,
    };
    switch.bridge(bridge, trunk, membership);
    at_access.offer(&mut switch, &frame(A, ALL, UNTAGGED));
    assert_eq!(at_other.take(), [frame(A, ALL, UNTAGGED)]);
    assert_eq!(at_trunk.take(), [frame(A, ALL, TAGGED)]);
    assert_eq!(at_access.take(), [] as [Vec<u8>; 0]);
    at_trunk.offer(&mut switch, &frame(B, A, TAGGED));
    assert_eq!(at_access.take(), [frame(B, A, UNTAGGED)]);
    assert_eq!(at_other.take(), [] as [Vec<u8>; 0]);
    // And without a tag there is no VLAN for it.
    at_trunk.offer(&mut switch, &frame(B, A, UNTAGGED));
    assert_eq!(switch.port_counters(trunk).dropped, [(DropCause::Vlan, 1)]);
    let mut seen: Vec<_> = switch
        .addresses(bridge)
        .map(|(_, address, port, _)| (address, port))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [(A, access), (B, trunk)]);
}

#[test]
fn a_rule_copies_rewrites_and_redirects() {
    let mut switch = Switch::new(SwitchOptions::default());
    let ([one, two, three], [at_one, at_two, at_three]) = ports(&mut switch);
    switch.wire(one, two);
    switch.set_rules(vec![
        Rule {
            fits: Match {
                source: Some(B),
                ..Match::default()
            },
            limit: None,
            set_destination: None,
            set_source: None,
            copy: None,
            then: Then::Drop,
        },
        Rule {
            fits: Match {
                port: Some(one),
                ..Match::default()
            },
            limit: None,
            set_destination: Some(B),
            set_source: Some(A),
            copy: Some(three),
            then: Then::Pass,
        },
    ]);
    at_one.offer(&mut switch, &frame(ALL, ALL, UNTAGGED));
    assert_eq!(at_two.take(), [frame(A, B, UNTAGGED)]);
    assert_eq!(at_three.take(), [frame(A, B, UNTAGGED)]);
    at_one.offer(&mut switch, &frame(B, A, UNTAGGED));
    assert_eq!(switch.port_counters(one).dropped, [(DropCause::Rule, 1)]);
    // The other direction is not what the second rule is about.
    at_two.offer(&mut switch, &frame(A, ALL, UNTAGGED));
    assert_eq!(at_one.take(), [frame(A, ALL, UNTAGGED)]);
    let counted: Vec<_> = switch.rules().map(|(_, counted)| counted.frames).collect();
    assert_eq!(counted, [1, 1]);
}

#[test]
fn a_port_that_fails_is_told_of_once_and_can_be_replaced() {
    let mut switch = Switch::new(SwitchOptions::default());
    let ([one, two], [at_one, _]) = ports(&mut switch);
    switch.wire(one, two);
    at_one.offer(&mut switch, &frame(A, B, b"broken"));
    at_one.offer(&mut switch, &frame(A, B, b"whole"));
    let events = switch.take_events();
    assert!(
        matches!(&events[..], [Event::PortFailed { port, .. }] if *port == two),
        "{events:?}"
    );
    assert_eq!(switch.port_counters(two).dropped, [(DropCause::Gone, 2)]);
    let far = Far::default();
    let near = Near {
        far: far.clone(),
        counters: Counters::default(),
    };
    switch.replace_port(two, Some(Box::new(near)));
    at_one.offer(&mut switch, &frame(A, B, b"whole"));
    assert_eq!(far.take(), [frame(A, B, b"whole")]);
}

#[test]
fn a_port_that_is_part_of_nothing_drops_what_comes() {
    let mut switch = Switch::new(SwitchOptions::default());
    let ([one, two], [at_one, _]) = ports(&mut switch);
    switch.wire(one, two);
    switch.leave(two);
    at_one.offer(&mut switch, &frame(A, B, UNTAGGED));
    switch.leave(one);
    at_one.offer(&mut switch, &frame(A, B, UNTAGGED));
    at_one.offer(&mut switch, b"short");
    assert_eq!(
        switch.port_counters(one).dropped,
        [
            (DropCause::NoReceiver, 1),
            (DropCause::NotConnected, 1),
            (DropCause::Malformed, 1)
        ]
    );
}

#[test]
fn a_wire_carries_every_frame_of_a_generator_to_a_sink() {
    let mut switch = Switch::new(SwitchOptions::default());
    let generator = Generator::new(GeneratorOptions {
        count: Some(10_000),
        ..GeneratorOptions::default()
    });
    let generator = switch.add_port("generator", Box::new(generator));
    let sink = switch.add_port("sink", Box::new(Sink::default()));
    switch.wire(generator, sink);
    while switch.turn() {}
    let counters = switch.port_counters(sink).sent;
    assert_eq!((counters.frames, counters.bytes), (10_000, 640_000));
}

/// Keeps what it sees, and goes when it has seen enough.
struct Watching {
    seen: Rc<RefCell<Vec<Vec<u8>>>>,
    enough: usize,
}

impl Mirror for Watching {
    fn see(&mut self, frame: &Frame<'_>, _: i64) -> bool {
        let mut seen = self.seen.borrow_mut();
        let fits = seen.len() < self.enough;
        if fits {
            let mut bytes = Vec::new();
            frame.append_to(&mut bytes);
            seen.push(bytes);
        }
        fits
    }

    fn turn(&mut self) -> Looking {
        match self.seen.borrow().len() == self.enough {
            true => Looking::Over,
            false => Looking::On,
        }
    }
}

#[test]
fn whoever_looks_on_at_a_port_sees_both_ways_over_wires_and_bridges_and_changes_nothing() {
    for wired in [true, false] {
        let mut switch = Switch::new(SwitchOptions::default());
        let ([one, two], [at_one, at_two]) = ports(&mut switch);
        if wired {
            switch.wire(one, two);
        } else {
            let bridge = switch.add_bridge();
            for port in [one, two] {
                switch.bridge(bridge, port, Membership::default());
            }
        }
        let all: Vec<_> = (0..6)
            .map(|number| frame(A, ALL, &[0x88, 0xb5, number]))
            .collect();
        at_one.offer(&mut switch, &all[0]);
        let seen = Rc::<RefCell<Vec<Vec<u8>>>>::default();
        let watching = Watching {
            seen: seen.clone(),
            enough: 3,
        };
        switch.mirror(one, Box::new(watching));
        at_one.offer(&mut switch, &all[1]);
        let back = frame(B, ALL, UNTAGGED);
        at_two.offer(&mut switch, &back);
        // Two in one turn, of which it has room for the first.
        at_one.0.borrow_mut().coming.push_back(all[2].clone());
        at_one.offer(&mut switch, &all[3]);
        at_one.offer(&mut switch, &all[4]);
        assert_eq!(
            *seen.borrow(),
            [all[1].clone(), back.clone(), all[2].clone()]
        );
        assert_eq!(switch.unmirrored(one), 1);
        assert_eq!(at_two.take(), all[..5], "nothing is lost, nothing twice");
        assert_eq!(at_one.take(), [back]);
    }
}

/// An IPv4 frame of a UDP flow (RFC 791, RFC 768) that carries its flow's number and its own. The
/// addresses of flows differ, one way or the other.
fn numbered(flow: u32, sequence: u8, back: bool) -> Vec<u8> {
    let [_, b, c, d] = flow.to_be_bytes();
    let ends = [[10, b, c, d], [192, 0, 2, 1]];
    let [source, destination] = if back { [ends[1], ends[0]] } else { ends };
    let ports = if back { [53, 9, 4, 0] } else { [4, 0, 53, 9] };
    let mut rest = vec![0x08, 0x00, 0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0];
    rest.extend(source);
    rest.extend(destination);
    rest.extend([ports, [0, 13, 0, 0]].concat());
    rest.extend(flow.to_be_bytes());
    rest.push(sequence);
    frame(A, B, &rest)
}

/// The flow's number and the frame's, of a frame that [`numbered`] made.
fn number_of(frame: &[u8]) -> (u32, u8) {
    let &[.., a, b, c, d, sequence] = frame else {
        panic!("{frame:?}");
    };
    (u32::from_be_bytes([a, b, c, d]), sequence)
}

/// 10,000 flows of six frames each, in order: four before the shares change and two after, and
/// 10,000 flows that come after.
#[test]
fn of_ten_thousand_flows_each_stays_in_order_where_it_was_when_shares_change() {
    let mut switch = Switch::new(SwitchOptions::default());
    let ([from, one, other], [at_from, at_one, at_other]) = ports(&mut switch);
    let join = switch.add_join();
    switch.join(join, Side::Left, from, 1);
    switch.join(join, Side::Right, one, 90);
    switch.join(join, Side::Right, other, 10);
    let mut owners = std::collections::HashMap::new();
    let mut pass = |switch: &mut Switch, flows: std::ops::Range<u32>, sequence: u8| {
        let frames = flows.clone().map(|flow| numbered(flow, sequence, false));
        at_from.0.borrow_mut().coming.extend(frames);
        while switch.turn() {}
        let mut counts = [0_usize; 2];
        for (place, far) in [&at_one, &at_other].into_iter().enumerate() {
            let mut last = None;
            for frame in far.take() {
                let (flow, number) = number_of(&frame);
                assert_eq!(number, sequence);
                assert!(last < Some(flow), "in the order they came");
                last = Some(flow);
                let owner = *owners.entry(flow).or_insert(place);
                assert_eq!(owner, place, "flow {flow} moved");
                counts[place] += 1;
            }
        }
        assert_eq!(counts.iter().sum::<usize>(), flows.len(), "every frame");
        counts[1]
    };
    for sequence in 0..4 {
        let tried = pass(&mut switch, 0..10_000, sequence);
        assert!(
            (900..=1100).contains(&tried),
            "a tenth, within 1 %: {tried}"
        );
    }
    switch.join(join, Side::Right, one, 50);
    switch.join(join, Side::Right, other, 50);
    for sequence in 4..6 {
        let tried = pass(&mut switch, 0..10_000, sequence);
        assert!((900..=1100).contains(&tried), "they stay: {tried}");
        let tried = pass(&mut switch, 10_000..20_000, sequence);
        assert!((4900..=5100).contains(&tried), "half, within 1 %: {tried}");
    }
}

#[test]
fn what_a_replica_sends_is_answered_to_it_whatever_the_shares_are() {
    let mut switch = Switch::new(SwitchOptions::default());
    let ([one, other, out], [at_one, at_other, at_out]) = ports(&mut switch);
    let join = switch.add_join();
    switch.join(join, Side::Left, one, 1);
    switch.join(join, Side::Left, other, 1);
    switch.join(join, Side::Right, out, 1);
    for flow in 0..200 {
        let (sender, bystander) = match flow % 2 {
            0 => (&at_one, &at_other),
            _ => (&at_other, &at_one),
        };
        sender.offer(&mut switch, &numbered(flow, 0, false));
        assert_eq!(at_out.take().len(), 1);
        switch.join(join, Side::Left, one, 1 + flow % 7);
        at_out.offer(&mut switch, &numbered(flow, 1, true));
        assert_eq!(sender.take(), [numbered(flow, 1, true)]);
        assert_eq!(bystander.take(), [] as [Vec<u8>; 0]);
    }
}
