//! An open file as the answer to a request: preconditions, ranges, and its bytes.

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::conditional::{Validators, Verdict, evaluate, parse_date, range_applies};
use super::multipart::Multipart;
use super::range::{ByteRange, Wanted, wanted};
use crate::http::{FilePart, RequestHead, ResponseHead, ResponseWriter, WriteError};

/// Fields that speak of the file, and so do not stand in an answer without it.
const OF_THE_FILE: [&[u8]; 9] = [
    b"content-type",
    b"content-encoding",
    b"content-language",
    b"content-disposition",
    b"content-range",
    b"etag",
    b"last-modified",
    b"cache-control",
    b"expires",
];

/// What a 304 repeats of them (RFC 9110 section 15.4.5).
const OF_A_304: [&[u8]; 3] = [b"etag", b"cache-control", b"expires"];

/// An open file, and what is known of its answer.
pub(super) struct Content {
    /// A plain file.
    pub(super) file: File,
    /// What the system says of it.
    pub(super) metadata: Metadata,
    /// Its media type, if no field says another.
    pub(super) media: Cow<'static, str>,
    /// Fields that are set already; they win over those that are made here.
    pub(super) response: ResponseHead,
}

impl Content {
    /// Answers the request.
    ///
    /// # Errors
    /// As those of [`ResponseWriter`].
    pub(super) fn answer(
        mut self,
        head: &RequestHead,
        writer: &mut ResponseWriter,
    ) -> Result<(), WriteError> {
        let validators = self.describe();
        // Conditions and ranges speak of a 200 only (RFC 9110 sections 13.2.1 and 14.2).
        if self.response.status() != 200 {
            return self.send_whole(writer);
        }
        match evaluate(head, &validators) {
            Verdict::Proceed => {}
            Verdict::NotModified => {
                let by_tag = self.response.get(b"etag").is_some();
                let kept = |name: &[u8]| {
                    !among(&OF_THE_FILE, name)
                        || among(&OF_A_304, name)
                        || (!by_tag && name.eq_ignore_ascii_case(b"last-modified"))
                };
                return writer.respond(self.response.derived(304, kept), Bytes::new());
            }
            Verdict::Failed => return self.refuse(412, writer),
        }
        let len = self.metadata.len();
        let wanted = match wanted(head, len) {
            Wanted::Whole => Wanted::Whole,
            _ if !range_applies(head, &validators) => Wanted::Whole,
            some => some,
        };
        match wanted {
            Wanted::Whole => self.send_whole(writer),
            Wanted::Parts(parts) => match parts[..] {
                [part] => self.send_part(part, writer),
                _ => self.send_parts(&parts, writer),
            },
            Wanted::Unsatisfiable => self.refuse(416, writer),
        }
    }

    /// Adds the fields that are not set yet. Returns what conditions are compared with.
    fn describe(&mut self) -> Validators {
        let response = &mut self.response;
        let metadata = &self.metadata;
        let mut validators = Validators::of_file(
            metadata.modified().ok(),
            metadata.len(),
            metadata.ino(),
            response.get(b"content-encoding"),
            SystemTime::now(),
        );
        if let Some(given) = response.get(b"etag") {
            validators.etag = Some(given.to_vec());
        } else if let Some(made) = &validators.etag {
            response.push_raw(b"etag", made);
        }
        if let Some(given) = response.get(b"last-modified") {
            validators.modified = parse_date(given);
        } else if let Some(seconds) = validators.modified {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            response.push_raw(b"last-modified", httpdate::fmt_http_date(date).as_bytes());
        }
        if response.get(b"content-type").is_none() {
            response.push_raw(b"content-type", self.media.as_bytes());
        }
        if response.status() == 200 && response.get(b"accept-ranges").is_none() {
            response.push_raw(b"accept-ranges", b"bytes");
        }
        validators
    }

    fn send_whole(self, writer: &mut ResponseWriter) -> Result<(), WriteError> {
        let part = ByteRange { start: 0, len: self.metadata.len() };
        Self::send(self.response, self.file, part, writer)
    }

    fn send_part(self, part: ByteRange, writer: &mut ResponseWriter) -> Result<(), WriteError> {
        let mut response = self.response.derived(206, |_| true);
        let range = part.content_range(self.metadata.len());
        response.push_raw(b"content-range", range.as_bytes());
        Self::send(response, self.file, part, writer)
    }

    fn send(
        mut response: ResponseHead,
        file: File,
        part: ByteRange,
        writer: &mut ResponseWriter,
    ) -> Result<(), WriteError> {
        response.set_content_length(part.len);
        writer.start(response)?;
        // As long as declared: nothing comes back.
        writer.finish_with_file(FilePart::new(file, part.start, part.len)).map(drop)
    }

    fn send_parts(
        self,
        parts: &[ByteRange],
        writer: &mut ResponseWriter,
    ) -> Result<(), WriteError> {
        let is_type = |name: &[u8]| name.eq_ignore_ascii_case(b"content-type");
        let media = String::from_utf8_lossy(self.response.get(b"content-type").unwrap_or_default());
        let frame = Multipart::new(parts, &media, self.metadata.len());
        let mut response = self.response.derived(206, |name| !is_type(name));
        response.push_raw(b"content-type", frame.content_type().as_bytes());
        let bytes: u64 = parts.iter().map(|part| part.len).sum();
        response.set_content_length(frame.len() + bytes);
        writer.start(response)?;
        let file = Arc::new(self.file);
        let (heads, tail) = frame.into_pieces();
        for (head, part) in heads.into_iter().zip(parts) {
            writer.write(head.into())?;
            writer.write_file(FilePart::new(file.clone(), part.start, part.len))?;
        }
        writer.finish(tail.into())
    }

    /// Answers without the file.
    fn refuse(self, status: u16, writer: &mut ResponseWriter) -> Result<(), WriteError> {
        let mut response = self.response.derived(status, |name| !among(&OF_THE_FILE, name));
        if status == 416 {
            let range = format!("bytes */{}", self.metadata.len());
            response.push_raw(b"content-range", range.as_bytes());
        }
        let body = format!("{status} {}\n", crate::http::reason_phrase(status));
        response.append(&ResponseHead::text(status, body.len()));
        writer.respond(response, body.into())
    }
}

fn among(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
