//! A source of packets, and a place for routers to run in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use divan::Bencher;
use divan::counter::ItemsCount;
use sprat_click::driver::Driver;
use sprat_click::environment::{AccessError, Console, Device, Environment, Input, Output};
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::{Instant, Timestamp};
use sprat_packet::checksum::Sum;
use sprat_packet::headers::{Ipv4Fields, UdpFields, protocol};
use sprat_packet::{Batch, Pool};

/// Marsaglia's xorshift, 64 bits, shifts 13, 7, 17.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap_or(0)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

/// Packets of one measurement.
const PACKETS: usize = 200_000;

/// A device that gives 64-byte packets of flows in random order, up to a number set from outside.
/// They are made as they are given, so that the source costs the same whatever the flows.
struct Flows {
    count: usize,
    frame: [u8; 64],
    random: RefCell<Random>,
    /// Flows of which each packet to come is the next one, before random order begins.
    first: Cell<usize>,
    left: Cell<usize>,
}

impl Flows {
    fn new(count: usize) -> Self {
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: 50,
            identification: 0,
            flags_and_offset: 0,
            time_to_live: 64,
            protocol: protocol::UDP,
            source: 0.into(),
            destination: 0.into(),
        };
        let transport = UdpFields {
            source_port: 1234,
            destination_port: 5678,
            length: 30,
            checksum: 0,
        };
        let mut frame = [0; 64];
        frame[..14].copy_from_slice(&[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 8, 0]);
        frame[14..34].copy_from_slice(&network.to_bytes());
        frame[34..42].copy_from_slice(&transport.to_bytes());
        Self {
            count,
            frame,
            random: RefCell::new(Random(42)),
            first: Cell::new(0),
            left: Cell::new(0),
        }
    }

    /// A frame of a flow: from a host of its own in 10.0.0.0/8, to a destination of its own in
    /// 11.0.0.0 to 126.255.255.255.
    fn frame(&self, flow: usize) -> [u8; 64] {
        let flow = u32::try_from(flow).unwrap_or(0);
        let destination = flow.wrapping_mul(0x9e37_79b1);
        let first = 11 + (destination >> 24) % 116;
        let destination = first << 24 | destination & 0x00ff_ffff;
        let mut frame = self.frame;
        frame[26..30].copy_from_slice(&(0x0a00_0001 + flow).to_be_bytes());
        frame[30..34].copy_from_slice(&destination.to_be_bytes());
        let sum = u16::from_be_bytes([frame[24], frame[25]]);
        let sum = Sum::of(&frame[26..34]).add_u16(!sum).finish();
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    }
}

impl Device for Flows {
    fn receive(&self, pool: &Pool, limit: usize, batch: &mut Batch) {
        let count = limit.min(self.left.get());
        self.left.set(self.left.get() - count);
        let mut random = self.random.borrow_mut();
        for _ in 0..count {
            let first = self.first.get();
            let flow = if first < self.count {
                self.first.set(first + 1);
                first
            } else {
                random.below(self.count)
            };
            batch.push(pool.packet(&self.frame(flow)));
        }
    }

    fn send(&self, batch: &mut Batch) {
        batch.clear();
    }
}

struct Place {
    device: Rc<Flows>,
    messages: RefCell<String>,
}

impl Environment for Place {
    fn instant(&self) -> Instant {
        Instant(1)
    }
    fn timestamp(&self) -> Timestamp {
        Timestamp(1)
    }
    fn console(&self, _: Console, text: &[u8]) {
        self.messages
            .borrow_mut()
            .push_str(&String::from_utf8_lossy(text));
    }
    fn random_seed(&self) -> u64 {
        1
    }
    fn open_input(&self, _: &str) -> Result<Box<dyn Input>, AccessError> {
        Err(AccessError::Unsupported)
    }
    fn open_output(&self, _: &str, _: bool) -> Result<Box<dyn Output>, AccessError> {
        Err(AccessError::Unsupported)
    }
    fn device(&self, _: &str) -> Result<Rc<dyn Device>, AccessError> {
        Ok(self.device.clone())
    }
}

/// Measures packets of so many flows through a configuration that takes them from a device. It has
/// seen every flow before.
pub(crate) fn measure(bencher: Bencher<'_, '_>, flows: usize, configuration: &str) {
    let device = Rc::new(Flows::new(flows));
    let place = Rc::new(Place {
        device: device.clone(),
        messages: RefCell::default(),
    });
    let builder = Rc::new(Builder::new(
        sprat_elements::library(),
        place,
        Pool::growing(),
        parser(Rc::new(NoLibraries), Vec::new()),
    ));
    let Ok((router, _)) = builder.build(configuration, "bench") else {
        panic!("{configuration} does not build")
    };
    let mut driver = Driver::new(router);
    let mut run = |packets: usize| {
        device.left.set(packets);
        while device.left.get() > 0 {
            driver.step();
        }
    };
    run(flows);
    bencher
        .counter(ItemsCount::new(PACKETS))
        .bench_local(|| run(PACKETS));
}
