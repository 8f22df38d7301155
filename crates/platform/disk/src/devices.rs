//! Finding the machine's devices, and giving the instance what it was promised of them.

use core::arch::x86_64::__cpuid;

use sprat_abi::boot::{BootPage, Device as Granted, DeviceEntry, DeviceKind};

use crate::cell::Local;
use crate::console::Console;
use crate::drive::Drive;
use crate::firmware::Firmware;
use crate::interrupts::{FIRST, INTERRUPTS};
use crate::network::{Buffers, Card};
use crate::queue::Queue;
use crate::virtio::{BLOCK, CONSOLE, ENTROPY, Interrupt, NETWORK};
use crate::window::{OutOfMemory, Window};
use crate::{calls, clock, pci, power, serial, virtio};

/// Most cards, and most disks, that are driven.
const MOST: usize = 8;

/// The devices of the machine.
pub(crate) struct Devices {
    cards: [Option<&'static mut Card>; MOST],
    drives: [Option<&'static mut Drive>; MOST],
    console: Option<Console>,
    buffers: Option<Buffers>,
    entropy: [u8; 32],
    /// Devices that were found, which is how interrupts are numbered.
    found: u8,
}

static DEVICES: Local<Devices> = Local::new(Devices {
    cards: [const { None }; MOST],
    drives: [const { None }; MOST],
    console: None,
    buffers: None,
    entropy: [0; 32],
    found: 0,
});

/// The machine's devices.
///
/// # Safety
/// No other reference to them may be in use.
pub(crate) unsafe fn all() -> &'static mut Devices {
    // SAFETY: the caller's promise.
    unsafe { DEVICES.get_mut() }
}

impl Devices {
    /// Finds what the machine has.
    pub(crate) fn find(
        &mut self,
        firmware: &Firmware,
        window: &mut Window<'_>,
    ) -> Result<(), OutOfMemory> {
        for (address, wire) in firmware.virtio_devices() {
            let interrupt = self.next_interrupt();
            if let Some((kind, device)) = virtio::Device::at_address(address, window)? {
                route(wire, interrupt, window)?;
                self.start(kind, device, window)?;
            }
        }
        let mut result = Ok(());
        pci::for_each(&mut |function| {
            let interrupt = self.next_interrupt();
            let found = virtio::Device::of_function(function, interrupt, window);
            let started = found.and_then(|found| {
                found.map_or(Ok(()), |(kind, device)| self.start(kind, device, window))
            });
            result = result.and(started);
        });
        result
    }

    /// Which interrupt the next device gets. They are shared once all are given away.
    fn next_interrupt(&self) -> Interrupt {
        let [.., processor] = __cpuid(1).ebx.to_le_bytes();
        // The first is the timer's.
        let index = self.found % (INTERRUPTS - 1) + 1;
        Interrupt { index, processor }
    }

    fn start(
        &mut self,
        kind: u32,
        device: virtio::Device,
        window: &mut Window<'_>,
    ) -> Result<(), OutOfMemory> {
        self.found = self.found.saturating_add(1);
        match kind {
            NETWORK => match Card::start(device, window)? {
                Some(card) => keep(card, &mut self.cards, window),
                None => Ok(()),
            },
            BLOCK => match Drive::start(device, window)? {
                Some(drive) => keep(drive, &mut self.drives, window),
                None => Ok(()),
            },
            CONSOLE => {
                if self.console.is_none() {
                    self.console = Console::start(device, window)?;
                }
                Ok(())
            }
            ENTROPY => self.draw(device, window),
            _ => Ok(()),
        }
    }

    /// Takes random bytes of a source of them.
    fn draw(&mut self, device: virtio::Device, window: &mut Window<'_>) -> Result<(), OutOfMemory> {
        static QUEUE: Local<Queue> = Local::new(Queue::EMPTY);
        // SAFETY: used here alone, at boot.
        let queue = unsafe { QUEUE.get_mut() };
        let Some(_) = device.begin(0) else {
            return Ok(());
        };
        let Some(bell) = device.queue(0, queue, window)? else {
            return Ok(());
        };
        let (bytes, physical) = window.memory(32)?;
        device.finish();
        queue.add(&[], &[(physical, 32)], 0);
        if queue.publish() {
            bell.ring();
        }
        // A busy host may take its time. Where nothing else is random the seed is not worth much
        // without it.
        let patience = match calls::makes_random_numbers() {
            true => 100_000_000,
            false => 10_000_000_000,
        };
        let begin = clock::counter();
        while !queue.has_used() && clock::counter() - begin < clock::ticks(patience) {
            core::hint::spin_loop();
        }
        // SAFETY: memory of the device's, mapped for ever; what it has not written is zero.
        let drawn = unsafe { sprat_abi::pointer(bytes).cast::<[u8; 32]>().read_volatile() };
        for (byte, drawn) in self.entropy.iter_mut().zip(drawn) {
            *byte ^= drawn;
        }
        Ok(())
    }

