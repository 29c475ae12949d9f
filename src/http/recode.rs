//! A response's body through a [`Recoder`], on its way to the connection.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::file_part::{FilePart, Part};
use super::filter::{Leaving, Recoder};
use super::link::{Link, Progress};
use super::response::{ResponseHead, bodiless};

/// Files up to this size are coded where they are given.
const AT_ONCE: u64 = 64 * 1024;

/// Has the link's filters change `head`. Returns what codes the body that follows.
pub(super) fn leave(
    link: &Link,
    head: &mut ResponseHead,
    leaving: &Leaving<'_>,
) -> Option<Box<dyn Recoder>> {
    let mut recoder = None;
    // The innermost, which came last, sees the handler's own head.
    for filter in link.filters().iter().rev() {
        filter.fields(head);
        let found = filter.recoder(head, leaving);
        recoder = recoder.or(found);
    }
    if recoder.is_some() {
        head.clear_content_length();
    }
    recoder.filter(|_| !bodiless(leaving.head_request, head.status()))
}

/// Gives a part to the link, coded. `head`: if it has not left. Returns whether the client is still
/// there. The coder is used up at the end, or where the rest is done elsewhere.
pub(super) fn give(
    link: &Arc<Link>,
    coder: &mut Option<Box<dyn Recoder>>,
    mut head: Option<ResponseHead>,
    part: Option<Part>,
    progress: Progress,
) -> bool {
    let file = match part {
        Some(Part::File(file)) if file.len() > AT_ONCE && progress == Progress::Complete => {
            if let Some(coder) = coder.take_if(|coder| coder.runtime().is_some()) {
                return send_file(link.clone(), coder, head, file);
            }
            Ok(Some(file))
        }
        Some(Part::File(file)) => Ok(Some(file)),
        Some(Part::Data(data)) => Err(data),
        None => Ok(None),
    };
    let Some(recoder) = coder else {
        return link.give(head, None, progress);
    };
    let last = progress == Progress::Complete;
    let coded = match file {
        Err(data) => recoder.recode(data, last),
        Ok(None) if last || head.is_none() => recoder.recode(Bytes::new(), last),
        // The head alone.
        Ok(None) => Ok(Bytes::new()),
        Ok(Some(mut file)) => code_file(&mut **recoder, &mut file, last),
    };
    if progress != Progress::Open {
        *coder = None;
    }
    match coded {
        Ok(data) => {
            if let Some(head) = head.as_mut().filter(|_| last) {
                head.set_content_length(data.len() as u64);
            }
            link.give(head, (!data.is_empty()).then_some(Part::Data(data)), progress)
        }
        Err(error) => {
            note(link, &error);
            link.give(head, None, Progress::Aborted)
        }
    }
}

fn code_file(recoder: &mut dyn Recoder, file: &mut FilePart, last: bool) -> io::Result<Bytes> {
    let mut coded = Vec::new();
    while !file.is_empty() {
        let data = file.read_some()?;
        coded.extend_from_slice(&recoder.recode(data, last && file.is_empty())?);
    }
    Ok(coded.into())
}

/// Sends a file piece by piece as the client takes it. Reading and coding happen on a thread of the
/// runtime's that may block.
fn send_file(
    link: Arc<Link>,
    recoder: Box<dyn Recoder>,
    head: Option<ResponseHead>,
    file: FilePart,
) -> bool {
    let there = link.give(head, None, Progress::Open);
    if let Some(runtime) = recoder.runtime().filter(|_| there) {
        runtime.spawn(pump(link, recoder, file));
    }
    there
}

async fn pump(link: Arc<Link>, mut recoder: Box<dyn Recoder>, mut file: FilePart) {
    loop {
        poll_fn(|cx| link.poll_room(cx)).await;
        if link.gone() {
            return;
        }
        let piece = tokio::task::spawn_blocking(move || {
            let coded = file.read_some().and_then(|data| recoder.recode(data, file.is_empty()));
            (coded, recoder, file)
        });
        // An error is a panic, or the runtime's end.
        let Ok((coded, back, rest)) = piece.await else { return link.cut() };
        (recoder, file) = (back, rest);
        match coded {
            Ok(data) => {
                let progress = if file.is_empty() { Progress::Complete } else { Progress::Open };
                let part = (!data.is_empty()).then_some(Part::Data(data));
                if !link.give(None, part, progress) || progress == Progress::Complete {
                    return;
                }
            }
            Err(error) => {
                note(&link, &error);
                link.give(None, None, Progress::Aborted);
                return;
            }
        }
    }
}

fn note(link: &Link, error: &io::Error) {
    let client = &link.conn().peer_host;
    log::warn!(target: "gohttp.response", "a response to {client} was cut: it could not be compressed: {error}");
}
