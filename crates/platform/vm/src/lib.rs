//! The library OS as a sealed image.
#![no_std]
