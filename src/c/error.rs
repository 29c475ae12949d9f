//! What the library's functions say when something cannot be done.
#![cfg_attr(
    feature = "c",
    expect(unsafe_code, reason = "functions of the C library have names of their own")
)]

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::http::{BodyError, FieldError, WriteError};
use crate::mux::PatternError;

/// What a function returns: GOHTTP_OK, or a negative number that says why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
#[expect(non_camel_case_types, reason = "the names are C's")]
pub enum gohttp_error {
    /// It was done.
    GOHTTP_OK = 0,
    /// The handle is stale or was never one.
    GOHTTP_ERROR_HANDLE = -1,
    /// An argument is NULL, out of range or malformed.
    GOHTTP_ERROR_ARGUMENT = -2,
    /// What was asked for is not there: no such header, no declared length.
    GOHTTP_ERROR_MISSING = -3,
    /// The client has gone.
    GOHTTP_ERROR_GONE = -4,
    /// The response has begun: its status and headers have been sent.
    GOHTTP_ERROR_STARTED = -5,
    /// The response has ended.
    GOHTTP_ERROR_ENDED = -6,
    /// The request's body is malformed.
    GOHTTP_ERROR_BODY = -7,
    /// The request's body is larger than the server allows, or the response's than declared.
    GOHTTP_ERROR_TOO_LARGE = -8,
    /// The client was too slow, or the request's time was up.
    GOHTTP_ERROR_TIMEOUT = -9,
    /// The server is not in a state for this: it runs, has ended or does not listen.
    GOHTTP_ERROR_STATE = -10,
    /// The system refused: gohttp_last_error says what.
    GOHTTP_ERROR_SYSTEM = -11,
    /// Handlers were still running when the stop's time was up; they go on without a server.
    GOHTTP_ERROR_ABANDONED = -12,
    /// There are too many handles.
    GOHTTP_ERROR_FULL = -13,
    /// A fault of the library itself.
    GOHTTP_ERROR_INTERNAL = -14,
}

use gohttp_error as Code;

impl Code {
    const ALL: [Self; 15] = [
        Self::GOHTTP_OK,
        Self::GOHTTP_ERROR_HANDLE,
        Self::GOHTTP_ERROR_ARGUMENT,
        Self::GOHTTP_ERROR_MISSING,
        Self::GOHTTP_ERROR_GONE,
        Self::GOHTTP_ERROR_STARTED,
        Self::GOHTTP_ERROR_ENDED,
        Self::GOHTTP_ERROR_BODY,
        Self::GOHTTP_ERROR_TOO_LARGE,
        Self::GOHTTP_ERROR_TIMEOUT,
        Self::GOHTTP_ERROR_STATE,
        Self::GOHTTP_ERROR_SYSTEM,
        Self::GOHTTP_ERROR_ABANDONED,
        Self::GOHTTP_ERROR_FULL,
        Self::GOHTTP_ERROR_INTERNAL,
    ];

    const fn text(self) -> &'static std::ffi::CStr {
        match self {
            Self::GOHTTP_OK => c"success",
            Self::GOHTTP_ERROR_HANDLE => c"the handle is stale or was never one",
            Self::GOHTTP_ERROR_ARGUMENT => c"an argument is missing, out of range or malformed",
            Self::GOHTTP_ERROR_MISSING => c"there is no such thing",
            Self::GOHTTP_ERROR_GONE => c"the client has gone",
            Self::GOHTTP_ERROR_STARTED => c"the response has begun already",
            Self::GOHTTP_ERROR_ENDED => c"the response has ended already",
            Self::GOHTTP_ERROR_BODY => c"the request body is malformed",
            Self::GOHTTP_ERROR_TOO_LARGE => c"the body is too large",
            Self::GOHTTP_ERROR_TIMEOUT => c"the time was up",
            Self::GOHTTP_ERROR_STATE => c"the server is not in a state for this",
            Self::GOHTTP_ERROR_SYSTEM => c"the system refused",
            Self::GOHTTP_ERROR_ABANDONED => c"handlers were still running when the time was up",
            Self::GOHTTP_ERROR_FULL => c"there are too many handles",
            Self::GOHTTP_ERROR_INTERNAL => c"a fault of the library itself",
        }
    }
}

