//! The program's functions of the 2016 library, gohttplib, with their names and types: programs
//! written for it compile and run unchanged. Those for its handlers are in [`super::article`].
#![expect(unsafe_code, reason = "functions of C have names of their own and get pointers")]

use std::ffi::c_char;
use std::sync::{Arc, LazyLock, Mutex};

use super::article::ArticleFunction;
use super::error::{Fault, boundary};
use super::routes::Routes;
use super::service::Service;
use super::target::Target;
use super::{log, memory};
use crate::wake::lock;

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
