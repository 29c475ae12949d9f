//! What a program can know of a request.
//!
//! Texts end in NUL and are good until the handler returns, or, if the response was detached, until
//! it is ended.
#![expect(
    unsafe_code,
    reason = "functions of the C library have names of their own and get pointers"
)]

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use percent_encoding::percent_decode;

use super::error::{Fault, boundary, done, gohttp_error as Code};
use super::exchange::{Exchange, find};
use super::memory;
use super::texts::Text;
use crate::http::{RequestHead, forwarded};

/// A request. It is the same number as its gohttp_response, and as the article's ResponseWriterPtr.
#[expect(non_camel_case_types, reason = "the name is C's")]
pub type gohttp_request = u32;

/// Gives a text of an exchange to C.
///
/// # Safety
/// `length` is NULL or points to a `size_t`.
unsafe fn give<T: AsRef<[u8]>>(
    r: gohttp_request,
    length: *mut usize,
    find_text: impl FnOnce(&Arc<Exchange>) -> Result<(Text, T), Fault>,
) -> *const c_char {
    boundary(|| {
        let exchange = find(r)?;
        let (which, text) = find_text(&exchange)?;
        let (address, size) = exchange.text(which, || text);
        // SAFETY: as the caller promises.
        unsafe { memory::put(length, size) };
        Ok(address)
    })
}

fn missing() -> Fault {
    Code::GOHTTP_ERROR_MISSING.into()
}

/// The method: `GET`. Here and below: NULL if `r` is stale or there is no such text; `length`, unless
/// it is NULL, gets the length without the NUL.
///
/// # Safety
/// `length` is NULL or points to a `size_t`.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_method(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::Method, exchange.head().method().to_vec()))) }
}

/// The path as the client sent it, percent signs kept: `/a%20b`.
///
/// # Safety
/// As gohttp_request_method.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_path(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::Path, exchange.head().path().to_vec()))) }
}

/// What stands behind the `?`, as sent; empty if there is none.
///
/// # Safety
/// As gohttp_request_method.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_query(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::Query, exchange.head().query().to_vec()))) }
}

/// Path and query as the client sent them: `/a%20b?x=1`.
///
/// # Safety
/// As gohttp_request_method.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_url(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::Url, exchange.head().target()))) }
}

/// Host and port that the client asked for; empty if it named none (HTTP/1.0).
///
/// # Safety
/// As gohttp_request_method.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_host(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    let host = |head: &RequestHead| head.host().unwrap_or_default().to_vec();
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::Host, host(exchange.head())))) }
}

/// The protocol: `HTTP/1.1`.
///
/// # Safety
/// As gohttp_request_method.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_protocol(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::Protocol, exchange.head().version().as_str()))) }
}

/// The client's address and port, `127.0.0.1:52814`; empty on a Unix socket.
///
/// # Safety
/// As gohttp_request_method.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_remote_address(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::RemoteAddress, remote_address(exchange)))) }
}

fn remote_address(exchange: &Exchange) -> String {
    let conn = exchange.request().conn();
    if let Some(client) = forwarded(exchange.head(), conn).client {
        return client.to_string();
    }
    match (&*conn.peer_host, conn.peer_port) {
        ("", _) => String::new(),
        (host, port) if host.contains(':') => format!("[{host}]:{port}"),
        (host, port) => format!("{host}:{port}"),
    }
}

/// The pattern that the request was found by, as it was registered.
///
/// # Safety
/// As gohttp_request_method.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_pattern(
    r: gohttp_request,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { give(r, length, |exchange| Ok((Text::Pattern, exchange.pattern().to_owned()))) }
}

/// What the wildcard `name` of the pattern took of the path, percent-decoded. NULL if the pattern
/// has no such wildcard. It may hold slashes, `..` and NULs that were encoded.
///
/// # Safety
/// As gohttp_request_method; `name` is a text that ends in NUL.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_path_value(
    r: gohttp_request,
    name: *const c_char,
    length: *mut usize,
) -> *const c_char {
    let find_text = |exchange: &Arc<Exchange>| {
        // SAFETY: as the caller promises.
        let name = unsafe { memory::bytes(name, "the name") }?;
        let mut values = exchange.values().iter().enumerate();
        let found = values.find(|(_, (known, _))| known.as_bytes() == name);
        let (at, (_, value)) = found.ok_or_else(missing)?;
        Ok((Text::PathValue(at), value.clone()))
    };
    // SAFETY: as the caller promises.
    unsafe { give(r, length, find_text) }
}

