//! `cargo xtask hardware [intel] [amd]`: the sealed tests where a processor virtualizes in hardware.
//!
//! A KVM without hardware below it, as in many virtual machines that developers have, checks and
//! emulates other things than one with VT-x or AMD-V. Bochs emulates such processors whole, so a Linux
//! in it has the KVM that users have: Debian's kernel boots there with the tests of `tests/sealed` and
//! their images, and nothing else. It takes minutes a processor, so `cargo xtask test` leaves it out.

mod archive;

use std::fs;
use std::io::{Error, ErrorKind, Read as _, Result, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::libtest::Reader;
use crate::report::Report;
use crate::{machine, process};
use archive::Archive;

/// A processor: what we call it, Bochs' model, and the module of KVM that drives it.
const PROCESSORS: [(&str, &str, &str); 2] = [
    ("intel", "corei7_haswell_4770", "kvm-intel"),
    ("amd", "trinity_apu", "kvm-amd"),
];

const PROGRAMS: [(&str, &str); 7] = [
    ("bochs", "bochs"),
    (
        "/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so",
        "bochs-term",
    ),
    (BIOS, "bochsbios"),
    (VIDEO_BIOS, "vgabios"),
    ("grub-mkrescue", "grub-common"),
    ("/usr/lib/grub/i386-pc/multiboot2.mod", "grub-pc-bin"),
    ("xorriso", "xorriso"),
];
const BIOS: &str = "/usr/share/bochs/BIOS-bochs-latest";
const VIDEO_BIOS: &str = "/usr/share/vgabios/vgabios.bin";

/// The metapackage of Debian's smallest kernel, and a shell of one file.
const KERNEL: &str = "linux-image-cloud-amd64";
const SHELL: &str = "busybox-static";

/// No run may take longer; a quiet machine takes a minute and a half.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Tests of processes that go on beside the host, for which one processor is too few. There is
/// nothing about virtual machines in them.
const BESIDE: &str = "meanwhile::an_";

/// What the emulated machine says last.
const END: &str = "the sealed tests ended with ";

/// Runs the sealed tests on the processors named, or on all; true when every test held.
///
/// # Errors
/// An argument is wrong, or what it takes cannot be had.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    if let Some(unknown) = arguments
        .iter()
        .find(|name| PROCESSORS.iter().all(|(known, ..)| known != name))
    {
        let text = format!("no processor '{unknown}'; there are: intel, amd");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    machine::install_packages(&PROGRAMS);
    let folder = crate::target_folder().join("hardware");
    fs::create_dir_all(&folder)?;
    let system = System::get(&folder)?;
    let (tests, images) = build_tests(&folder)?;
    let mut total = Report::default();
    for (name, model, module) in PROCESSORS {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            println!("==> {name}, as Bochs' {model}");
            let disk = system.disk(&folder, module, &tests, &images)?;
            total.add(boot(&folder, model, &disk, name)?);
        }
    }
    total.print();
    Ok(total.is_good())
}

/// Where a kernel and a shell were unpacked.
struct System(PathBuf);

impl System {
    /// Downloads it from Debian where it is not there yet.
    fn get(folder: &Path) -> Result<Self> {
        let unpacked = folder.join("system");
        if unpacked.join("bin/busybox").is_file() {
            return Ok(Self(unpacked));
        }
        let depends = Command::new("apt-cache")
            .args(["depends", KERNEL])
            .output()?;
        let depends = String::from_utf8_lossy(&depends.stdout).into_owned();
        let kernel = depends
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: "))
            .ok_or_else(|| Error::other(format!("apt-cache knows no {KERNEL}")))?;
        println!("    downloading {kernel} and {SHELL} from Debian (28 MB)");
        let packages = folder.join("packages");
        // What an earlier run did not finish.
        let _ = fs::remove_dir_all(&packages);
        fs::create_dir_all(&packages)?;
        succeed(
            Command::new("apt-get")
                .args(["download", "-qq", kernel, SHELL])
                .current_dir(&packages),
        )?;
        // Moved into place whole: a part of it would be taken for it.
        let partial = folder.join("system.partial");
        for package in fs::read_dir(&packages)? {
            succeed(
                Command::new("dpkg-deb")
                    .arg("-x")
                    .arg(package?.path())
                    .arg(&partial),
            )?;
        }
        fs::rename(&partial, &unpacked)?;
        fs::remove_dir_all(&packages)?;
        Ok(Self(unpacked))
    }

    /// The one file below a folder whose name begins so.
    fn find(&self, below: &str, name: &str) -> Result<PathBuf> {
        let mut folders = vec![self.0.join(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let named = path.file_name().and_then(|found| found.to_str());
                if path.is_dir() {
                    folders.push(path);
                } else if named.is_some_and(|found| found.starts_with(name)) {
                    return Ok(path);
                }
            }
        }
        Err(Error::other(format!(
            "no {name} in the package of the kernel"
        )))
    }

