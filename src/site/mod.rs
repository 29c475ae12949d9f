//! A site: patterns that lead to handlers of all faces. It stands on the faces as they stand on the
//! bridge.

mod dispatch;
mod functions;
mod handler;
mod serve;
mod static_files;
mod table;

pub(crate) use functions::c_api;
pub(crate) use serve::{serve_site, start_site};
pub(crate) use table::Routes;
