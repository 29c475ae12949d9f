//! Calls the program's functions.

use std::sync::Arc;

use bytes::Bytes;

use super::compat;
use super::exchange::{Exchange, lend};
use super::routes::{Found, Routes, Target};
use crate::crew::Handler;
use crate::http::{Request, ResponseWriter};

/// Answers requests by functions of C.
pub(super) struct Functions(pub(super) Arc<Routes>);

impl Handler for Functions {
    fn handle(&self, request: Request, mut writer: ResponseWriter) {
        match self.0.find(&request.head) {
            Found::Target(target, pattern, values) => {
                let exchange = Arc::new(Exchange::new(request, writer, pattern, values));
                lend(&exchange, |handle| call(target, handle, &exchange));
            }
            Found::Answer(head) if head.status() == 404 => writer.fail(404),
            Found::Answer(head) => {
                // The only error here is a client gone, whom nothing can be told.
                let _ = writer.respond(head, Bytes::new());
            }
        }
    }
}

#[expect(unsafe_code, reason = "a function of C is called")]
fn call(target: Target, handle: u32, exchange: &Exchange) {
    match target {
        Target::Article(function) => compat::call(function, handle, exchange),
        // SAFETY: gohttp_server_handle was given a function of this type, which is to stay callable
        // for as long as the server lives, from any thread; the header says so.
        Target::Full(function, data) => unsafe { function(handle, handle, data.0) },
    }
}
