//! The symbols that the compiler calls, with what it promises to C's functions of these names. An
//! ordinary program has its C library's.

use core::ffi::{c_int, c_void};

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    // SAFETY: as C's memcpy promises.
    unsafe { crate::copy(to.cast(), from.cast(), length) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    // SAFETY: as C's memmove promises.
    unsafe { crate::copy(to.cast(), from.cast(), length) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, value: c_int, length: usize) -> *mut c_void {
    // SAFETY: as C's memset promises; it uses the value's low byte.
    unsafe { crate::fill(to.cast(), value.to_le_bytes()[0], length) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const c_void, right: *const c_void, length: usize) -> c_int {
    // SAFETY: as C's memcmp promises.
    unsafe { crate::compare(left.cast(), right.cast(), length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const c_void, right: *const c_void, length: usize) -> c_int {
    // SAFETY: as POSIX's bcmp promises.
    unsafe { crate::compare(left.cast(), right.cast(), length) }
}
