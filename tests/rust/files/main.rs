//! Static files over raw sockets: what is served, to whom in which form, and what is not.

mod conditions;
mod confined;
mod http2;
mod large;
mod ranges;
#[path = "../running.rs"]
mod running;
mod served;
mod site;
