//! Each image in `src/bin` breaks one rule: it is ended with exactly the right report, and a neighbour
//! goes on forwarding every frame in order.
#![allow(missing_docs)]

use sprat_abi::control::{ControlLie, MessageHead};
use sprat_abi::frame::{FrameHead, SlotLie};
use sprat_abi::host::{Frame, Lie};
use sprat_abi::ring::{RingLie, Side};
use sprat_image::{BuildOptions, Package, build_binary};
use sprat_monitor::{
    Cause, Death, Grant, GrantedDevice, Image, Instance, Monitor, MonitorKind, Options, Outcome,
    ProcessMonitor, Symbols, VmMonitor,
};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Long enough for what ends by itself on a busy machine.
const BUDGET: Duration = Duration::from_secs(5);

struct Built {
    image: Image,
    /// The file with its symbols.
    sidecar: tempfile::NamedTempFile,
}

impl Built {
    fn symbols(&self) -> Symbols {
        Symbols::load(self.sidecar.path(), self.image.build_id()).expect("symbols")
    }
}

/// An image, built the first time it is asked for.
fn built(name: &str) -> Arc<Built> {
    static BUILT: Mutex<Option<HashMap<String, Arc<Built>>>> = Mutex::new(None);
    let mut cache = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_default();
    cache
        .entry(name.into())
        .or_insert_with(|| Arc::new(build(name)))
        .clone()
}

fn build(name: &str) -> Built {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: "sealed".into(),
    };
    let options = BuildOptions::new(workspace.join("target/images"));
    let built = build_binary(&package, name, &options, &mut |_| {}).expect("the image builds");
    let image = Image::load(&built.image).expect("a sound image");
    let sidecar = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(sidecar.path(), &built.sidecar).expect("written");
    Built { image, sidecar }
}

fn monitors() -> Vec<Box<dyn Monitor>> {
    let mut monitors: Vec<Box<dyn Monitor>> = vec![Box::new(ProcessMonitor::new())];
    match VmMonitor::open() {
        Ok(monitor) => monitors.push(Box::new(monitor)),
        Err(error) => eprintln!("the vm monitor is left out: {error}"),
    }
    monitors
}

fn options(configuration: &[u8]) -> Options {
    let network = GrantedDevice::Network {
        address: [2, 0, 0, 0, 0, 1],
        frame_limit: 1514,
        features: 0,
    };
    Options {
        configuration: configuration.to_vec(),
        devices: vec![
            Grant {
                name: "eth0".into(),
                device: network,
            },
            Grant {
                name: "out.txt".into(),
                device: GrantedDevice::OutputFile,
            },
        ],
        ..Options::default()
    }
}

/// An honest instance beside the one that attacks.
struct Neighbour {
    instance: Box<dyn Instance>,
    sent: u64,
    received: u64,
}

impl Neighbour {
    fn new(monitor: &dyn Monitor) -> Self {
        let instance = monitor
            .create(&built("forwards").image, &options(b""))
            .expect("created");
        Self {
            instance,
            sent: 0,
            received: 0,
        }
    }

    /// Sends it a batch, and expects every frame back, in order and whole.
    fn forward(&mut self) {
        let frames: Vec<Vec<u8>> = (self.sent..self.sent + 100).map(frame).collect();
        let offered = frames
            .iter()
            .map(|frame| Frame::new(frame, FrameHead::default()));
        let delivery = self.instance.shared().deliver(0, offered).expect("honest");
        assert_eq!(delivery.delivered, 100);
        self.sent += 100;
        let outcome = self.instance.enter(BUDGET, false).expect("entered");
        assert!(matches!(outcome, Outcome::Yielded { .. }), "{outcome:?}");
        let received = &mut self.received;
        let drained = self.instance.shared().drain(0, u32::MAX, |part| {
            let mut bytes = vec![];
            part.append_to(&mut bytes);
            assert_eq!(bytes, frame(*received), "frame {received}");
            *received += 1;
        });
        assert_eq!(drained, Ok(100));
        assert_eq!(self.received, self.sent);
    }
}

/// The frame of a sequence number: number, and bytes that depend on it.
fn frame(number: u64) -> Vec<u8> {
    let length = 60 + usize::try_from(number * 37 % 1400).expect("small");
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length, number.to_le_bytes()[0]);
    bytes
}

