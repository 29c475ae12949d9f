//! Answering. Status and headers are settled by the first write.
#![expect(
    unsafe_code,
    reason = "functions of the C library have names of their own and get pointers"
)]

use std::ffi::{c_char, c_int, c_void};

use super::error::{Fault, boundary, done};
use super::exchange::find;
use super::memory;
use super::reply::Reply;
use super::request::gohttp_request;

/// A response in the making. 0 is none.
#[expect(non_camel_case_types, reason = "the name is C's")]
pub type gohttp_response = u32;

/// Answers a request. It runs on a thread of the library's and may block; `data` is what was given
/// to gohttp_server_handle. When it returns, the response is complete, unless it was detached.
#[expect(non_camel_case_types, reason = "the name is C's")]
pub type gohttp_handler =
    Option<unsafe extern "C" fn(w: gohttp_response, r: gohttp_request, data: *mut c_void)>;

/// Sets the status, 200 to 999; it is 200 unless set.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_response_set_status(w: gohttp_response, status: c_int) -> c_int {
    done(|| {
        let good = u16::try_from(status).ok().filter(|status| (200..=999).contains(status));
        let status = good.ok_or_else(|| Fault::argument("a status is 200 to 999"))?;
        find(w)?.reply(|reply| reply.set_status(status))
    })
}

/// Sets a header, in place of what it was; NULL as value takes it out. Without a Content-Type the
/// first bytes of the body decide, as in Go. Headers of the connection are the server's: they are
/// dropped, but `Connection: close` is obeyed.
///
/// # Safety
/// `name` is a text that ends in NUL, and `value` is one or NULL.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_response_set_header(
    w: gohttp_response,
    name: *const c_char,
    value: *const c_char,
) -> c_int {
    done(|| {
        // SAFETY: as the caller promises.
        let name = unsafe { memory::bytes(name, "the name") }?;
        if value.is_null() {
            return find(w)?.reply(|reply| reply.remove_field(name));
        }
        // SAFETY: not NULL, and else as the caller promises.
        let value = unsafe { memory::bytes(value, "the value") }?;
        find(w)?.reply(|reply| reply.add_field(name, value, true))
    })
}

/// Adds a header beside those of the same name: `Set-Cookie`.
///
/// # Safety
/// `name` and `value` are texts that end in NUL.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_response_add_header(
    w: gohttp_response,
    name: *const c_char,
    value: *const c_char,
) -> c_int {
    done(|| {
        // SAFETY: as the caller promises.
        let name = unsafe { memory::bytes(name, "the name") }?;
        // SAFETY: as the caller promises.
        let value = unsafe { memory::bytes(value, "the value") }?;
        find(w)?.reply(|reply| reply.add_field(name, value, false))
    })
}

/// Sends an interim response at once, with the headers set so far: 103 with Link, or 100, 102 to 199.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_response_interim(w: gohttp_response, status: c_int) -> c_int {
    done(|| {
        let good = u16::try_from(status).ok().filter(|s| matches!(s, 100 | 102..=199));
        let status =
            good.ok_or_else(|| Fault::argument("an interim status is 100 or 102 to 199"))?;
        find(w)?.reply(|reply| reply.interim(status))
    })
}

/// Writes part of the body. Up to 16 KiB are gathered, and sent with their length if that is all;
/// more is streamed, and the call waits while the client takes nothing. Returns `length`, or an
/// error.
///
/// # Safety
/// `data` points to `length` bytes.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_response_write(
    w: gohttp_response,
    data: *const c_void,
    length: usize,
) -> isize {
    boundary(|| {
        // SAFETY: as the caller promises.
        let data = unsafe { memory::slice(data, length) }?;
        find(w)?.write(data)?;
        Ok(length as isize)
    })
}

/// Sends what has been written so far, the headers first, and waits while the client takes nothing.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_response_flush(w: gohttp_response) -> c_int {
    done(|| find(w)?.flush())
}

/// 1 if the client has gone, 0 if not, or an error. A client that has closed its half only has not
/// gone: it may wait for the answer.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_response_gone(w: gohttp_response) -> c_int {
    boundary(|| Ok(find(w)?.request().is_gone().into()))
}

/// Keeps the response open after the handler has returned: any thread may go on with it, and one
/// must end it by gohttp_response_end or gohttp_response_abort, even if the client has gone. The
/// request stays readable until then.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_response_detach(w: gohttp_response) -> c_int {
    done(|| find(w)?.detach())
}

/// Ends the response. A detached one's handle is stale from now on, whatever is returned; in a
/// handler, without detaching, it sends the response before the handler returns.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_response_end(w: gohttp_response) -> c_int {
    done(|| find(w)?.end(w, Reply::end))
}

/// Ends the response so that the client sees that it is not whole; else as gohttp_response_end.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_response_abort(w: gohttp_response) -> c_int {
    done(|| {
        find(w)?.end(w, |reply| {
            reply.abort();
            Ok(())
        })
    })
}
