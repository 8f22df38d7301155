//! Any packets through any element under any arguments: refused with a message, or every packet
//! comes out, is held or is dropped; buffers all return; and packets that go through one by one
//! fare as those in batches do.
//!
//! The input is text and bytes with a zero between: a class and its arguments; handlers to be
//! written, one a line; and then a byte that says how packets reach the element, and the frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_click::Class;
use sprat_click::simulation::Simulation;
use sprat_fuzz::{Bench, Setup, frames};
use std::fmt::Write as _;
use std::sync::LazyLock;

static CLASSES: LazyLock<Vec<&'static Class>> = LazyLock::new(|| sprat_elements::CLASSES.concat());

/// What stands between a device and the element.
const PREPARATIONS: [&str; 6] = [
    "",
    "Strip(14) -> ",
    "Strip(14) -> MarkIPHeader -> ",
    "Strip(14) -> CheckIPHeader -> ",
    "MarkIPHeader(14) -> Paint(1) -> ",
    "CheckIPHeader(OFFSET 14) -> SetTimestamp -> ",
];

/// Parts of the names of classes whose answer depends on chance, on the clock or on how much is
/// done at a time, as with one that keeps packets of one input until one of the other comes.
const UNSTEADY: [&str; 18] = [
    "Rand", "Rated", "Shaper", "RED", "Prob", "CoDel", "Burster", "Meter", "MixedQueue",
    "DelayUnqueue", "LinkUnqueue", "ComparePackets", "Force", "TCPReflector", "ToyTCP", "WebGen",
    "DupPath", "TCPBuffer",
];

/// Rounds that a router runs, twice. In each, a task that polls does so more than a hundred times.
const ROUNDS: usize = 8;

/// Rounds of one whose element makes packets of its own: each round is many of them.
const SOURCE_ROUNDS: usize = 2;

/// Most ports of a kind that are connected.
const MOST_PORTS: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |&byte| byte == 0);
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let (Some(declaration), Some(handlers)) = (text(), text()) else { return };
    let Some((&preparation, packets)) = parts.next().and_then(<[u8]>::split_first) else { return };
    let (name, arguments) = declaration.split_once(' ').unwrap_or((declaration, ""));
    let class = CLASSES.iter().find(|class| class.name == name).copied().unwrap_or_else(|| {
        CLASSES[name.bytes().fold(0, |sum, byte| sum * 31 % 65521 + usize::from(byte)) % CLASSES.len()]
    });
    let trial = Trial { class, arguments, handlers, preparation, packets };
    let batches = trial.outcome(false);
    // What chooses at random or by the clock is asked at other moments when packets come singly.
    if let Some(batches) = batches
        && trial.is_steady()
    {
        let singly = trial.outcome(true);
        assert!(Some(batches) == singly, "{declaration}: packets fare otherwise singly");
    }
});

struct Trial<'a> {
    class: &'static Class,
    arguments: &'a str,
    handlers: &'a str,
    preparation: u8,
    packets: &'a [u8],
}

impl Trial<'_> {
    /// Whether the element's answer to a packet depends on packets alone.
    fn is_steady(&self) -> bool {
        let takes_packets = !self.class.ports.starts_with('0');
        // Whose name is in those of others.
        takes_packets
            && self.class.name != "PI"
            && !UNSTEADY.iter().any(|part| self.class.name.contains(part))
            && !(self.class.name.contains("Queue") && self.may_overflow())
    }

    /// Whether a queue with these arguments may be too short for all packets at once: what it drops
    /// then depends on how many come before it is emptied.
    fn may_overflow(&self) -> bool {
        let is_short = |word: &str| word.parse().is_ok_and(|length: usize| length <= frames(self.packets).len());
        let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_short);
        words(self.arguments) || words(self.handlers)
    }

    /// Runs the packets through and gives what came out of each port; `None` where no number of
    /// ports is accepted.
    fn outcome(&self, exact: bool) -> Option<Vec<Vec<Vec<u8>>>> {
        let (inputs, outputs) = self.class.ports.split_once('/').unwrap_or(("1", "1"));
        let inputs = count(inputs, 1, usize::from(self.preparation >> 4));
        let listed = self.arguments.split(',').count();
        let fewest = count(outputs, inputs, 0);
        let most = count(outputs, inputs, MOST_PORTS);
        let wanted = [listed.clamp(fewest, most.max(fewest)), fewest, fewest + 1];
        wanted.into_iter().find_map(|outputs| self.run(inputs, outputs.min(MOST_PORTS), exact))
    }

    fn run(&self, inputs: usize, outputs: usize, exact: bool) -> Option<Vec<Vec<Vec<u8>>>> {
        let simulation = Simulation::new();
        let text = self.configuration(inputs, outputs);
        let mut bench = Bench::new(&simulation, &text, Setup { exact, ..Setup::default() })?;
        let frames = frames(self.packets);
        let rounds = if inputs == 0 { SOURCE_ROUNDS } else { ROUNDS };
        // One input after the other: in which order devices are served that all have frames depends
        // on how many are taken at a time.
        for input in 0..inputs.max(1) {
            let device = simulation.simulated_device(&format!("in{input}"));
            for frame in frames.iter().skip(input).step_by(inputs.max(1)) {
                device.arrive(frame, sprat_click::environment::Environment::timestamp(&*simulation));
            }
            bench.run(rounds);
        }
        bench.handlers("c", self.handlers);
        bench.run(rounds);
        let sent = |output| {
            let sent = simulation.simulated_device(&format!("out{output}")).take_sent();
            sent.into_iter().map(|(frame, _)| frame).collect()
        };
        let outcome = (0..outputs).map(sent).collect();
        bench.finish();
        Some(outcome)
    }

    fn configuration(&self, inputs: usize, outputs: usize) -> String {
        let (incoming, outgoing) = match self.class.processing.split_once('/') {
            Some(both) => both,
            None => (self.class.processing, self.class.processing),
        };
        let preparation = PREPARATIONS[usize::from(self.preparation & 15) % PREPARATIONS.len()];
        let mut text = format!("c :: {}({});\n", self.class.name, self.arguments);
        for port in 0..inputs {
            let queue = if kind(incoming, port) == 'l' { "Queue -> " } else { "" };
            let _ = writeln!(text, "FromDevice(in{port}) -> {preparation}{queue}[{port}] c;");
        }
        // An agnostic element is pushed where it has an input, and pulled where it has none.
        let pulled = |port| match kind(outgoing, port) {
            'l' => true,
            'a' => inputs == 0 || kind(incoming, 0) == 'l',
            _ => false,
        };
        for port in 0..outputs {
            let queue = if pulled(port) { "" } else { "Queue -> " };
            let _ = writeln!(text, "c[{port}] -> {queue}ToDevice(out{port});");
        }
        text
    }
}

/// Whether a port pushes, pulls or does as others do; the last letter stands for all further ports.
fn kind(code: &str, port: usize) -> char {
    code.chars().nth(port).or(code.chars().last()).unwrap_or('a')
}

/// How many ports a class that says `1`, `1-2`, `2-`, `-` or `=` gets when it may have `more`.
fn count(ports: &str, others: usize, more: usize) -> usize {
    if ports.starts_with('=') {
        return others;
    }
    let (least, most) = ports.split_once('-').unwrap_or((ports, ports));
    let least = least.parse().unwrap_or(0);
    (least + more).min(most.parse().unwrap_or(MOST_PORTS))
}
