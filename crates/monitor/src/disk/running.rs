//! The emulator's process: started with the descriptors that it is told of, listened to, ended.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use sprat_abi::disk::{PLAN_MAGIC, PlanHead};

use super::qemu::{End, Machine, QEMU};
use super::wire::pair;
use crate::instance::MonitorError;
use crate::memory::{Mapping, SystemError};
use crate::options::{GrantedDevice, Options};

/// Longest that a machine may take until it enters its image.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// Longest end of a console that is kept for reports.
const TAIL: usize = 16 << 10;

/// A path by which the emulator opens a file of this process.
pub(super) fn path_of(file: &File) -> std::path::PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

/// Adds a card for each network device; our ends of their datagrams, and the emulator's.
pub(super) fn cards(
    machine: &mut Machine,
    options: &Options,
) -> Result<(Vec<OwnedFd>, Vec<OwnedFd>), SystemError> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for grant in &options.devices {
        let GrantedDevice::Network { address, .. } = grant.device else {
            continue;
        };
        let (one, other) = pair()?;
        machine.add_card(ours.len(), other.as_raw_fd(), address);
        ours.push(one);
        theirs.push(other);
    }
    Ok((ours, theirs))
}

/// Adds a disk for each block device.
pub(super) fn disks(machine: &mut Machine, options: &Options) {
    let blocks = options
        .devices
        .iter()
        .filter_map(|grant| match &grant.device {
            GrantedDevice::Block {
                file, read_only, ..
            } => Some((&*grant.name, file, *read_only)),
            _ => None,
        });
    for (number, (name, file, read_only)) in blocks.enumerate() {
        machine.add_disk(number, name, &path_of(file), read_only);
    }
}

/// Starts the emulator with the descriptors that it was told of.
fn spawn(machine: &Machine, passed: Vec<OwnedFd>) -> Result<Child, MonitorError> {
    let numbers: Vec<RawFd> = passed.iter().map(AsRawFd::as_raw_fd).collect();
    let mut command = machine.command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    // SAFETY: between fork and exec only two system calls are made, which touch no memory of others.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            for number in &numbers {
                if libc::fcntl(*number, libc::F_SETFD, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command.spawn().map_err(|error| MonitorError::Emulator {
        program: QEMU,
        error,
    })
}

fn set_nonblocking(descriptor: RawFd) -> Result<(), SystemError> {
    // SAFETY: a descriptor of ours; the call touches no memory.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
        return Err(SystemError::last("changing a pipe"));
    }
    Ok(())
}

/// The emulator's process and what it says.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    console: ChildStdout,
    /// The end of what was on the console.
    tail: Vec<u8>,
}

impl Running {
    /// Starts a machine, with the descriptors that it was told of.
    pub(super) fn start(machine: &Machine, passed: Vec<OwnedFd>) -> Result<Self, MonitorError> {
        let mut child = spawn(machine, passed)?;
        let Some(console) = child.stdout.take() else {
            unreachable!("the pipe was asked for");
        };
        set_nonblocking(console.as_raw_fd())?;
        Ok(Self {
            child,
            console,
            tail: Vec::new(),
        })
    }

    /// What can be read when the machine has said something.
    pub(super) fn descriptor(&self) -> RawFd {
        self.console.as_raw_fd()
    }

    /// The end of what it said.
    pub(super) fn last_words(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }

    /// Waits until the boot monitor enters the image; where the rings are then.
    pub(super) fn wait_for_image(
        &mut self,
        memory: &Mapping,
        payload: u64,
    ) -> Result<u64, MonitorError> {
        let begin = Instant::now();
        let word = |offset: usize| {
            let at = memory.at(payload + offset as u64, 8).cast::<u64>();
            // SAFETY: inside the machine's memory, which is kept, and aligned; the machine may write it.
            unsafe { at.read_volatile() }
        };
        loop {
            let rings = word(std::mem::offset_of!(PlanHead, rings_at));
            if word(0) == PLAN_MAGIC && rings != 0 {
                return Ok(rings);
            }
            let mut text = [0; 4096];
            while self.hear(&mut text)? > 0 {}
            if let Some(end) = self.end()? {
                return Err(self.ended(end));
            }
            if begin.elapsed() > BOOT_LIMIT {
                return Err(MonitorError::Machine(format!(
                    "it did not start the image within {} s",
                    BOOT_LIMIT.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Reads some of the console; zero where nothing is there.
    pub(super) fn hear(&mut self, text: &mut [u8]) -> Result<usize, SystemError> {
        let count = match self.console.read(text) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(SystemError::new("reading the machine's console", error)),
        };
        self.tail.extend_from_slice(&text[..count]);
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
        Ok(count)
    }

    /// How the machine ended, if it has.
    pub(super) fn end(&mut self) -> Result<Option<End>, SystemError> {
        let status = self.child.try_wait();
        let status = status.map_err(|error| SystemError::new("waiting for the emulator", error))?;
        Ok(status.map(|status| End::from_code(status.code())))
    }

    /// Why a machine is no more, in the boot monitor's words if it left any.
    pub(super) fn ended(&mut self, end: End) -> MonitorError {
        let mut text = [0; 4096];
        while self.hear(&mut text).is_ok_and(|count| count > 0) {}
        let said = self.last_words();
        let line = said
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("sprat: "));
        MonitorError::Machine(match (line, end) {
            (Some(line), _) => line.to_owned(),
            (None, End::Other(Some(code))) => format!("the emulator's exit status is {code}"),
            (None, _) => format!("{end:?}"),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}
