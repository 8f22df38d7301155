//! `cargo xtask test`: everything that must hold before a change is accepted.
//!
//! Steps go from quick to slow, and a step that fails does not keep the later ones from
//! running: one run tells everything. All share the workspace's target folder.

use crate::libtest::{Reader, Show};
use crate::report::Report;
use crate::{captures, conformance, element_pages, machine, process, readme, reproduce};
use std::process::Command;
use std::time::{Duration, Instant};

type Outcome = std::io::Result<Report>;
type Step = (&'static str, fn() -> Outcome);

/// No step may take longer; a healthy one takes a few minutes.
const LIMIT: Duration = Duration::from_secs(25 * 60);

const STEPS: [Step; 12] = [
    ("format", format),
    ("lints", lints),
    ("documentation", documentation),
    ("reference of elements", element_pages::check),
    ("the command, as it ships", command),
    ("the same image from elsewhere", reproduce::check),
    ("tests", tests),
    ("races", races),
    ("memory", memory),
    ("captures through the examples", captures::check),
    ("Click's own cases", conformance::check),
    ("the README's commands", readme_commands),
];

/// Runs every step; true when nothing failed.
///
/// # Errors
/// A tool that every step needs cannot be started.
pub(crate) fn run(arguments: &[String]) -> std::io::Result<bool> {
    if let Some(argument) = arguments.first() {
        eprintln!("xtask test takes no arguments, and found '{argument}'");
        return Ok(false);
    }
    println!("==> what this machine has");
    machine::install_components();
    machine::install_programs();
    println!(
        "    KVM: {}, root: {}",
        yes_no(machine::has_kvm()),
        yes_no(machine::is_root())
    );
    say_free_space();

    let mut total = Report::default();
    for (number, (name, step)) in STEPS.iter().enumerate() {
        println!("==> {name} ({} of {})", number + 1, STEPS.len());
        let begun = Instant::now();
        let report = step()?;
        println!(
            "    {} passed, {} failed in {:.0?}",
            report.passed,
            report.failed.len(),
            begun.elapsed()
        );
        total.add(report);
    }
    total.refuse_skips(machine::contradicts);
    total.print();
    Ok(total.is_good())
}

/// What a run leaves in an empty target folder, and its tests in the temporary one meanwhile.
const SPACE: u64 = 10_000_000_000;

/// Says beforehand what the compiler and the linker say badly in the middle of a run.
fn say_free_space() {
    const GIGABYTE: u64 = 1_000_000_000;
    for (what, folder) in [
        ("this folder", crate::root().to_owned()),
        ("temporary files", std::env::temp_dir()),
    ] {
        let Some(free) = machine::free_space(&folder) else {
            continue;
        };
        println!("    free for {what}: {} GB", free / GIGABYTE);
        if free < SPACE {
            println!(
                "    a run on a clean clone takes {} GB: it may end in 'No space left on device'",
                SPACE / GIGABYTE
            );
        }
    }
}

fn yes_no(there: bool) -> &'static str {
    if there { "yes" } else { "no" }
}

fn format() -> Outcome {
    process::show(&mut process::cargo(&["fmt", "--all", "--check"]))
        .map(|held| Report::of("format", held))
}

fn lints() -> Outcome {
    let mut clippy = process::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]);
    let mut report = Report::of("lints", process::show(&mut clippy)?);
    // What runs in ring 0 is compiled for that place alone, and as a program only by the image's linker.
    let mut ring_0 = process::cargo(&[
        "clippy",
        "--package",
        "sprat-platform-disk",
        "--lib",
        "--target",
        "x86_64-unknown-linux-gnu",
        "--quiet",
        "--locked",
    ]);
    ring_0
        .arg("--target-dir")
        .arg(crate::target_folder().join("ring-0"))
        .args(["--", "-D", "warnings"])
        .env("RUSTFLAGS", "--cfg=sprat_target=\"disk\"");
    report.add(Report::of("lints of ring 0", process::show(&mut ring_0)?));
    // A workspace of its own, which nothing else here compiles. Testing changes no lock file.
    let mut fuzz = process::cargo(&["check", "--quiet", "--locked", "--manifest-path"]);
    fuzz.arg(crate::root().join("fuzz/Cargo.toml"));
    report.add(Report::of("fuzz targets", process::show(&mut fuzz)?));
    Ok(report)
}

fn documentation() -> Outcome {
    let mut doc = process::cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--quiet",
        "--locked",
    ]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    process::show(&mut doc).map(|held| Report::of("documentation", held))
}

fn command() -> Outcome {
    let mut build = process::cargo(&["build", "--release", "--locked", "--package", "sprat-cli"]);
    process::show(&mut build).map(|built| Report::of("the command does not build", built))
}

fn tests() -> Outcome {
    let mut command = process::cargo(&[
        "test",
        "--workspace",
        "--no-fail-fast",
        "--locked",
        "--",
        "--show-output",
        "--format=pretty",
    ]);
    // The end-to-end tests take the command that was just built and need not build it again.
    command.env("SPRAT", crate::target_folder().join("release/sprat"));
    read_tests("tests", &mut command)
}

/// Every interleaving of the two sides of a ring, as the model checker Loom enumerates them. It
/// replaces atomics in the whole build, so it has a target folder of its own.
fn races() -> Outcome {
    let mut command = process::cargo(&[
        "test",
        "--release",
        "--locked",
        "--package",
        "sprat-abi",
        "--lib",
    ]);
    command
        .arg("--target-dir")
        .arg(crate::target_folder().join("loom"));
    command
        .args(["--", "--show-output", "--format=pretty"])
        .env("RUSTFLAGS", "--cfg loom");
    read_tests("races", &mut command)
}

/// The tests of rings and pools under Valgrind, which sees an access outside of what was allocated
/// and a decision by bytes that nobody wrote. The random ones run fewer rounds: each takes long.
fn memory() -> Outcome {
    if !machine::has_program("valgrind") {
        let mut report = Report::default();
        report.skipped.push("memory: needs valgrind".to_owned());
        return Ok(report);
    }
    let mut command = process::cargo(&[
        "test", "--locked", "--lib", "--test", "rings", "--test", "blocks",
    ]);
    for package in ["sprat-abi", "sprat-packet", "sprat-platform-vm"] {
        command.args(["--package", package]);
    }
    command
        .args(["--features", "sprat-abi/host"])
        .args(["--", "--show-output", "--format=pretty"])
        .env("PROPTEST_CASES", "8")
        .env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
            "valgrind --quiet --error-exitcode=99",
        );
    read_tests("memory", &mut command)
}

/// Runs a command that starts test harnesses and adds up what they say.
fn read_tests(what: &str, command: &mut Command) -> Outcome {
    let mut reader = Reader::default();
    let good = process::lines(command, LIMIT, |line| {
        if reader.line(line) == Show::Yes {
            println!("    {line}");
        }
    })?;
    Ok(reader.finish(what, good))
}

fn readme_commands() -> Outcome {
    let mut report = Report::default();
    let text = std::fs::read_to_string(crate::root().join("README.md"))?;
    for line in readme::commands(&text)
        .into_iter()
        .filter(|line| readme::can_be_tried(line))
    {
        let mut shell = readme::shell(line);
        shell.current_dir(crate::root());
        report.add(Report::of(
            &format!("README: {line}"),
            process::show(&mut shell)?,
        ));
    }
    Ok(report)
}
