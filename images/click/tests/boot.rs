//! Boots the middlebox with configurations of its own and sends frames through it.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sprat_abi::control::{MessageHead, MessageKind, status};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_abi::statistics::Counter;
use sprat_image::{BuildOptions, Package, build};
use sprat_monitor::{
    Grant, GrantedDevice, Image, Instance, Monitor, Options, Outcome, ProcessMonitor, VmMonitor,
};

fn built() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let workspace = here.join("../..").canonicalize().expect("the workspace");
        let package = Package {
            workspace: workspace.clone(),
            name: "click".into(),
        };
        let options = BuildOptions::new(workspace.join("target/images"));
        let built = build(&package, &options, &mut |_| {}).expect("the image builds");
        eprintln!("the image has {} bytes", built.image.len());
        built.image
    })
}

fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| Image::load(built()).expect("a sound image"))
}

// Checks in the code would carry the names of source files if the panic handler asked for them.
#[test]
fn the_image_holds_no_names_of_source_files() {
    let ending = b".rs";
    let found = built()
        .windows(ending.len())
        .position(|bytes| bytes == ending);
    let around = found.map(|at| String::from_utf8_lossy(&built()[at.saturating_sub(40)..at + 3]));
    assert_eq!(around, None);
}

fn monitors() -> Vec<Box<dyn Monitor>> {
    let mut monitors: Vec<Box<dyn Monitor>> = vec![Box::new(ProcessMonitor::new())];
    match VmMonitor::open() {
        Ok(monitor) => monitors.push(Box::new(monitor)),
        Err(error) => eprintln!("no KVM here: {error}"),
    }
    monitors
}

fn network(name: &str, number: u8) -> Grant {
    let device = GrantedDevice::Network {
        address: [2, 0, 0, 0, 0, number],
        frame_limit: 1514,
        features: 0,
    };
    Grant {
        name: name.into(),
        device,
    }
}

fn two_devices(configuration: &str) -> Options {
    Options {
        configuration: configuration.into(),
        devices: vec![network("eth0", 1), network("eth1", 2)],
        ..Options::default()
    }
}

/// What a run came to.
struct Run {
    instance: Box<dyn Instance>,
    text: String,
    /// Timestamps and bytes of what each device sent.
    sent: Vec<Vec<(i64, Vec<u8>)>>,
    status: Option<i32>,
}

impl Run {
    fn start(monitor: &dyn Monitor, options: &Options) -> Self {
        let start = Instant::now();
        let instance = monitor.create(image(), options).expect("created");
        let created = start.elapsed();
        let mut run = Self {
            instance,
            text: String::new(),
            sent: vec![vec![], vec![]],
            status: None,
        };
        run.enter(false);
        eprintln!(
            "{:?}: created in {created:?}, configured after {:?}",
            monitor.kind(),
            start.elapsed()
        );
        run
    }

    /// Lets the instance run once; it has stopped when there is a status.
    fn enter(&mut self, stop: bool) {
        let outcome = self
            .instance
            .enter(Duration::from_secs(5), stop)
            .expect("entered");
        let shared = self.instance.shared();
        let mut part = [0; 16 << 10];
        let count = shared.read_console(&mut part).expect("honest");
        self.text
            .push_str(str::from_utf8(&part[..count]).expect("text"));
        let devices = shared.networks().len();
        for device in 0..devices {
            let sent = &mut self.sent[device];
            let sink = |frame: Frame<'_>| {
                let mut bytes = Vec::new();
                frame.append_to(&mut bytes);
                sent.push((frame.head().timestamp, bytes));
            };
            shared.drain(device, u32::MAX, sink).expect("honest");
        }
        shared.reclaim().expect("honest");
        match outcome {
            Outcome::Exited { status } => self.status = Some(status),
            Outcome::Faulted(report) => panic!("{report}\n{}", self.text),
            Outcome::OutOfBudget => panic!("hangs: {}", self.text),
            Outcome::Yielded { .. } => {}
        }
    }

    fn deliver(&mut self, device: usize, frames: &[(i64, Vec<u8>)]) {
        let frames = frames
            .iter()
            .map(|(timestamp, bytes)| Frame::new(bytes, FrameHead::at(*timestamp)));
        let delivered = self
            .instance
            .shared()
            .deliver(device, frames)
            .expect("honest")
            .delivered;
        assert!(delivered > 0);
    }

    fn ask(&mut self, kind: MessageKind, name: &str, data: &str) -> (u32, String) {
        let head = MessageHead {
            id: 9,
            kind: kind as u16,
            ..MessageHead::default()
        };
        let shared = self.instance.shared();
        assert_eq!(
            shared.send_request(head, name.as_bytes(), data.as_bytes()),
            Ok(true)
        );
        for _ in 0..10 {
            self.enter(false);
            let mut buffer = vec![0; self.instance.shared().answer_limit()];
            let answer = self
                .instance
                .shared()
                .receive_answer(&mut buffer)
                .expect("honest");
            if let Some(answer) = answer {
                return (
                    answer.head.status,
                    String::from_utf8(answer.data.to_vec()).expect("text"),
                );
            }
        }
        panic!("no answer to {name}");
    }

    fn stop(&mut self) -> i32 {
        for _ in 0..100 {
            self.enter(true);
            if let Some(status) = self.status {
                return status;
            }
        }
        panic!("does not stop: {}", self.text);
    }
}