/// Uses everything that is shared with an instance, as a lane does after each entry.
fn serve(instance: &mut dyn Instance) -> Result<usize, Lie> {
    let shared = instance.shared();
    shared.reclaim()?;
    shared.drain(0, u32::MAX, |part| {
        let mut bytes = vec![];
        part.append_to(&mut bytes);
    })?;
    let mut text = vec![0; 1 << 20];
    let console = shared.read_console(&mut text)?;
    shared.read_output(0, &mut text)?;
    while shared.receive_answer(&mut text)?.is_some() {}
    shared.send_request(MessageHead::default(), b"name", b"")?;
    shared.deliver(0, [Frame::new(&[0; 60], FrameHead::default())])?;
    assert!(shared.records().count() <= 512 && shared.events().count() <= 256);
    Ok(console)
}

/// Runs an instance to its death, with the neighbour forwarding in between. A few entries must do.
fn attack(
    monitor: &dyn Monitor,
    neighbour: &mut Neighbour,
    name: &str,
    configuration: &[u8],
) -> Death {
    let built = built(name);
    let mut instance = monitor
        .create(&built.image, &options(configuration))
        .expect("created");
    let first = [Frame::new(&[0; 60], FrameHead::default())];
    instance
        .shared()
        .deliver(0, first)
        .expect("nothing was broken yet");
    let mut budgets = 0;
    for _ in 0..20 {
        neighbour.forward();
        let budget = if name == "spins" {
            Duration::from_millis(20)
        } else {
            BUDGET
        };
        match instance.enter(budget, false).expect("entered") {
            Outcome::Exited { status } => return Death::Exited(status),
            Outcome::Faulted(mut report) => {
                report.name_frames(&built.symbols());
                neighbour.forward();
                return Death::Faulted(report);
            }
            Outcome::OutOfBudget => {
                budgets += 1;
                if budgets == 3 {
                    instance.kill();
                    return Death::Hung { budgets };
                }
            }
            Outcome::Yielded { .. } => {
                if let Err(lie) = serve(&mut *instance) {
                    instance.kill();
                    neighbour.forward();
                    return Death::Lied(lie);
                }
            }
        }
    }
    panic!("{name} is still alive");
}

/// What a report must say: cause without the address, region, and the function it names first.
struct Expected {
    name: &'static str,
    vm: Cause,
    process: Cause,
    region: Option<&'static str>,
    function: &'static str,
}

fn exception(vector: u8, error_code: u64) -> Cause {
    Cause::Exception {
        vector,
        error_code,
        address: None,
    }
}

#[test]
fn each_breach_is_reported_exactly_and_harms_no_neighbour() {
    let same = |name, cause, region, function| Expected {
        name,
        vm: cause,
        process: cause,
        region,
        function,
    };
    // Of a write where nothing is mapped, the kernel does not tell a process's tracer that it was one.
    let unmapped_write = |name, vm, region, function| Expected {
        name,
        vm: exception(14, vm),
        process: exception(14, 4),
        region,
        function,
    };
    let cases = [
        same(
            "writes_text",
            exception(14, 7),
            Some("image text"),
            "writes_text",
        ),
        same(
            "writes_constants",
            exception(14, 7),
            Some("image read-only data"),
            "writes_constants",
        ),
        same(
            "writes_the_boot_page",
            exception(14, 7),
            Some("boot page"),
            "writes_the_boot_page",
        ),
        same(
            "runs_data",
            exception(14, 0x15),
            Some("image data"),
            "runs_data",
        ),
        same(
            "runs_stack",
            exception(14, 0x15),
            Some("stack"),
            "runs_stack",
        ),
        same("runs_heap", exception(14, 0x15), Some("heap"), "runs_heap"),
        same(
            "reads_page_zero",
            exception(14, 4),
            Some("page zero"),
            "reads_page_zero",
        ),
        unmapped_write("overflows_the_stack", 6, Some("stack guard"), "goes_deeper"),
        unmapped_write(
            "writes_supervisor_pages",
            7,
            Some("supervisor pages"),
            "writes_supervisor_pages",
        ),
        same(
            "writes_page_tables",
            exception(13, 0),
            None,
            "writes_page_tables",
        ),
        same("halts", exception(13, 0), None, "halts"),
        same("uses_a_port", exception(13, 0), None, "uses_a_port"),
        same(
            "asks_the_kernel",
            Cause::SystemCall { number: 2 },
            None,
            "asks_the_kernel",
        ),
    ];
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        for expected in &cases {
            let death = attack(&*monitor, &mut neighbour, expected.name, b"");
            let Death::Faulted(report) = death else {
                panic!("{}: {death}", expected.name)
            };
            let cause = match report.cause {
                Cause::Exception {
                    vector,
                    error_code,
                    address,
                } => {
                    assert_eq!(address.is_some(), vector == 14, "{report}");
                    Cause::Exception {
                        vector,
                        error_code,
                        address: None,
                    }
                }
                other => other,
            };
            let wanted = match monitor.kind() {
                MonitorKind::Vm => expected.vm,
                MonitorKind::Process => expected.process,
            };
            let context = format!("{} under {:?}: {report}", expected.name, monitor.kind());
            assert_eq!(
                (cause, report.region),
                (wanted, expected.region),
                "{context}"
            );
            // The functions inlined into each other at the innermost address that has names.
            let names = report
                .backtrace
                .iter()
                .find(|frame| !frame.names.is_empty());
            let names = &names.unwrap_or_else(|| panic!("no names: {context}")).names;
            let function = names
                .iter()
                .find(|name| name.function.ends_with(expected.function));
            let function = function.unwrap_or_else(|| panic!("not named: {context}"));
            // An instruction that was written in assembly has no line.
            if let Some((file, line)) = &function.place {
                let right = file.ends_with(&format!("{}.rs", expected.name)) && *line > 0;
                assert!(right, "{context}");
            }
        }
    }
}

