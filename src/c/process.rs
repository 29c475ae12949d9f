//! What the library has to do to a process that is not its own, and undo.
#![expect(unsafe_code, reason = "std has no calls for signal masks and dispositions")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::wake::lock;

/// Keeps SIGPIPE from the calling thread: writing to a client that has gone is an error, not the
/// program's death. The disposition stays the program's.
pub(super) fn keep_from_sigpipe() {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call fills the set, the others are given that set, and NULL where they allow
    // it. They change this thread only, and fail for numbers that are no signals only.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
    }
}

/// Whether a signal does what it does by default.
fn is_default(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a NULL action asks only; the answer goes to memory of the right size.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zeros is a value of this plain struct, and the call may have filled it.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_DFL
}

struct Default {
    /// No server wants the signals: they do what they did before.
    free: Arc<AtomicBool>,
    servers: usize,
}

static DEFAULT: Mutex<Option<Default>> = Mutex::new(None);

/// For as long as this lives, SIGTERM and SIGINT are a server's. Handlers of signals stay installed
/// for ever; without this, a program that goes on after its server could not be ended by them.
#[derive(Debug)]
pub(super) struct SignalsTaken;

impl SignalsTaken {
    /// # Errors
    /// If the system refuses.
    pub(super) fn new() -> io::Result<Self> {
        let mut default = lock(&DEFAULT);
        if let Some(known) = &mut *default {
            known.servers += 1;
            known.free.store(false, SeqCst);
            return Ok(Self);
        }
        let free = Arc::new(AtomicBool::new(false));
        for signal in [libc::SIGTERM, libc::SIGINT] {
            // What the program has set up itself is called all the same.
            if is_default(signal) {
                signal_hook::flag::register_conditional_default(signal, free.clone())?;
            }
        }
        *default = Some(Default { free, servers: 1 });
        Ok(Self)
    }
}

impl Drop for SignalsTaken {
    fn drop(&mut self) {
        if let Some(known) = &mut *lock(&DEFAULT) {
            known.servers -= 1;
            known.free.store(known.servers == 0, SeqCst);
        }
    }
}
