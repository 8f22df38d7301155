//! The properties, and how each is seen from outside.

use std::time::{Duration, SystemTime};

use crate::run::{End, Run, Script, Target};

/// Runs the program once.
type Runner<'a> = dyn FnMut(&Script) -> Run + 'a;

/// A property.
pub(crate) struct Property {
    pub(crate) name: &'static str,
    /// Whether an ordinary program has nothing of the kind.
    sealed_only: bool,
    check: fn(&mut Runner<'_>) -> Result<(), String>,
}

impl Property {
    pub(crate) fn absent(&self, target: Target) -> bool {
        self.sealed_only && target == Target::Unix
    }

    pub(crate) fn check(&self, runner: &mut Runner<'_>) -> Result<(), String> {
        (self.check)(runner)
    }
}

const fn property(
    name: &'static str,
    check: fn(&mut Runner<'_>) -> Result<(), String>,
) -> Property {
    Property {
        name,
        sealed_only: false,
        check,
    }
}

const fn sealed(name: &'static str, check: fn(&mut Runner<'_>) -> Result<(), String>) -> Property {
    Property {
        name,
        sealed_only: true,
        check,
    }
}

fn ends(run: &Run, end: &End) -> Result<(), String> {
    match run.end == *end {
        true => Ok(()),
        false => Err(format!("{:?}, and said: {}", run.end, tail(run))),
    }
}

fn tail(run: &Run) -> String {
    let text = run.text();
    let from = text.char_indices().rev().nth(300).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}

/// The program itself sees that the property holds.
fn holds(runner: &mut Runner<'_>) -> Result<(), String> {
    ends(&runner(&Script::default()), &End::Exited(0))
}

/// It ends well and says exactly this.
fn says(run: &Run, expected: &[u8]) -> Result<(), String> {
    ends(run, &End::Exited(0))?;
    match run.console == expected {
        true => Ok(()),
        false => Err(format!(
            "{} bytes on the console, {} expected: {}",
            run.console.len(),
            expected.len(),
            tail(run)
        )),
    }
}

fn given(name: &'static str, value: &str) -> Script {
    Script {
        parameters: vec![(name, value.into())],
        ..Script::default()
    }
}

/// It is refused with status 2, and what is wrong is named.
fn refused(run: &Run, named: &str) -> Result<(), String> {
    ends(run, &End::Exited(2))?;
    match run.text().contains(named) {
        true => Ok(()),
        false => Err(format!("'{named}' is not named: {}", tail(run))),
    }
}

/// An exception ends it, at this region if that is known; an ordinary program ends by a signal.
fn faults(run: &Run, vector: u8, region: Option<&'static str>) -> Result<(), String> {
    match run.end {
        End::Signal => Ok(()),
        _ => ends(run, &End::Faulted(vector, region)),
    }
}

/// Frames of these lengths, each of other bytes.
fn frames(lengths: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    lengths
        .into_iter()
        .enumerate()
        .map(|(number, length)| {
            let mut frame: Vec<u8> = (0..length)
                .map(|at| (at * 7 + number).to_le_bytes()[0])
                .collect();
            frame[..4].copy_from_slice(&u32::try_from(number).expect("few").to_le_bytes());
            frame
        })
        .collect()
}

/// They come back from the device that they went to.
fn echoed(runner: &mut Runner<'_>, frames: Vec<Vec<u8>>) -> Result<(), String> {
    let run = runner(&Script {
        devices: vec![frames.clone()],
        stop: true,
        ..Script::default()
    });
    ends(&run, &End::Exited(0))?;
    match run.frames[0] == frames {
        true => Ok(()),
        false => Err(format!(
            "{} of {} frames came back, or in another order",
            run.frames[0].len(),
            frames.len()
        )),
    }
}

/// A disk of 64 blocks, of which each begins with its number.
fn numbered_blocks() -> Vec<u8> {
    (0..64_u64)
        .flat_map(|number| [number.to_le_bytes(); 64])
        .flatten()
        .collect()
}

fn blocks(read_only: bool) -> Script {
    Script {
        disk: Some((numbered_blocks(), read_only)),
        ..Script::default()
    }
}

/// The program itself sees that the property of its disk holds.
fn on_blocks(runner: &mut Runner<'_>) -> Result<(), String> {
    ends(&runner(&blocks(false)), &End::Exited(0))
}

/// The program says again what it is told over TCP.
fn said_again(runner: &mut Runner<'_>) -> Result<(), String> {
    let bytes: Vec<u8> = (0..60_000_u32)
        .map(|at| (at / 7).to_le_bytes()[0])
        .collect();
    let run = runner(&Script {
        sends: Some(bytes.clone()),
        ..Script::default()
    });
    match run.said_again == bytes {
        true => ends(&run, &End::Exited(0)),
        false => Err(format!(
            "{} of {} bytes came back: {:?}, {}",
            run.said_again.len(),
            bytes.len(),
            run.end,
            tail(&run)
        )),
    }
}

/// Vectors: Intel's manual, volume 3, table 6-1.
const DIVIDE: u8 = 0;
const BREAKPOINT: u8 = 3;
const INVALID: u8 = 6;
const PAGE_FAULT: u8 = 14;

pub(crate) const PROPERTIES: &[Property] = &[
    property("console-bytes", |runner| {
        says(&runner(&Script::default()), &(0..=255).collect::<Vec<u8>>())
    }),
    property("console-order", |runner| {
        let expected: String = (0..2000).map(|number| format!("{number}\n")).collect();
        says(&runner(&Script::default()), expected.as_bytes())
    }),
    property("console-long", |runner| {
        says(&runner(&Script::default()), &vec![b'x'; 300_000])
    }),
    property("console-log", |runner| {
        let run = runner(&Script::default());
        ends(&run, &End::Exited(0))?;
        match run.text().contains("INFO") && run.text().ends_with("a line of log\n") {
            true => Ok(()),
            false => Err(tail(&run)),
        }
    }),
    property("parameter-text", |runner| {
        says(
            &runner(&given("word", "two words = ü")),
            "two words = ü".as_bytes(),
        )
    }),
    property("parameter-default", holds),
    property("parameter-number", |runner| {
        says(&runner(&given("number", "7")), b"8")
    }),
    property("parameter-malformed", |runner| {
        refused(&runner(&given("number", "seven")), "number")
    }),
    property("parameter-missing", |runner| {
        let script = Script {
            nameless: true,
            ..Script::default()
        };
        let run = runner(&script);
        // A monitor refuses what the program itself would.
        match &run.end {
            End::Other(why) if why.contains("property") => Ok(()),
            _ => refused(&run, "property"),
        }
    }),
    property("configuration-text", |runner| {
        let text = b"a text\nof two lines, and \xff that is none".to_vec();
        let run = runner(&Script {
            configuration: text.clone(),
            ..Script::default()
        });
        says(&run, &text)
    }),
    property("exit-zero", holds),
    property("exit-status", |runner| {
        ends(&runner(&Script::default()), &End::Exited(37))
    }),
    property("clock-steady", holds),
    property("clock-fine", holds),
    property("clock-rate", |runner| {
        let run = runner(&Script::default());
        ends(&run, &End::Exited(0))?;
        match run.elapsed >= Duration::from_millis(297) {
            true => Ok(()),
            false => Err(format!("300 ms took {:?}", run.elapsed)),
        }
    }),
    property("clock-wall", |runner| {
        let now = || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| since.as_secs())
        };
        let before = now();
        let run = runner(&Script::default());
        ends(&run, &End::Exited(0))?;
        // A battery's clock counts in whole seconds.
        let seconds: u64 = run.text().parse().map_err(|_| tail(&run))?;
        match (before - 2..=now() + 2).contains(&seconds) {
            true => Ok(()),
            false => Err(format!("{seconds} at {before}")),
        }
    }),
    property("clock-wall-advances", holds),
    sealed("clock-steps", |runner| {
        let run = runner(&Script {
            step: true,
            ..Script::default()
        });
        ends(&run, &End::Exited(0))
    }),
    property("timer-not-early", holds),
    property("timer-not-late", holds),
    property("timer-order", holds),
    property("timer-many", holds),
    property("timer-timeout", holds),
    property("task-turns", holds),
    property("heap-use", holds),
    property("heap-again", holds),
    property("heap-aligned", holds),
    property("heap-refuses", holds),
    sealed("heap-exhausted", |runner| {
        let run = runner(&Script::default());
        faults(&run, BREAKPOINT, None)?;
        match run.text().contains("panicked: memory allocation") {
            true => Ok(()),
            false => Err(tail(&run)),
        }
    }),
    property("random-seed", |runner| {
        let runs = [0; 3].map(|_| runner(&Script::default()));
        for run in &runs {
            ends(run, &End::Exited(0))?;
        }
        let [first, second, third] = runs.map(|run| run.console);
        match first != second && second != third && first != third {
            true => Ok(()),
            false => Err("two runs were given the same".into()),
        }
    }),
    property("random-same", holds),
    property("code-survives-interrupts", holds),
    property("code-floats-survive-interrupts", holds),
    property("code-copies-survive-interrupts", holds),
    property("code-red-zone", holds),
    property("frames-echo", |runner| {
        echoed(runner, frames([60, 61, 100, 1000, 1500, 64]))
    }),
    property("frames-shortest-and-longest", |runner| {
        let lengths = [60, 1514, 60, 1514, 1513];
        echoed(runner, frames(lengths))
    }),
    property("frames-many", |runner| {
        echoed(
            runner,
            frames((0..1000).map(|number| 60 + number * 13 % 1455)),
        )
    }),
    property("frames-names", |runner| {
        let run = runner(&Script {
            devices: vec![Vec::new(); 2],
            ..Script::default()
        });
        ends(&run, &End::Exited(0))
    }),
    sealed("frames-addresses", |runner| {
        let run = runner(&Script {
            devices: vec![Vec::new(); 2],
            ..Script::default()
        });
        ends(&run, &End::Exited(0))
    }),
    property("frames-cross", |runner| {
        let (one, other) = (frames([60; 300]), frames([700; 200]));
        let run = runner(&Script {
            devices: vec![one.clone(), other.clone()],
            stop: true,
            ..Script::default()
        });
        ends(&run, &End::Exited(0))?;
        match run.frames == [other, one] {
            true => Ok(()),
            false => Err("frames are missing, or went elsewhere".into()),
        }
    }),
    sealed("frames-too-long", |runner| {
        let run = runner(&Script {
            devices: vec![Vec::new()],
            stop: true,
            ..Script::default()
        });
        ends(&run, &End::Exited(0))?;
        match run.frames == [[vec![0x5a; 60]]] {
            true => Ok(()),
            false => Err(format!("{} frames", run.frames[0].len())),
        }
    }),
    property("tcp-echo", said_again),
    property("tcp-with-loss", said_again),
    property("block-size", on_blocks),
    property("block-read", on_blocks),
    property("block-write", |runner| {
        let run = runner(&blocks(false));
        ends(&run, &End::Exited(0))?;
        // Everything but what was written is as it was.
        let mut expected = numbered_blocks();
        let written = (0..60 * 512_usize).map(|at| (at * 31 / 7).to_le_bytes()[0]);
        expected.splice(3 * 512..63 * 512, written);
        match run.disk == expected {
            true => Ok(()),
            false => Err("other bytes are on the disk".into()),
        }
    }),
    property("block-order", on_blocks),
    property("block-many", on_blocks),
    property("block-outside", on_blocks),
    sealed("block-read-only", |runner| {
        let run = runner(&blocks(true));
        ends(&run, &End::Exited(0))?;
        match run.disk == numbered_blocks() {
            true => Ok(()),
            false => Err("it was written".into()),
        }
    }),
    property("file-read", |runner| {
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let run = runner(&Script {
            file: Some(bytes.clone()),
            ..Script::default()
        });
        says(&run, &bytes)
    }),
    property("file-missing", holds),
    property("file-write", |runner| {
        let run = runner(&Script {
            writes: true,
            ..Script::default()
        });
        ends(&run, &End::Exited(0))?;
        let expected: String = (0..40_000).map(|number| format!("{number}\n")).collect();
        match run.written == expected.as_bytes() {
            true => Ok(()),
            false => Err(format!("{} of {} bytes", run.written.len(), expected.len())),
        }
    }),
    sealed("handler-answers", |runner| {
        let run = runner(&Script {
            requests: vec![
                ("kept", None),
                ("kept", Some("second")),
                ("kept", None),
                ("other", None),
            ],
            stop: true,
            ..Script::default()
        });
        ends(&run, &End::Exited(0))?;
        let texts: Vec<&[u8]> = run.answers.iter().map(|(_, text)| &text[..]).collect();
        let done: Vec<bool> = run
            .answers
            .iter()
            .map(|(status, _)| *status == 200)
            .collect();
        let expected: [&[u8]; 3] = [b"first", b"", b"second"];
        match texts.get(..3) == Some(&expected[..]) && done == [true, true, true, false] {
            true => Ok(()),
            false => Err(format!("{:?}", run.answers)),
        }
    }),
    sealed("stop-request", |runner| {
        let run = runner(&Script {
            stop: true,
            ..Script::default()
        });
        says(&run, b"stopping")
    }),
    sealed("broken-panic", |runner| {
        let run = runner(&Script::default());
        faults(&run, BREAKPOINT, None)?;
        match run.text().contains("panicked: index out of bounds") {
            true => Ok(()),
            false => Err(tail(&run)),
        }
    }),
    property("broken-writes-text", |runner| {
        faults(&runner(&Script::default()), PAGE_FAULT, Some("image text"))
    }),
    property("broken-writes-constants", |runner| {
        let region = Some("image read-only data");
        faults(&runner(&Script::default()), PAGE_FAULT, region)
    }),
    property("broken-runs-data", |runner| {
        faults(&runner(&Script::default()), PAGE_FAULT, Some("image data"))
    }),
    property("broken-runs-heap", |runner| {
        faults(&runner(&Script::default()), PAGE_FAULT, Some("heap"))
    }),
    property("broken-runs-stack", |runner| {
        faults(&runner(&Script::default()), PAGE_FAULT, Some("stack"))
    }),
    property("broken-reads-page-zero", |runner| {
        faults(&runner(&Script::default()), PAGE_FAULT, Some("page zero"))
    }),
    property("broken-stack-overflow", |runner| {
        faults(&runner(&Script::default()), PAGE_FAULT, Some("stack guard"))
    }),
    property("broken-instruction", |runner| {
        faults(&runner(&Script::default()), INVALID, None)
    }),
    property("broken-division", |runner| {
        faults(&runner(&Script::default()), DIVIDE, None)
    }),
];