#[test]
fn each_lie_in_a_ring_has_its_own_report_and_harms_no_neighbour() {
    let ring = |side, index, capacity| RingLie {
        side,
        index,
        own: 0,
        capacity,
    };
    use Side::{Consumer, Producer};
    use SlotLie::{Buffer, Extent, LongChain, NotYours, OpenChain};
    let slot = Lie::TransmitSlot;
    let cases = [
        (
            "receive index",
            Lie::ReceiveIndex(RingLie {
                own: 1,
                ..ring(Consumer, 5, 1024)
            }),
        ),
        (
            "transmit index",
            Lie::TransmitIndex(ring(Producer, 1 << 31, 1024)),
        ),
        (
            "transmit buffer",
            slot(Buffer {
                buffer: u32::MAX,
                buffers: 2048,
            }),
        ),
        (
            "transmit offset",
            slot(Extent {
                offset: 1925,
                length: 60,
            }),
        ),
        (
            "transmit length",
            slot(Extent {
                offset: 0,
                length: 65535,
            }),
        ),
        ("transmit twice", slot(NotYours { buffer: 1536 })),
        ("transmit not its own", slot(NotYours { buffer: 1 })),
        ("transmit open chain", slot(OpenChain)),
        ("transmit long chain", slot(LongChain)),
        (
            "supply index",
            Lie::SupplyIndex(ring(Producer, u32::MAX, 2048)),
        ),
        (
            "supply buffer",
            Lie::SupplyBuffer(Buffer {
                buffer: 2048,
                buffers: 2048,
            }),
        ),
        ("supply twice", Lie::SupplyBuffer(NotYours { buffer: 1536 })),
        (
            "console index",
            Lie::Console(ring(Producer, 1 << 20, 16 << 10)),
        ),
        ("file index", Lie::File(ring(Producer, 1 << 30, 64 << 10))),
        (
            "request index",
            Lie::Control(ControlLie::Ring(ring(Consumer, 77, 64 << 10))),
        ),
        (
            "answer index",
            Lie::Control(ControlLie::Ring(ring(Producer, u32::MAX, 64 << 10))),
        ),
        (
            "answer length",
            Lie::Control(ControlLie::Long {
                name_length: 0,
                data_length: u32::MAX,
            }),
        ),
    ];
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        for (configuration, expected) in cases {
            let death = attack(&*monitor, &mut neighbour, "lies", configuration.as_bytes());
            let Death::Lied(lie) = death else {
                panic!("{configuration}: {death}")
            };
            assert_eq!(lie, expected, "{configuration} under {:?}", monitor.kind());
        }
    }
}

