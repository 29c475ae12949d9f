//! Servers, of which a program may have several.
#![expect(unsafe_code, reason = "functions of the C library have names of their own")]

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::error::{Fault, boundary, done, gohttp_error as Code};
use super::handles::{Kind, Table};
use super::response::gohttp_handler;
use super::routes::Routes;
use super::service::{Service, Settings};
use super::target::{Target, UserData};
use super::{log, memory};

/// A server; 0 is none.
#[expect(non_camel_case_types, reason = "the name is C's")]
pub type gohttp_server = u32;

/// What gohttp_server_set sets. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
#[expect(non_camel_case_types, reason = "the names are C's")]
pub enum gohttp_option {
    /// Threads in handlers at once; 64 unless set. Those that wait for their clients do not count.
    GOHTTP_OPTION_THREADS = 1,
    /// Requests that may wait for a thread; further ones get 503. 1024 unless set.
    GOHTTP_OPTION_QUEUE = 2,
    /// Bytes of a handler's stack; 8 MiB unless set.
    GOHTTP_OPTION_STACK_SIZE = 3,
    /// Bytes of a request's body; more is answered with 413. 0, as it is unless set: no limit.
    GOHTTP_OPTION_MAX_BODY_SIZE = 4,
    /// Connections at once; further ones wait. 0, as it is unless set: no limit.
    GOHTTP_OPTION_MAX_CONNECTIONS = 5,
    /// From the first byte of a request to the end of its head; 10 s unless set.
    GOHTTP_OPTION_HEADER_TIMEOUT = 6,
    /// Without a byte of a body that is waited for; 30 s unless set.
    GOHTTP_OPTION_BODY_TIMEOUT = 7,
    /// Between requests of a connection; 75 s unless set.
    GOHTTP_OPTION_IDLE_TIMEOUT = 8,
    /// Without the client taking a byte of the response; 60 s unless set.
    GOHTTP_OPTION_WRITE_TIMEOUT = 9,
    /// For a whole request; the client then gets 504. The handler is not stopped: it is told that
    /// the client has gone. 0, as it is unless set: no limit.
    GOHTTP_OPTION_REQUEST_TIMEOUT = 10,
    /// How long a stop waits for requests in flight; 30 s unless set.
    GOHTTP_OPTION_GRACEFUL_TIMEOUT = 11,
    /// 1: SIGTERM and SIGINT stop the server, a second one ends the process. 0 unless set.
    GOHTTP_OPTION_SIGNALS = 12,
    /// 1: a line of the log for each response. 0 unless set.
    GOHTTP_OPTION_ACCESS_LOG = 13,
}

static SERVERS: Table<Service> = Table::new(Kind::Server);

fn find(server: gohttp_server) -> Result<Arc<Service>, Fault> {
    SERVERS.get(server).ok_or_else(|| Code::GOHTTP_ERROR_HANDLE.into())
}

/// Makes a server. Returns 0 if there are too many.
#[unsafe(no_mangle)]
pub extern "C" fn gohttp_server_new() -> gohttp_server {
    boundary(|| {
        log::install();
        let service = Arc::new(Service::new(Arc::new(Routes::new())));
        SERVERS.insert(service).ok_or_else(|| Code::GOHTTP_ERROR_FULL.into())
    })
}

/// Sets an option, a GOHTTP_OPTION_…, before the server runs.
#[unsafe(no_mangle)]
pub extern "C" fn gohttp_server_set(server: gohttp_server, option: c_int, value: i64) -> c_int {
    done(|| {
        let value = u64::try_from(value).map_err(|_| Fault::argument("the value is negative"))?;
        let mut known = Ok(());
        find(server)?.change(|settings| known = set(settings, option, value))?;
        known
    })
}