    /// Random bytes that sources of them gave; zero where there was none.
    pub(crate) fn entropy(&self) -> [u8; 32] {
        self.entropy
    }

    /// Writes what the instance says: to the console, or the serial line of a machine without one.
    pub(crate) fn say(&mut self, text: &[u8]) {
        let said = self.console.as_mut().map(|console| console.write(text));
        if said != Some(true) {
            // One that takes nothing is not tried again.
            self.console = None;
            serial::write(text);
        }
    }

    /// Joins the boot page's network devices to cards: to the one with the planned address where there
    /// is one, the others in the order that both were found. The table gets the cards' addresses.
    ///
    /// # Safety
    /// What the boot page grants must be mapped for ever where it says, once the instance's tables are
    /// in use; its pool must lie at `pool`. To be called once.
    pub(crate) unsafe fn join_cards(
        &mut self,
        boot: &BootPage,
        table: &mut [DeviceEntry],
        pool: u64,
        window: &mut Window<'_>,
    ) -> Result<(), OutOfMemory> {
        let cards = self.cards.iter().flatten().count();
        let wanted = expect(table, DeviceKind::Network, "network card", cards);
        if wanted == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let buffers = unsafe { Buffers::new(boot, pool, window) }?;
        // What is with the cards at a time leaves as much again for frames on their way.
        let share = buffers.share() / (2 * u32::try_from(wanted).unwrap_or(1));
        self.buffers = Some(buffers);
        let mut taken = [false; MOST];
        for by_address in [true, false] {
            for (index, entry) in table.iter_mut().enumerate() {
                let Granted::Network(mut device) = entry.device() else {
                    continue;
                };
                let mut cards = self.cards.iter_mut().zip(&mut taken);
                let fits = |card: &Card| !by_address || card.address == Some(device.address);
                let found =
                    cards.find(|(card, taken)| !**taken && card.as_deref().is_some_and(fits));
                if entry.reserved != 0 {
                    continue;
                }
                let Some((Some(card), taken)) = found else {
                    continue;
                };
                *taken = true;
                if let Some(address) = card.address {
                    device.address = address;
                    *entry = device.to_entry(entry.name);
                }
                // Only until every device has its card.
                entry.reserved = 1;
                // SAFETY: the caller's promise; no two devices get the same card.
                unsafe { card.join(&device, index, share) };
            }
        }
        for entry in table {
            entry.reserved = 0;
        }
        Ok(())
    }

    /// Joins the boot page's block devices to disks: to the one that is called like the device where
    /// there is one, the others in the order that both were found. The table gets the disks' sizes.
    /// `physical` says where an address of the instance's rings lies.
    ///
    /// # Safety
    /// As of [`Devices::join_cards`].
    pub(crate) unsafe fn join_drives(
        &mut self,
        table: &mut [DeviceEntry],
        physical: &dyn Fn(u64) -> u64,
    ) {
        let drives = self.drives.iter().flatten().count();
        expect(table, DeviceKind::Block, "disk", drives);
        let mut joined = 0_u64;
        let mut taken = [false; MOST];
        for by_name in [true, false] {
            for (index, entry) in table.iter_mut().enumerate() {
                let Granted::Block(mut device) = entry.device() else {
                    continue;
                };
                let mut drives = self.drives.iter_mut().zip(&mut taken);
                let wanted = crate::start::planned(entry.name).unwrap_or_default();
                let fits = |drive: &Drive| !by_name || drive.is_called(wanted);
                let found =
                    drives.find(|(drive, taken)| !**taken && drive.as_deref().is_some_and(fits));
                if joined & 1 << index != 0 {
                    continue;
                }
                let Some((Some(drive), taken)) = found else {
                    continue;
                };
                *taken = true;
                joined |= 1 << index;
                let data = physical(device.data.address);
                // SAFETY: the caller's promise; no two devices get the same disk.
                unsafe { drive.join(&mut device, index, data) };
                *entry = device.to_entry(entry.name);
            }
        }
    }

