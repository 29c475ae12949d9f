//! Layers in front of a dispatch of one's own.

use std::sync::Arc;

use super::{Entered, Layer, Stack};
use crate::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseWriter, Room};

/// Sends requests through layers, and on to `inner` if they get there. A layer that
/// [`blocks`](Layer::blocks) does so here: it keeps the I/O waiting.
#[derive(Debug)]
pub struct Layered<D> {
    stack: Stack,
    inner: D,
}

impl<D: Dispatch> Layered<D> {
    /// Puts `layers`, the outermost first, around `inner`.
    pub fn new(layers: Vec<Arc<dyn Layer>>, inner: D) -> Self {
        let mut stack = Stack::default();
        stack.push(layers.into());
        Self { stack, inner }
    }
}

impl<D: Dispatch> Dispatch for Layered<D> {
    fn dispatch(&self, mut request: Request, mut writer: ResponseWriter) {
        if self.stack.resume(0, &mut request, &mut writer) == Entered::Through {
            self.inner.dispatch(request, writer);
        }
    }

    fn tick(&self) {
        self.inner.tick();
    }

    fn room(&self) -> Room {
        self.inner.room()
    }

    fn speaks(&self, protocol: &[u8]) -> bool {
        self.inner.speaks(protocol)
    }

    fn prebuffer(&self, head: &RequestHead) -> Prebuffer {
        match self.stack.awaits_body(head) {
            true => self.inner.prebuffer(head),
            false => Prebuffer::default(),
        }
    }
}
