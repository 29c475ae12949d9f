//! A response's head: status and fields, kept as the lines that HTTP/1 sends.

use super::fields::{
    FieldError, check_field, is_field_value, is_hop_by_hop, list_has, parse_content_length,
};

/// Status and header fields of a response.
///
/// `Content-Length` is kept apart from the other fields, and those that belong to the connection
/// (`Connection`, `Transfer-Encoding`, …) are not kept at all: framing is the server's.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    status: u16,
    reason: Option<Box<[u8]>>,
    lines: Vec<u8>,
    content_length: Option<u64>,
    has_date: bool,
    close: bool,
}

impl ResponseHead {
    /// A head without fields. `status` is 100 to 999; anything else becomes 500.
    pub fn new(status: u16) -> Self {
        Self {
            status: if (100..=999).contains(&status) { status } else { 500 },
            reason: None,
            lines: Vec::with_capacity(160),
            content_length: None,
            has_date: false,
            close: false,
        }
    }

    /// A plain-text head whose body is to be `length` bytes.
    pub fn text(status: u16, length: usize) -> Self {
        let mut head = Self::new(status);
        head.lines.extend_from_slice(b"content-type: text/plain; charset=utf-8\r\n");
        head.content_length = Some(length as u64);
        head
    }

    /// The reason phrase to send on HTTP/1 in place of the usual one.
    ///
    /// # Errors
    /// [`FieldError::Value`] if it holds a control character.
    pub fn set_reason(&mut self, reason: &[u8]) -> Result<(), FieldError> {
        if !is_field_value(reason) {
            return Err(FieldError::Value("status".into()));
        }
        self.reason = (reason != reason_phrase(self.status).as_bytes()).then(|| reason.into());
        Ok(())
    }

    /// Adds a field. Returns whether it was kept: fields of the connection are dropped, except
    /// that `Connection: close` is obeyed.
    ///
    /// # Errors
    /// [`FieldError`] if the name or the value may not stand in a header.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<bool, FieldError> {
        check_field(name, value)?;
        if !self.push_special(name, value)? {
            return Ok(false);
        }
        self.push_raw(name, value);
        Ok(true)
    }

    /// A head with another status and those of this one's fields whose names `keep` accepts. The
    /// length is not kept.
    pub fn derived(&self, status: u16, mut keep: impl FnMut(&[u8]) -> bool) -> Self {
        let mut head = Self::new(status);
        head.close = self.close;
        for (name, value) in self.fields().filter(|(name, _)| keep(name)) {
            head.has_date |= name.eq_ignore_ascii_case(b"date");
            head.push_raw(name, value);
        }
        head
    }

    /// The first value of the field with this name, in whatever case.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Adds all fields of another head.
    pub fn append(&mut self, other: &Self) {
        self.lines.extend_from_slice(&other.lines);
    }

    /// Adds a field that is known to be well-formed and of no special meaning.
    pub(crate) fn push_raw(&mut self, name: &[u8], value: &[u8]) {
        self.lines.extend_from_slice(name);
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(value);
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Returns whether the field is to be kept among the lines.
    fn push_special(&mut self, name: &[u8], value: &[u8]) -> Result<bool, FieldError> {
        // Length first: most fields are of no interest here.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let value = value.trim_ascii();
                let length = parse_content_length(value)
                    .filter(|&n| self.content_length.is_none_or(|known| known == n))
                    .ok_or_else(|| {
                        FieldError::ContentLength(String::from_utf8_lossy(value).into_owned())
                    })?;
                self.content_length = Some(length);
                Ok(false)
            }
            4 if name.eq_ignore_ascii_case(b"date") => {
                self.has_date = true;
                Ok(true)
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.close |= list_has(value, b"close");
                Ok(false)
            }
            _ => Ok(!is_hop_by_hop(name)),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Another status, as [`Self::new`] takes it, with its usual reason.
    pub fn set_status(&mut self, status: u16) {
        self.status = if (100..=999).contains(&status) { status } else { 500 };
        self.reason = None;
    }

    /// The reason phrase: the application's, or the usual one.
    pub fn reason(&self) -> &[u8] {
        self.reason.as_deref().unwrap_or_else(|| reason_phrase(self.status).as_bytes())
    }

    /// The declared length of the body.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Declares the length of the body.
    pub fn set_content_length(&mut self, length: u64) {
        self.content_length = Some(length);
    }

    /// Takes the declared length back: it will be another.
    pub(crate) fn clear_content_length(&mut self) {
        self.content_length = None;
    }

    /// Sets a field that is known to be well-formed and of no special meaning, in place of all that
    /// have its name.
    pub(crate) fn replace(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.push_raw(name, value);
    }

    /// Removes all fields with this name, in whatever case.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        if self.get(name).is_none() {
            return;
        }
        let mut kept = Vec::with_capacity(self.lines.len());
        for line in self.lines.split_inclusive(|&b| b == b'\n') {
            let known = memchr::memchr(b':', line).map(|colon| &line[..colon]);
            if !known.is_some_and(|known| known.eq_ignore_ascii_case(name)) {
                kept.extend_from_slice(line);
            }
        }
        self.lines = kept;
    }

    /// Says that the response depends on the request's field `name` (RFC 9110 section 12.5.5).
    pub(crate) fn vary_on(&mut self, name: &[u8]) {
        let said = self.fields().any(|(known, value)| {
            known.eq_ignore_ascii_case(b"vary") && (list_has(value, name) || list_has(value, b"*"))
        });
        if !said {
            self.push_raw(b"vary", name);
        }
    }

    /// Whether the application gave a `Date`.
    pub fn has_date(&self) -> bool {
        self.has_date
    }

    /// Whether the connection is to be closed after this response.
    pub fn close(&self) -> bool {
        self.close
    }

    /// Asks that the connection be closed after this response.
    pub fn set_close(&mut self) {
        self.close = true;
    }

    /// The fields as `name: value\r\n` lines, without `Content-Length`.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The fields as pairs, without `Content-Length`.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.split_inclusive(|&b| b == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            Some((&line[..colon], line[colon + 2..].strip_suffix(b"\r\n")?))
        })
    }
}

