//! Signal handlers of the engine that outlive Python's.
//!
//! They are put in place once a process. Python's `signal.signal`, between one server and the next,
//! puts its own over them; so what was there after the first time is put there again.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::sync::Mutex;

use crate::wake::lock;

/// What the system was told first for each signal.
static FIRST: Mutex<Option<HashMap<i32, libc::sigaction>>> = Mutex::new(None);

/// To be called when the engine's handlers for `signals` should be in place: has them there.
///
/// # Errors
/// If the system refuses.
pub(crate) fn put_back(signals: &[i32]) -> io::Result<()> {
    let mut first = lock(&FIRST);
    let first = first.get_or_insert_default();
    for &signal in signals {
        match first.get(&signal) {
            Some(action) => set(signal, action)?,
            None => {
                first.insert(signal, get(signal)?);
            }
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "sigaction is C")]
fn get(signal: i32) -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: a null pointer asks only; the other points to room for one `sigaction`, which the
    // call fills if it returns 0.
    unsafe {
        match libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) {
            0 => Ok(action.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[expect(unsafe_code, reason = "sigaction is C")]
fn set(signal: i32, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: `action` came from the system, set there by the engine's signal library, whose
    // handler lives as long as the process; nothing is asked back.
    match unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
