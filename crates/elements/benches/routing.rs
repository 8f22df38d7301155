//! What a packet costs on the path through an IP router.
//!
//! 64-byte packets of 10,000 flows in random order, each flow with a destination of its own, through
//! ever longer parts of the path; the first part is the source alone.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use divan::Bencher;
use divan::counter::ItemsCount;
use sprat_click::driver::Driver;
use sprat_click::environment::{AccessError, Console, Device, Environment, Input, Output};
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::{Instant, Timestamp};
use sprat_packet::headers::{Ipv4Fields, UdpFields, protocol};
use sprat_packet::{Batch, Pool};

fn main() {
    divan::main();
}

/// Marsaglia's xorshift, 64 bits, shifts 13, 7, 17.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap_or(0)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

const FLOWS: usize = 10_000;
const PACKETS: usize = 200_000;

/// A device that gives the packets of its flows in random order, up to a number set from outside.
struct Flows {
    frames: Vec<[u8; 64]>,
    order: Vec<u16>,
    at: Cell<usize>,
    left: Cell<usize>,
}

impl Flows {
    fn new() -> Self {
        let mut random = Random(42);
        let frames = (0..FLOWS).map(|flow| frame(flow, &mut random)).collect();
        let order = (0..1 << 18)
            .map(|_| u16::try_from(random.below(FLOWS)).unwrap_or(0))
            .collect();
        Self {
            frames,
            order,
            at: Cell::new(0),
            left: Cell::new(0),
        }
    }
}

fn frame(flow: usize, random: &mut Random) -> [u8; 64] {
    let destination = loop {
        let address = random.next();
        if matches!(address >> 24, 1..=9 | 11..=126 | 128..=223) {
            break address;
        }
    };
    let network = Ipv4Fields {
        type_of_service: 0,
        total_length: 50,
        identification: 0,
        flags_and_offset: 0,
        time_to_live: 64,
        protocol: protocol::UDP,
        source: (0x0a00_0001 + u32::try_from(flow).unwrap_or(0)).into(),
        destination: destination.into(),
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
    frame
}

impl Device for Flows {
    fn receive(&self, pool: &Pool, limit: usize, batch: &mut Batch) {
        let count = limit.min(self.left.get());
        self.left.set(self.left.get() - count);
        for _ in 0..count {
            let at = self.at.get();
            self.at.set((at + 1) % self.order.len());
            batch.push(pool.packet(&self.frames[usize::from(self.order[at])]));
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

/// Prefixes as full tables have them, half of them /24, and a default route.
fn routes(count: usize) -> String {
    let mut random = Random(7);
    let mut text = String::from("0.0.0.0/0 18.26.4.1 1");
    for _ in 1..count {
        let length = [16, 16, 20, 20, 22, 22, 24, 24, 24, 24, 24, 24][random.below(12)];
        let prefix = std::net::Ipv4Addr::from(random.next() | 0x0100_0000);
        let (gateway, output) = (1 + random.below(9), random.below(2));
        text.push_str(&format!(", {prefix}/{length} 18.26.4.{gateway} {output}"));
    }
    text
}

fn path(part: &str) -> String {
    let check = "src :: FromDevice(in) -> Strip(14)
        -> CheckIPHeader(INTERFACES 10.0.0.254/255.0.0.0 18.26.4.24/255.255.255.0)";
    let out = |address: &str| {
        format!(
            "IPGWOptions({address}) -> FixIPSrc({address}) -> DecIPTTL -> IPFragmenter(1500) -> d"
        )
    };
    match part {
        "source" => "src :: FromDevice(in) -> Discard".into(),
        "check" => format!("{check} -> Discard"),
        "lookup of 4" | "lookup of 1001" | "lookup of 100000" => {
            let count = part
                .rsplit(' ')
                .next()
                .and_then(|count| count.parse().ok())
                .unwrap_or(4);
            format!(
                "{check} -> r :: RadixIPLookup({}) -> d :: Discard; r[1] -> d",
                routes(count)
            )
        }
        _ => format!(
            "{check} -> r :: RadixIPLookup({}); d :: Discard; r[0] -> {}; r[1] -> {}",
            routes(1001),
            out("10.0.0.254"),
            out("18.26.4.24"),
        ),
    }
}

#[divan::bench(args = ["source", "check", "lookup of 4", "lookup of 1001", "lookup of 100000", "router"])]
fn packets(bencher: Bencher<'_, '_>, part: &str) {
    let device = Rc::new(Flows::new());
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
    let Ok((router, _)) = builder.build(&path(part), "bench") else {
        panic!("{part} does not build")
    };
    let mut driver = Driver::new(router);
    bencher.counter(ItemsCount::new(PACKETS)).bench_local(|| {
        device.left.set(PACKETS);
        while device.left.get() > 0 {
            driver.step();
        }
    });
}
