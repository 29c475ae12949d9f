//! A response in the making: status and fields until the first bytes leave, what has been written
//! until it is worth sending.

use bytes::Bytes;

use super::error::{Fault, gohttp_error};
use crate::http::{
    FieldError, RESET_CONTENT, ResponseHead, ResponseWriter, WriteError, bodiless, is_field_value,
    is_token, parse_content_length, sniff,
};

/// A body up to this size is sent with its length in one piece; a longer one is streamed.
const BUFFER: usize = 16 * 1024;

/// Name and value of a header.
type Field = (Box<[u8]>, Box<[u8]>);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Reply {
    writer: ResponseWriter,
    status: Option<u16>,
    fields: Vec<Field>,
    buffer: Vec<u8>,
    /// Something has been written: status and fields are settled.
    settled: bool,
}

impl Reply {
    pub(super) fn new(writer: ResponseWriter) -> Self {
        Self { writer, status: None, fields: Vec::new(), buffer: Vec::new(), settled: false }
    }

    /// The engine's end, to wait for room.
    pub(super) fn writer(&self) -> &ResponseWriter {
        &self.writer
    }

    /// The status that was given.
    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(super) fn set_status(&mut self, status: u16) -> Result<(), Fault> {
        self.check_unsettled()?;
        self.status = Some(status);
        Ok(())
    }

    /// Adds a field; `replace`: in place of those with the same name.
    pub(super) fn add_field(
        &mut self,
        name: &[u8],
        value: &[u8],
        replace: bool,
    ) -> Result<(), Fault> {
        let value = value.trim_ascii();
        check_field(name, value)?;
        self.check_unsettled()?;
        // There is one length only.
        if replace || name.eq_ignore_ascii_case(b"content-length") {
            self.remove(name);
        }
        self.fields.push((name.into(), value.into()));
        Ok(())
    }

    /// Takes a field out.
    pub(super) fn remove_field(&mut self, name: &[u8]) -> Result<(), Fault> {
        self.check_unsettled()?;
        self.remove(name);
        Ok(())
    }

    fn remove(&mut self, name: &[u8]) {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Sends an interim response (RFC 9110 section 15.2) with the fields so far.
    pub(super) fn interim(&mut self, status: u16) -> Result<(), Fault> {
        self.check_unsettled()?;
        let mut head = ResponseHead::new(status);
        for (name, value) in &self.fields {
            if !name.eq_ignore_ascii_case(b"content-length") {
                head.push(name, value)?;
            }
        }
        Ok(self.writer.interim(head)?)
    }

    /// Writes a piece of the body. Returns whether some of it is on its way, so that there may be
    /// no room for more.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<bool, Fault> {
        self.check_there()?;
        self.settled = true;
        if self.writer.would_exceed(self.buffer.len() + data.len()) {
            return Err(Fault::new(
                gohttp_error::GOHTTP_ERROR_TOO_LARGE,
                "more than the Content-Length that was declared",
            ));
        }
        if self.buffer.len() + data.len() <= BUFFER {
            self.buffer.extend_from_slice(data);
            return Ok(false);
        }
        self.buffer.reserve_exact(data.len());
        self.buffer.extend_from_slice(data);
        self.send()?;
        Ok(true)
    }

    /// Sends what has been written so far.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        self.check_there()?;
        self.settled = true;
        self.send()
    }

    /// Ends the response: what has been gathered is sent with its length.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.check_open()?;
        self.settled = true;
        if !self.writer.started() {
            let head = self.head()?;
            self.writer.start(head)?;
            // Known also for HEAD, whose body is not sent.
            self.writer.declare_length(self.buffer.len() as u64);
        }
        let buffer = std::mem::take(&mut self.buffer);
        Ok(self.writer.finish(buffer.into())?)
    }

    /// Whether the response has ended.
    pub(super) fn ended(&self) -> bool {
        self.writer.ended()
    }

    /// Ends the response so that the client sees that it is not whole.
    pub(super) fn abort(&mut self) {
        self.writer.abort();
    }

    /// Answers with a status and its name, or cuts what has been begun.
    pub(super) fn fail(&mut self, status: u16) {
        self.writer.fail(status);
    }

    fn check_open(&self) -> Result<(), WriteError> {
        if self.writer.ended() { Err(WriteError::Ended) } else { Ok(()) }
    }

    /// Whether more can be sent.
    fn check_there(&self) -> Result<(), WriteError> {
        self.check_open()?;
        if self.writer.is_gone() { Err(WriteError::Gone) } else { Ok(()) }
    }

    fn check_unsettled(&self) -> Result<(), WriteError> {
        self.check_open()?;
        if self.settled { Err(WriteError::Started) } else { Ok(()) }
    }

    /// Sends what is gathered as a part of a longer body.
    fn send(&mut self) -> Result<(), Fault> {
        if !self.writer.started() {
            let head = self.head()?;
            self.writer.start(head)?;
        }
        let buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            return Ok(self.writer.flush()?);
        }
        Ok(self.writer.write(Bytes::from(buffer))?)
    }

    /// Status and fields as they stand.
    fn head(&self) -> Result<ResponseHead, FieldError> {
        let status = self.status.unwrap_or(200);
        let mut head = ResponseHead::new(status);
        let mut typed =
            self.buffer.is_empty() || bodiless(false, status) || status == RESET_CONTENT;
        for (name, value) in &self.fields {
            typed |= name.eq_ignore_ascii_case(b"content-type");
            head.push(name, value)?;
        }
        if !typed {
            head.push_raw(b"content-type", sniff::content_type(&self.buffer).as_bytes());
        }
        Ok(head)
    }
}

/// Whether a head will take this field: found out as it is given, not when it is sent.
fn check_field(name: &[u8], value: &[u8]) -> Result<(), FieldError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !is_token(name) {
        return Err(FieldError::Name(text(name)));
    }
    if !is_field_value(value) {
        return Err(FieldError::Value(text(name)));
    }
    if name.eq_ignore_ascii_case(b"content-length") && parse_content_length(value).is_none() {
        return Err(FieldError::ContentLength(text(value)));
    }
    Ok(())
}
