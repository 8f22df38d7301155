//! What thousands of firewalls of many tenants cost as operators have them: declared to a daemon, in
//! lanes. Tenants come one after another; each instance forwards, is idle, and forwards once more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Bench;
use super::network::{self, Running, inside, ip};
use super::table::{Row, Sample};
use super::trace;

/// Tenants, and instances of each: what a function may have of replicas.
const TENANTS: usize = 79;
const EACH: usize = 64;

/// How many tenants' beginnings are compared, of the first and of the last.
const COMPARED: usize = 7;

/// Hosts that ask each tenant's server, so that every instance is asked.
const HOSTS: u16 = 64 * 24;

/// How often `sprat ps` is timed.
const LOOKS: usize = 9;

/// How long frames may take that were sent, and a daemon to begin.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    if !network::is_possible() {
        let why = "not measured: needs root, ip and ping".to_owned();
        return Ok(vec![Row::plain("idle firewalls in lanes", why)]);
    }
    let world = World::new(bench)?;
    touch_memory()?;
    let before = available_memory()?;
    let mut begun = Vec::new();
    for tenants in 1..=TENANTS {
        let text = world.declared(tenants);
        let begin = Instant::now();
        world.declare(&text)?;
        begun.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let forwarded = world.ask_all(&Sent::new())?;
    let taken = before.saturating_sub(available_memory()?);
    let memory = taken as f64 / forwarded.len() as f64 / 1_048_576.0;
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        let begin = Instant::now();
        world.sprat("ps").stdout(Stdio::null()).status()?;
        looks.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let answered = world.ask_all(&forwarded)?;
    let [first, last] = [&begun[..COMPARED], &begun[TENANTS - COMPARED..]].map(<[f64]>::to_vec);
    let [first, last] = [first, last].map(Sample::of);
    let times = Sample::of(vec![last.median() / first.median()]);
    let answered = Sample::of(vec![answered.len() as f64]);
    let monitor = world.monitor()?;
    Ok(vec![
        Row::at_least(
            &format!("idle firewalls in lanes, each forwarded and answers, {monitor}"),
            &answered,
            5000.0,
            "instances",
        ),
        Row::at_most(
            "memory that the machine has less of, for each",
            &Sample::of(vec![memory]),
            1.2,
            "MiB",
        ),
        Row::plain(
            "the first tenants' 64, declared and booted",
            first.text("ms"),
        ),
        Row::plain("the last tenants' 64", last.text("ms")),
        Row::at_most("the last against the first", &times, 1.5, "times"),
        Row::at_most("sprat ps, all shown", &Sample::of(looks), 100.0, "ms"),
    ])
}

/// Frames that each instance has sent.
type Sent = BTreeMap<String, u64>;

/// A daemon in a network of its own.
struct World {
    folder: PathBuf,
    namespace: String,
    sprat: PathBuf,
    firewall: PathBuf,
    questions: PathBuf,
    daemon: Option<Running>,
}

