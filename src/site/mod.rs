//! A site: patterns that lead to handlers of all faces. It stands on the faces as they stand on the
//! bridge.

mod credentials;
mod dispatch;
mod functions;
mod gate;
mod handler;
mod layer;
mod serve;
mod static_files;
mod table;
mod ways;

pub(crate) use functions::c_api;
pub(crate) use layer::{
    ReadyLayer, asked_auth, basic_auth, body_limit, compress, cors, rate_limit, request_id,
};
pub(crate) use serve::{serve_site, start_site};
pub(crate) use table::Routes;
