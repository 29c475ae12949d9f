//! The media type of a file by its name.

use std::borrow::Cow;

/// What a file of an unknown kind is: bytes that nothing is said of.
const UNKNOWN: &str = "application/octet-stream";

/// The media type of the file with this name. Text is taken for UTF-8, and said to be.
pub(super) fn content_type(name: &[u8]) -> Cow<'static, str> {
    let Some(media) = extension(name).and_then(of_extension) else { return UNKNOWN.into() };
    if media.starts_with("text/") { format!("{media}; charset=utf-8").into() } else { media.into() }
}

/// What follows the last dot of the name; a name that only begins with one has none.
fn extension(name: &[u8]) -> Option<&str> {
    let base = name.rsplit(|&b| b == b'/').next()?;
    let dot = memchr::memrchr(b'.', base).filter(|&at| at > 0)?;
    std::str::from_utf8(&base[dot + 1..]).ok()
}

fn of_extension(extension: &str) -> Option<&'static str> {
    // Where the table is behind the registry, or has another use in mind than the web's.
    const OWN: [(&str, &str); 6] = [
        ("js", "text/javascript"),
        ("mjs", "text/javascript"),
        ("map", "application/json"),
        ("ts", "video/mp2t"),
        ("webmanifest", "application/manifest+json"),
        ("xml", "text/xml"),
    ];
    OWN.iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map(|&(_, media)| media)
        .or_else(|| mime_guess::from_ext(extension).first_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_web_is_made_of_is_known() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.c/STYLE.CSS", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("app.js.map", "application/json"),
            ("data.json", "application/json"),
            ("app.webmanifest", "application/manifest+json"),
            ("logo.svg", "image/svg+xml"),
            ("photo.jpeg", "image/jpeg"),
            ("photo.png", "image/png"),
            ("photo.webp", "image/webp"),
            ("photo.avif", "image/avif"),
            ("favicon.ico", "image/x-icon"),
            ("font.woff2", "font/woff2"),
            ("module.wasm", "application/wasm"),
            ("film.mp4", "video/mp4"),
            ("film.ts", "video/mp2t"),
            ("paper.pdf", "application/pdf"),
            ("read.txt", "text/plain; charset=utf-8"),
            ("read.md", "text/markdown; charset=utf-8"),
            ("table.csv", "text/csv; charset=utf-8"),
            ("feed.xml", "text/xml; charset=utf-8"),
            ("all.tar.gz", "application/gzip"),
            ("all.zip", "application/zip"),
        ] {
            assert_eq!(content_type(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn the_rest_is_bytes() {
        for name in [&b"Makefile"[..], b"", b"a.", b".html", b"dir.html/file", b"a.\xff", b"a.zzzz"]
        {
            assert_eq!(content_type(name), UNKNOWN, "{name:?}");
        }
    }
}
