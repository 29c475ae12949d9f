//! What a handler has given of its response, on its way into the write buffer.

use super::connection::Connection;
use super::encode::{BodyFraming, encode_chunk_size, encode_end, encode_head, encode_interim};
use super::exchange::Exchange;
use super::receive::DISCARD_LIMIT;
use crate::http::{self, Outgoing, Part, Progress, ResponseHead};
use crate::server::listener::Transport;

impl<I: Transport> Connection<I> {
    /// Puts the handler's parts in the write buffer.
    pub(super) fn encode(&mut self, exchange: &mut Exchange, out: Outgoing) -> Progress {
        for interim in &out.interim {
            if exchange.answering.version == http::Version::Http11 {
                self.write.append(|buf| encode_interim(buf, interim));
            }
        }
        if let Some(head) = &out.head {
            self.encode_head(exchange, head);
        }
        for part in out.body {
            self.encode_part(exchange, part);
        }
        if out.progress == Progress::Complete {
            exchange.done = true;
            if exchange.framing == Some(BodyFraming::Chunked) {
                self.write.append(|buf| encode_end(buf, out.trailers.as_deref()));
            }
        }
        out.progress
    }

    fn encode_head(&mut self, exchange: &mut Exchange, head: &ResponseHead) {
        let answering = &mut exchange.answering;
        // A body that is still on its way and too long to throw away ends the connection; the
        // client is told so before it asks again.
        let keepable =
            exchange.upload.missing().is_none_or(|n| n <= DISCARD_LIMIT) && !exchange.expects;
        answering.keep_alive &= keepable && !self.cx.registry.draining();
        let date = self.cx.registry.date_of(&mut self.date);
        let mut framing = BodyFraming::Plain;
        self.write.append(|buf| {
            (framing, answering.keep_alive) = encode_head(buf, head, *answering, date);
        });
        exchange.framing = Some(framing);
        if let Some(access) = &mut exchange.access {
            access.note(head);
        }
        exchange.status = head.status();
    }

    fn encode_part(&mut self, exchange: &mut Exchange, part: Part) {
        let len = part.len();
        exchange.sent += len;
        let chunked = exchange.framing == Some(BodyFraming::Chunked);
        if chunked {
            self.write.append(|buf| encode_chunk_size(buf, len));
        }
        match part {
            Part::Data(data) => self.write.push(data),
            Part::File(file) => self.write.push_file(file),
        }
        if chunked {
            self.write.append(|buf| buf.extend_from_slice(b"\r\n"));
        }
    }
}
