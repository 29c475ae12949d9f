//! A native handler's response: what it has set and written so far, and how that is sent.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use pyo3::prelude::*;

use super::fault::Fault;
use super::headers::{Headers, Kind};
use crate::bridge::app;
use crate::bridge::convert::from_latin1;
use crate::bridge::places::Place;
use crate::files::serve_file;
use crate::http::{
    RESET_CONTENT, RequestHead, ResponseHead, ResponseWriter, Version, WriteError, check_trailer,
    sniff,
};
use crate::wake::lock;
use crate::websocket::WebSocket;

/// A body up to this size is sent with its length in one piece; a longer one is streamed.
const BUFFER: usize = 16 * 1024;

/// The fields that a handler sets, before the body and behind it.
#[derive(Default)]
pub(super) struct Fields {
    headers: Mutex<Option<Py<Headers>>>,
    trailers: OnceLock<Py<Headers>>,
    /// The headers have been sent, and the handler goes on.
    sent: AtomicBool,
}

impl Fields {
    pub(super) fn headers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        if let Some(headers) = &*lock(&self.headers) {
            return Ok(headers.clone_ref(py));
        }
        let made = Headers::empty(Kind::Response);
        if self.sent.load(Relaxed) {
            made.note_sent();
        }
        let made = Py::new(py, made)?;
        Ok(lock(&self.headers).get_or_insert(made).clone_ref(py))
    }

    pub(super) fn trailers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        if let Some(trailers) = self.trailers.get() {
            return Ok(trailers.clone_ref(py));
        }
        let made = Py::new(py, Headers::empty(Kind::Trailers))?;
        Ok(self.trailers.get_or_init(|| made).clone_ref(py))
    }

    /// The headers have been sent, and the handler goes on: what it sets from now on is too late.
    pub(super) fn note_sent(&self) {
        self.sent.store(true, Relaxed);
        if let Some(headers) = &*lock(&self.headers) {
            headers.get().note_sent();
        }
    }

    /// The name of a header that was set too late.
    fn late(&self) -> Option<String> {
        if !self.sent.load(Relaxed) {
            return None;
        }
        lock(&self.headers).as_ref()?.get().late().map(str::to_owned)
    }

    /// Has `look`, which must not call Python, see the headers.
    pub(super) fn seen_by<T>(&self, look: impl FnOnce(&[(String, String)]) -> T) -> T {
        match &*lock(&self.headers) {
            Some(headers) => headers.get().seen_by(look),
            None => look(&[]),
        }
    }

    fn trailer_names(&self) -> Vec<String> {
        self.trailers.get().map(|trailers| trailers.get().names()).unwrap_or_default()
    }

    /// Forgets all of them.
    fn clear(&self) {
        let headers = lock(&self.headers);
        headers.iter().chain(self.trailers.get()).for_each(|fields| fields.get().clear());
    }

    /// The trailers as the head that the writer wants; `None` if there are none.
    fn trailers_as_head(&self) -> Result<Option<ResponseHead>, Fault> {
        let Some(trailers) = self.trailers.get() else { return Ok(None) };
        trailers.get().seen_by(|fields| {
            let mut head = None;
            for (name, value) in fields {
                // They were checked as they were set.
                let Some(value) = from_latin1(value.trim()) else { continue };
                head.get_or_insert_with(|| ResponseHead::new(200)).push(name.as_bytes(), &value)?;
            }
            Ok(head)
        })
    }
}

/// What a handler has done so far.
pub(super) struct State {
    pub(super) writer: ResponseWriter,
    pub(super) status: Option<u16>,
    /// What was given as the status when it was too late.
    late_status: Option<u16>,
    /// The handler has ended.
    over: bool,
    buffer: Vec<u8>,
    /// The first write has happened: the status is settled.
    pub(super) settled: bool,
    version: Version,
    /// The client wants to speak another protocol on its stream: 2xx would say that it may (RFC
    /// 8441 section 5).
    connect: bool,
    /// The head promises trailers.
    trailing: bool,
    /// Of an `async def` handler that runs.
    pub(super) place: Option<Place>,
    /// The connection is the handler's.
    pub(super) taken_over: bool,
    /// What the connection has become.
    pub(super) socket: Option<Arc<WebSocket>>,
}

impl State {
    pub(super) fn new(writer: ResponseWriter, version: Version, connect: bool) -> Self {
        Self {
            writer,
            status: None,
            late_status: None,
            over: false,
            buffer: Vec::new(),
            settled: false,
            version,
            connect,
            trailing: false,
            place: None,
            taken_over: false,
            socket: None,
        }
    }

    /// Sets the status, if it is not too late for that.
    pub(super) fn set_status(&mut self, code: u16) {
        if !self.settled && !self.writer.started() {
            self.status = Some(code);
        } else if self.over {
            log::warn!(target: "gohttp.error", "set_status({code}) came after the handler's end and was ignored");
        } else {
            // Logged with the request's name, which the end knows.
            self.late_status.get_or_insert(code);
        }
    }

    /// The handler has ended: logs what it has set in vain.
    pub(super) fn tell_late(&mut self, fields: &Fields, what: &dyn Fn() -> String) {
        self.over = true;
        if let Some(code) = self.late_status.take() {
            log::warn!(
                target: "gohttp.error",
                "{}: set_status({code}) came after the first write and was ignored", what()
            );
        }
        if let Some(name) = fields.late() {
            log::warn!(
                target: "gohttp.error",
                "{}: the header {name:?} was set after the headers had been sent, and was ignored",
                what()
            );
        }
    }