fn set(settings: &mut Settings, option: c_int, value: u64) -> Result<(), Fault> {
    use gohttp_option as Option;
    let is = |known: Option| known as c_int == option;
    let size = usize::try_from(value).unwrap_or(usize::MAX);
    let time = Duration::from_millis(value);
    let limited = (value > 0).then_some(());
    let Settings { engine, limits, signals } = settings;
    match option {
        _ if is(Option::GOHTTP_OPTION_THREADS) => limits.threads = size.clamp(1, 10_000),
        _ if is(Option::GOHTTP_OPTION_QUEUE) => limits.queue = size,
        _ if is(Option::GOHTTP_OPTION_STACK_SIZE) => {
            limits.stack_size = size.clamp(64 * 1024, 1 << 30);
        }
        _ if is(Option::GOHTTP_OPTION_MAX_BODY_SIZE) => {
            engine.max_body_size = limited.map(|()| value);
        }
        _ if is(Option::GOHTTP_OPTION_MAX_CONNECTIONS) => {
            engine.max_connections = limited.map(|()| size);
        }
        _ if is(Option::GOHTTP_OPTION_HEADER_TIMEOUT) => engine.header_timeout = time,
        _ if is(Option::GOHTTP_OPTION_BODY_TIMEOUT) => engine.body_timeout = time,
        _ if is(Option::GOHTTP_OPTION_IDLE_TIMEOUT) => engine.idle_timeout = time,
        _ if is(Option::GOHTTP_OPTION_WRITE_TIMEOUT) => engine.write_timeout = time,
        _ if is(Option::GOHTTP_OPTION_REQUEST_TIMEOUT) => {
            engine.request_timeout = limited.map(|()| time);
        }
        _ if is(Option::GOHTTP_OPTION_GRACEFUL_TIMEOUT) => engine.graceful_timeout = time,
        _ if is(Option::GOHTTP_OPTION_SIGNALS) => *signals = value != 0,
        _ if is(Option::GOHTTP_OPTION_ACCESS_LOG) => engine.access_log = value != 0,
        _ => return Err(Fault::argument(format!("there is no option {option}"))),
    }
    Ok(())
}

/// Has `handler` answer requests for `pattern`, one of Go's ServeMux, with `data`. Also while the
/// server runs. A pattern that is malformed or taken is an error.
///
/// # Safety
/// `pattern` is a text that ends in NUL; `handler` stays callable, from any thread, for as long as
/// the server lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gohttp_server_handle(
    server: gohttp_server,
    pattern: *const c_char,
    handler: gohttp_handler,
    data: *mut c_void,
) -> c_int {
    done(|| {
        // SAFETY: as the caller promises.
        let pattern = unsafe { memory::utf8(pattern, "the pattern") }?;
        let handler = handler.ok_or_else(|| Fault::argument("the handler is NULL"))?;
        find(server)?.routes().handle(pattern, Target::Full(handler, UserData(data)))
    })
}

/// Listens on an address: `"127.0.0.1:8080"`, `":8080"` for all of the machine's addresses,
/// `"[::1]:8080"`, `"unix:/path"`. Port 0 gets any free one: see gohttp_server_port. May be called
/// again for further addresses, until the server runs. Clients can connect from now on, and wait.
///
/// # Safety
/// `address` is a text that ends in NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gohttp_server_listen(
    server: gohttp_server,
    address: *const c_char,
) -> c_int {
    done(|| {
        // SAFETY: as the caller promises.
        let address = unsafe { memory::utf8(address, "the address") }?;
        find(server)?.listen(address)
    })
}

/// The port of the first address of TCP that is listened on, or an error.
#[unsafe(no_mangle)]
pub extern "C" fn gohttp_server_port(server: gohttp_server) -> c_int {
    boundary(|| Ok(find(server)?.port()?.into()))
}

/// Serves until it is told to stop, and until the requests in flight have been answered. Handlers
/// run on threads of the library's; the calling thread only waits. A server runs once.
#[unsafe(no_mangle)]
pub extern "C" fn gohttp_server_run(server: gohttp_server) -> c_int {
    done(|| find(server)?.run())
}

/// Tells a server to stop: it accepts no more, requests in flight have `timeout` milliseconds to be
/// answered and are cut then; a negative one is the option's. From any thread, and from handlers; it
/// does not wait, gohttp_server_run does. Called again it can make the stop shorter. A server that
/// has not run yet will not.
#[unsafe(no_mangle)]
pub extern "C" fn gohttp_server_shutdown(server: gohttp_server, timeout: i64) -> c_int {
    done(|| {
        find(server)?.shutdown(u64::try_from(timeout).ok().map(Duration::from_millis));
        Ok(())
    })
}

/// Gives a server back that does not run, and what it listens on. Its handle is stale then.
#[unsafe(no_mangle)]
pub extern "C" fn gohttp_server_free(server: gohttp_server) -> c_int {
    done(|| {
        if find(server)?.is_running() {
            return Err(Fault::new(Code::GOHTTP_ERROR_STATE, "it runs"));
        }
        SERVERS.remove(server).map(drop).ok_or_else(|| Code::GOHTTP_ERROR_HANDLE.into())
    })
}
