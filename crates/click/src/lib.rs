//! The Click language, the router graph and its scheduler.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod arguments;
pub mod diagnostics;
