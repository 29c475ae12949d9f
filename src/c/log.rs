//! Where the library's log goes: to a function of the program's, or to stderr.
#![expect(unsafe_code, reason = "functions of the C library have names of their own")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Once, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::error::{Fault, done};
use super::target::UserData;

/// A function that is given a line of the log. It is called from any thread, also while the library
/// is in the middle of something: it must not call the library.
#[expect(non_camel_case_types, reason = "the name is C's")]
pub type gohttp_log_function =
    Option<unsafe extern "C" fn(level: c_int, message: *const c_char, data: *mut c_void)>;

static FUNCTION: RwLock<Option<(gohttp_log_function, UserData)>> = RwLock::new(None);

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
        let function = *FUNCTION.read().unwrap_or_else(PoisonError::into_inner);
        let Some((Some(function), data)) = function else {
            eprintln!("gohttp: {}: {}", word(record.level()), record.args());
            return;
        };
        let text = record.args().to_string().replace('\0', "\u{fffd}");
        let Ok(text) = CString::new(text) else { return };
        // SAFETY: gohttp_set_log was given a function of this type that may be called from any
        // thread, and says so; the text lives until the end of this function.
        unsafe { function(record.level() as c_int, text.as_ptr(), data.0) }
    }

    fn flush(&self) {}
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
/// among it, 4 all.
///
/// # Safety
/// `function` stays callable, from any thread, until another is set.
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
        install();
        *FUNCTION.write().unwrap_or_else(PoisonError::into_inner) =
            Some((function, UserData(data)));
        log::set_max_level(level);
        Ok(())
    })
}
