//! `sprat run`: one instance, fed from captures.

mod devices;
mod error;
mod files;
mod machine;
mod ports;
mod report;
mod settings;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use miette::Diagnostic as _;
use sprat_monitor::{Grant, GrantedDevice, Options};
use sprat_switch::lane::{Lane, LaneError, LaneOptions, Link};
use sprat_switch::port::{FRAME_LIMIT, Resolution};

use error::RunError;
use files::Files;
use machine::{Held, MonitorChoice};
use report::{Boot, Device, Drop, Element, Frames, Group, Line, Memory, Report, microseconds};
use settings::{ClockChoice, Program, Settings};

/// Boots a configuration or an image as a sealed instance and plays captures through it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat run examples/firewall\n  \
    sprat run firewall.click --in eth0=trace.pcap --out eth1=clean.pcap\n  \
    sprat run mirror.click --in eth0=generate:size=64,count=10000000 --out eth0=sink")]
pub(crate) struct RunCommand {
    /// A .click file, a folder with a run.toml, or an image.
    program: PathBuf,
    /// Where a device's frames come from: a capture (pcap or pcapng, - for standard input), or
    /// generate[:size=BYTES,count=FRAMES,flows=FLOWS].
    #[arg(long = "in", value_name = "DEVICE=SOURCE")]
    inputs: Vec<String>,
    /// Where a device's frames go: a capture to write (- for standard output), or sink.
    #[arg(long = "out", value_name = "DEVICE=TARGET")]
    outputs: Vec<String>,
    /// A file the instance may use: read it, or with :write create it.
    #[arg(long = "file", value_name = "FILE[:write]")]
    files: Vec<String>,
    /// A boot parameter; for a Click configuration, a variable.
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// What holds the instance; by default KVM where it can be used, a process elsewhere.
    #[arg(long, value_enum)]
    monitor: Option<MonitorChoice>,
    /// Bytes of heap the instance gets, such as 8M.
    #[arg(long, value_name = "BYTES", value_parser = size)]
    memory: Option<u64>,
    /// Frames handed over at a time.
    #[arg(long, value_name = "FRAMES", default_value_t = 1024)]
    batch: u32,
    /// Which time the instance lives in; by default the captures', where all frames have one.
    #[arg(long, value_enum)]
    clock: Option<ClockChoice>,
    /// How long nothing must move before a run is over, in the instance's time.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    linger: Duration,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
    /// Prints no report.
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

/// Reads a size such as 65536, 512K or 8M.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "expected a size such as 65536, 512K or 8M".to_string())?;
    number
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes >= 1 << 16)
        .ok_or_else(|| "expected 64K or more".to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_string())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

impl RunCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        let Err(error) = run_program(self) else {
            return ExitCode::SUCCESS;
        };
        eprintln!("error: {error}");
        if let Some(help) = error.help() {
            eprintln!("  help: {help}");
        }
        ExitCode::FAILURE
    }
}

fn run_program(arguments: &RunCommand) -> Result<(), RunError> {
    let settings = Settings::gather(arguments)?;
    check_configuration(&settings)?;
    // Ports and files first: what cannot be opened is said before anything boots.
    let (links, files) = (open_links(&settings)?, Files::open(&settings.files)?);
    let held = Held::create(
        &settings.program,
        arguments.monitor,
        options(&settings, &files, arguments)?,
    )?;
    let options = LaneOptions {
        batch: arguments.batch.max(1) as usize,
        linger: settings.linger,
        playback: settings.playback,
        ..LaneOptions::default()
    };
    let mut session = Session {
        lane: Lane::new(held.instance, links, options),
        facts: held.facts,
        files,
        interrupted: interrupt_flag(),
        progress: Progress::default(),
    };
    let result = session.play(&settings);
    session.say_console();
    let report = match result {
        Ok(report) => report,
        Err(error) => return Err(session.explain(error)),
    };
    session.files.finish()?;
    session.lane.finish()?;
    print_report(&report, arguments);
    Ok(())
}

/// Reads a Click configuration before anything boots, so that mistakes are shown in place.
fn check_configuration(settings: &Settings) -> Result<(), RunError> {
    let Program::Click { text, name } = &settings.program else {
        return Ok(());
    };
    let parse = sprat_click::language::parser(
        Rc::new(sprat_click::language::NoLibraries),
        settings.parameters.clone(),
    );
    match parse(&sprat_elements::library(), text, name) {
        Ok((flat, _)) => devices::check(settings, &flat),
        Err(diagnostics) => {
            crate::explain::explain(&diagnostics);
            Err(RunError::Configuration)
        }
    }
}

