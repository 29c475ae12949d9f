//! The caller's memory: the only place where pointers of C are followed.
//!
//! Nothing here can find out whether a pointer is good. That they are, for the time of the call,
//! is what `gohttp.h` asks of its callers; NULL is found.
#![expect(unsafe_code, reason = "pointers of C have to be followed somewhere")]

use std::ffi::{CStr, c_char, c_void};

use super::error::Fault;

/// The bytes of a text that ends in NUL.
///
/// # Safety
/// `text` is NULL or points to such a text, which does not change for as long as the result lives.
pub(super) unsafe fn bytes<'a>(text: *const c_char, what: &str) -> Result<&'a [u8], Fault> {
    if text.is_null() {
        return Err(Fault::argument(format!("{what} is NULL")));
    }
    // SAFETY: not NULL, and else as the caller promises.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A text in UTF-8 that ends in NUL.
///
/// # Safety
/// As [`bytes`].
#[cfg(feature = "c")]
pub(super) unsafe fn utf8<'a>(text: *const c_char, what: &str) -> Result<&'a str, Fault> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { bytes(text, what) }?;
    std::str::from_utf8(bytes).map_err(|_| Fault::argument(format!("{what} is not UTF-8")))
}

/// `length` bytes to be read.
///
/// # Safety
/// `data` is NULL or points to so many bytes, which do not change for as long as the result lives.
pub(super) unsafe fn slice<'a>(data: *const c_void, length: usize) -> Result<&'a [u8], Fault> {
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() || length > isize::MAX as usize {
        return Err(Fault::argument("the buffer is NULL, or larger than memory can be"));
    }
    // SAFETY: neither NULL nor too long, bytes need no alignment; else as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// Copies `data` to the caller's memory.
///
/// # Safety
/// `to` points to at least as many bytes, which nobody else reads or writes meanwhile.
pub(super) unsafe fn copy(data: &[u8], to: *mut c_void) {
    // SAFETY: as the caller promises; what is ours does not overlap with what is the caller's.
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to.cast(), data.len()) }
}

/// Puts `value` where the caller wants it, if it does.
///
/// # Safety
/// `place` is NULL or points to a `T`, aligned, that nobody else reads or writes meanwhile.
pub(super) unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not NULL, and else as the caller promises. What was there needs no drop: it is C's.
        unsafe { place.write(value) }
    }
}
