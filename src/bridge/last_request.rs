//! Dictionaries that describe requests, made from that of the connection's last one.
//!
//! The requests of a connection mostly carry the same fields. Copying the last dictionary and
//! setting what differs costs a fifth of making one anew.

use std::any::Any;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::http::{ConnInfo, Request, RequestHead};

/// Requests in a row with other fields than their predecessors, after which a connection's
/// dictionaries are not kept any more: keeping costs too.
const MAX_MISSES: u32 = 4;

/// What a face puts in its dictionary.
pub(crate) trait Describe {
    /// Tells the apps of a server apart: what one's dictionary holds is not for another.
    fn app(&self) -> u32;

    /// The part that is the same for all requests of a connection.
    fn of_connection<'py>(&self, py: Python<'py>, conn: &ConnInfo) -> PyResult<Bound<'py, PyDict>>;

    /// Sets what comes from the request line, as far as it differs from that of `last`.
    fn set_request_line(
        &self,
        dict: &Bound<'_, PyDict>,
        head: &RequestHead,
        last: Option<&RequestHead>,
    ) -> PyResult<()>;

    /// Sets what comes from the header fields, and from what a proxy says in them.
    fn set_fields(
        &self,
        dict: &Bound<'_, PyDict>,
        head: &RequestHead,
        conn: &ConnInfo,
    ) -> PyResult<()>;
}

/// A request's head and its dictionary as it was before an application had it.
struct Last {
    head: RequestHead,
    dict: Py<PyDict>,
}

/// What is kept with a connection.
struct Kept {
    app: u32,
    connection: Py<PyDict>,
    last: Option<Last>,
    misses: u32,
}

/// The dictionary of `request`, the application's own. What is mutable in it is the caller's to
/// replace.
pub(crate) fn describe<'py>(
    py: Python<'py>,
    face: &impl Describe,
    request: &Request,
) -> PyResult<Bound<'py, PyDict>> {
    let (conn, head) = (request.conn(), &*request.head);
    // Taken out rather than locked: Python runs meanwhile. A request of the same connection at
    // the same time (HTTP/2) finds nothing and begins anew.
    let kept = conn.kept.take().and_then(|kept: Box<dyn Any + Send>| kept.downcast::<Kept>().ok());
    let mut kept = match kept {
        Some(kept) if kept.app == face.app() => kept,
        _ => Box::new(Kept {
            app: face.app(),
            connection: face.of_connection(py, conn)?.unbind(),
            last: None,
            misses: 0,
        }),
    };
    let dict = match &kept.last {
        Some(last) if last.head.same_fields(head) => {
            let dict = last.dict.bind(py).copy()?;
            face.set_request_line(&dict, head, Some(&last.head))?;
            kept.misses = 0;
            dict
        }
        _ => {
            let dict = kept.connection.bind(py).copy()?;
            face.set_request_line(&dict, head, None)?;
            face.set_fields(&dict, head, conn)?;
            kept.misses += 1;
            if kept.misses <= MAX_MISSES {
                kept.last = Some(Last { head: head.clone(), dict: dict.copy()?.unbind() });
            } else {
                kept.last = None;
            }
            dict
        }
    };
    conn.kept.put(kept);
    Ok(dict)
}
