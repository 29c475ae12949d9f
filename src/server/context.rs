//! What all connections of one server share.

use std::sync::Arc;

use super::access_log::AccessLog;
use super::timeouts::Registry;
use crate::config::EngineConfig;
use crate::http::Dispatch;
use crate::wake::WakeQueue;

/// Settings, face, wake-ups and registry of a server.
pub(crate) struct Context {
    pub(crate) config: EngineConfig,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) wake: Arc<WakeQueue>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) access_log: Option<AccessLog>,
}
