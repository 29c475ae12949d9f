//! How the C library gives freed memory back: CPython's larger objects are its.

/// Environment variables by which a user says it for himself.
const CHOSEN: [&str; 3] = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"];
/// Freed memory that a worker keeps.
const KEPT: libc::c_int = 16 * 1024 * 1024;
/// From which size on an object has pages of its own, given back as it is freed.
const APART: libc::c_int = 4 * 1024 * 1024;

/// Has freed memory kept for the next request up to a bound. By default glibc gives back what is
/// freed at the end of the heap, and a body of 1 MB costs more in page faults than in copying.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "mallopt is C")]
pub(crate) fn keep_freed() {
    if CHOSEN.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    // SAFETY: mallopt takes two numbers, is thread-safe, and changes only how memory is asked of
    // the system.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, APART);
    }
}

/// Other C libraries have no such setting.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn keep_freed() {}
