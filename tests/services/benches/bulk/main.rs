//! What one TCP connection carries, with an MTU of 1,500: between two instances on one core, and
//! between an instance and Linux over a tap interface.
//!
//! Each line is one direction. `BULK`, the monitor, which of two instances sends, and Gbit a second:
//! of the core's time under KVM, so that others who use the machine do not count; of the clock's where
//! the instances are processes of their own. `TAP`, who is at the other end of Linux' connection (a
//! monitor, or Linux in another namespace), the way (`from` or `to` Linux), Gbit a second by the clock,
//! and how many times that is what Linux carries to Linux. The middle one of several runs is printed;
//! all that is compared takes turns.
#![allow(missing_docs)]

mod pair;
mod tap;

use std::time::Duration;

use services::{built, monitors};
use sprat_monitor::{Grant, GrantedDevice, Image, Monitor, Options};

const RUNS: usize = 5;

const MEBIBYTES: u64 = 512;

const BYTES: u64 = MEBIBYTES << 20;

fn main() {
    let image = Image::load(&built("bulk").image).expect("a sound image");
    let monitors = monitors();
    tap::measure(&monitors, &image);
    pair::measure(&monitors, &image);
}

/// What an instance of `bulk` is given: an address, and whom to send to.
fn options(number: u8, to: Option<u8>) -> Options {
    let mut parameters = vec![("ip".into(), format!("10.0.0.{number}/24"))];
    if let Some(to) = to {
        parameters.push(("to".into(), format!("10.0.0.{to}")));
        parameters.push(("mebibytes".into(), MEBIBYTES.to_string()));
    }
    Options {
        parameters,
        devices: vec![Grant {
            name: "eth0".into(),
            device: GrantedDevice::Network {
                address: [2, 0, 0, 0, 0, number],
                frame_limit: 1514,
                features: 0,
            },
        }],
        ..Options::default()
    }
}

fn gigabits(time: Duration) -> f64 {
    BYTES as f64 * 8.0 / time.as_secs_f64() / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How a monitor is called.
fn name(monitor: &dyn Monitor) -> String {
    format!("{:?}", monitor.kind()).to_lowercase()
}