fn open_links(settings: &Settings) -> Result<Vec<Link>, RunError> {
    let mut finest = Resolution::Microseconds;
    let mut opened = Vec::new();
    for (name, input) in &settings.inputs {
        let (port, resolution) = input.open()?;
        finest = finest.max(resolution);
        opened.push((name, port));
    }
    let mut links = Vec::new();
    for name in settings.devices() {
        let input = opened
            .iter()
            .position(|(known, _)| **known == name)
            .map(|index| opened.swap_remove(index).1);
        let output = settings.outputs.iter().find(|(known, _)| *known == name);
        let output = output.map(|(_, output)| output.open(finest)).transpose()?;
        links.push(Link::new(&name, input, output));
    }
    Ok(links)
}

/// What the instance is started with.
fn options(
    settings: &Settings,
    files: &Files,
    arguments: &RunCommand,
) -> Result<Options, RunError> {
    let mut devices = Vec::new();
    for (number, name) in (1..).zip(settings.devices()) {
        devices.push(Grant {
            name,
            device: GrantedDevice::Network {
                address: [2, 0, 0, 0, 0, number],
                frame_limit: u32::try_from(FRAME_LIMIT).unwrap_or(u32::MAX),
                features: 0,
            },
        });
    }
    devices.extend(files.grants()?);
    let mut parameters = settings.parameters.clone();
    let mut configuration = Vec::new();
    if let Program::Click { text, name } = &settings.program {
        configuration = text.clone().into_bytes();
        parameters.push(("file".into(), name.clone()));
    }
    Ok(Options {
        configuration,
        parameters,
        devices,
        heap: arguments.memory,
        ..Options::default()
    })
}

/// A flag that Ctrl-C sets.
fn interrupt_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Without the handler an interrupt ends the process, which leaves nothing behind either.
        let _ = signal_hook::flag::register(signal, flag.clone());
    }
    flag
}

/// A run under way.
struct Session {
    lane: Lane,
    facts: machine::Facts,
    files: Files,
    interrupted: Arc<AtomicBool>,
    progress: Progress,
}

impl Session {
    /// Plays everything through the instance and asks it what came of it.
    fn play(&mut self, settings: &Settings) -> Result<Report, RunError> {
        let begin = Instant::now();
        let (progress, interrupted, files) =
            (&mut self.progress, &self.interrupted, &mut self.files);
        let mut file_error = None;
        self.lane.run(&mut |lane| {
            say(&lane.take_console());
            if let Err(error) = files.write(&lane.take_files()) {
                file_error = Some(error);
            }
            progress.show(lane);
            file_error.is_none() && !interrupted.load(Ordering::Relaxed)
        })?;
        self.progress.clear();
        let elapsed = begin.elapsed();
        if let Some(error) = file_error {
            return Err(error);
        }
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        if let Some(status @ 1..) = self.lane.exit_status().map(i32::unsigned_abs) {
            return Err(RunError::Exit(i32::try_from(status).unwrap_or(1)));
        }
        let report = self.report(settings, elapsed)?;
        self.lane.stop()?;
        self.files.write(&self.lane.take_files())?;
        Ok(report)
    }

    fn say_console(&mut self) {
        self.progress.clear();
        say(&self.lane.take_console());
    }

    /// Adds function names to a fault.
    fn explain(&self, error: RunError) -> RunError {
        match error {
            RunError::Lane(LaneError::Death(death)) => {
                RunError::Lane(LaneError::Death(Box::new(self.facts.name(*death))))
            }
            other => other,
        }
    }

    fn report(&mut self, settings: &Settings, elapsed: Duration) -> Result<Report, RunError> {
        let groups = self.groups(settings)?;
        let elements = self.elements();
        let counters = *self.lane.counters();
        let devices: Vec<Device> = self.lane.links().iter().map(device).collect();
        let received = devices.iter().map(|device| device.received).sum();
        let sent = devices.iter().map(|device| device.sent).sum();
        // What goes into a device element leaves by the port; what comes out of one came in there.
        let inside = elements.iter().filter(|element| !is_device(&element.class));
        let (made, ended) = inside.fold((0, 0), |(made, ended), element| {
            (
                made + element.given.saturating_sub(element.taken),
                ended + element.taken.saturating_sub(element.given),
            )
        });
        let times = self.lane.instance().creation_times();
        let memory = self.lane.instance().memory_use()?;
        let started = counters.first_yield.unwrap_or_default();
        let first_frame = counters
            .first_frame
            .map(|time| time.saturating_sub(started));
        let total = self.facts.load + times.total() + started + first_frame.unwrap_or_default();
        Ok(Report {
            program: self.facts.program.clone(),
            monitor: self.facts.monitor,
            monitor_reason: self.facts.reason.clone(),
            image_bytes: self.facts.image_bytes,
            memory: Memory {
                private: memory.private,
                shared: memory.shared,
            },
            boot: Boot {
                load: microseconds(self.facts.load),
                memory: microseconds(times.memory),
                machine: microseconds(times.machine),
                page_tables: microseconds(times.tables),
                contract: microseconds(times.contract),
                guest_start: microseconds(started),
                first_frame: first_frame.map(microseconds),
                total: microseconds(total),
            },
            frames: Frames {
                received,
                delivered: counters.delivered,
                sent,
                made,
                ended,
            },
            devices,
            groups,
            elements: elements
                .into_iter()
                .filter(|element| !is_device(&element.class))
                .collect(),
            seconds: elapsed.as_secs_f64(),
            frames_per_second: counters.delivered as f64 / elapsed.as_secs_f64().max(f64::EPSILON),
            entries: counters.entries,
            largest_batch: counters.largest_batch,
            console_bytes_dropped: counters.console_dropped,
        })
    }

