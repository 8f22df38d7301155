//! What flows of rewriters take, counted by the allocator.

mod counting;

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use counting::{CALLS, NOW};
use sprat_click::driver::Driver;
use sprat_click::environment::Environment;
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_packet::Pool;
use sprat_packet::headers::{Ipv4Fields, UdpFields, protocol};

/// A packet of a flow: each from a host of its own.
fn packet(flow: u32) -> [u8; 28] {
    let network = Ipv4Fields {
        type_of_service: 0,
        total_length: 28,
        identification: 0,
        flags_and_offset: 0,
        time_to_live: 64,
        protocol: protocol::UDP,
        source: (0x0a00_0000 + flow).into(),
        destination: (0x0b00_0000 + flow / 1000).into(),
    };
    let transport = UdpFields {
        source_port: 1234,
        destination_port: 5678,
        length: 8,
        checksum: 0,
    };
    let mut packet = [0; 28];
    packet[..20].copy_from_slice(&network.to_bytes());
    packet[20..].copy_from_slice(&transport.to_bytes());
    packet
}

struct Nat {
    simulation: Rc<Simulation>,
    driver: Driver,
}

impl Nat {
    fn new() -> Self {
        let simulation = Simulation::new();
        let builder = Rc::new(Builder::new(
            sprat_elements::library(),
            simulation.clone(),
            Pool::growing(),
            parser(Rc::new(NoLibraries), Vec::new()),
        ));
        let text = "FromDevice(in) -> MarkIPHeader(0)
            -> nat :: IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1) -> Discard; nat[1] -> Discard";
        let (router, _) = builder
            .build(text, "config")
            .expect("a right configuration");
        Self {
            simulation,
            driver: Driver::new(router),
        }
    }

    /// Takes packets of flows; returns how often the router allocated for them.
    fn take(&mut self, flows: impl Iterator<Item = u32>) -> usize {
        let device = self.simulation.simulated_device("in");
        flows.for_each(|flow| device.arrive(&packet(flow), self.simulation.timestamp()));
        let before = CALLS.load(Ordering::Relaxed);
        self.simulation
            .run(&mut self.driver, Duration::from_millis(1));
        CALLS.load(Ordering::Relaxed) - before
    }

    fn flows(&self) -> String {
        let size = self.driver.router().read("nat.size", "");
        size.expect("a handler that can be read")
    }
}

/// One test in one process: others would allocate at the same time.
#[test]
fn a_million_flows_take_128_bytes_each_and_packets_of_known_flows_none() {
    const FLOWS: u32 = 1_000_000;
    const STEP: u32 = 1_000;
    let mut nat = Nat::new();
    // So that buffers and queues have the size that they keep.
    nat.take(0..STEP);
    let before = NOW.load(Ordering::Relaxed);
    for start in (STEP..FLOWS + STEP).step_by(STEP as usize) {
        nat.take(start..start + STEP);
    }
    assert_eq!(nat.flows(), (FLOWS + STEP).to_string());
    let bytes = NOW.load(Ordering::Relaxed) - before;
    assert!(bytes <= 128 * FLOWS as usize, "{bytes} bytes");

    let scattered = (0..STEP).map(|number| number * 617);
    assert_eq!(nat.take(scattered), 0);
}
