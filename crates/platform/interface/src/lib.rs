//! What the library OS needs of the place it runs in.
#![no_std]