/// `205 Reset Content`: it may have no body, and says so by its length, 0 (RFC 9110 section 15.3.6).
pub const RESET_CONTENT: u16 = 205;

/// Whether a response to this request has no body on the wire (RFC 9110 section 6.4.1).
pub fn bodiless(head_request: bool, status: u16) -> bool {
    head_request || matches!(status, 100..=199 | 204 | 304)
}

/// The usual reason phrase of a status (RFC 9110 section 15 and the registry behind it).
pub fn reason_phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_fields_are_the_servers() {
        let mut head = ResponseHead::new(200);
        assert_eq!(head.push(b"Transfer-Encoding", b"chunked"), Ok(false));
        assert_eq!(head.push(b"Connection", b"keep-alive, Close"), Ok(false));
        assert_eq!(head.push(b"Content-Length", b"12"), Ok(false));
        assert_eq!(head.push(b"X-A", b"1"), Ok(true));
        assert!(head.close());
        assert_eq!(head.content_length(), Some(12));
        assert_eq!(head.lines(), b"X-A: 1\r\n");
        assert_eq!(head.fields().collect::<Vec<_>>(), [(&b"X-A"[..], &b"1"[..])]);
    }

    #[test]
    fn a_derived_head_has_the_fields_that_were_kept() {
        let mut head = ResponseHead::text(200, 5);
        head.push(b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT").expect("a field");
        head.push(b"X-A", b"1").expect("a field");
        head.push(b"Connection", b"close").expect("a field");
        let derived = head.derived(304, |name| !name.eq_ignore_ascii_case(b"content-type"));
        assert_eq!((derived.status(), derived.content_length()), (304, None));
        assert!(derived.has_date() && derived.close());
        assert_eq!(derived.get(b"content-type"), None);
        assert_eq!(derived.get(b"x-a"), Some(&b"1"[..]));
    }

    #[test]
    fn contradicting_lengths_and_split_values_are_refused() {
        let mut head = ResponseHead::new(200);
        head.set_content_length(3);
        assert!(head.push(b"content-length", b"4").is_err());
        assert!(head.push(b"X", b"a\r\nSet-Cookie: b").is_err());
        assert!(head.push(b"X Y", b"a").is_err());
    }
}
