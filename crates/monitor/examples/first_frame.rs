//! Measures what it takes to create an instance and get its first frame out.
//!
//! ```sh
//! cargo run --release -p sprat-monitor --example first_frame IMAGE [CONFIGURATION]
//! ```
//! The image must forward what comes in on `eth0`, to whatever device. Each monitor is tried several
//! times; the first is the coldest.

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::{
    Grant, GrantedDevice, Image, Monitor, Options, Outcome, ProcessMonitor, VmMonitor,
};
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().ok_or("which image?")?;
    let configuration = match arguments.next() {
        Some(path) => std::fs::read(path)?,
        None => b"FromDevice(eth0) -> ToDevice(eth1);".to_vec(),
    };
    let file = std::fs::read(path)?;
    let start = Instant::now();
    let image = Image::load(&file)?;
    println!("loaded once in {:?}", start.elapsed());
    let options = || {
        let network = |name: &str, number| Grant {
            name: name.into(),
            device: GrantedDevice::Network {
                address: [2, 0, 0, 0, 0, number],
                frame_limit: 1514,
                features: 0,
            },
        };
        Options {
            configuration: configuration.clone(),
            devices: vec![network("eth0", 1), network("eth1", 2)],
            ..Options::default()
        }
    };
    let vm = VmMonitor::open()?;
    let process = ProcessMonitor::new();
    for monitor in [&vm as &dyn Monitor, &process] {
        for _ in 0..6 {
            measure(monitor, &image, &options())?;
        }
    }
    Ok(())
}

fn measure(monitor: &dyn Monitor, image: &Image, options: &Options) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut instance = monitor.create(image, options)?;
    let created = start.elapsed();
    let booting = Instant::now();
    let outcome = instance.enter(Duration::from_secs(5), false)?;
    if !matches!(outcome, Outcome::Yielded { .. }) {
        let mut text = [0; 4096];
        let count = instance.shared().read_console(&mut text)?;
        println!("{}", String::from_utf8_lossy(&text[..count]));
        return Err(format!("{outcome:?}").into());
    }
    let booted = booting.elapsed();
    let idle = instance.memory_use()?;
    let framing = Instant::now();
    let frame: [u8; 98] = std::array::from_fn(|i| [0x45, 2, 8, 0][i % 4]);
    instance
        .shared()
        .deliver(0, [Frame::new(&frame, FrameHead::at(1))])?;
    let mut out = 0;
    for _ in 0..100 {
        instance
            .enter(Duration::from_secs(5), false)?
            .stay_alive()?;
        for network in 0..2 {
            out += instance.shared().drain(network, u32::MAX, |_| {})?;
        }
        if out > 0 {
            break;
        }
    }
    let framed = framing.elapsed();
    println!(
        "{:?}: {:?} = create {created:?} + guest start {booted:?} + first frame {framed:?} ({out} out)\n    {:?}\n    idle: {} KiB private, {} KiB of the image",
        monitor.kind(),
        created + booted + framed,
        instance.creation_times(),
        idle.private >> 10,
        idle.shared >> 10,
    );
    Ok(())
}

trait StayAlive {
    fn stay_alive(self) -> Result<(), Box<dyn Error>>;
}

impl StayAlive for Outcome {
    fn stay_alive(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Yielded { .. } | Self::OutOfBudget => Ok(()),
            ended => Err(format!("{ended:?}").into()),
        }
    }
}
