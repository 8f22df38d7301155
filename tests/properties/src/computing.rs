//! Memory, random numbers, and that what is computed is right whatever interrupts it.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;
use core::time::Duration;

use sprat::time::Instant;

use crate::{Shown, expect};

pub(crate) fn show(property: &str) -> Option<Shown> {
    Some(match property {
        "heap-use" => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            for size in 1..1000 {
                kept.push(vec![byte_of(size); size]);
            }
            kept.retain(|bytes| bytes.len() % 3 == 0);
            let whole = kept
                .iter()
                .all(|bytes| bytes.iter().all(|byte| *byte == byte_of(bytes.len())));
            expect(whole, || "an allocation was overwritten".into())
        }
        "heap-again" => {
            // A hundred times what there is.
            for _ in 0..200 {
                black_box(vec![1_u8; 1 << 20]);
            }
            Ok(())
        }
        "heap-aligned" => {
            #[repr(align(4096))]
            struct Page(#[expect(dead_code, reason = "takes room")] [u8; 4096]);
            let pages: Vec<Box<Page>> = (0..8).map(|_| Box::new(Page([0; 4096]))).collect();
            let aligned = pages
                .iter()
                .all(|page| (&raw const **page).addr().is_multiple_of(4096));
            expect(aligned, || "a page lies across pages".into())
        }
        "heap-refuses" => {
            let mut bytes: Vec<u8> = Vec::new();
            let refused = bytes.try_reserve(1 << 46).is_err();
            expect(refused, || "64 TiB were had".into())
        }
        // Ends in the panic of who allocates.
        "heap-exhausted" => {
            let mut kept = Vec::new();
            loop {
                kept.push(vec![1_u8; 1 << 20]);
                black_box(&kept);
            }
        }
        // The outside compares several runs.
        "random-seed" => {
            let seed = sprat::place::seed();
            sprat::place::write_console(format!("{seed:02x?}").as_bytes());
            expect(seed != [0; 32], || "all zero".into())
        }
        "random-same" => {
            let (first, second) = (sprat::place::seed(), sprat::place::seed());
            expect(first == second, || "differs at the second call".into())
        }
        "code-survives-interrupts" => busy(|| {
            let sum = (1..=1000_u64).fold(0, |sum, number| black_box(sum + number));
            expect(sum == 500_500, || format!("{sum}"))
        }),
        "code-floats-survive-interrupts" => busy(|| {
            let sum = (0..1000).fold(0.0, |sum, _| black_box(sum + 0.5));
            expect(sum == 500.0, || format!("{sum}"))
        }),
        "code-copies-survive-interrupts" => {
            let from: Vec<u8> = (0..4000_u32).map(|at| (at * 7).to_le_bytes()[0]).collect();
            let mut to = vec![0; 4000];
            busy(move || {
                to.fill(0);
                to.copy_from_slice(black_box(&from));
                expect(to == from, || "other bytes".into())
            })
        }
        "code-red-zone" => busy(|| {
            let sum = leaf(black_box([3, 5, 7, 11]));
            expect(sum == 655, || format!("{sum}"))
        }),
        _ => return None,
    })
}

/// A function that calls none and has more variables than registers: they lie below the stack pointer.
#[inline(never)]
fn leaf(seeds: [u64; 4]) -> u64 {
    let mut values = [0_u64; 14];
    for (at, value) in values.iter_mut().enumerate() {
        *value = black_box(seeds[at % 4] * (at as u64 + 1));
    }
    // By hand: 3 (1+5+9+13) + 5 (2+6+10+14) + 7 (3+7+11) + 11 (4+8+12) = 84 + 160 + 147 + 264.
    values.iter().sum()
}

/// Checks for 60 ms, while timers go off: a task that sleeps wants each of them.
fn busy(mut check: impl FnMut() -> Shown) -> Shown {
    sprat::run({
        let begin = Instant::now();
        let shown = loop {
            // The deadline stands while the processor computes, so that an interrupt comes in between.
            sprat::wait_until(Some(Instant::now()));
            let until = Instant::now().after(Duration::from_micros(500));
            while Instant::now() < until {
                check()?;
            }
            if Instant::now().since(begin) > Duration::from_millis(60) {
                break Ok(());
            }
        };
        async move { shown }
    })
}

/// A byte that goes with a length.
fn byte_of(length: usize) -> u8 {
    length.to_le_bytes()[0] | 1
}
