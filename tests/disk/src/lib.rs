//! What tests of self-booting images share: building them once, and machines that boot them.
#![forbid(unsafe_code)]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use sprat_image::{BuildOptions, BuiltImage, Package};
use sprat_monitor::disk::{End, Machine, MachineKind, QEMU, assemble};
use sprat_monitor::{Image, Options};
use tempfile::TempDir;

/// Longest that a machine may run.
const LIMIT: Duration = Duration::from_secs(60);

/// The workspace's folder.
///
/// # Panics
/// Where it is not there.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

/// Builds in one target folder put the same files in place: one at a time.
static BUILDING: Mutex<()> = Mutex::new(());

/// A program of the workspace as a sealed image.
///
/// # Panics
/// Where it does not build.
#[must_use]
pub fn image(package: &str, binary: Option<&str>) -> BuiltImage {
    let _turn = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let options = BuildOptions::new(workspace().join("target/images"));
    let package = Package {
        workspace: workspace(),
        name: package.into(),
    };
    match binary {
        Some(binary) => sprat_image::build_binary(&package, binary, &options, &mut |_| {}),
        None => sprat_image::build(&package, &options, &mut |_| {}),
    }
    .expect("it builds")
}

/// The boot monitor, linked.
///
/// # Panics
/// Where it does not build.
#[must_use]
pub fn boot_monitor() -> Vec<u8> {
    let _turn = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let options = BuildOptions::new(workspace().join("target/images"));
    let built = sprat_image::build_boot_monitor(&workspace(), &options, &mut |_| {});
    built.expect("the boot monitor builds").linked
}

/// An image that boots by itself.
///
/// # Panics
/// Where it cannot be made.
#[must_use]
pub fn self_booting(package: &str, binary: Option<&str>, options: &Options) -> Vec<u8> {
    let image = Image::load(&image(package, binary).image).expect("an image");
    assemble(&boot_monitor(), &image, options).expect("it goes together")
}

/// Whether there is a QEMU; says so where there is none.
#[must_use]
pub fn has_qemu() -> bool {
    has_program(QEMU)
}

/// Whether a program can be started; says so where it cannot.
#[must_use]
pub fn has_program(name: &str) -> bool {
    let found = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("skipped: needs {name}");
    }
    found
}

/// What became of a machine.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What was on its console, but for what firmware wrote there.
    pub console: String,
    /// From the start of its process to its end.
    pub elapsed: Duration,
}

/// A machine that runs until it is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().expect("QEMU starts"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots a file on a machine of so many MiB and waits for its end; `change` may add to the machine.
///
/// # Panics
/// Where it does not start, or does not end.
pub fn boot(
    file: &[u8],
    kind: MachineKind,
    memory: u64,
    change: impl FnOnce(&mut Machine),
) -> Outcome {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("image");
    fs::write(&path, file).expect("written");
    let mut machine = Machine::new(kind, &path, memory);
    change(&mut machine);
    run(&mut machine.command(), folder.path())
}

fn run(command: &mut Command, folder: &Path) -> Outcome {
    let start = Instant::now();
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("QEMU starts");
    let mut output = child.stdout.take().expect("it was asked for");
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        // What came before an error is all there is.
        let _ = output.read_to_end(&mut text);
        text
    });
    let status = loop {
        if let Some(status) = child.try_wait().expect("a process of ours") {
            break status;
        }
        if start.elapsed() > LIMIT {
            child.kill().expect("a process of ours");
        }
        thread::sleep(Duration::from_millis(1));
    };
    let elapsed = start.elapsed();
    let console = reader.join().expect("it does not panic");
    Outcome {
        end: End::from_code(status.code()),
        console: String::from_utf8_lossy(&console).into_owned(),
        elapsed,
    }
}