impl World {
    fn new(bench: &Bench) -> Result<Self> {
        let folder = bench.scratch.join("lanes");
        // Of a run that was cut short.
        let _ = std::fs::remove_dir_all(&folder);
        for part in ["run", "state"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        let namespace = format!("sprat-bench-{}-lanes", std::process::id());
        ip(&["netns", "add", &namespace])?;
        let mut world = Self {
            namespace,
            sprat: bench.sprat.clone(),
            firewall: crate::root().join("examples/firewall/firewall.click"),
            questions: trace::questions(&folder, HOSTS)?,
            folder,
            daemon: None,
        };
        let mut daemon = world.sprat("daemon");
        world.daemon = Some(Running(daemon.stderr(Stdio::null()).spawn()?));
        let begin = Instant::now();
        while !world.folder.join("run/sprat/daemon.socket").exists() {
            if begin.elapsed() > PATIENCE {
                return Err(Error::other("the daemon does not begin"));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(world)
    }

    fn sprat(&self, subcommand: &str) -> Command {
        let mut command = inside(&self.namespace, &self.sprat.to_string_lossy());
        command.arg(subcommand);
        command.env("XDG_RUNTIME_DIR", self.folder.join("run"));
        command.env("XDG_STATE_HOME", self.folder.join("state"));
        command
    }

    /// The firewalls of so many tenants, each between two interfaces of its own.
    fn declared(&self, tenants: usize) -> String {
        let (mut ports, mut rest) = (String::from("[ports]\n"), String::new());
        for tenant in 0..tenants {
            let _ = write!(
                ports,
                "in{tenant} = 'tap:in{tenant}'\nout{tenant} = 'tap:out{tenant}'\n"
            );
            let _ = write!(
                rest,
                "[functions.fw{tenant}]\nrun = '{}'\ntenant = 't{tenant}'\nreplicas = {EACH}\n\
                 [[chains]]\npath = ['in{tenant}', 'fw{tenant}', 'out{tenant}']\n",
                self.firewall.display()
            );
        }
        ports + &rest
    }

    fn declare(&self, text: &str) -> Result<()> {
        let path = self.folder.join("edge.toml");
        std::fs::write(&path, text)?;
        let output = self.sprat("up").arg(&path).output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::other(String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Asks every tenant's server, and says what each instance has sent by then, where it has sent more
    /// than `before`.
    fn ask_all(&self, before: &Sent) -> Result<Sent> {
        for tenant in 0..TENANTS {
            let text = format!(
                "FromDump({}, STOP true) -> Queue(4000) -> ToDevice(in{tenant});",
                self.questions.display()
            );
            self.ask(&text)?;
        }
        let begin = Instant::now();
        loop {
            let mut sent = self.sent()?;
            sent.retain(|name, sent| *sent > before.get(name).copied().unwrap_or(0));
            if sent.len() == TENANTS * EACH || begin.elapsed() > PATIENCE {
                return Ok(sent);
            }
            sleep(Duration::from_millis(100));
        }
    }

    fn ask(&self, configuration: &str) -> Result<()> {
        let mut command = self.sprat("click");
        let output = command.args(["-e", configuration]).output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::other(String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// What holds the instances.
    fn monitor(&self) -> Result<String> {
        let shown = self.status()?;
        let monitor = shown
            .pointer("/lanes/0/status/monitor")
            .and_then(Value::as_str);
        let monitor = monitor.ok_or_else(|| Error::other("no lane says how it is"));
        Ok(monitor?.to_owned())
    }

    fn status(&self) -> Result<Value> {
        let output = self.sprat("ps").arg("--json").output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn sent(&self) -> Result<Sent> {
        let shown = self.status()?;
        let lanes = shown["lanes"].as_array().into_iter().flatten();
        let instances = lanes.filter_map(|lane| lane["status"]["instances"].as_array());
        let sent = instances.flatten().filter_map(|instance| {
            Some((
                instance["name"].as_str()?.to_owned(),
                instance["sent"].as_u64()?,
            ))
        });
        Ok(sent.collect())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.sprat("down").stdout(Stdio::null()).status();
        self.daemon = None;
        // What is gone already needs no removal.
        let _ = ip(&["netns", "delete", &self.namespace]);
    }
}

/// Writes to as much memory as the instances will take, and gives it back.
///
/// Where this machine is itself a guest, its host finds memory for a page when the page is first
/// written, which takes longer than all else about it. Without this the last tenants' instances
/// would pay for that and the first ones', on pages used before, would not.
fn touch_memory() -> Result<()> {
    const FOR_EACH: usize = 3 << 19;
    let bytes = (TENANTS * EACH * FOR_EACH).min(available_memory()? / 2);
    let mut memory = vec![0_u8; bytes];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    std::hint::black_box(&memory);
    Ok(())
}

/// Memory that the kernel could give to whoever asks, in bytes.
fn available_memory() -> Result<usize> {
    let text = std::fs::read_to_string(Path::new("/proc/meminfo"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    let kilobytes = kilobytes.ok_or_else(|| Error::other("/proc/meminfo is not understood"));
    Ok(kilobytes? * 1024)
}