    /// Nothing has been set or written.
    pub(super) fn untouched(&self) -> bool {
        !self.settled && self.status.is_none() && !self.writer.started()
    }

    /// Forgets what has been set and written, if none of it has been sent. Returns whether that is
    /// so.
    pub(super) fn reset(&mut self, fields: &Fields) -> bool {
        if self.writer.started() {
            return false;
        }
        self.buffer.clear();
        (self.status, self.settled) = (None, false);
        fields.clear();
        true
    }

    /// Takes a part of the body. Returns whether it is time to send.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<bool, Fault> {
        self.settled = true;
        if self.writer.ended() {
            return Err(WriteError::Ended.into());
        }
        self.buffer.extend_from_slice(data);
        Ok(self.buffer.len() > BUFFER)
    }

    /// Status and headers as they stand, and the names of trailers that are declared.
    pub(super) fn head(&self, fields: &Fields) -> Result<(ResponseHead, Vec<String>), Fault> {
        let status = self.status.unwrap_or(200);
        let unspoken = self.connect && (200..300).contains(&status);
        let mut head = ResponseHead::new(if unspoken { 501 } else { status });
        let mut typed = false;
        let mut trailers = fields.trailer_names();
        fields.seen_by(|set| {
            for (name, value) in set {
                typed |= name.eq_ignore_ascii_case("content-type");
                let value = latin1_value(name, value)?;
                if name.eq_ignore_ascii_case("trailer") {
                    declare(&mut trailers, &value)?;
                } else {
                    head.push(name.as_bytes(), &value)?;
                }
            }
            Ok::<_, Fault>(())
        })?;
        if !typed && !self.buffer.is_empty() && status != RESET_CONTENT {
            head.push(b"content-type", sniff::content_type(&self.buffer).as_bytes())?;
        }
        Ok((head, trailers))
    }

    /// Answers the request `asked` with a file, and what has been set.
    pub(super) fn serve_file(
        &mut self,
        fields: &Fields,
        asked: &RequestHead,
        file: File,
        path: &Path,
    ) -> Result<(), Fault> {
        if self.settled || self.writer.started() {
            return Err(WriteError::Started.into());
        }
        let (head, _) = self.head(fields)?;
        serve_file(asked, file, path, head, &mut self.writer).map_err(Fault::File)?;
        self.settled = true;
        fields.note_sent();
        Ok(())
    }

    /// Gives the head, with what is known of the trailers: whether some may follow.
    fn start(&mut self, fields: &Fields, some: bool) -> Result<(), Fault> {
        let (mut head, trailers) = self.head(fields)?;
        let fit = self.version != Version::Http10 && head.content_length().is_none();
        if some && fit && !trailers.is_empty() {
            head.push_raw(b"trailer", trailers.join(", ").as_bytes());
            self.trailing = true;
        }
        Ok(self.writer.start(head)?)
    }

    /// Gives the head of a longer body, if it has not been given. Returns whether passing on what
    /// is buffered may take its time.
    pub(super) fn begin(&mut self, fields: &Fields) -> Result<bool, Fault> {
        if !self.writer.started() {
            self.start(fields, true)?;
            fields.note_sent();
        }
        Ok(self.writer.takes_time(self.buffer.len()))
    }

    /// Gives what is buffered to the client.
    pub(super) fn pass_on(&mut self) -> Result<(), Fault> {
        let buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            return Ok(self.writer.flush()?);
        }
        Ok(self.writer.write(buffer.into())?)
    }

    /// Ends the response: what is buffered is sent with its length, trailers behind it.
    pub(super) fn end(&mut self, fields: &Fields, what: &dyn Fn() -> String) -> Result<(), Fault> {
        if self.writer.ended() {
            return Ok(());
        }
        if !self.writer.started() {
            self.start(fields, !fields.trailer_names().is_empty())?;
            if !self.trailing {
                // Known also for HEAD, whose body is not sent.
                let length = self.buffer.len() as u64;
                self.writer.declare_length(length);
            }
        }
        let buffer = std::mem::take(&mut self.buffer);
        let Some(trailers) = fields.trailers_as_head()? else {
            app::note_end(what, self.writer.finish(buffer.into()));
            return Ok(());
        };
        if self.version == Version::Http10 || !self.writer.takes_trailers() {
            log::debug!(target: "gohttp.response", "{}: no place for trailers: they were left out", what());
            app::note_end(what, self.writer.finish(buffer.into()));
            return Ok(());
        }
        let ended = self.writer.write(buffer.into());
        app::note_end(what, ended.and_then(|()| self.writer.finish_with_trailers(trailers)));
        Ok(())
    }
}

/// A header's value as it is sent.
pub(super) fn latin1_value<'a>(name: &str, value: &'a str) -> Result<Cow<'a, [u8]>, Fault> {
    from_latin1(value.trim())
        .ok_or_else(|| Fault::Header(format!("header {name:?} holds characters beyond latin-1")))
}

/// Adds what a `Trailer` field names (RFC 9110 section 6.6.2).
fn declare(names: &mut Vec<String>, field: &[u8]) -> Result<(), Fault> {
    for name in field.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
    {
        check_trailer(name, b"")?;
        let name = String::from_utf8_lossy(name);
        if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            names.push(name.into_owned());
        }
    }
    Ok(())
}
