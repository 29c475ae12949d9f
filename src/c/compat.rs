//! The five functions of the 2016 library, gohttplib, with their names and types. Programs written
//! for it compile and run unchanged.
#![expect(unsafe_code, reason = "functions of C have names of their own and get pointers")]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::{Arc, LazyLock, Mutex};

use super::error::{Fault, boundary, gohttp_error as Code};
use super::exchange::{Exchange, find};
use super::routes::{Routes, Target};
use super::service::Service;
use super::{log, memory};
use crate::wake::lock;

/// A body up to this many bytes is given to a handler of the article's; more is answered with 413.
const MOST_BODY: usize = 64 * 1024 * 1024;
/// What `stdio.h` calls EOF.
const EOF: c_int = -1;

/// A request, good until the handler returns. All texts end in NUL and are never NULL.
#[repr(C)]
#[derive(Debug)]
#[expect(non_snake_case, reason = "the names are the article's")]
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

/// What the header calls FuncPtr: the type of the function itself, which Rust has no name for.
#[repr(C)]
#[derive(Debug)]
pub struct FuncPtr([u8; 0]);

/// What HandleFunc has registered.
static ROUTES: LazyLock<Arc<Routes>> = LazyLock::new(|| Arc::new(Routes::new()));
/// What ListenAndServe runs.
static RUNNING: Mutex<Vec<Arc<Service>>> = Mutex::new(Vec::new());

/// Has `fn` answer requests for `pattern`, for the next ListenAndServe and for those that run.
/// Patterns are those of Go's ServeMux. One that is malformed or taken is not registered; that is
/// logged, and gohttp_last_error tells it.
///
/// # Safety
/// `pattern` is a text that ends in NUL; `fn` is a function of the type FuncPtr.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn HandleFunc(pattern: *mut c_char, r#fn: *mut FuncPtr) {
    boundary(|| {
        log::install();
        // SAFETY: as the caller promises.
        let pattern = unsafe { memory::utf8(pattern, "the pattern") }.inspect_err(complain)?;
        if r#fn.is_null() {
            return Err(Fault::argument("the function is NULL")).inspect_err(complain);
        }
        // SAFETY: not NULL, and a function of this type by the caller's promise: `FuncPtr *` is how
        // C writes a pointer to one. Pointers to functions and to data have the same size here.
        let function = unsafe { std::mem::transmute::<*mut FuncPtr, ArticleFunction>(r#fn) };
        ROUTES.handle(pattern, Target::Article(function)).inspect_err(complain)
    });
}

/// The article's functions return nothing that could be looked at.
fn complain(fault: &Fault) {
    ::log::error!(target: "gohttp.server", "{}", fault.text());
}

/// Serves on `addr` until SIGTERM, SIGINT or Shutdown, and until the requests in flight have been
/// answered: `":8080"`, `"127.0.0.1:8080"`, `"unix:/path"`. Handlers run on threads of the
/// library's. If it cannot listen it returns at once; that is logged, and gohttp_last_error tells it.
///
/// # Safety
/// `addr` is a text that ends in NUL, or NULL, which means `":80"`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ListenAndServe(addr: *mut c_char) {
    boundary(|| {
        log::install();
        let addr = match addr.is_null() {
            true => "",
            // SAFETY: as the caller promises.
            false => unsafe { memory::utf8(addr, "the address") }.inspect_err(complain)?,
        };
        let service = Arc::new(Service::new(ROUTES.clone()));
        service.change(|settings| settings.signals = true)?;
        service.listen(addr).inspect_err(complain)?;
        lock(&RUNNING).push(service.clone());
        let ran = service.run();
        lock(&RUNNING).retain(|running| !Arc::ptr_eq(running, &service));
        ran.inspect_err(complain)
    });
}

/// Has every ListenAndServe stop: what waits is answered, then they return. From any thread, and
/// from handlers; it does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn Shutdown() {
    boundary(|| {
        let running = lock(&RUNNING).clone();
        running.iter().for_each(|service| service.shutdown(None));
        Ok(())
    });
}

/// Writes `length` bytes of the body. Returns how many were written, or EOF when the client has
/// gone or `w` is no longer good. The first write settles the status. Waits while the client takes
/// nothing.
///
/// # Safety
/// `buf` points to `length` bytes.
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
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
    let mut body = match exchange.read_all(MOST_BODY) {
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
    body.push(0);
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
