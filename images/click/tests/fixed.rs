//! An image built for one configuration holds that, the elements it uses, and no others.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::Duration;

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_image::{BuildOptions, BuiltImage, Configuration, Package, build};
use sprat_monitor::{
    Grant, GrantedDevice, Image, Monitor, Options, Outcome, ProcessMonitor, VmMonitor,
};

const TEXT: &str = "FromDevice(eth0) -> c :: Counter -> Queue -> ToDevice(eth1);";

fn built() -> BuiltImage {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.join("../..").canonicalize().expect("the workspace");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("pass.click");
    std::fs::write(&path, TEXT).expect("a file");
    let configuration = Configuration {
        name: "pass.click".into(),
        path,
        classes: ["FromDevice", "Counter", "Queue", "ToDevice"]
            .map(str::to_owned)
            .into(),
    };
    let options = BuildOptions::new(workspace.join("target/images"));
    let package = Package {
        workspace,
        name: "click".into(),
    };
    let options = options.with_configuration(&configuration);
    build(&package, &options, &mut |_| {}).expect("the image builds")
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn options(configuration: &str) -> Options {
    let network = |name: &str, number| Grant {
        name: name.into(),
        device: GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, number],
            frame_limit: 1514,
            features: 0,
        },
    };
    Options {
        configuration: configuration.into(),
        devices: vec![network("eth0", 1), network("eth1", 2)],
        ..Options::default()
    }
}

/// Sends a frame in and counts what comes out.
fn forwarded(monitor: &dyn Monitor, image: &Image) -> u64 {
    let mut instance = monitor.create(image, &options("")).expect("created");
    let mut out = 0;
    for _ in 0..100 {
        let outcome = instance
            .enter(Duration::from_secs(5), false)
            .expect("entered");
        assert!(matches!(outcome, Outcome::Yielded { .. }), "{outcome:?}");
        out += instance
            .shared()
            .drain(1, u32::MAX, |_| {})
            .expect("honest") as u64;
        if out > 0 {
            break;
        }
        let frame = Frame::new(&[7; 60], FrameHead::at(1));
        instance.shared().deliver(0, [frame]).expect("delivered");
    }
    out
}

#[test]
fn an_image_of_one_configuration_holds_only_the_elements_it_uses() {
    let built = built();
    let kilobytes = built.image.len() / 1000;
    assert!(kilobytes <= 400, "{kilobytes} KB, with four elements");
    // By their names, and by the symbols of their code.
    assert!(contains(&built.image, "ToDevice"));
    for absent in ["IPRewriter", "RadixIPLookup", "ARPQuerier"] {
        assert!(!contains(&built.image, absent), "{absent}");
    }
    assert!(contains(&built.sidecar, "to_device"));
    for absent in ["arp_querier", "ip_rewriter", "icmp_error"] {
        assert!(!contains(&built.sidecar, absent), "{absent}");
    }

    let image = Image::load(&built.image).expect("a sound image");
    let mut monitors: Vec<Box<dyn Monitor>> = vec![Box::new(ProcessMonitor::new())];
    match VmMonitor::open() {
        Ok(monitor) => monitors.push(Box::new(monitor)),
        Err(error) => eprintln!("no KVM here: {error}"),
    }
    for monitor in monitors {
        assert!(forwarded(monitor.as_ref(), &image) > 0, "{monitor:?}");
        // Another configuration of the same classes goes; what it does not hold is named.
        let other = options("Idle -> ToDevice(eth1);");
        let mut instance = monitor.create(&image, &other).expect("created");
        let outcome = instance.enter(Duration::from_secs(5), false);
        assert!(
            matches!(outcome, Ok(Outcome::Exited { status: 1 })),
            "{outcome:?}"
        );
        let mut text = [0; 4096];
        let count = instance.shared().read_console(&mut text).expect("honest");
        let text = String::from_utf8_lossy(&text[..count]);
        assert!(text.contains("undeclared element 'Idle'"), "{text}");
    }
}