fn frames(count: u8) -> Vec<(i64, Vec<u8>)> {
    (0..count)
        .map(|number| {
            (
                1_700_000_000_000_000_000 + i64::from(number),
                vec![number; 60],
            )
        })
        .collect()
}

#[test]
fn frames_pass_in_order_with_their_timestamps_and_are_counted() {
    let configuration = "FromDevice(eth0) -> c :: Counter -> Queue(1000) -> ToDevice(eth1)";
    for monitor in monitors() {
        let mut run = Run::start(&*monitor, &two_devices(configuration));
        assert_eq!(run.text, "");
        for _ in 0..3 {
            run.deliver(0, &frames(200));
            run.enter(false);
            assert_eq!(std::mem::take(&mut run.sent[1]), frames(200));
        }
        assert_eq!(
            run.ask(MessageKind::Read, "c.count", ""),
            (status::OK, "600".into())
        );
        assert_eq!(
            run.ask(MessageKind::Write, "c.reset", ""),
            (status::OK, String::new())
        );
        assert_eq!(
            run.ask(MessageKind::Read, "c.count", ""),
            (status::OK, "0".into())
        );
        let records: Vec<_> = run.instance.shared().records().collect();
        let named = |name: &str| {
            records
                .iter()
                .find(|record| record.name() == name.as_bytes())
                .expect("counted")
        };
        assert_eq!(named("eth0").get(Counter::PacketsIn), 600);
        assert_eq!(named("eth1").get(Counter::BytesOut), 600 * 60);
        assert_eq!(named("c").get(Counter::PacketsIn), 600);
        assert_eq!(run.stop(), 0, "{}", run.text);
    }
}

#[test]
fn handlers_that_are_not_there_are_refused_by_name() {
    for monitor in monitors() {
        let mut run = Run::start(
            &*monitor,
            &two_devices("FromDevice(eth0) -> c :: Counter -> Discard"),
        );
        let cases = [
            ("d.count", status::NO_ELEMENT, "d"),
            ("c.cunt", status::NO_HANDLER, "c.cunt"),
            ("c.reset", status::PERMISSION, "c.reset"),
        ];
        for (handler, expected, named) in cases {
            let (found, words) = run.ask(MessageKind::Read, handler, "");
            assert_eq!(found, expected, "{handler}: {words}");
            assert!(words.contains(named), "{words}");
        }
    }
}

#[test]
fn a_new_configuration_takes_over_while_frames_pass() {
    let kept =
        "FromDevice(eth0) -> t :: Tee; t[1] -> kept :: Queue -> Unqueue(ACTIVE false) -> Discard;";
    let old = &format!("{kept} t -> Queue -> ToDevice(eth1)");
    let new = &format!("{kept} t -> Queue -> ToDevice(eth0)");
    for monitor in monitors() {
        let mut run = Run::start(&*monitor, &two_devices(old));
        run.deliver(0, &frames(10));
        run.enter(false);
        assert_eq!((run.sent[0].len(), run.sent[1].len()), (0, 10));
        assert_eq!(
            run.ask(MessageKind::Replace, "", new),
            (status::OK, String::new())
        );
        run.deliver(0, &frames(10));
        run.enter(false);
        assert_eq!((run.sent[0].len(), run.sent[1].len()), (10, 10));
        assert_eq!(
            run.ask(MessageKind::Read, "kept.length", "").1,
            "20",
            "its state was kept"
        );
        let (refused, words) = run.ask(
            MessageKind::Replace,
            "",
            "FromDevice(eth0) -> Nonsense(1) -> Discard",
        );
        assert_eq!(refused, status::HANDLER_ERROR);
        assert!(words.contains("undeclared element 'Nonsense'"), "{words}");
        run.deliver(0, &frames(1));
        run.enter(false);
        assert_eq!(run.sent[0].len(), 11, "the old one goes on");
    }
}

