//! A machine that stands still for a while, as when its host sleeps: its battery's clock goes on, and
//! its processor's counter does not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use sprat_monitor::Options;
use sprat_monitor::disk::{End as MachineEnd, Machine, MachineKind, assemble, disk};
use tempfile::TempDir;

use crate::run::{End, Programs, Run, Script};

/// How long it stands still: longer than what a clock that counts in seconds may be wrong by.
const STANDSTILL: Duration = Duration::from_secs(4);

/// Longest that it may take to answer, and to end.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn stopped_for_a_while(kind: MachineKind, programs: &Programs, name: &str) -> Run {
    let begin = Instant::now();
    let folder = TempDir::new().expect("a folder");
    let options = Options {
        parameters: vec![("property".into(), name.into())],
        ..Options::default()
    };
    let boot_monitor = &programs.boot_monitor;
    let file = assemble(boot_monitor, &programs.image, &options).expect("it goes together");
    let file = match kind {
        MachineKind::Bios => disk(boot_monitor, &file).expect("a disk"),
        MachineKind::Microvm | MachineKind::Pci => file,
    };
    let path = folder.path().join("image");
    fs::write(&path, file).expect("written");
    let mut machine = Machine::new(kind, &path, 16);
    let control = folder.path().join("control");
    let listens = format!("unix:{},server=on,wait=off", control.display());
    machine.add_arguments(&["-qmp", &listens]);
    let mut command = machine.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("QEMU starts");
    let mut run = Run::new(&Script::default());
    let mut console = BufReader::new(child.stdout.take().expect("it was asked for"));
    // The firmware of a PC speaks first, in bytes of its own.
    while !run.console.ends_with(b"ready\n") {
        match console.read_until(b'\n', &mut run.console) {
            Ok(1..) => {}
            _ => break,
        }
    }
    let asked = ask(&control, &["stop"]).and_then(|()| {
        thread::sleep(STANDSTILL);
        ask(&control, &["cont"])
    });
    run.end = match asked.and_then(|()| wait(&mut child)) {
        Ok(end) => match end {
            MachineEnd::Exited(status) => End::Exited(status.into()),
            end => End::Other(format!("{end:?}")),
        },
        Err(error) => End::Other(error.to_string()),
    };
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    let _ = console.read_to_end(&mut run.console);
    run.elapsed = begin.elapsed();
    run
}

/// Has the emulator do something, by its control socket.
fn ask(control: &Path, commands: &[&str]) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(control)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    for command in ["qmp_capabilities"].iter().chain(commands) {
        writeln!(stream, "{{\"execute\": \"{command}\"}}")?;
        // Greetings and events stand between the answers.
        for line in lines.by_ref() {
            if line?.starts_with("{\"return\"") {
                break;
            }
        }
    }
    Ok(())
}

fn wait(child: &mut Child) -> std::io::Result<MachineEnd> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(MachineEnd::from_code(status.code()));
        }
        if begin.elapsed() > LIMIT {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
