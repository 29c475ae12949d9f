//! Calls the program's functions.

use std::sync::Arc;

use super::article;
use super::exchange::{Exchange, lend};
use super::target::Target;
use crate::http::{Request, ResponseWriter};

/// Names and values of a pattern's wildcards.
pub(crate) type Values = Vec<(Box<str>, Box<[u8]>)>;

/// Answers a request by a function that was registered for `pattern`. `values` are what its
/// wildcards took.
pub(crate) fn answer(
    target: Target,
    pattern: Arc<str>,
    values: Values,
    request: Request,
    writer: ResponseWriter,
) {
    let exchange = Arc::new(Exchange::new(request, writer, pattern, values));
    lend(&exchange, |handle| call(target, handle, &exchange));
}

#[expect(unsafe_code, reason = "a function of C is called")]
fn call(target: Target, handle: u32, exchange: &Exchange) {
    match target {
        Target::Article(function) => article::call(function, handle, exchange),
        // SAFETY: who made the target promised a function of this type that stays callable, from any
        // thread; gohttp_server_handle asks for it in the header.
        Target::Full(function, data) => unsafe { function(handle, handle, data.0) },
    }
}