    /// Moves frames and blocks; the bits of devices that have something for the instance.
    pub(crate) fn serve(&mut self, wall: i64) -> u64 {
        let mut ready = 0;
        for drive in self.drives.iter_mut().flatten() {
            ready |= drive.serve();
        }
        let Some(buffers) = &mut self.buffers else {
            return ready;
        };
        buffers.reclaim();
        let cards = self.cards.iter_mut().flatten();
        cards.fold(ready, |ready, card| ready | card.serve(buffers, wall))
    }

    /// How many frames have come to the cards.
    pub(crate) fn arrived(&self) -> u64 {
        self.cards.iter().flatten().map(|card| card.arrived).sum()
    }

    /// Has the devices interrupt, or not; whether there is something to do already.
    pub(crate) fn watch(&mut self, on: bool) -> bool {
        let mut busy = false;
        for card in self.cards.iter_mut().flatten() {
            busy |= card.watch(on);
        }
        for drive in self.drives.iter_mut().flatten() {
            busy |= drive.watch(on);
        }
        busy
    }

    /// Whether all devices interrupt.
    pub(crate) fn interrupt(&self) -> bool {
        let cards = self.cards.iter().flatten().all(|card| card.interrupts());
        cards && self.drives.iter().flatten().all(|drive| drive.interrupts())
    }

    /// Waits, not for long, until what was written is with the disks and what was sent has left.
    pub(crate) fn flush(&mut self) {
        /// How long a disk may take for what it was given last.
        const DISKS: u64 = 5_000_000_000;
        let begin = clock::counter();
        for drive in self.drives.iter_mut().flatten() {
            while drive.is_busy() && clock::counter() - begin < clock::ticks(DISKS) {
                drive.serve();
                core::hint::spin_loop();
            }
        }
        let begin = clock::counter();
        while self
            .cards
            .iter_mut()
            .flatten()
            .any(|card| card.is_sending())
            && clock::counter() - begin < clock::ticks(200_000_000)
        {
            core::hint::spin_loop();
        }
    }
}

/// Puts a device where it stays. It is several kilobytes of queues: only those that are there take
/// memory.
fn keep<T>(
    device: T,
    places: &mut [Option<&'static mut T>],
    window: &mut Window<'_>,
) -> Result<(), OutOfMemory> {
    let Some(place) = places.iter_mut().find(|place| place.is_none()) else {
        return Ok(());
    };
    let (memory, _) = window.memory(size_of::<T>() as u64)?;
    let at = sprat_abi::pointer(memory).cast::<T>();
    // SAFETY: fresh memory, on a page and long enough, mapped for ever.
    *place = Some(unsafe {
        at.write(device);
        &mut *at
    });
    Ok(())
}

/// How many devices of a kind the table has; ends the machine, which has `there`, if that is more.
fn expect(table: &[DeviceEntry], kind: DeviceKind, what: &str, there: usize) -> usize {
    let mut of_the_kind = table.iter().filter(|entry| entry.kind == kind as u16);
    let wanted = of_the_kind.clone().count();
    if let Some(first) = of_the_kind.nth(there) {
        power::refuse(format_args!(
            "no virtio {what} for the device {}: the image wants {wanted}, and the machine has {there}",
            name(first)
        ));
    }
    wanted
}

/// A device's name, while the payload is where it was loaded.
fn name(entry: &DeviceEntry) -> &'static str {
    crate::start::planned(entry.name).map_or("?", |bytes| str::from_utf8(bytes).unwrap_or("?"))
}

/// Has a wire into the I/O controller raise an interrupt, by its edge: devices hold it up until the
/// loop has looked at them.
fn route(wire: u8, interrupt: Interrupt, window: &mut Window<'_>) -> Result<(), OutOfMemory> {
    /// Where the controller is on all machines that have one.
    const CONTROLLER: u64 = 0xfec0_0000;
    let registers = window.registers(CONTROLLER, 0x20)?;
    let write = |index: u32, value: u32| {
        // SAFETY: the controller's registers, just mapped: which one, and its value.
        unsafe {
            sprat_abi::pointer(registers)
                .cast::<u32>()
                .write_volatile(index);
            sprat_abi::pointer(registers + 16)
                .cast::<u32>()
                .write_volatile(value);
        }
    };
    let entry = 0x10 + 2 * u32::from(wire);
    write(entry + 1, u32::from(interrupt.processor) << 24);
    write(entry, u32::from(FIRST) + u32::from(interrupt.index));
    Ok(())
}
