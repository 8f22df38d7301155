//! Boots the image under every monitor this machine has.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sprat_image::{BuildOptions, BuiltImage, Package, build};
use sprat_monitor::{Image, Monitor, Options, Outcome, ProcessMonitor, VmMonitor};

fn built() -> BuiltImage {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: "hello".into(),
    };
    build(
        &package,
        &BuildOptions::new(workspace.join("target/images")),
        &mut |_| {},
    )
    .expect("hello builds")
}

fn monitors() -> Vec<Box<dyn Monitor>> {
    let mut monitors: Vec<Box<dyn Monitor>> = vec![Box::new(ProcessMonitor::new())];
    match VmMonitor::open() {
        Ok(monitor) => monitors.push(Box::new(monitor)),
        Err(error) => eprintln!("no KVM here: {error}"),
    }
    monitors
}

/// Runs an instance to its end; its exit status and what it wrote to the console.
fn run(monitor: &dyn Monitor, image: &Image, options: &Options) -> (i32, String) {
    let start = Instant::now();
    let mut instance = monitor.create(image, options).expect("created");
    let created = start.elapsed();
    let mut text = Vec::new();
    let status = loop {
        let outcome = instance
            .enter(Duration::from_secs(5), false)
            .expect("entered");
        let mut part = [0; 4096];
        loop {
            let count = instance
                .shared()
                .read_console(&mut part)
                .expect("an honest instance");
            if count == 0 {
                break;
            }
            text.extend_from_slice(&part[..count]);
        }
        match outcome {
            Outcome::Exited { status } => break status,
            Outcome::Faulted(report) => panic!("{report}"),
            Outcome::OutOfBudget => panic!("hangs"),
            Outcome::Yielded { .. } => {}
        }
    };
    eprintln!(
        "{:?}: created in {created:?}, ended after {:?}",
        monitor.kind(),
        start.elapsed()
    );
    (status, String::from_utf8(text).expect("text"))
}

fn with_parameter(name: &str, value: &str) -> Options {
    Options {
        parameters: vec![(name.into(), value.into())],
        ..Options::default()
    }
}

#[test]
fn hello_logs_a_line_and_ends() {
    let image = Image::load(&built().image).expect("a sound image");
    for monitor in monitors() {
        let (status, text) = run(&*monitor, &image, &Options::default());
        assert_eq!(status, 0, "{text}");
        assert!(
            text.starts_with('[') && text.ends_with("] INFO  hello: hello, world\n"),
            "{text}"
        );
        let (status, text) = run(&*monitor, &image, &with_parameter("name", "sprat"));
        assert!(
            status == 0 && text.ends_with("] INFO  hello: hello, sprat\n"),
            "{text}"
        );
    }
}

#[test]
fn hello_says_less_when_asked_to_and_refuses_nonsense() {
    let image = Image::load(&built().image).expect("a sound image");
    for monitor in monitors() {
        assert_eq!(
            run(&*monitor, &image, &with_parameter("log", "warn")),
            (0, String::new())
        );
        let (status, text) = run(&*monitor, &image, &with_parameter("log", "loud"));
        assert_eq!(status, 2);
        assert!(
            text.starts_with("error: parameter 'log': 'loud' is not a log level"),
            "{text}"
        );
    }
}
