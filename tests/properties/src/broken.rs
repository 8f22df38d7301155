//! Rules that are broken on purpose: each ends the program, with a report.

use core::hint::black_box;

use crate::Shown;

/// Code that returns at once.
const RETURN: u8 = 0xc3;

static CONSTANT: [u8; 16] = [RETURN; 16];

static mut VARIABLE: [u8; 16] = [RETURN; 16];

pub(crate) fn show(property: &str) -> Option<Shown> {
    let heap = alloc::vec![RETURN; 16];
    let stack = [RETURN; 16];
    match property {
        "broken-panic" => {
            let places = black_box([7, 11, 13]);
            let place = black_box(3);
            black_box(places[place]);
        }
        "broken-writes-text" => write_to((show as *const u8).cast_mut()),
        "broken-writes-constants" => write_to(CONSTANT.as_ptr().cast_mut()),
        "broken-runs-data" => call((&raw const VARIABLE).cast()),
        "broken-runs-heap" => call(heap.as_ptr()),
        "broken-runs-stack" => call(black_box(&stack).as_ptr()),
        "broken-reads-page-zero" => {
            // SAFETY: none; that is the test.
            unsafe { black_box(core::ptr::without_provenance::<u8>(black_box(8)).read_volatile()) };
        }
        "broken-stack-overflow" => {
            black_box(deeper(0));
        }
        "broken-instruction" => {
            // SAFETY: none; that is the test.
            unsafe { core::arch::asm!("ud2") };
        }
        "broken-division" => {
            // SAFETY: none; that is the test.
            unsafe {
                core::arch::asm!("xor ecx, ecx", "xor edx, edx", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
            };
        }
        _ => return None,
    }
    Some(Ok(()))
}

fn write_to(address: *mut u8) {
    // SAFETY: none; that is the test.
    unsafe { black_box(address).write_volatile(RETURN) };
}

fn call(address: *const u8) {
    // SAFETY: none; that is the test.
    unsafe {
        let function: extern "C" fn() = core::mem::transmute(black_box(address));
        function();
    }
}

/// Calls itself far more often than any stack has room for.
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    if depth > 1 << 40 {
        return room[0];
    }
    deeper(depth + 1) + room[1]
}
