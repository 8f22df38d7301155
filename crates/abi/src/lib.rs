//! The contract between an instance and its monitor.
#![no_std]
