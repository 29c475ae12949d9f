//! Where the library's log goes: to a function of the program's, or to stderr.
#![expect(unsafe_code, reason = "functions of the C library have names of their own")]

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Once, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::error::{Fault, done, gohttp_error as Code};
use super::target::UserData;

/// A function that is given a line of the log. It is called from any thread, from several at once,
/// also while the library is in the middle of something: it must not call the library, nor wait for
/// a thread that may be inside gohttp_set_log.
#[expect(non_camel_case_types, reason = "the name is C's")]
pub type gohttp_log_function =
    Option<unsafe extern "C" fn(level: c_int, message: *const c_char, data: *mut c_void)>;

/// Read for as long as the function is called, so that nobody who has set another finds the former
/// still at work.
static FUNCTION: RwLock<Option<(gohttp_log_function, UserData)>> = RwLock::new(None);

thread_local! {
    /// The calling thread is inside the program's function.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Sink;

/// Only what the engine says is told.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("gohttp")
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !is_ours(record.metadata()) {
            return;
        }
        // A second read could wait behind who waits for the first to end.
        if INSIDE.get() {
            return tell_stderr(record);
        }
        let function = FUNCTION.read().unwrap_or_else(PoisonError::into_inner);
        let Some((Some(function), data)) = &*function else { return tell_stderr(record) };
        let text = record.args().to_string().replace('\0', "\u{fffd}");
        let Ok(text) = CString::new(text) else { return };
        INSIDE.set(true);
        // SAFETY: gohttp_set_log was given a function of this type that may be called from any
        // thread until that returns for another, which the lock keeps it from; the text lives until
        // the end of this function.
        unsafe { function(record.level() as c_int, text.as_ptr(), data.0) }
        INSIDE.set(false);
    }

    fn flush(&self) {}
}

fn tell_stderr(record: &Record<'_>) {
    eprintln!("gohttp: {}: {}", word(record.level()), record.args());
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}

/// Has errors and warnings go to stderr, unless gohttp_set_log has said otherwise.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Another logger there can only be in a Rust program, which then knows what it does.
        if log::set_logger(&Sink).is_ok() {
            log::set_max_level(LevelFilter::Warn);
        }
    });
}

/// Has lines of the log go to `function`, with `data`; to stderr if it is NULL. `level` is how much:
/// 0 nothing, 1 errors, 2 warnings as well (as it is unless set), 3 what happens, each access line
/// among it, 4 all. Waits until no thread is in the former function: that and its data may be let go
/// of then. GOHTTP_ERROR_STATE from inside that function.
///
/// # Safety
/// `function` stays callable, from any thread, until this returns for another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gohttp_set_log(
    level: c_int,
    function: gohttp_log_function,
    data: *mut c_void,
) -> c_int {
    done(|| {
        let level = match level {
            0 => LevelFilter::Off,
            1 => LevelFilter::Error,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Info,
            4 => LevelFilter::Debug,
            _ => return Err(Fault::argument("a level is 0 to 4")),
        };
        if INSIDE.get() {
            return Err(Fault::new(
                Code::GOHTTP_ERROR_STATE,
                "the log's function cannot set another while it runs",
            ));
        }
        install();
        *FUNCTION.write().unwrap_or_else(PoisonError::into_inner) =
            Some((function, UserData(data)));
        log::set_max_level(level);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Passed when the function is at work.
    static AT_WORK: Barrier = Barrier::new(2);
    static WORKING: AtomicBool = AtomicBool::new(false);
    static FROM_INSIDE: AtomicI32 = AtomicI32::new(0);

    unsafe extern "C" fn slow(_level: c_int, _message: *const c_char, _data: *mut c_void) {
        WORKING.store(true, SeqCst);
        log::error!(target: "gohttp.test", "a line of the log from its own function");
        // SAFETY: no function.
        FROM_INSIDE.store(unsafe { gohttp_set_log(2, None, null_mut()) }, SeqCst);
        AT_WORK.wait();
        // Who sets another could do so meanwhile, if it did not wait.
        thread::sleep(Duration::from_millis(50));
        WORKING.store(false, SeqCst);
    }

    #[test]
    fn nobody_is_in_the_former_function_when_another_has_been_set() {
        // SAFETY: a function of this program's is always there.
        assert_eq!(unsafe { gohttp_set_log(2, Some(slow), null_mut()) }, 0);
        let logs = thread::spawn(|| log::error!(target: "gohttp.test", "a line"));
        AT_WORK.wait();
        // SAFETY: no function.
        assert_eq!(unsafe { gohttp_set_log(2, None, null_mut()) }, 0);
        assert!(!WORKING.load(SeqCst));
        assert_eq!(FROM_INSIDE.load(SeqCst), Code::GOHTTP_ERROR_STATE as c_int);
        assert!(logs.join().is_ok());
    }
}
