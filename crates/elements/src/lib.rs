//! The Click element library.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod classification;
