//! Holds an image with a network and a block device until it is killed: `hold MONITOR IMAGE FILE PORT`.
//! Says where the port is published.
#![forbid(unsafe_code)]

use std::fs::File;

use services::{Service, block_device};
use sprat_monitor::{Monitor, ProcessMonitor, VmMonitor};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().expect("MONITOR IMAGE FILE PORT");
    let monitor: Box<dyn Monitor> = match argument().as_str() {
        "vm" => Box::new(VmMonitor::open().expect("/dev/kvm")),
        _ => Box::new(ProcessMonitor::new()),
    };
    let image = std::fs::read(argument()).expect("an image");
    let file = File::options().read(true).write(true).open(argument());
    let device = block_device("data", file.expect("a file"));
    let port = argument();
    let mut service = Service::start_bytes(&*monitor, &image, &[], &[&port], |_, options| {
        options.devices.push(device);
    });
    println!("{}", service.address(0));
    let status = service.wait();
    eprintln!("{}ended with {status:?}", service.console());
}
