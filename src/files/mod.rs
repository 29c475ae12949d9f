//! Static files: a directory, or one open file, as the answer to a request. No Python in it.

mod conditional;
mod content;
mod encoding;
mod mime;
mod multipart;
mod place;
mod range;

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bytes::Bytes;

use crate::http::{RequestHead, ResponseHead, ResponseWriter, WriteError};
use content::Content;
use encoding::CODINGS;
use place::{Found, Place, Refused, Root};

/// What a directory is answered with.
const INDEX: &[u8] = b"index.html";

/// A directory whose files are served, as with Go's `http.FileServer`; directories are not listed.
///
/// Nothing outside of it is served: a symbolic link is followed only if all of its way stays
/// inside, and an absolute one never. Names that begin with a dot are not served unless that is
/// [asked for](Self::with_dot_files). A file that has a sibling with `.br`, `.zst` or `.gz` behind
/// its name is sent compressed to clients that accept that.
#[derive(Debug)]
pub struct Files {
    place: Place,
    dot_files: bool,
}

impl Files {
    /// Serves `directory`. Its path is looked up anew for each request, so what is put in its place
    /// later is served then.
    ///
    /// # Errors
    /// If it is no directory, or may not be entered.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self { place: Place::new(directory)?, dot_files: false })
    }

    /// Whether names that begin with a dot are served too.
    #[must_use]
    pub fn with_dot_files(self, dot_files: bool) -> Self {
        Self { dot_files, ..self }
    }

    /// Answers a request. `below`: its path below the prefix, as sent (escaped), without query.
    ///
    /// Opens and looks at files on the calling thread; their bytes are sent by the connection.
    pub fn answer(&self, head: &RequestHead, below: &[u8], mut writer: ResponseWriter) {
        if !matches!(head.method(), b"GET" | b"HEAD") {
            return refuse_method(&mut writer);
        }
        let answered = match self.find(head, below) {
            Ok(Some(content)) => content.answer(head, &mut writer),
            Ok(None) => redirect(head, &mut writer),
            Err(Refused::NotFound) => return writer.fail(404),
            Err(Refused::Forbidden) => return writer.fail(403),
            Err(Refused::Failed(error)) => {
                let path = head.path().escape_ascii();
                log::error!(target: "gohttp.error", "cannot serve the file of {path}: {error}");
                return writer.fail(500);
            }
        };
        // A client that has gone is nobody's error.
        if let Err(error) = answered
            && error != WriteError::Gone
        {
            let path = head.path().escape_ascii();
            log::error!(target: "gohttp.error", "cannot answer with the file of {path}: {error}");
            writer.fail(500);
        }
    }

    /// The file that is asked for; `None` for a directory that is asked for without its slash.
    fn find(&self, head: &RequestHead, below: &[u8]) -> Result<Option<Content>, Refused> {
        let mut path = place::path_of(below, self.dot_files).ok_or(Refused::NotFound)?;
        // The prefix itself may have been asked for with its slash or without.
        let whole = if path.is_empty() { head.path() } else { &path };
        let slash = whole.ends_with(b"/");
        if slash {
            path.extend_from_slice(INDEX);
        }
        let root = self.place.enter()?;
        match root.open(&path)? {
            Found::File(file, metadata) => {
                let media = mime::content_type(&path);
                let plain = Content { file, metadata, media, response: ResponseHead::new(200) };
                Ok(Some(best_coded(plain, &path, &root, head)))
            }
            Found::Directory if slash => Err(Refused::NotFound),
            Found::Directory => Ok(None),
        }
    }
}

/// Answers with one open file, as Go's `http.ServeContent` does: with preconditions and ranges, if
/// `response` is a 200. `name` tells the media type; fields that stand in `response` already are
/// kept, and `ETag` and `Last-Modified` among them are what conditions are compared with.
///
/// The file's size must be known to the system: those of `/proc` say that they are empty.
///
/// # Errors
/// `InvalidInput` if it is no plain file, `NotConnected` if the client has gone, `AlreadyExists` if
/// the response has begun, and what the system says of the file. Nothing has been answered then.
pub fn serve_file(
    head: &RequestHead,
    file: File,
    name: &Path,
    response: ResponseHead,
    writer: &mut ResponseWriter,
) -> io::Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let text = format!("{} is no plain file", name.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let media = mime::content_type(name.as_os_str().as_bytes());
    let content = Content { file, metadata, media, response };
    content.answer(head, writer).map_err(|error| {
        let kind = match error {
            WriteError::Gone => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::AlreadyExists,
        };
        io::Error::new(kind, error.to_string())
    })
}

/// The file, or the sibling of it that the client likes best.
fn best_coded(mut content: Content, path: &[u8], root: &Root, head: &RequestHead) -> Content {
    let mut best = 0;
    let mut siblings = false;
    for (coding, weight) in CODINGS.iter().zip(encoding::weights(head)) {
        let Ok(Found::File(file, metadata)) = root.open(&[path, coding.suffix].concat()) else {
            continue;
        };
        siblings = true;
        if weight > best {
            best = weight;
            (content.file, content.metadata) = (file, metadata);
            content.response = ResponseHead::new(200);
            content.response.push_raw(b"content-encoding", coding.name);
        }
    }
    if siblings {
        // Said to all clients: a cache must know that others get something else.
        content.response.push_raw(b"vary", b"accept-encoding");
    }
    content
}

/// Sends the client to the form with a slash, against which relative links within it are meant.
fn redirect(head: &RequestHead, writer: &mut ResponseWriter) -> Result<(), WriteError> {
    let name = head.path().rsplit(|&b| b == b'/').next().unwrap_or_default();
    // Relative and begun with a dot, it is no other host's (`//host`) nor another scheme's.
    let mut location = [b"./", name, b"/"].concat();
    if !head.query().is_empty() {
        location.push(b'?');
        location.extend_from_slice(head.query());
    }
    let mut response = ResponseHead::new(301);
    match response.push(b"location", &location) {
        Ok(_) => writer.respond(response, Bytes::new()),
        Err(_) => {
            writer.fail(404);
            Ok(())
        }
    }
}

fn refuse_method(writer: &mut ResponseWriter) {
    let body = "405 Method Not Allowed\n";
    let mut response = ResponseHead::text(405, body.len());
    response.push_raw(b"allow", b"GET, HEAD");
    // The only error here is a client gone, whom nothing can be told.
    let _ = writer.respond(response, Bytes::from_static(body.as_bytes()));
}
