//! `cargo xtask reproduce`: the same source gives the same bytes, whoever builds it, where and when.
//!
//! Each image is built twice: here, and from a copy of the sources in a folder of another length, as
//! another user with a home and a cargo of its own, in another time zone and language, with files of
//! another age and on one core. Both builds must be the same to the last byte, symbols and line
//! numbers included. Examples are built by `sprat build -t disk`, as people build them: the ELF file
//! and the raw disk hold the sealed image, the boot monitor and the parameters.

use crate::process;
use crate::report::Report;
use std::fs::{self, File};
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// The packages of images, and what boots them.
const IMAGES: [&str; 5] = ["click", "hello", "echo", "bulk", BOOT_MONITOR];

/// The examples that are a program: a middlebox with the elements it uses, or a service. (What
/// `examples/edge` declares runs on the first image.)
const EXAMPLES: [&str; 9] = [
    "firewall",
    "nat",
    "loadbalancer",
    "router",
    "monitor",
    "ratelimit",
    "dns",
    "kv",
    "web",
];

/// It has no symbols beside it.
const BOOT_MONITOR: &str = "boot-monitor";

/// The smallest, which is built in seconds.
const SMALLEST: &str = "hello";

/// Builds the images named, or all, and compares; true when none differs.
///
/// # Errors
/// A name is wrong, or something that every build needs is missing.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let all = || IMAGES.into_iter().chain(EXAMPLES);
    if let Some(unknown) = arguments
        .iter()
        .find(|word| all().all(|name| name != word.as_str()))
    {
        let names: Vec<&str> = all().collect();
        eprintln!(
            "xtask reproduce: no image or example '{unknown}'; there are {}",
            names.join(", ")
        );
        return Ok(false);
    }
    let chosen = |name: &&str| arguments.is_empty() || arguments.iter().any(|word| word == name);
    let images: Vec<&str> = all().filter(chosen).collect();
    let report = compare(&images)?;
    report.print();
    Ok(report.is_good())
}

/// The step of `cargo xtask test`: one image, in seconds.
///
/// # Errors
/// Something that the builds need is missing.
pub(crate) fn check() -> Result<Report> {
    compare(&[SMALLEST])
}

fn compare(images: &[&str]) -> Result<Report> {
    let builder = builder()?;
    let sprat = match images.iter().any(|name| EXAMPLES.contains(name)) {
        true => Some(sprat()?),
        false => None,
    };
    let here = crate::target_folder().join("reproduce");
    // Left over where a run was stopped.
    let _ = fs::remove_dir_all(&here);
    fs::create_dir_all(&here)?;
    let far = tempfile::Builder::new()
        .prefix("a folder whose name is of quite another length ")
        .tempdir()?;
    let elsewhere = Elsewhere::new(far.path())?;
    println!("    elsewhere: {}", elsewhere.describe());

    let mut report = Report::default();
    for image in images {
        let begun = std::time::Instant::now();
        let out = far.path().join("out");
        fs::create_dir_all(&out)?;
        let example = sprat.as_ref().filter(|_| EXAMPLES.contains(image));
        let program = example.unwrap_or(&builder);
        let mut first = Command::new(program);
        let mut second = elsewhere.command(program);
        for (command, out, workspace) in [
            (&mut first, &here, crate::root()),
            (&mut second, &out, &*elsewhere.workspace),
        ] {
            match example {
                Some(_) => command
                    .args(["build", "-t", "disk"])
                    .arg(workspace.join("examples").join(image))
                    .arg("-o")
                    .arg(out.join(image).with_extension("elf"))
                    .env("XDG_DATA_HOME", out.join("data")),
                None => command.arg(image).arg(out).arg(workspace),
            };
        }
        for (command, place) in [(&mut first, "here"), (&mut second, "elsewhere")] {
            let built = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .output()?;
            if !built.status.success() {
                return Err(Error::other(format!(
                    "{image} does not build {place}:\n{}",
                    String::from_utf8_lossy(&built.stderr)
                )));
            }
        }
        let names = match (example, *image) {
            (Some(_), image) => vec![format!("{image}.disk"), format!("{image}.elf")],
            (None, BOOT_MONITOR) => vec![BOOT_MONITOR.to_owned()],
            (None, image) => vec![image.to_owned(), format!("{image}.symbols")],
        };
        let linked = fs::read(here.join(&names[names.len() - 1]))?;
        for name in names {
            let name = name.as_str();
            let (one, other) = (fs::read(here.join(name))?, fs::read(out.join(name))?);
            let same = match sprat_image::difference(&one, &other, &linked) {
                None => format!("{} bytes, the same", one.len()),
                Some(difference) => format!("DIFFERS at {difference}"),
            };
            println!("    {name}: {same}");
            report.add(Report::of(&format!("{name}: {same}"), one == other));
        }
        println!("    {image} took {:.0?}", begun.elapsed());
    }
    Ok(report)
}

