//! The functions for handlers as a table of addresses, for code in a Python server. See the text of
//! [`super`].

use std::ffi::{c_char, c_int, c_void};
use std::mem::size_of;

use super::article::{ResponseWriter_Write, ResponseWriter_WriteHeader, ResponseWriterPtr};
use super::error::{gohttp_last_error, gohttp_strerror};
use super::request::{
    gohttp_request, gohttp_request_content_length, gohttp_request_header, gohttp_request_header_at,
    gohttp_request_header_count, gohttp_request_host, gohttp_request_method, gohttp_request_path,
    gohttp_request_path_value, gohttp_request_pattern, gohttp_request_protocol,
    gohttp_request_query, gohttp_request_query_value, gohttp_request_read,
    gohttp_request_remote_address, gohttp_request_url,
};
use super::response::{
    gohttp_response, gohttp_response_abort, gohttp_response_add_header, gohttp_response_detach,
    gohttp_response_end, gohttp_response_flush, gohttp_response_gone, gohttp_response_interim,
    gohttp_response_set_header, gohttp_response_set_status, gohttp_response_write,
};

/// The functions that handlers call, for code that runs inside a Python server: see gohttp_use. Each
/// field is the function of its name. A later version adds fields at the end only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(
    non_camel_case_types,
    non_snake_case,
    missing_docs,
    reason = "names of the functions, which tell what they do"
)]
pub struct gohttp_api {
    /// How large this struct is in the server's version.
    pub size: usize,
    pub gohttp_request_method:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_path:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_query:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_url:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_host:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_protocol:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_remote_address:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_pattern:
        unsafe extern "C" fn(r: gohttp_request, length: *mut usize) -> *const c_char,
    pub gohttp_request_path_value: unsafe extern "C" fn(
        r: gohttp_request,
        name: *const c_char,
        length: *mut usize,
    ) -> *const c_char,
    pub gohttp_request_query_value: unsafe extern "C" fn(
        r: gohttp_request,
        name: *const c_char,
        length: *mut usize,
    ) -> *const c_char,
    pub gohttp_request_header: unsafe extern "C" fn(
        r: gohttp_request,
        name: *const c_char,
        length: *mut usize,
    ) -> *const c_char,
    pub gohttp_request_header_count: extern "C" fn(r: gohttp_request) -> c_int,
    pub gohttp_request_header_at: unsafe extern "C" fn(
        r: gohttp_request,
        index: c_int,
        name: *mut *const c_char,
        value: *mut *const c_char,
    ) -> c_int,
    pub gohttp_request_content_length: extern "C" fn(r: gohttp_request) -> i64,
    pub gohttp_request_read:
        unsafe extern "C" fn(r: gohttp_request, buffer: *mut c_void, size: usize) -> isize,
    pub gohttp_response_set_status: extern "C" fn(w: gohttp_response, status: c_int) -> c_int,
    pub gohttp_response_set_header: unsafe extern "C" fn(
        w: gohttp_response,
        name: *const c_char,
        value: *const c_char,
    ) -> c_int,
    pub gohttp_response_add_header: unsafe extern "C" fn(
        w: gohttp_response,
        name: *const c_char,
        value: *const c_char,
    ) -> c_int,
    pub gohttp_response_interim: extern "C" fn(w: gohttp_response, status: c_int) -> c_int,
    pub gohttp_response_write:
        unsafe extern "C" fn(w: gohttp_response, data: *const c_void, length: usize) -> isize,
    pub gohttp_response_flush: extern "C" fn(w: gohttp_response) -> c_int,
    pub gohttp_response_gone: extern "C" fn(w: gohttp_response) -> c_int,
    pub gohttp_response_detach: extern "C" fn(w: gohttp_response) -> c_int,
    pub gohttp_response_end: extern "C" fn(w: gohttp_response) -> c_int,
    pub gohttp_response_abort: extern "C" fn(w: gohttp_response) -> c_int,
    pub ResponseWriter_Write:
        unsafe extern "C" fn(w: ResponseWriterPtr, buf: *mut c_char, length: c_int) -> c_int,
    pub ResponseWriter_WriteHeader: extern "C" fn(w: ResponseWriterPtr, code: c_int),
    pub gohttp_last_error: extern "C" fn() -> *const c_char,
    pub gohttp_strerror: extern "C" fn(code: c_int) -> *const c_char,
}

/// See [`gohttp_api`].
pub static API: gohttp_api = gohttp_api {
    size: size_of::<gohttp_api>(),
    gohttp_request_method,
    gohttp_request_path,
    gohttp_request_query,
    gohttp_request_url,
    gohttp_request_host,
    gohttp_request_protocol,
    gohttp_request_remote_address,
    gohttp_request_pattern,
    gohttp_request_path_value,
    gohttp_request_query_value,
    gohttp_request_header,
    gohttp_request_header_count,
    gohttp_request_header_at,
    gohttp_request_content_length,
    gohttp_request_read,
    gohttp_response_set_status,
    gohttp_response_set_header,
    gohttp_response_add_header,
    gohttp_response_interim,
    gohttp_response_write,
    gohttp_response_flush,
    gohttp_response_gone,
    gohttp_response_detach,
    gohttp_response_end,
    gohttp_response_abort,
    ResponseWriter_Write,
    ResponseWriter_WriteHeader,
    gohttp_last_error,
    gohttp_strerror,
};