/// The first value of `name` in the query, decoded as forms are: `+` is a space. NULL if there is
/// none.
///
/// # Safety
/// As gohttp_request_method; `name` is a text that ends in NUL.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_query_value(
    r: gohttp_request,
    name: *const c_char,
    length: *mut usize,
) -> *const c_char {
    let find_text = |exchange: &Arc<Exchange>| {
        // SAFETY: as the caller promises.
        let name = unsafe { memory::bytes(name, "the name") }?;
        let value = query_value(exchange.head().query(), name).ok_or_else(missing)?;
        Ok((Text::QueryValue(name.into()), value))
    };
    // SAFETY: as the caller promises.
    unsafe { give(r, length, find_text) }
}

fn query_value(query: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    query.split(|&byte| byte == b'&').find_map(|pair| {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let value = pair.get(equals + 1..).unwrap_or_default();
        (!pair.is_empty() && decode(&pair[..equals]) == name).then(|| decode(value))
    })
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&spaced).collect()
}

/// The first value of the header `name`, in whatever case. NULL if there is none.
///
/// # Safety
/// As gohttp_request_method; `name` is a text that ends in NUL.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_header(
    r: gohttp_request,
    name: *const c_char,
    length: *mut usize,
) -> *const c_char {
    let find_text = |exchange: &Arc<Exchange>| {
        // SAFETY: as the caller promises.
        let name = unsafe { memory::bytes(name, "the name") }?;
        let mut fields = exchange.head().fields().enumerate();
        let found = fields.find(|(_, field)| field.name.eq_ignore_ascii_case(name));
        let (at, field) = found.ok_or_else(missing)?;
        Ok((Text::FieldValue(at), field.value.to_vec()))
    };
    // SAFETY: as the caller promises.
    unsafe { give(r, length, find_text) }
}

/// How many header fields there are, or an error.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_request_header_count(r: gohttp_request) -> c_int {
    boundary(|| Ok(c_int::try_from(find(r)?.head().fields().len()).unwrap_or(c_int::MAX)))
}

/// Name, in lower case, and value of a header field, counted from 0 in the order received.
///
/// # Safety
/// `name` and `value` are each NULL or point to a `const char *`.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_header_at(
    r: gohttp_request,
    index: c_int,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> c_int {
    done(|| {
        let exchange = find(r)?;
        let at = usize::try_from(index).map_err(|_| missing())?;
        let field = exchange.head().fields().nth(at).ok_or_else(missing)?;
        // SAFETY: as the caller promises.
        unsafe {
            memory::put(name, exchange.text(Text::FieldName(at), || field.name).0);
            memory::put(value, exchange.text(Text::FieldValue(at), || field.value).0);
        }
        Ok(())
    })
}

/// The length of the body that the client has declared; GOHTTP_ERROR_MISSING if it has declared
/// none: then there is no body, or one whose length its end will show.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub extern "C" fn gohttp_request_content_length(r: gohttp_request) -> i64 {
    boundary(|| {
        let length = find(r)?.head().content_length().ok_or_else(missing)?;
        Ok(i64::try_from(length).unwrap_or(i64::MAX))
    })
}

/// Reads some of the body, up to `size` bytes, and waits for the client if there is none yet.
/// Returns how many, 0 at the end, or an error. From any thread; each byte is read once.
///
/// # Safety
/// `buffer` points to `size` bytes.
#[cfg_attr(feature = "c", unsafe(no_mangle))]
pub unsafe extern "C" fn gohttp_request_read(
    r: gohttp_request,
    buffer: *mut c_void,
    size: usize,
) -> isize {
    boundary(|| {
        if buffer.is_null() || size == 0 {
            return Err(Fault::argument("there is no buffer to read into"));
        }
        let data = find(r)?.read(size)?;
        // SAFETY: the caller promises `size` bytes, and there are no more in `data`.
        unsafe { memory::copy(&data, buffer) };
        Ok(data.len() as isize)
    })
}

#[cfg(test)]
mod tests {
    use super::query_value;

    #[test]
    fn query_values_are_decoded_as_forms_are() {
        let query = b"a=1&b=x+y%2Bz&empty=&flag&%61=2&c=d=e";
        for (name, value) in [
            ("a", Some(&b"1"[..])),
            ("b", Some(b"x y+z")),
            ("empty", Some(b"")),
            ("flag", Some(b"")),
            ("c", Some(b"d=e")),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(query_value(query, name.as_bytes()).as_deref(), value, "{name}");
        }
    }
}