/// A code, and what there is to say beyond it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    text: Cow<'static, str>,
}

impl Fault {
    pub(super) fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }

    pub(super) fn argument(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::GOHTTP_ERROR_ARGUMENT, text)
    }

    pub(super) fn text(&self) -> &str {
        if self.text.is_empty() {
            self.code.text().to_str().unwrap_or_default()
        } else {
            &self.text
        }
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Self { code, text: Cow::Borrowed("") }
    }
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Gone => Code::GOHTTP_ERROR_GONE.into(),
            WriteError::Started => Code::GOHTTP_ERROR_STARTED.into(),
            WriteError::Ended => Code::GOHTTP_ERROR_ENDED.into(),
            WriteError::NotStarted => Code::GOHTTP_ERROR_INTERNAL.into(),
            WriteError::Short(_) => Self::argument(error.to_string()),
        }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::Disconnected => Code::GOHTTP_ERROR_GONE,
            BodyError::Malformed => Code::GOHTTP_ERROR_BODY,
            BodyError::TooLarge => Code::GOHTTP_ERROR_TOO_LARGE,
            BodyError::TimedOut | BodyError::Deadline => Code::GOHTTP_ERROR_TIMEOUT,
            BodyError::Answered => Code::GOHTTP_ERROR_ENDED,
        };
        Self::new(code, error.to_string())
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self::argument(error.to_string())
    }
}

impl From<PatternError> for Fault {
    fn from(error: PatternError) -> Self {
        Self::argument(error.to_string())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::InvalidInput => Code::GOHTTP_ERROR_ARGUMENT,
            _ => Code::GOHTTP_ERROR_SYSTEM,
        };
        Self::new(code, error.to_string())
    }
}

/// What a function of C can return when it fails.
pub(super) trait Failed {
    /// The value that says `code`.
    fn failed(code: Code) -> Self;
}

impl Failed for c_int {
    fn failed(code: Code) -> Self {
        code as Self
    }
}

impl Failed for isize {
    fn failed(code: Code) -> Self {
        code as Self
    }
}

impl Failed for i64 {
    fn failed(code: Code) -> Self {
        code as Self
    }
}

impl Failed for u32 {
    fn failed(_: Code) -> Self {
        0
    }
}

impl<T> Failed for *const T {
    fn failed(_: Code) -> Self {
        std::ptr::null()
    }
}

impl Failed for () {
    fn failed(_: Code) -> Self {}
}

/// Runs the inside of a function of C: a fault becomes its code, with the text kept for
/// gohttp_last_error, and no panic gets out.
pub(super) fn boundary<T: Failed>(run: impl FnOnce() -> Result<T, Fault>) -> T {
    let fault = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => return value,
        Ok(Err(fault)) => fault,
        Err(panic) => {
            let text = format!("panic: {}", describe(&*panic));
            ::log::error!(target: "gohttp.server", "{text}");
            Fault::new(Code::GOHTTP_ERROR_INTERNAL, text)
        }
    };
    remember(&fault);
    T::failed(fault.code)
}

/// The same for functions that return a code only.
pub(super) fn done(run: impl FnOnce() -> Result<(), Fault>) -> c_int {
    boundary(|| run().map(|()| Code::GOHTTP_OK as c_int))
}

fn describe(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

fn remember(fault: &Fault) {
    let text: Vec<u8> = fault.text().bytes().filter(|&byte| byte != 0).collect();
    // A thread that ends may have lost the place already; then nobody can ask for it either.
    let _ = LAST.try_with(|last| *last.borrow_mut() = CString::new(text).unwrap_or_default());
}

/// What went wrong in the last call that failed on this thread; empty if none has. The text is
/// valid until the next call that fails on this thread.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// What an error code means, in a few words. The text is valid for ever.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_strerror(code: c_int) -> *const c_char {
    let known = Code::ALL.into_iter().find(|known| *known as c_int == code);
    known.map_or(c"unknown error", Code::text).as_ptr()
}
