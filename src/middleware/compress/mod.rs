//! Responses compressed as they leave, for clients that take that.

mod coder;
mod media;

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Layer, Misuse, Verdict};
use crate::http::{
    Filter, Leaving, Recoder, Request, RequestHead, ResponseHead, ResponseWriter, Version,
    coding_weights, list_has,
};
use coder::Coder;
pub use coder::Coding;
use media::Types;

/// Compresses bodies of types that are worth it, by what the client accepts. See [`Compress::new`].
///
/// Left alone are bodies that are encoded already, parts of bodies (206), those that are to be left
/// alone (`Cache-Control: no-transform`, digests of the content), and requests of HTTP/1.0, which
/// has no way to say where a body of unknown length ends. What the handler gives is sent at once,
/// so that streams are not held back.
#[derive(Debug)]
pub struct Compress(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    /// The first is chosen where a client has no preference.
    codings: Vec<(Coding, i32)>,
    min_size: u64,
    types: Types,
}

impl Compress {
    /// `codings` with their levels, the best first; bodies of fewer than `min_size` bytes are left
    /// alone, and those of other types: `text/html`, `text/*`, `*+json`. `None` stands for the
    /// types that are known to compress well.
    ///
    /// # Errors
    /// For no coding, one that is named twice, a level that it does not have, and what is no type.
    pub fn new(
        codings: Vec<(Coding, Option<i32>)>,
        min_size: u64,
        types: Option<&[String]>,
    ) -> Result<Self, Misuse> {
        if codings.is_empty() {
            return Err(Misuse("no coding is named: nothing could be compressed".to_owned()));
        }
        let mut checked: Vec<(Coding, i32)> = Vec::new();
        for (coding, level) in codings {
            if checked.iter().any(|(known, _)| *known == coding) {
                return Err(Misuse(format!("{:?} is named twice", coding.name())));
            }
            checked.push((coding, coding.level(level)?));
        }
        let types = types.map_or_else(|| Ok(Types::Usual), Types::of)?;
        Ok(Self(Arc::new(Rules { codings: checked, min_size, types })))
    }
}

impl Layer for Compress {
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
        let head = &request.head;
        if head.protocol().is_none() {
            let coding = (head.version() != Version::Http10).then(|| self.0.choose(head)).flatten();
            writer.add_filter(Arc::new(Compressing {
                rules: self.0.clone(),
                coding,
                held: held(head),
                runtime: Handle::try_current().ok(),
            }));
        }
        Verdict::Pass
    }
}

impl Rules {
    /// The coding that the client likes best.
    fn choose(&self, head: &RequestHead) -> Option<(Coding, i32)> {
        let weights = coding_weights(head, Coding::ALL.map(|coding| coding.name().as_bytes()));
        let mut best = (0, None);
        for &(coding, level) in &self.codings {
            let weight = weights[coding as usize];
            if weight > best.0 {
                best = (weight, Some((coding, level)));
            }
        }
        best.1
    }

    /// Whether a body is to be compressed, for some clients at least.
    fn wants(&self, head: &ResponseHead, leaving: &Leaving<'_>) -> bool {
        !matches!(head.status(), 100..=199 | 204..=206 | 304)
            && leaving.length(head).is_none_or(|length| length >= self.min_size.max(1))
            && head.get(b"content-type").is_some_and(|media| self.types.have(media))
            && head.get(b"content-range").is_none()
            && may_change(head)
    }

    /// Whether a part of a body, or the news that it has not changed, is of one that is compressed
    /// for some clients, or may be: a 304 need not tell its type.
    fn wants_whole(&self, head: &ResponseHead) -> bool {
        const PARTS: &[u8] = b"multipart/byteranges";
        let media = head.get(b"content-type");
        let fits = |media: &[u8]| {
            self.types.have(media)
                || media.get(..PARTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(PARTS))
        };
        media.map_or(head.status() == 304, fits) && may_change(head)
    }
}

/// Whether nothing in the head says that the body is to stay as it is.
fn may_change(head: &ResponseHead) -> bool {
    const LEFT_ALONE: [&[u8]; 5] =
        [b"content-encoding", b"content-digest", b"repr-digest", b"digest", b"content-md5"];
    !LEFT_ALONE.iter().any(|name| head.get(name).is_some())
        && !head.fields().any(|(name, value)| {
            name.eq_ignore_ascii_case(b"cache-control") && list_has(value, b"no-transform")
        })
}

/// The request's weak entity tags, if the client has any: those that were made here are.
fn held(head: &RequestHead) -> Option<Vec<u8>> {
    head.get(b"if-none-match")
        .filter(|value| memchr::memmem::find(value, b"W/\"").is_some())
        .map(<[u8]>::to_vec)
}

/// Compresses one response, if that is worth it.
#[derive(Debug)]
struct Compressing {
    rules: Arc<Rules>,
    coding: Option<(Coding, i32)>,
    held: Option<Vec<u8>>,
    runtime: Option<Handle>,
}

impl Filter for Compressing {
    fn fields(&self, _head: &mut ResponseHead) {}

    fn recoder(&self, head: &mut ResponseHead, leaving: &Leaving<'_>) -> Option<Box<dyn Recoder>> {
        if matches!(head.status(), 206 | 304) {
            // Both say what the 200 would (RFC 9110 sections 15.3.7 and 15.4.5).
            if self.rules.wants_whole(head) {
                head.vary_on(b"accept-encoding");
            }
            if head.status() == 304 {
                self.repeat_tag(head);
            }
            return None;
        }
        if !self.rules.wants(head, leaving) {
            return None;
        }
        // Said to all clients: a cache must know that others get something else.
        head.vary_on(b"accept-encoding");
        let length = leaving.length(head);
        if leaving.head_request && length.is_none() {
            // It may be too short.
            return None;
        }
        let (coding, level) = self.coding?;
        let coder = match Coder::new(coding, level, length, self.runtime.clone()) {
            Ok(coder) => coder,
            Err(error) => {
                log::error!(target: "gohttp.response", "a response is sent uncompressed: {error}");
                return None;
            }
        };
        head.push_raw(b"content-encoding", coding.name().as_bytes());
        // Ranges are meant of the body as it is.
        head.remove(b"accept-ranges");
        if let Some(tag) = head.get(b"etag").filter(|tag| tag.starts_with(b"\"")) {
            // The bytes are others than those that the tag was made for (section 8.8.3).
            let weak = [b"W/", tag].concat();
            head.replace(b"etag", &weak);
        }
        Some(Box::new(coder))
    }
}

impl Compressing {
    /// A client that has what was compressed is told the tag that it knows (RFC 9110 section
    /// 15.4.5).
    fn repeat_tag(&self, head: &mut ResponseHead) {
        let Some(tag) = head.get(b"etag").filter(|tag| tag.starts_with(b"\"")) else { return };
        let weak = [b"W/", tag].concat();
        let held = self.held.as_deref().unwrap_or_default();
        if memchr::memmem::find(held, &weak).is_some() {
            head.replace(b"etag", &weak);
            head.vary_on(b"accept-encoding");
        }
    }
}
