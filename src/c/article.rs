//! What a handler of the 2016 library, gohttplib, is given and may call, with its names and types.
#![expect(unsafe_code, reason = "functions of C have names of their own and get pointers")]
#![cfg_attr(not(feature = "c"), expect(non_snake_case, reason = "the names are the article's"))]

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::error::{Fault, boundary, gohttp_error as Code};
use super::exchange::{Exchange, find};
use super::memory;

/// A body up to this many bytes is given to a handler of the article's; more is answered with 413.
const MOST_BODY: usize = 64 * 1024 * 1024;
/// What `stdio.h` calls EOF.
const EOF: c_int = -1;

/// A request, good until the handler returns. All texts end in NUL and are never NULL.
#[repr(C)]
#[derive(Debug)]
#[cfg_attr(feature = "c", expect(non_snake_case, reason = "the names are the article's"))]
pub struct ArticleRequest {
    /// The method: `GET`.
    pub Method: *const c_char,
    /// Host and port that the client asked for.
    pub Host: *const c_char,
    /// Path and query as the client sent them: `/a%20b?x=1`.
    pub URL: *const c_char,
    /// The whole body. Of one with NULs in it, gohttp_request_read gives all.
    pub Body: *const c_char,
    /// The header fields but Host, as `Name: value` lines that end in CR LF.
    pub Headers: *const c_char,
}

/// What a handler writes to.
pub type ResponseWriterPtr = c_uint;

/// A handler of the article's.
pub(super) type ArticleFunction =
    unsafe extern "C" fn(w: ResponseWriterPtr, r: *mut ArticleRequest);

/// Writes `length` bytes of the body. Returns how many were written, or EOF when the client has
/// gone or `w` is no longer good. The first write settles the status. Waits while the client takes
/// nothing.
///
/// # Safety
/// `buf` points to `length` bytes.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn ResponseWriter_Write(
    w: ResponseWriterPtr,
    buf: *mut c_char,
    length: c_int,
) -> c_int {
    let written: c_int = boundary(|| {
        let size =
            usize::try_from(length).map_err(|_| Fault::argument("the length is negative"))?;
        // SAFETY: as the caller promises.
        let data = unsafe { memory::slice(buf.cast::<c_void>(), size) }?;
        find(w)?.write(data)?;
        Ok(length)
    });
    if written < 0 { EOF } else { written }
}

/// Sets the status, 200 unless set. Once only, and before the first write: what comes later is
/// ignored and logged, as in Go. 1xx is sent at once, as an interim response.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn ResponseWriter_WriteHeader(w: ResponseWriterPtr, code: c_int) {
    boundary(|| {
        let given = find(w)?.reply(|reply| match u16::try_from(code) {
            Ok(status @ (100 | 102..=199)) => reply.interim(status),
            Ok(200..=999) if reply.status().is_some() => Err(Code::GOHTTP_ERROR_STARTED.into()),
            Ok(status @ 200..=999) => reply.set_status(status),
            _ => Err(Fault::argument("it is no status")),
        });
        given.inspect_err(|fault| {
            ::log::warn!(
                target: "gohttp.response",
                "WriteHeader({code}) was ignored: {}",
                fault.text()
            );
        })
    });
}

/// Calls a handler of the article's.
pub(super) fn call(function: ArticleFunction, handle: u32, exchange: &Exchange) {
    let body = match exchange.keep_all(MOST_BODY) {
        Ok(body) => body,
        Err(status) => {
            // Nothing has been written, so this cannot fail.
            let _ = exchange.reply(|reply| {
                reply.fail(status);
                Ok(())
            });
            return;
        }
    };
    let head = exchange.head();
    let mut texts = Vec::with_capacity(512);
    let mut ends = [0; 3];
    let (mark, query): (&[u8], _) =
        if head.query().is_empty() { (b"", head.query()) } else { (b"?", head.query()) };
    let host = head.host().unwrap_or_default();
    let parts = [[head.method(), b"", b""], [host, b"", b""], [head.path(), mark, query]];
    for (part, end) in parts.into_iter().zip(&mut ends) {
        part.into_iter().for_each(|piece| texts.extend_from_slice(piece));
        texts.push(0);
        *end = texts.len();
    }
    for field in head.fields().filter(|field| field.name != b"host") {
        push_canonical(&mut texts, field.name);
        texts.extend_from_slice(b": ");
        texts.extend_from_slice(field.value);
        texts.extend_from_slice(b"\r\n");
    }
    texts.push(0);
    let at = |start: usize| texts[start..].as_ptr().cast();
    let mut request = ArticleRequest {
        Method: at(0),
        Host: at(ends[0]),
        URL: at(ends[1]),
        Body: body.as_ptr().cast(),
        Headers: at(ends[2]),
    };
    // SAFETY: HandleFunc was given a function of this type, callable from any thread for as long as
    // the program runs. What the request points to lives until the end of this function.
    unsafe { function(handle, &raw mut request) }
}

/// A field's name as Go writes it: `content-type` as `Content-Type`.
fn push_canonical(text: &mut Vec<u8>, name: &[u8]) {
    let start = text.len();
    text.extend_from_slice(name);
    let mut upper = true;
    for byte in &mut text[start..] {
        if upper {
            byte.make_ascii_uppercase();
        }
        upper = *byte == b'-';
    }
}
