//! `sprat run`: one instance, fed from captures or joined to networks.

mod blocks;
mod clashes;
mod control;
pub(crate) mod devices;
mod error;
mod files;
mod live;
mod machine;
mod ports;
mod progress;
mod report;
mod run_file;
mod session;
mod settings;
mod unix;

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use miette::Diagnostic as _;
use sprat_image::Profile;
use sprat_monitor::{Grant, GrantedDevice, Options};
use sprat_switch::lane::{Lane, LaneOptions, Link};
use sprat_switch::port::{GiveUp, Pace, Paced, Resolution, Start, User, UserOptions};

use control::Control;
use error::RunError;
use files::Files;
use live::Alarm;
use machine::{Held, Holder, MonitorChoice};
use progress::Progress;
use report::Report;
use session::Session;
use settings::{ClockChoice, Program, Settings};

use crate::disk::MachineChoice;
use crate::output::{self, complain};
use crate::package::{self, Package, Target};

/// Boots a configuration or an image as a sealed instance, and plays captures through it or joins
/// it to networks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat run examples/firewall\n  \
    sprat run firewall.click --in eth0=trace.pcap --out eth1=clean.pcap\n  \
    sprat run mirror.click --in eth0=generate:size=64,count=10000000 --out eth0=sink\n  \
    sprat run firewall.click --in eth0=trace.pcap --pace recorded --port eth1=tap:tap0\n  \
    sprat run --publish 8080:80\n  \
    sprat run -t disk examples/firewall\n  \
    sprat run web.image --port eth0=user --publish 8080:80\n  \
    sprat run kv.image --port eth0=user --publish 6379:6379 --block data=kv.blk:64M\n  \
    sprat run bridge.click --port eth0=tap:tap0 --port eth1=tap:tap1 --for 60")]
pub(crate) struct RunCommand {
    /// A .click file, a folder with a run.toml, an image, or the folder of a package.
    #[arg(default_value = ".")]
    program: PathBuf,
    /// Variables of a Click configuration, as `--param` sets them.
    #[arg(value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<String>,
    /// What runs: an image that a monitor of this host holds, a package's ordinary program, or an image
    /// that an emulated machine boots by itself, in the host's time.
    #[arg(short, long, value_enum, default_value_t)]
    target: Target,
    /// Builds a package small and fast, as it ships, instead of quickly.
    #[arg(long)]
    release: bool,
    /// A feature of a package to build it with; several with commas between.
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    features: Vec<String>,
    /// Builds a package and boots it again whenever one of its files changes.
    #[arg(long)]
    watch: bool,
    /// Where a device's frames come from: a capture (pcap or pcapng, - for standard input), or
    /// generate[:size=BYTES,count=FRAMES,flows=FLOWS].
    #[arg(long = "in", value_name = "DEVICE=SOURCE")]
    inputs: Vec<String>,
    /// Where a device's frames go: a capture to write (- for standard output), or sink.
    #[arg(long = "out", value_name = "DEVICE=TARGET")]
    outputs: Vec<String>,
    /// What a device is joined to, both ways: user (a network of its own, which the host's sockets
    /// carry on; no root), user:loopback (the same, whose gateway is the host's loopback), or
    /// tap:INTERFACE, or packet:INTERFACE for one that is there, or xdp:INTERFACE for the same at
    /// speed, and for the instance alone. The run lasts until Ctrl-C.
    #[arg(long = "port", value_name = "DEVICE=PORT")]
    ports: Vec<String>,
    /// A port of the host that leads to the instance through the port user.
    #[arg(long, value_name = "[ADDRESS:]PORT:GUEST_PORT[/udp]")]
    publish: Vec<String>,
    /// A file the instance may use: read it, or with :write create it.
    #[arg(long = "file", value_name = "FILE[:write]")]
    files: Vec<String>,
    /// A block device whose blocks a file holds. With a SIZE such as 64M the file is made, or grows;
    /// with :ro it is only read.
    #[arg(long = "block", value_name = "NAME=FILE[:SIZE]")]
    blocks: Vec<String>,
    /// A boot parameter; for a Click configuration, a variable.
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// The machine of --target disk; by default microvm.
    #[arg(long, value_enum, value_name = "MACHINE")]
    machine: Option<MachineChoice>,
    /// What holds the instance; by default KVM where it can be used, a process elsewhere.
    #[arg(long, value_enum)]
    monitor: Option<MonitorChoice>,
    /// Bytes of heap the instance gets, such as 8M.
    #[arg(long, value_name = "BYTES", value_parser = size)]
    memory: Option<u64>,
    /// Frames handed over at a time.
    #[arg(long, value_name = "FRAMES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Which time the instance lives in; by default the captures', where all frames have one.
    #[arg(long, value_enum)]
    clock: Option<ClockChoice>,
    /// How fast frames of --in come: recorded (as a capture was), or so many in a second, such as 10000,
    /// in the machine's time; by default as fast as they are taken.
    #[arg(long, value_parser = pace)]
    pace: Option<Pace>,
    /// How long nothing must move before a run is over, in the instance's time.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    linger: Duration,
    /// Ends the run after so long, where it is not over before.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Never sleeps while nothing comes: no frame waits for a wake-up, and a processor is busy.
    #[arg(long)]
    dedicated: bool,
    /// What the run is called by sprat read, write, logs and metrics; by default, for a run with
    /// --port, what its program is called.
    #[arg(long, value_parser = crate::control::address::check)]
    name: Option<String>,
    /// The Unix socket for these, instead of one under the name.
    #[arg(long, value_name = "PATH", conflicts_with = "name")]
    control: Option<PathBuf>,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
    /// Prints no report.
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

/// Whether an argument behind the program is a variable: it must say of what.
fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("what runs is named already; behind it stands NAME=VALUE for a variable".into()),
    }
}