#[test]
fn a_source_in_the_instance_never_runs_out_of_buffers() {
    let configuration =
        "InfiniteSource(LENGTH 60, LIMIT 20000, STOP true) -> Queue(64) -> ToDevice(eth0)";
    for monitor in monitors() {
        let mut run = Run::start(&*monitor, &two_devices(configuration));
        for _ in 0..1000 {
            if run.status.is_some() || run.sent[0].len() >= 20_000 {
                break;
            }
            run.enter(false);
        }
        assert!(run.sent[0].len() >= 19_936, "{} frames", run.sent[0].len());
    }
}

#[test]
fn what_is_not_granted_is_refused_by_name_with_the_flag_that_grants_it() {
    let cases = [
        ("FromDevice(eth7) -> Discard", "eth7", "--port eth7="),
        ("FromDump(a.pcap) -> Discard", "a.pcap", "--file a.pcap"),
        ("Idle -> ToDump(b.pcap)", "b.pcap", "--file b.pcap:write"),
    ];
    for monitor in monitors() {
        for (configuration, name, flag) in cases {
            let run = Run::start(&*monitor, &two_devices(configuration));
            assert_eq!(run.status, Some(1));
            assert!(
                run.text.contains(name) && run.text.contains(flag),
                "{}",
                run.text
            );
        }
    }
}

#[test]
fn variables_come_from_parameters_and_messages_name_the_file() {
    for monitor in monitors() {
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut options =
            two_devices("define($out eth0) FromDevice(eth0) -> Queue -> ToDevice($out)");
        options.parameters = vec![parameter("out", "eth1")];
        let mut run = Run::start(&*monitor, &options);
        run.deliver(0, &frames(5));
        run.enter(false);
        assert_eq!(run.sent[1].len(), 5);

        let mut options = two_devices("FromDevice(eth0) ->\n Discord(1)");
        options.parameters = vec![parameter("file", "bridge.click")];
        let run = Run::start(&*monitor, &options);
        assert_eq!(run.status, Some(1));
        assert!(
            run.text
                .starts_with("bridge.click:2: undeclared element 'Discord'"),
            "{}",
            run.text
        );
    }
}

/// A capture as the pcap format has it: a header (little endian, microseconds, Ethernet), then for each
/// frame its time, its length twice, and its bytes.
fn capture(frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    let header: [u32; 6] = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65535, 1];
    header
        .iter()
        .for_each(|word| file.extend(word.to_le_bytes()));
    for (seconds, microseconds, bytes) in frames {
        let length = u32::try_from(bytes.len()).expect("short");
        [*seconds, *microseconds, length, length]
            .iter()
            .for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(bytes);
    }
    file
}

#[test]
fn granted_files_are_read_and_written() {
    use std::io::{Seek as _, Write as _};
    let frames: Vec<_> = (100..150u8)
        .map(|number| (1_700_000_000, u32::from(number), vec![number; 60]))
        .collect();
    let written = capture(&frames);
    for monitor in monitors() {
        let mut input = tempfile::tempfile().expect("a file");
        input.write_all(&written).expect("written");
        input.rewind().expect("rewound");
        let options = Options {
            configuration: b"FromDump(a.pcap, STOP true) -> ToDump(b.pcap)".to_vec(),
            devices: vec![
                Grant {
                    name: "a.pcap".into(),
                    device: GrantedDevice::InputFile(input),
                },
                Grant {
                    name: "b.pcap".into(),
                    device: GrantedDevice::OutputFile,
                },
            ],
            ..Options::default()
        };
        let mut run = Run::start(&*monitor, &options);
        for _ in 0..20 {
            if run.status.is_none() {
                run.enter(false);
            }
        }
        assert_eq!(run.status, Some(0), "{}", run.text);
        let mut copy = vec![0; 64 << 10];
        let count = run
            .instance
            .shared()
            .read_output(0, &mut copy)
            .expect("honest");
        copy.truncate(count);
        for (.., bytes) in &frames {
            assert_eq!(
                copy.windows(60).filter(|window| window == bytes).count(),
                1,
                "frame {}",
                bytes[0]
            );
        }
        assert!(count >= written.len(), "{count} bytes");
    }
}