#[test]
fn an_instance_that_spins_is_called_hung() {
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        let death = attack(&*monitor, &mut neighbour, "spins", b"");
        assert!(matches!(death, Death::Hung { budgets: 3 }), "{death}");
        neighbour.forward();
    }
}

#[test]
fn any_status_is_passed_on_as_it_is() {
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        for status in [0, 1, -1, 255, 256, i32::MIN, i32::MAX, 0x5a5a_5a5a] {
            let death = attack(&*monitor, &mut neighbour, "exits", &status.to_le_bytes());
            assert!(
                matches!(death, Death::Exited(found) if found == status),
                "{death}"
            );
        }
    }
}

#[test]
fn a_flood_of_the_console_is_bounded_by_its_ring() {
    const RING: usize = 16 << 10;
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        let image = &built("floods_the_console").image;
        let mut instance = monitor.create(image, &options(b"")).expect("created");
        for _ in 0..50 {
            let outcome = instance.enter(BUDGET, false).expect("entered");
            assert!(
                matches!(
                    outcome,
                    Outcome::Yielded {
                        deadline: sprat_abi::call::AT_ONCE
                    }
                ),
                "{outcome:?}"
            );
            assert_eq!(
                serve(&mut *instance),
                Ok(RING),
                "as much as the ring holds, and no more"
            );
            neighbour.forward();
        }
        // Whoever reads nothing loses nothing but time: the instance waits.
        let before = instance.memory_use().expect("known");
        for _ in 0..50 {
            assert!(matches!(
                instance.enter(BUDGET, false),
                Ok(Outcome::Yielded { .. })
            ));
        }
        assert!(
            instance.memory_use().expect("known").private <= before.private + RING as u64 + 8192
        );
    }
}

#[test]
fn an_instance_that_writes_its_rings_while_the_host_reads_them_gets_no_further_than_a_report() {
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        if monitor.kind() == MonitorKind::Vm {
            // It has one processor, and gives that up when it yields; its trick ends it.
            let death = attack(&*monitor, &mut neighbour, "scribbles", b"");
            assert!(
                matches!(&death, Death::Faulted(report) if report.cause == Cause::SystemCall { number: 202 }),
                "{death}"
            );
            continue;
        }
        let mut lies = 0;
        for _ in 0..30 {
            let mut instance = monitor
                .create(&built("scribbles").image, &options(b""))
                .expect("created");
            for _ in 0..20 {
                let outcome = instance
                    .enter(Duration::from_millis(50), false)
                    .expect("entered");
                assert!(
                    matches!(outcome, Outcome::Yielded { .. } | Outcome::OutOfBudget),
                    "{outcome:?}"
                );
                if serve(&mut *instance).is_err() {
                    lies += 1;
                    instance.kill();
                    break;
                }
            }
            neighbour.forward();
        }
        assert!(lies > 0);
    }
}

#[test]
fn a_panic_tells_its_message_on_the_console_and_its_place_in_the_report() {
    let source = include_str!("../src/bin/panics.rs");
    let line = source.lines().position(|line| line.ends_with("// here"));
    let line = line.and_then(|line| u32::try_from(line + 1).ok());
    let built = built("panics");
    for monitor in monitors() {
        let mut instance = monitor
            .create(&built.image, &options(b""))
            .expect("created");
        let outcome = instance.enter(BUDGET, false).expect("entered");
        let Outcome::Faulted(mut report) = outcome else {
            panic!("{outcome:?}")
        };
        report.name_frames(&built.symbols());
        assert_eq!(report.cause, exception(3, 0), "{report}");
        let names = report.backtrace.iter().flat_map(|frame| &frame.names);
        let place = names
            .filter(|name| name.function.ends_with("look_up"))
            .find_map(|name| name.place.as_ref());
        let (file, found) = place.unwrap_or_else(|| panic!("no place: {report}"));
        assert!(file.ends_with("panics.rs"), "{report}");
        assert_eq!(Some(*found), line, "{report}");
        let mut text = vec![0; 1000];
        let length = instance
            .shared()
            .read_console(&mut text)
            .expect("nothing was broken");
        assert_eq!(
            String::from_utf8_lossy(&text[..length]),
            "panicked: index out of bounds: the len is 3 but the index is 3\n"
        );
    }
}
