//! The Click element library.
#![no_std]