/// The program that builds an image of a workspace.
fn builder() -> Result<PathBuf> {
    let mut build = process::cargo(&["build", "--quiet", "--locked"]);
    build.args(["--package", "sprat-image", "--example", "build"]);
    if !process::show(&mut build)? {
        return Err(Error::other(
            "the program that builds images does not build",
        ));
    }
    Ok(crate::target_folder().join("debug/examples/build"))
}

/// The command, as it ships.
fn sprat() -> Result<PathBuf> {
    let mut build = process::cargo(&["build", "--quiet", "--locked", "--release"]);
    if !process::show(build.args(["--package", "sprat-cli"]))? {
        return Err(Error::other("the command does not build"));
    }
    Ok(crate::target_folder().join("release/sprat"))
}

/// Another place, with everything about it different.
struct Elsewhere {
    workspace: PathBuf,
    home: PathBuf,
    /// Whether the system lets us be somebody else there.
    other_user: bool,
}

impl Elsewhere {
    fn new(folder: &Path) -> Result<Self> {
        let workspace = folder.join("sources/below/many/folders");
        copy(crate::root(), &workspace)?;
        let home = folder.join("home");
        // What was downloaded is there; what cargo makes of it is not.
        let registry = home.join("cargo/registry");
        fs::create_dir_all(&registry)?;
        let own = cargo_home().ok_or_else(|| Error::other("neither CARGO_HOME nor HOME is set"))?;
        for part in ["index", "cache"] {
            std::os::unix::fs::symlink(own.join("registry").join(part), registry.join(part))?;
        }
        let mut user = Command::new("unshare");
        user.args(NOBODY).arg("true").stderr(Stdio::null());
        Ok(Self {
            workspace,
            home,
            other_user: user.status().is_ok_and(|status| status.success()),
        })
    }

    fn describe(&self) -> String {
        let user = if self.other_user {
            "user 65534"
        } else {
            "the same user"
        };
        format!("{user}, {}", self.workspace.display())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = match self.other_user {
            true => {
                let mut command = Command::new("unshare");
                command.args(NOBODY).arg(program);
                command
            }
            false => Command::new(program),
        };
        // The toolchain is the same one: its place is not part of the question.
        if let Some(rustup) = rustup_home() {
            command.env("RUSTUP_HOME", rustup);
        }
        command
            .env("CARGO_HOME", self.home.join("cargo"))
            .env("HOME", &self.home)
            .env("USER", "nobody")
            .env("LOGNAME", "nobody")
            .env("TZ", "Pacific/Kiritimati")
            .env("LANG", "tr_TR.UTF-8")
            .env("LC_ALL", "tr_TR.UTF-8")
            .env("SOURCE_DATE_EPOCH", "1")
            .env("CARGO_BUILD_JOBS", "1")
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_NET_OFFLINE", "true")
            .env("RUSTFLAGS", "-Copt-level=0")
            .env("TMPDIR", &self.home)
            .current_dir("/");
        command
    }
}

/// Another user, without the right to become one.
const NOBODY: [&str; 3] = ["--user", "--map-user=65534", "--map-group=65534"];

fn cargo_home() -> Option<PathBuf> {
    home_of("CARGO_HOME", ".cargo")
}

fn rustup_home() -> Option<PathBuf> {
    home_of("RUSTUP_HOME", ".rustup")
}

fn home_of(variable: &str, folder: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(folder)))
}

/// Copies the sources, and makes them as old as files can be.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let copied = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &copied)?;
        } else {
            fs::copy(entry.path(), &copied)?;
            let old = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
            File::options()
                .write(true)
                .open(&copied)?
                .set_modified(old)?;
        }
    }
    Ok(())
}
