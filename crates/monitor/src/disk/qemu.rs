//! QEMU's command line, which nobody should have to know.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The emulator's program.
pub const QEMU: &str = "qemu-system-x86_64";

/// Longest name that a virtio disk can have.
const DISK_NAME: usize = 20;

/// What machine a self-booting image is started on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MachineKind {
    /// QEMU's smallest: devices at fixed addresses, no firmware to speak of. The image is handed over by
    /// PVH.
    Microvm,
    /// A PC with a PCI Express bus. The image is handed over by PVH.
    Pci,
    /// A PC with a PCI bus, whose BIOS boots the image from a disk.
    Bios,
}

impl MachineKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Microvm, Self::Pci, Self::Bios];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Microvm => "microvm",
            Self::Pci => "pci",
            Self::Bios => "bios",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What the machine's virtio devices end in: how they are reached.
    const fn bus(self) -> &'static str {
        match self {
            Self::Microvm => "device",
            Self::Pci | Self::Bios => "pci",
        }
    }
}

/// A machine to be started.
#[derive(Clone, Debug)]
pub struct Machine {
    kind: MachineKind,
    command: Vec<OsString>,
}

impl Machine {
    /// A machine of `memory` MiB that boots `image`: for [`MachineKind::Bios`] a disk, else an ELF file.
    /// It is emulated, since the processor's own virtualization may not be there, and ends when the
    /// image ends it.
    #[must_use]
    pub fn new(kind: MachineKind, image: &Path, memory: u64) -> Self {
        let machine = match kind {
            // Without ACPI the devices' places are on the command line that the image reads.
            MachineKind::Microvm => "microvm,acpi=off,rtc=on",
            MachineKind::Pci => "q35",
            MachineKind::Bios => "pc",
        };
        let mut made = Self {
            kind,
            command: Vec::new(),
        };
        made.add(&["-machine", machine, "-accel", "tcg", "-cpu", "max"]);
        made.add(&["-m", &memory.to_string(), "-no-reboot"]);
        // Nothing that was not asked for, and nothing that answers to the terminal.
        made.add(&["-nodefaults", "-no-user-config", "-display", "none"]);
        made.add(&["-serial", "stdio", "-monitor", "none"]);
        made.add(&["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        if kind == MachineKind::Microvm {
            made.add(&["-global", "virtio-mmio.force-legacy=false"]);
        }
        if kind == MachineKind::Bios {
            made.add_file("if=ide,format=raw,snapshot=on", image);
        } else {
            made.command.extend(["-kernel".into(), image.into()]);
        }
        made
    }

    fn add(&mut self, arguments: &[&str]) {
        self.command.extend(arguments.iter().map(OsString::from));
    }

    /// Adds a virtio device of this kind: `net`, `rng`, `serial`; `options` follow a comma.
    pub fn add_device(&mut self, kind: &str, options: &str) {
        let device = format!("virtio-{kind}-{}{options}", self.kind.bus());
        self.add(&["-device", &device]);
    }

    /// Adds a disk's file, with these options.
    fn add_file(&mut self, options: &str, file: &Path) {
        let mut drive = OsString::from(format!("{options},file="));
        // A comma ends a file's name here unless it is doubled.
        drive.push(file.to_string_lossy().replace(',', ",,"));
        self.command.extend(["-drive".into(), drive]);
    }

    /// Adds a disk that holds the blocks of a file, under a name.
    pub fn add_disk(&mut self, number: usize, name: &str, file: &Path, read_only: bool) {
        let read_only = if read_only { "on" } else { "off" };
        let options = format!("if=none,id=disk{number},format=raw,readonly={read_only}");
        self.add_file(&options, file);
        // A longer name than a disk can have is none; disks are then told apart by their order.
        let name = match name {
            name if name.len() <= DISK_NAME && !name.contains(',') => format!(",serial={name}"),
            _ => String::new(),
        };
        self.add_device("blk", &format!(",drive=disk{number}{name}"));
    }

    /// Has the machine's memory be a file of `length` bytes.
    pub(super) fn share_memory(&mut self, file: &Path, length: u64) {
        let backend = format!(
            "memory-backend-file,id=memory,share=on,size={length},mem-path={}",
            file.display()
        );
        self.add(&["-object", &backend, "-machine", "memory-backend=memory"]);
    }

    /// Adds a network card whose frames are datagrams of an open socket.
    pub(super) fn add_card(&mut self, number: usize, socket: i32, address: [u8; 6]) {
        let network = format!("dgram,id=network{number},local.type=fd,local.str={socket}");
        self.add(&["-netdev", &network]);
        let [a, b, c, d, e, f] = address;
        let address = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        self.add_device("net", &format!(",netdev=network{number},mac={address}"));
    }

    /// Adds arguments of QEMU's.
    pub fn add_arguments(&mut self, arguments: &[&str]) {
        self.add(arguments);
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(QEMU);
        command.args(&self.command);
        command
    }
}

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The instance exited with this status; one of 124 stands for all that are greater or negative.
    Exited(u8),
    /// The boot monitor missed something, which it said in one line.
    Refused,
    /// The instance broke a rule; the report is on the console.
    Faulted,
    /// The machine ended, and not by the image.
    Other(Option<i32>),
}

impl End {
    /// What QEMU's exit status says.
    #[must_use]
    pub fn from_code(code: Option<i32>) -> Self {
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(251) => Self::Refused,
            Some(253) => Self::Faulted,
            Some(code @ 0..=249) if code % 2 == 1 => Self::Exited(code / 2),
            _ => Self::Other(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_port_doubles_a_status_and_adds_one() {
        // QEMU's hw/misc/debugexit.c: exit((value << 1) | 1).
        assert_eq!(End::from_code(Some(1)), End::Exited(0));
        assert_eq!(End::from_code(Some(7)), End::Exited(3));
        assert_eq!(End::from_code(Some(249)), End::Exited(124));
        assert_eq!(End::from_code(Some(0)), End::Other(Some(0)));
        assert_eq!(End::from_code(None), End::Other(None));
    }
}