/// Reads a pace: `recorded`, or frames in a second.
fn pace(text: &str) -> Result<Pace, String> {
    match (text, text.replace('_', "").parse()) {
        ("recorded", _) => Ok(Pace::Recorded),
        (_, Ok(rate)) if (0.001..=1e9).contains(&rate) => Ok(Pace::Rate(rate)),
        _ => Err("expected recorded, or frames in a second from 0.001 to 1000000000".into()),
    }
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
        let done = match self.watch {
            true => self.run_again_and_again(),
            false => run_program(self),
        };
        let Err(error) = done else {
            return ExitCode::SUCCESS;
        };
        if error.is_closed_output() {
            return ExitCode::FAILURE;
        }
        complain!("error: {error}");
        let help = error.help().map(|help| help.to_string());
        if let Some(help) = help.or_else(|| error.interfaces()) {
            complain!("  help: {help}");
        }
        ExitCode::FAILURE
    }
}

impl RunCommand {
    /// How a package is built.
    fn profile(&self) -> Profile {
        match self.release {
            true => Profile::Release,
            false => Profile::Development,
        }
    }

    /// Watches a package. Each run is a command of its own, this one without `--watch`.
    fn run_again_and_again(&self) -> Result<(), RunError> {
        let program =
            std::env::current_exe().map_err(|source| RunError::read(&self.program, source))?;
        let arguments = || std::env::args_os().skip(1).filter(|word| word != "--watch");
        let build = |package: &Package| package.build_for(self.target, self.profile()).map(drop);
        package::watch(&self.program, &self.features, build, || {
            let mut command = std::process::Command::new(&program);
            command.args(arguments());
            command
        })?;
        Ok(())
    }
}

fn run_program(arguments: &RunCommand) -> Result<(), RunError> {
    sprat_monitor::start_counting();
    let settings = Settings::gather(arguments)?;
    if settings.package.is_some() {
        // Before anything is compiled.
        check_published(&settings)?;
    }
    if arguments.target == Target::Unix {
        return unix::run(arguments, &settings);
    }
    if let Some(package) = &settings.package {
        package.build(arguments.profile())?;
    }
    let hints = check_configuration(&settings)?;
    clashes::check(&settings)?;
    let interrupted = interrupt_flag();
    run_settings(arguments, &settings, &interrupted).map_err(|error| {
        for hint in hints {
            complain!("  help: {hint}");
        }
        // Whatever was under way failed because of it.
        match interrupted.load(Ordering::Relaxed) && settings.ports.is_empty() {
            true => RunError::Interrupted,
            false => error,
        }
    })
}

fn run_settings(
    arguments: &RunCommand,
    settings: &Settings,
    interrupted: &GiveUp,
) -> Result<(), RunError> {
    // Where nothing live is joined, an interrupt also gives up what a port waits for. A live run has
    // no other end, and its outputs are completed then.
    let live = !settings.ports.is_empty();
    let give_up = match live {
        true => GiveUp::default(),
        false => interrupted.clone(),
    };
    // Ports and files first: what cannot be opened is said before anything boots.
    let mut links = open_links(settings, &give_up)?;
    links.extend(join_ports(settings, arguments.quiet)?);
    let files = Files::open(&settings.files)?;
    let alarm = Alarm::new().map_err(RunError::Signals)?;
    let control = Control::open(arguments, live, &alarm)?;
    let held = Held::create(
        &settings.program,
        holder(arguments),
        options(settings, &links, &files, arguments)?,
    )?;
    let options = LaneOptions {
        batch: arguments.batch as usize,
        linger: settings.linger,
        playback: settings.playback,
        duration: arguments.duration,
        awake: arguments.dedicated,
        ..LaneOptions::default()
    };
    let mut session = Session {
        lane: Lane::new(held.instance, links, options),
        facts: held.facts,
        files,
        interrupted: interrupted.clone(),
        live,
        control,
        progress: Progress::new(),
    };
    session
        .lane
        .set_alarm(alarm.ear().map_err(RunError::Signals)?.into());
    let result = session.play(settings);
    session.say_console();
    let report = match result {
        Ok(report) => report,
        Err(error) => return Err(session.explain(error)),
    };
    // What can fail for want of room comes before anything is put in its place.
    session.lane.flush()?;
    session.files.finish()?;
    session.lane.finish()?;
    print_report(&report, arguments).map_err(RunError::Output)?;
    // A router that makes packets for itself alone could go on for ever.
    if session.lane.counters().lingered && settings.devices().is_empty() && !arguments.quiet {
        let linger = settings.linger.as_secs_f64();
        complain!(
            "help: nothing had gone in or out for {linger} s, and the router was not done: --linger \
             SECONDS waits longer, --linger 3600 for an hour"
        );
    }
    Ok(())
}

