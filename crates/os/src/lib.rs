//! The library operating system of sealed images.
#![no_std]
