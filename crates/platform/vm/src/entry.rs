//! Where the monitor enters the image, and where a panic ends it.

use core::arch::{asm, naked_asm};
use core::fmt::{self, Write as _};
use core::mem::MaybeUninit;
use core::panic::{PanicInfo, PanicMessage};
use core::sync::atomic::{AtomicBool, Ordering};

use sprat_abi::boot::BootPage;
use sprat_abi::guest::Contract;
use sprat_platform::Platform as _;

use crate::heap;
use crate::machine::Vm;

/// The one machine; set before the application runs and never again.
static mut MACHINE: MaybeUninit<Vm> = MaybeUninit::uninit();

/// Whether the machine is set.
static ENTERED: AtomicBool = AtomicBool::new(false);

// SAFETY: `sprat::entry!` defines the function with this very type.
unsafe extern "Rust" {
    /// The application, made by `sprat::entry!`; returns the exit status.
    safe fn sprat_main() -> i32;
}

/// Entered with the boot page's address in RDI and RSP at the end of the stack. A zero RBP ends
/// every backtrace here.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "and rsp, -16", "call {start}", "ud2", start = sym start)
}

/// # Safety
/// As for [`Contract::attach`]; to be entered once.
unsafe extern "C" fn start(page: *const BootPage) -> ! {
    // SAFETY: the monitor passes the address of its boot page.
    let Ok(contract) = (unsafe { Contract::attach(page) }) else {
        // Of a page of another version not even the calls' addresses can be trusted: the fault is
        // the report. (Monitors refuse such an image long before.)
        fault()
    };
    sprat_platform_memory::choose_instructions();
    // SAFETY: the area is the instance's to use as it likes, and this is its only use.
    unsafe { heap::claim(contract.page().heap) };
    // SAFETY: this runs once, before anything reads the static, and the contract is attached to
    // here alone.
    unsafe { (&raw mut MACHINE).cast::<Vm>().write(Vm::new(contract)) };
    ENTERED.store(true, Ordering::Relaxed);
    let status = sprat_main();
    Vm::current().exit(status)
}

impl Vm {
    /// The machine this image runs on.
    #[must_use]
    pub fn current() -> &'static Self {
        // SAFETY: written once, before the application runs; only shared references exist since.
        // The panic handler, which may run earlier, asks `ENTERED` first.
        unsafe { &*(&raw const MACHINE).cast::<Self>() }
    }
}

/// Raises the processor's fault for an invalid instruction.
fn fault() -> ! {
    // SAFETY: `ud2` ends the instance.
    unsafe { asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// Says what happened and ends the instance by the breakpoint that stands for a panic.
///
/// The place is not asked for: it is in the monitor's report, from the backtrace and the image's
/// line tables. With nobody to ask, the linker drops every source file name and line number that the
/// checks in the code would carry, a twentieth of an image. For that it must see that nobody asks,
/// so this is inlined where `info` is made: by link-time optimization, which sees the attribute though
/// the compiler says that it ignores it.
#[panic_handler]
#[allow(unused_attributes)]
#[inline(always)]
fn panic(info: &PanicInfo<'_>) -> ! {
    end(info.message())
}

#[cold]
#[inline(never)]
fn end(message: PanicMessage<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    // Without a console, or where writing to it failed, the breakpoint is all the report.
    if ENTERED.load(Ordering::Relaxed) && !PANICKING.swap(true, Ordering::Relaxed) {
        // A failure to write has nowhere to be told.
        let _ = writeln!(Console, "panicked: {message}");
    }
    // SAFETY: `int3` ends the instance.
    unsafe { asm!("int3", options(noreturn, nomem, nostack)) }
}

/// The precompiled standard crates are made to unwind and call this at the end of a cleanup. Here a
/// panic ends the instance before any cleanup begins.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    fault()
}

struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Vm::current().write_console(text.as_bytes());
        Ok(())
    }
}