/// Says which port of the host cannot be published.
fn check_published(settings: &Settings) -> Result<(), RunError> {
    let options = UserOptions {
        publish: settings.publish.clone(),
        ..UserOptions::default()
    };
    User::open(&options)?;
    Ok(())
}

/// What is to hold the instance.
fn holder(arguments: &RunCommand) -> Holder {
    match arguments.target {
        Target::Vm | Target::Unix => Holder::Monitor(arguments.monitor),
        Target::Disk => Holder::Machine(arguments.machine.unwrap_or_default()),
    }
}

/// Reads a Click configuration before anything boots, so that mistakes are shown in place; and what to
/// say should the instance refuse it.
fn check_configuration(settings: &Settings) -> Result<Vec<String>, RunError> {
    let Program::Click { text, name } = &settings.program else {
        return Ok(Vec::new());
    };
    let parse = sprat_click::language::parser(
        Rc::new(sprat_click::language::NoLibraries),
        settings.parameters.clone(),
    );
    match parse(&sprat_elements::library(), text, name) {
        Ok((flat, _)) => {
            devices::check(settings, &flat)?;
            Ok(crate::devices::missing_when_sealed(&flat))
        }
        Err(diagnostics) => {
            crate::explain::explain_with_help(&diagnostics);
            Err(RunError::Configuration)
        }
    }
}

fn open_links(settings: &Settings, give_up: &GiveUp) -> Result<Vec<Link>, RunError> {
    let mut finest = Resolution::Microseconds;
    let start = Start::default();
    let mut opened = Vec::new();
    for (name, input) in &settings.inputs {
        let (mut port, resolution) = input.open(give_up)?;
        if let Some(pace) = settings.pace {
            port = Box::new(Paced::new(port, pace, &start));
        }
        finest = finest.max(resolution);
        opened.push((name, port));
    }
    let mut links = Vec::new();
    for name in settings.devices() {
        if settings.ports.iter().any(|(port, _)| *port == name) {
            continue;
        }
        let input = opened
            .iter()
            .position(|(known, _)| **known == name)
            .map(|index| opened.swap_remove(index).1);
        let output = settings.outputs.iter().find(|(known, _)| *known == name);
        let output = output
            .map(|(_, output)| output.open(finest, give_up))
            .transpose()?;
        links.push(Link::new(&name, input, output));
    }
    Ok(links)
}

/// Opens live ports, and says what they publish.
fn join_ports(settings: &Settings, quiet: bool) -> Result<Vec<Link>, RunError> {
    let mut links = Vec::new();
    for (name, port) in &settings.ports {
        let opened = port.open(&settings.publish)?;
        for publish in &opened.published {
            if !quiet {
                complain!("{name}: {publish}");
            }
        }
        links.push(Link::both(name, opened.port));
    }
    Ok(links)
}

/// What the instance is started with.
fn options(
    settings: &Settings,
    links: &[Link],
    files: &Files,
    arguments: &RunCommand,
) -> Result<Options, RunError> {
    let mut devices = Vec::new();
    for (number, link) in (1..).zip(links) {
        let mut ports = settings.ports.iter();
        let shared = ports.any(|(name, port)| *name == link.device && !port.is_user());
        devices.push(Grant {
            name: link.device.clone(),
            device: GrantedDevice::Network {
                address: match shared {
                    true => live::address(number),
                    false => [2, 0, 0, 0, 0, number],
                },
                frame_limit: u32::try_from(link.frame_limit()).unwrap_or(u32::MAX),
                features: 0,
            },
        });
    }
    for (name, block) in &settings.blocks {
        devices.push(block.open(name)?);
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

/// A flag that Ctrl-C sets. Whoever cannot wait for the run to end presses it again.
fn interrupt_flag() -> GiveUp {
    let flag = GiveUp::default();
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Without the handlers an interrupt ends the process at once.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone());
        let _ = signal_hook::flag::register(signal, flag.clone());
    }
    flag
}

fn print_report(report: &Report, arguments: &RunCommand) -> std::io::Result<()> {
    let mut outputs = arguments.outputs.iter();
    if arguments.quiet {
        Ok(())
    } else if arguments.json {
        // A report holds nothing that JSON cannot.
        output::print(&(serde_json::to_string_pretty(report).unwrap_or_default() + "\n"))
    } else if outputs.any(|output| output.ends_with("=-")) {
        // Standard output is the capture.
        output::complain_as_it_is(format_args!("{}", report.to_text()));
        Ok(())
    } else {
        output::print(&report.to_text())
    }
}
