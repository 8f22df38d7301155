//! The instance's two calls, and the loop behind them.

use core::sync::atomic::{AtomicU32, Ordering};

use sprat_abi::CACHE_LINE;
use sprat_abi::boot::BootPage;
use sprat_abi::bytes::{ByteConsumer, byte_ring_capacity};
use sprat_abi::call::{CallBlock, Wake};
use sprat_abi::clock::{ClockPage, ClockPoint};
use sprat_abi::disk::{RESTED_WORD, STOP_WORD, YIELDS_WORD};
use sprat_abi::pointer;

use crate::cell::Local;
use crate::controller::Timer;
use crate::devices::Devices;
use crate::{clock, devices, interrupts, ports, power};

/// What the calls work on.
struct Machine {
    console: Option<ByteConsumer>,
    call_block: &'static CallBlock,
    point: ClockPoint,
    /// The instance's clock, where it can be written.
    clock: &'static ClockPage,
    /// When the battery's clock was looked at last, by the time stamp counter.
    looked: u64,
    timer: Timer,
    /// The two indexes of the ring of requests: what stands in it is what they differ by.
    requests: Option<[&'static AtomicU32; 2]>,
    /// Whether somebody uses the rings who announces nothing.
    watched: bool,
}

static MACHINE: Local<Option<Machine>> = Local::new(None);

/// Longest that the processor is halted at a time: no timer counts further than this everywhere.
const LONGEST: u64 = 1_000_000_000;

/// The point in time that the instance's clock page is given.
pub(crate) fn point() -> ClockPoint {
    ClockPoint {
        counter: clock::counter(),
        scale: ClockPoint::scale_of(clock::rate()),
        monotonic: 0,
        wall: clock::wall(),
    }
}

/// Longest that it is halted where a device does not interrupt, or somebody watches.
const GLANCE: u64 = 1_000_000;

/// How often the battery's clock is looked at, in nanoseconds.
const LOOKS: u64 = 1_000_000_000;

/// How far it must be from the instance's wall clock, in nanoseconds, to have been set: it counts in
/// seconds, and both clocks are a little fast or slow.
const STEP: u64 = 2_000_000_000;

/// Takes the host's side of what the boot page grants. Its clock can be written at `clock`.
pub(crate) fn start(boot: &'static BootPage, clock: u64, timer: Timer, watched: bool) {
    // SAFETY: the plan laid the boot page's structures out as the contract says, they are mapped for
    // ever, and each ring's other side is the instance. Called once.
    unsafe {
        let clock = &*pointer(clock).cast::<ClockPage>();
        let console = byte_ring_capacity(boot.console.length)
            .map(|capacity| ByteConsumer::attach(pointer(boot.console.address), capacity));
        *MACHINE.get_mut() = Some(Machine {
            console,
            call_block: &*pointer(boot.call_block).cast::<CallBlock>(),
            point: clock.read(),
            clock,
            looked: clock::counter(),
            timer,
            requests: byte_ring_capacity(boot.control_requests.length).map(|_| {
                let first = pointer(boot.control_requests.address);
                [0, CACHE_LINE].map(|at| &*first.add(at).cast::<AtomicU32>())
            }),
            watched,
        });
    }
}

impl Machine {
    fn now(&self) -> u64 {
        self.point.monotonic_at(clock::counter())
    }

    /// Writes out what stands in the console's ring.
    fn say(&mut self, devices: &mut Devices) {
        let Some(console) = self.console.as_mut() else {
            return;
        };
        let mut text = [0; 512];
        while let Ok(count @ 1..) = console.read(&mut text) {
            devices.say(&text[..count]);
        }
    }

    /// Follows the battery's clock where somebody has set it, or the machine stood still: every second.
    fn follow(&mut self) {
        let counter = clock::counter();
        if counter.saturating_sub(self.looked) < clock::ticks(LOOKS) {
            return;
        }
        self.looked = counter;
        let wall = clock::wall();
        let there_is_one = wall != 0;
        if there_is_one && wall.abs_diff(self.point.wall_at(counter)) >= STEP {
            self.point = ClockPoint {
                counter,
                monotonic: self.point.monotonic_at(counter),
                wall,
                ..self.point
            };
            self.clock.write(self.point);
        }
    }

