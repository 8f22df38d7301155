//! Time: the time stamp counter, its rate found at boot, and the wall clock.

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::cell::Cell;

use crate::calendar;
use crate::cell::Local;
use crate::ports::{read_byte, write_byte};

/// Ticks of the counter in a second.
static RATE: Local<Cell<u64>> = Local::new(Cell::new(0));

/// The time stamp counter.
pub(crate) fn counter() -> u64 {
    // SAFETY: every x86-64 processor has it, and it touches no memory.
    unsafe { _rdtsc() }
}

/// Ticks of the counter in a second.
pub(crate) fn rate() -> u64 {
    RATE.get().get()
}

/// Ticks of the counter in so many nanoseconds.
pub(crate) fn ticks(nanoseconds: u64) -> u64 {
    let ticks = u128::from(nanoseconds) * u128::from(rate()) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Finds the counter's rate: from whoever knows it, else by the interval timer that every PC has.
pub(crate) fn start() {
    RATE.get().set(told_rate().unwrap_or_else(measured_rate));
}

/// The rate as the hypervisor or the processor tells it.
fn told_rate() -> Option<u64> {
    const HYPERVISOR: u32 = 1 << 31;
    if __cpuid(1).ecx & HYPERVISOR != 0
        && (0x4000_0010..0x4000_1000).contains(&__cpuid(0x4000_0000).eax)
    {
        // In kHz, by a convention that VMware began and KVM, QEMU and others follow.
        let rate = u64::from(__cpuid(0x4000_0010).eax) * 1000;
        if rate > 0 {
            return Some(rate);
        }
    }
    if __cpuid(0).eax >= 0x15 {
        // The crystal's rate, and the ratio of the counter's to it (Intel's manual, CPUID).
        let leaf = __cpuid(0x15);
        let rate = u64::from(leaf.ecx) * u64::from(leaf.ebx);
        if leaf.eax > 0 && rate > 0 {
            return Some(rate / u64::from(leaf.eax));
        }
    }
    pvclock_rate()
}

/// The rate from KVM's clock page: it tells how many nanoseconds a tick is.
fn pvclock_rate() -> Option<u64> {
    const SIGNATURE: [u32; 3] = [0x4b4d_564b, 0x564b_4d56, 0x0000_004d]; // KVMKVMKVM
    const NEW_CLOCK: u32 = 1 << 3;
    const REGISTER: u32 = 0x4b56_4d01;
    #[repr(C, align(64))]
    struct Page([u32; 16]);
    static PAGE: Local<Page> = Local::new(Page([0; 16]));

    let leaf = __cpuid(0x4000_0000);
    if [leaf.ebx, leaf.ecx, leaf.edx] != SIGNATURE || __cpuid(0x4000_0001).eax & NEW_CLOCK == 0 {
        return None;
    }
    let page = (&raw const *PAGE.get()).addr() as u64;
    // SAFETY: the hypervisor has the register, as it says, and writes the page only until it is told
    // to stop; the page is used for nothing else, and lies where its address says.
    let (scale, shift) = unsafe {
        crate::ports::write_msr(REGISTER, page | 1);
        let words = sprat_abi::pointer(page).cast::<u32>();
        let scale = words.add(6).read_volatile();
        let [shift, ..] = words.add(7).read_volatile().to_le_bytes();
        crate::ports::write_msr(REGISTER, 0);
        (scale, shift.cast_signed())
    };
    // Nanoseconds are ticks shifted by `shift`, times `scale`, over 2^32.
    let second = 1_000_000_000_u128 << 32;
    let rate = second.checked_div(u128::from(scale))?;
    let rate = if shift >= 0 {
        rate >> shift
    } else {
        rate << -i32::from(shift)
    };
    u64::try_from(rate).ok().filter(|rate| *rate > 0)
}

/// The rate by the interval timer, whose first channel counts down 1,193,182 times a second.
///
/// A machine that is emulated may be stopped at any moment of it, which makes a measurement too long
/// or, in its first step, too short; so the middle of three counts.
fn measured_rate() -> u64 {
    const TIMER: u64 = 1_193_182;
    const STEPS: u16 = 2400; // two milliseconds
    let mut measured = [0; 3];
    for rate in &mut measured {
        write_byte(CONTROL, 0x30); // channel 0, both bytes, until the end of the count
        write_byte(CHANNEL_0, 0xff);
        write_byte(CHANNEL_0, 0xff);
        let (first, begin) = (timer(), counter());
        let mut patience = 100_000;
        let mut last = first;
        while first.wrapping_sub(last) < STEPS && patience > 0 {
            last = timer();
            patience -= 1;
        }
        let passed = u64::from(first.wrapping_sub(last)).max(1);
        *rate = (counter() - begin) * TIMER / passed;
    }
    measured.sort_unstable();
    measured[1].max(1)
}

const CONTROL: u16 = 0x43;
const CHANNEL_0: u16 = 0x40;

/// What the interval timer's first channel stands at.
fn timer() -> u16 {
    write_byte(CONTROL, 0); // keep what it stands at, to be read
    u16::from_le_bytes([read_byte(CHANNEL_0), read_byte(CHANNEL_0)])
}

/// Nanoseconds since 1970, by the battery's clock; zero where there is none. It counts in seconds.
pub(crate) fn wall() -> i64 {
    const SECOND: i64 = 1_000_000_000;
    let reading = || [0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0b].map(read_register);
    // Read twice alike: it is not changing.
    let mut found = reading();
    for _ in 0..100 {
        let again = reading();
        if again == found {
            break;
        }
        found = again;
    }
    calendar::seconds(found).map_or(0, |seconds| seconds * SECOND)
}

fn read_register(register: u8) -> u8 {
    write_byte(0x70, register | 0x80);
    read_byte(0x71)
}
