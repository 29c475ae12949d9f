//! The content type of a body that was given none: a small part of the WHATWG sniffing rules,
//! as Go's `http.DetectContentType` uses them.

/// Bytes looked at.
const WINDOW: usize = 512;

const HTML: [&[u8]; 17] = [
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a",
    b"<style",
    b"<title",
    b"<b",
    b"<body",
    b"<br",
    b"<p",
    b"<!--",
];

const MAGIC: [(&[u8], &str); 12] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"OggS\0", "application/ogg"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"BM", "image/bmp"),
];

/// The content type of a body that begins with `data`.
pub(crate) fn content_type(data: &[u8]) -> &'static str {
    let data = &data[..data.len().min(WINDOW)];
    let text = data.trim_ascii_start();
    let is_html = text.starts_with(b"<")
        && HTML.iter().any(|tag| {
            text.len() > tag.len()
                && text[..tag.len()].eq_ignore_ascii_case(tag)
                && (*tag == b"<!--"
                    || matches!(text[tag.len()], b' ' | b'>' | b'\t' | b'\r' | b'\n'))
        });
    if is_html {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    // Most bodies begin like none of them.
    if matches!(data.first(), Some(b'%' | 0x89 | 0xff | b'G' | b'P' | 0x1f | b'O' | b'w' | b'B'))
        && let Some((_, name)) = MAGIC.iter().find(|(magic, _)| data.starts_with(magic))
    {
        return name;
    }
    let binary = |&b: &u8| matches!(b, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if data.iter().any(binary) { "application/octet-stream" } else { "text/plain; charset=utf-8" }
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn each_known_beginning_is_found() {
        for (magic, name) in super::MAGIC {
            assert_eq!(content_type(magic), name, "{magic:?}");
        }
    }

    #[test]
    fn types_are_told_by_the_first_bytes() {
        for (data, expected) in [
            (&b"Hello, world.\n"[..], "text/plain; charset=utf-8"),
            (b"", "text/plain; charset=utf-8"),
            (b"  <HTML>", "text/html; charset=utf-8"),
            (b"<p>x", "text/html; charset=utf-8"),
            (b"<pre>", "text/plain; charset=utf-8"),
            (b"<?xml version", "text/xml; charset=utf-8"),
            (b"\x89PNG\r\n\x1a\nxx", "image/png"),
            (b"\0\x01", "application/octet-stream"),
        ] {
            assert_eq!(content_type(data), expected, "{data:?}");
        }
    }
}