    /// Moves what there is to move; the bits of devices that have something for the instance.
    fn serve(&mut self) -> u64 {
        // SAFETY: the only user after boot is this loop.
        let devices = unsafe { devices::all() };
        self.say(devices);
        self.follow();
        let mut ready = devices.serve(self.point.wall_at(clock::counter()));
        if let Some([filled, taken]) = self.requests
            && filled.load(Ordering::Acquire) != taken.load(Ordering::Relaxed)
        {
            ready |= Wake::CONTROL;
        }
        if self.call_block.private(STOP_WORD).load(Ordering::Relaxed) != 0 {
            ready |= Wake::STOP;
        }
        ready
    }

    fn yield_until(&mut self, deadline: u64) -> Wake {
        loop {
            let seen = interrupts::count();
            let ready = self.serve();
            let now = self.now();
            if ready != 0 || deadline <= now {
                return Wake { ready, now };
            }
            self.wait(seen, deadline - now);
        }
    }

    /// Halts until an interrupt comes, or so many nanoseconds have passed; not at all if one has come
    /// since `seen` were counted, or a device has something.
    fn wait(&mut self, seen: u64, nanoseconds: u64) {
        // SAFETY: as in `serve`.
        let devices = unsafe { devices::all() };
        let longest = if devices.interrupt() && !self.watched {
            LONGEST
        } else {
            GLANCE
        };
        if !devices.watch(true) {
            let rested = self.call_block.private(RESTED_WORD);
            rested.store(devices.arrived() + 1, Ordering::Release);
            self.timer.arm(clock::ticks(nanoseconds.min(longest)));
            ports::disable_interrupts();
            if interrupts::count() == seen {
                ports::wait_for_interrupt();
            } else {
                ports::enable_interrupts();
            }
        }
        devices.watch(false);
    }
}

/// The `yield` of the contract.
pub(crate) unsafe extern "sysv64" fn yield_call() -> Wake {
    // SAFETY: the instance has one thread, which is here, so no other call is under way.
    match unsafe { MACHINE.get_mut() } {
        Some(machine) => {
            let yields = machine.call_block.private(YIELDS_WORD);
            yields.fetch_add(1, Ordering::Release);
            machine.yield_until(machine.call_block.deadline())
        }
        None => Wake::default(),
    }
}

/// The `exit` of the contract.
pub(crate) unsafe extern "sysv64" fn exit_call(status: i32) -> ! {
    // SAFETY: the instance has one thread, which is here and makes no other call any more.
    unsafe {
        if let Some(machine) = MACHINE.get_mut() {
            machine.serve();
        }
        devices::all().flush();
    }
    power::exit(status)
}

/// Writes out what the instance left behind.
pub(crate) fn say_rest() {
    // SAFETY: the instance is over, so no other call goes on.
    unsafe {
        if let Some(machine) = MACHINE.get_mut() {
            machine.say(devices::all());
        }
    }
}

/// Random bytes: those of the machine's devices, the processor's own where it makes any, and the time.
pub(crate) fn seed(devices: [u8; 32]) -> [u8; 32] {
    let mut seed = devices;
    let has = makes_random_numbers();
    for part in seed.chunks_exact_mut(8) {
        let mut word = clock::counter().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if has {
            word ^= random_word();
        }
        for (byte, random) in part.iter_mut().zip(word.to_le_bytes()) {
            *byte ^= random;
        }
    }
    seed
}

/// Whether the processor makes random numbers itself.
pub(crate) fn makes_random_numbers() -> bool {
    const RDRAND: u32 = 1 << 30;
    core::arch::x86_64::__cpuid(1).ecx & RDRAND != 0
}

fn random_word() -> u64 {
    let mut word = 0;
    for _ in 0..16 {
        // SAFETY: the caller has seen that the processor has the instruction.
        let done = unsafe { rdrand(&mut word) };
        if done {
            break;
        }
    }
    word
}

/// # Safety
/// The processor must have the instruction.
#[target_feature(enable = "rdrand")]
unsafe fn rdrand(word: &mut u64) -> bool {
    core::arch::x86_64::_rdrand64_step(word) == 1
}