    /// The numbers that the run's folder asks for.
    fn groups(&mut self, settings: &Settings) -> Result<Vec<Group>, RunError> {
        let mut groups = Vec::new();
        for group in &settings.report {
            let mut lines = Vec::new();
            for (name, handler) in &group.lines {
                let value =
                    self.lane
                        .read_handler(handler, "")
                        .map_err(|source| RunError::Report {
                            handler: handler.clone(),
                            source,
                        })?;
                let value = String::from_utf8_lossy(&value).trim().to_string();
                lines.push(Line {
                    name: name.clone(),
                    handler: handler.clone(),
                    value,
                });
            }
            groups.push(Group {
                title: group.title.clone(),
                lines,
            });
        }
        Ok(groups)
    }

    /// Elements that frames did not simply pass through. An image that is no Click router has none.
    fn elements(&mut self) -> Vec<Element> {
        let Ok(text) = self.lane.read_handler("traffic", "") else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = |line: &str| {
            let mut fields = line.split('\t');
            let (name, class) = (fields.next()?.to_string(), fields.next()?.to_string());
            let (taken, given) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Element {
                name,
                class,
                taken,
                given,
            })
        };
        text.lines()
            .filter_map(line)
            .filter(|element| element.taken != element.given)
            .collect()
    }
}

/// Whether frames enter or leave the router by elements of this class.
fn is_device(class: &str) -> bool {
    class.ends_with("Device")
}

fn device(link: &Link) -> Device {
    let input = link
        .input()
        .map(|port| port.counters().clone())
        .unwrap_or_default();
    let output = link
        .output()
        .map(|port| port.counters().clone())
        .unwrap_or_default();
    let mut dropped: Vec<Drop> = input
        .dropped
        .iter()
        .chain(&output.dropped)
        .map(|(cause, frames)| Drop {
            cause: cause.to_string(),
            frames: *frames,
        })
        .collect();
    if link.unconnected > 0 {
        dropped.push(Drop {
            cause: format!("no --out {}", link.device),
            frames: link.unconnected,
        });
    }
    Device {
        name: link.device.clone(),
        received: input.received.frames,
        received_bytes: input.received.bytes,
        sent: output.sent.frames,
        sent_bytes: output.sent.bytes,
        dropped,
    }
}

/// Passes on what the instance said.
fn say(text: &[u8]) {
    if !text.is_empty() {
        // Nobody is left to tell that standard error is closed.
        let _ = std::io::stderr().write_all(text);
    }
}

/// How often progress is shown.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// A line about how far a run has come, on a terminal, once it takes more than a second.
#[derive(Default)]
struct Progress {
    started: Option<Instant>,
    shown: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn show(&mut self, lane: &Lane) {
        let started = *self.started.get_or_insert_with(Instant::now);
        if self
            .shown
            .is_some_and(|shown| shown.elapsed() < PROGRESS_PERIOD)
        {
            return;
        }
        self.shown = Some(Instant::now());
        let elapsed = started.elapsed();
        if elapsed < Duration::from_secs(1) || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        let frames = lane.counters().delivered;
        let rate = frames as f64 / elapsed.as_secs_f64() / 1e6;
        bar.set_message(format!("{frames} frames, {rate:.2} million/s"));
        bar.tick();
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn print_report(report: &Report, arguments: &RunCommand) {
    if arguments.quiet {
        return;
    }
    if arguments.json {
        // A report holds nothing that JSON cannot.
        println!(
            "{}",
            serde_json::to_string_pretty(report).unwrap_or_default()
        );
    } else if arguments
        .outputs
        .iter()
        .any(|output| output.ends_with("=-"))
    {
        // Standard output is the capture.
        eprint!("{}", report.to_text());
    } else {
        print!("{}", report.to_text());
    }
}
