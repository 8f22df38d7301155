//! Packets, batches and the buffer pool.
#![no_std]
