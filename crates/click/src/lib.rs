//! The Click language, the router graph and its scheduler.
#![no_std]