    /// Makes a disk that boots into the tests.
    fn disk(&self, folder: &Path, module: &str, tests: &Path, images: &Path) -> Result<PathBuf> {
        let mut archive = Archive::default();
        archive.file("init", &init(module), true);
        archive.file("bin/busybox", &fs::read(self.0.join("bin/busybox"))?, true);
        archive.file("bin/sealed", &fs::read(tests)?, true);
        for name in ["irqbypass", "kvm", module] {
            let file = self.find("lib/modules", &format!("{name}.ko"))?;
            archive.file(&format!("modules/{name}.ko"), &fs::read(file)?, false);
        }
        for library in libraries(tests)? {
            archive.file(&library, &fs::read(&library)?, true);
        }
        for image in fs::read_dir(images)? {
            let image = image?;
            let name = format!("images/{}", image.file_name().to_string_lossy());
            archive.file(&name, &fs::read(image.path())?, false);
        }
        for name in ["dev", "proc", "sys", "tmp"] {
            archive.folder(name);
        }
        let tree = folder.join("disk");
        fs::create_dir_all(tree.join("boot/grub"))?;
        fs::copy(self.find("boot", "vmlinuz")?, tree.join("boot/vmlinuz"))?;
        fs::write(tree.join("boot/initrd"), archive.finish())?;
        fs::write(tree.join("boot/grub/grub.cfg"), MENU)?;
        let disk = folder.join("disk.iso");
        succeed(
            Command::new("grub-mkrescue")
                .arg("-o")
                .arg(&disk)
                .arg(&tree)
                .stderr(Stdio::null()),
        )?;
        Ok(disk)
    }
}

/// An emulated clock is as quick as its processor is slow: nothing is to be calibrated by it.
const MENU: &str = "set timeout=0
menuentry tests {
  linux /boot/vmlinuz console=ttyS0 quiet mitigations=off panic=-1 nokaslr lpj=1000000 tsc=reliable clocksource=tsc
  initrd /boot/initrd
}
";

/// What the kernel starts.
fn init(module: &str) -> Vec<u8> {
    format!(
        "#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devices /dev
mount -t tmpfs temporary /tmp
dmesg -n 1
for module in irqbypass kvm {module}; do insmod /modules/$module.ko; done
export SPRAT_SEALED_IMAGES=/images SPRAT_SEALED_NEEDS_KVM=yes
sealed --test-threads=1 --skip {BESIDE}
echo '{END}'$?
sleep 1
poweroff -f
"
    )
    .into_bytes()
}

/// Builds the tests, and runs them here, which makes their images.
fn build_tests(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let images = folder.join("images");
    // Of an earlier state.
    let _ = fs::remove_dir_all(&images);
    fs::create_dir_all(&images)?;
    let arguments = [
        "test",
        "--release",
        "--locked",
        "--package",
        "sealed",
        "--test",
        "sealed",
    ];
    let mut command = process::cargo(&arguments);
    if !process::show(command.env("SPRAT_SEALED_IMAGES", &images))? {
        return Err(Error::other(
            "the sealed tests do not hold on this machine itself",
        ));
    }
    let mut command = process::cargo(&arguments);
    let output = command
        .args(["--no-run", "--message-format=json", "--quiet"])
        .output()?;
    let executable = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        // The package has programs too.
        .filter(|message| message["target"]["kind"][0] == "test")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| Error::other("cargo names no program of the sealed tests"))?;
    let tests = folder.join("sealed");
    succeed(Command::new("strip").arg("-o").arg(&tests).arg(&executable))?;
    Ok((tests, images))
}

/// The libraries that a program is linked with, and what links them.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(str::to_owned).collect())
}

fn succeed(command: &mut Command) -> Result<()> {
    if command.status()?.success() {
        Ok(())
    } else {
        let name = command.get_program().to_string_lossy().into_owned();
        Err(Error::other(format!("{name} failed")))
    }
}

/// An emulated machine, ended when it is dropped.
struct Emulated(Child);

impl Drop for Emulated {
    fn drop(&mut self) {
        // One that has ended by itself needs neither.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots the disk, and reads what the tests say.
fn boot(folder: &Path, model: &str, disk: &Path, name: &str) -> Result<Report> {
    let serial = folder.join("serial");
    fs::write(&serial, "")?;
    let settings = folder.join("bochsrc");
    fs::write(
        &settings,
        format!(
            "cpu: model={model}, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=768, host=768
romimage: file={BIOS}
vgaromimage: file={VIDEO_BIOS}
ata0-master: type=cdrom, path={}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={}
log: {}
display_library: term
clock: sync=none
panic: action=fatal
",
            disk.display(),
            serial.display(),
            folder.join("bochs.log").display(),
        ),
    )?;
    // Debian's Bochs begins in its debugger.
    let commands = folder.join("commands");
    fs::write(&commands, "c\n")?;
    // Its screen has to be a terminal.
    let program = format!(
        "exec bochs -q -f {} -rc {}",
        settings.display(),
        commands.display()
    );
    let emulated = Command::new("script")
        .args(["-qefc", &program, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut emulated = Emulated(emulated);
    let mut reader = Reader::default();
    let good = follow(&serial, &mut emulated, |line| {
        println!("    {line}");
        reader.line(line);
    })?;
    let mut report = reader.finish(name, good);
    if report.passed == 0 && report.failed.is_empty() {
        report.failed.push(format!("{name}: no test ran"));
    }
    Ok(report)
}

/// Gives each line of a growing file to `line`, until the one that says the end, and whether it was
/// a good one.
fn follow(file: &Path, emulated: &mut Emulated, mut line: impl FnMut(&str)) -> Result<bool> {
    let begun = Instant::now();
    let mut at = 0;
    let mut text = Vec::new();
    loop {
        let running = emulated.0.try_wait()?.is_none();
        let mut file = fs::File::open(file)?;
        file.seek(SeekFrom::Start(at))?;
        at += file.read_to_end(&mut text)? as u64;
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let whole: Vec<u8> = text.drain(..=end).collect();
            let whole = String::from_utf8_lossy(&whole);
            let whole = whole.trim_end();
            if let Some(status) = whole.strip_prefix(END) {
                return Ok(status == "0");
            }
            line(whole);
        }
        if !running || begun.elapsed() > LIMIT {
            println!(
                "    the machine ended, or took longer than {} minutes",
                LIMIT.as_secs() / 60
            );
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
