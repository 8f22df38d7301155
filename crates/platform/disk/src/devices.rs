//! Finding the machine's devices, and giving the instance what it was promised of them.

use core::arch::x86_64::__cpuid;

use sprat_abi::boot::{BootPage, Device as Granted, DeviceEntry};

use crate::cell::Local;
use crate::firmware::Firmware;
use crate::interrupts::{FIRST, INTERRUPTS};
use crate::network::{Buffers, Card};
use crate::queue::Queue;
use crate::virtio::{ENTROPY, Interrupt, NETWORK};
use crate::window::{OutOfMemory, Window};
use crate::{clock, pci, power, virtio};

/// Most cards that are driven.
const MOST: usize = 8;

/// The devices of the machine.
pub(crate) struct Devices {
    cards: [Option<&'static mut Card>; MOST],
    buffers: Option<Buffers>,
    entropy: [u8; 32],
    /// Devices that were found, which is how interrupts are numbered.
    found: u8,
}

static DEVICES: Local<Devices> = Local::new(Devices {
    cards: [const { None }; MOST],
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
            NETWORK => {
                let mut places = self.cards.iter_mut();
                if let (Some(place), Some(card)) = (
                    places.find(|place| place.is_none()),
                    Card::start(device, window)?,
                ) {
                    // A card is several kilobytes of queues: only those that are there take memory.
                    let (memory, _) = window.memory(size_of::<Card>() as u64)?;
                    let at = sprat_abi::pointer(memory).cast::<Card>();
                    // SAFETY: fresh memory, on a page and long enough, mapped for ever.
                    *place = Some(unsafe {
                        at.write(card);
                        &mut *at
                    });
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
        queue.add(&[(physical, 32)], true, 0);
        if queue.publish() {
            bell.ring();
        }
        let begin = clock::counter();
        while !queue.has_used() && clock::counter() - begin < clock::ticks(100_000_000) {
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

    /// Joins the boot page's network devices to cards: to the one with the planned address where there
    /// is one, the others in the order that both were found. The table gets the cards' addresses.
    ///
    /// # Safety
    /// What the boot page grants must be mapped for ever where it says, once the instance's tables are
    /// in use; its pool must lie at `pool`. To be called once.
    pub(crate) unsafe fn join(
        &mut self,
        boot: &BootPage,
        table: &mut [DeviceEntry],
        pool: u64,
        window: &mut Window<'_>,
    ) -> Result<(), OutOfMemory> {
        let wanted = table.iter().filter(|entry| is_network(entry)).count();
        if wanted == 0 {
            return Ok(());
        }
        let cards = self.cards.iter().flatten().count();
        if cards < wanted {
            let which = table.iter().filter(|entry| is_network(entry)).nth(cards);
            power::refuse(format_args!(
                "no virtio network card for the device {}: the image wants {wanted}, and the machine has {cards}",
                which.map_or("?", name)
            ));
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

    /// Moves frames; the bits of devices that have something for the instance.
    pub(crate) fn serve(&mut self, wall: i64) -> u64 {
        let Some(buffers) = &mut self.buffers else {
            return 0;
        };
        buffers.reclaim();
        let cards = self.cards.iter_mut().flatten();
        cards.fold(0, |ready, card| ready | card.serve(buffers, wall))
    }

    /// Has the devices interrupt, or not; whether there is something to do already.
    pub(crate) fn watch(&mut self, on: bool) -> bool {
        let mut busy = false;
        for card in self.cards.iter_mut().flatten() {
            busy |= card.watch(on);
        }
        busy
    }

    /// Whether all devices interrupt.
    pub(crate) fn interrupt(&self) -> bool {
        self.cards.iter().flatten().all(|card| card.interrupts())
    }

    /// Waits, not for long, until what was sent has left.
    pub(crate) fn flush(&mut self) {
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

fn is_network(entry: &DeviceEntry) -> bool {
    matches!(entry.device(), Granted::Network(_))
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
