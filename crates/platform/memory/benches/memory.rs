//! The image's memory functions beside the C library's, by length.
//!
//! The stretches start at different offsets within a vector, as frames do.

#![allow(missing_docs)]

use divan::{Bencher, black_box};
use sprat_platform_memory as memory;

const LENGTHS: &[usize] = &[
    1, 8, 16, 32, 64, 128, 256, 600, 1500, 2048, 4096, 9000, 65536,
];

fn main() {
    memory::choose_instructions();
    divan::main();
}

fn stretches() -> (Vec<u8>, Vec<u8>) {
    (vec![1; 70_000], vec![2; 70_000])
}

#[divan::bench(args = LENGTHS)]
fn copy_image(bencher: Bencher<'_, '_>, length: usize) {
    let (from, mut to) = stretches();
    bencher.bench_local(|| {
        // SAFETY: both vectors are longer than the longest length and its offset.
        unsafe {
            memory::copy(
                black_box(to.as_mut_ptr().add(5)),
                black_box(from.as_ptr().add(3)),
                black_box(length),
            )
        };
    });
}

#[divan::bench(args = LENGTHS)]
fn copy_library(bencher: Bencher<'_, '_>, length: usize) {
    let (from, mut to) = stretches();
    bencher.bench_local(|| {
        let source = black_box(&from[3..3 + black_box(length)]);
        black_box(&mut to[5..5 + length]).copy_from_slice(source);
    });
}

#[divan::bench(args = LENGTHS)]
fn fill_image(bencher: Bencher<'_, '_>, length: usize) {
    let (_, mut to) = stretches();
    bencher.bench_local(|| {
        // SAFETY: the vector is longer than the longest length and its offset.
        unsafe {
            memory::fill(
                black_box(to.as_mut_ptr().add(5)),
                black_box(0),
                black_box(length),
            )
        };
    });
}

#[divan::bench(args = LENGTHS)]
fn fill_library(bencher: Bencher<'_, '_>, length: usize) {
    let (_, mut to) = stretches();
    bencher.bench_local(|| black_box(&mut to[5..5 + black_box(length)]).fill(black_box(0)));
}

#[divan::bench(args = LENGTHS)]
fn compare_image(bencher: Bencher<'_, '_>, length: usize) {
    let (from, _) = stretches();
    let other = from.clone();
    bencher.bench_local(|| {
        // SAFETY: both vectors are longer than the longest length.
        unsafe {
            memory::compare(
                black_box(from.as_ptr()),
                black_box(other.as_ptr()),
                black_box(length),
            )
        }
    });
}

#[divan::bench(args = LENGTHS)]
fn compare_library(bencher: Bencher<'_, '_>, length: usize) {
    let (from, _) = stretches();
    let other = from.clone();
    bencher.bench_local(|| black_box(&from[..black_box(length)]) == black_box(&other[..length]));
}
