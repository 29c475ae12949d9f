//! Which media types are worth compressing.

use super::Misuse;
use crate::http::is_token;

/// Types whose bodies are compressed.
#[derive(Debug)]
pub(super) enum Types {
    /// Those that are known to compress well.
    Usual,
    /// These.
    Named(Vec<Pattern>),
}

/// `text/html`, `text/*` or `*+json`, in lower case.
#[derive(Debug)]
pub(super) enum Pattern {
    Exact(Vec<u8>),
    Begins(Vec<u8>),
    Ends(Vec<u8>),
}

/// Beside `text/*` and what ends in `+json`, `+xml`, `+yaml` or `+text`. Fonts and images of other
/// types are compressed by themselves.
const USUAL: [&[u8]; 20] = [
    b"application/ecmascript",
    b"application/graphql",
    b"application/javascript",
    b"application/json",
    b"application/jsonl",
    b"application/rtf",
    b"application/sql",
    b"application/toml",
    b"application/vnd.ms-fontobject",
    b"application/wasm",
    b"application/x-javascript",
    b"application/x-ndjson",
    b"application/x-sh",
    b"application/xml",
    b"application/yaml",
    b"font/otf",
    b"font/ttf",
    b"image/bmp",
    b"image/vnd.microsoft.icon",
    b"image/x-icon",
];

impl Types {
    /// Reads patterns.
    pub(super) fn of(patterns: &[String]) -> Result<Self, Misuse> {
        let read = |text: &String| {
            let lower = text.to_ascii_lowercase();
            let wrong = || {
                Misuse(format!("a type is like 'text/html', 'text/*' or '*+json', not {text:?}"))
            };
            if let Some(suffix) = lower.strip_prefix("*+").filter(|rest| is_token(rest.as_bytes()))
            {
                return Ok(Pattern::Ends(format!("+{suffix}").into()));
            }
            match lower.split_once('/') {
                Some((kind, "*")) if is_token(kind.as_bytes()) && kind != "*" => {
                    Ok(Pattern::Begins(format!("{kind}/").into()))
                }
                // A token may have a star in it, a type that is named has none.
                Some((kind, rest))
                    if !lower.contains('*')
                        && is_token(kind.as_bytes())
                        && is_token(rest.as_bytes()) =>
                {
                    Ok(Pattern::Exact(lower.into_bytes()))
                }
                _ => Err(wrong()),
            }
        };
        patterns.iter().map(read).collect::<Result<_, _>>().map(Self::Named)
    }

    /// Whether `content_type`, a field's value, is among them.
    pub(super) fn have(&self, content_type: &[u8]) -> bool {
        let end = memchr::memchr2(b';', b',', content_type).unwrap_or(content_type.len());
        let media = content_type[..end].trim_ascii().to_ascii_lowercase();
        match self {
            Self::Usual => {
                media.starts_with(b"text/")
                    || [&b"+json"[..], b"+xml", b"+yaml", b"+text"]
                        .iter()
                        .any(|suffix| media.ends_with(suffix))
                    || USUAL.binary_search(&&media[..]).is_ok()
            }
            Self::Named(patterns) => patterns.iter().any(|pattern| match pattern {
                Pattern::Exact(known) => *known == media,
                Pattern::Begins(start) => media.starts_with(start),
                Pattern::Ends(end) => media.ends_with(end),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_types_are_those_that_compress_well() {
        assert!(USUAL.is_sorted());
        for good in [
            "text/html; charset=utf-8",
            "Text/Plain",
            "text/event-stream",
            "application/json",
            "application/problem+json;x=y",
            "image/svg+xml",
            "application/wasm",
        ] {
            assert!(Types::Usual.have(good.as_bytes()), "{good}");
        }
        for bad in ["", "image/png", "application/octet-stream", "video/mp4", "font/woff2", "text"]
        {
            assert!(!Types::Usual.have(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn named_types_are_these_only() {
        let patterns = ["Text/*", "application/x-mine", "*+json"].map(str::to_owned);
        let types = Types::of(&patterns).expect("patterns");
        for good in ["text/css", "application/x-mine;v=1", "application/x+json"] {
            assert!(types.have(good.as_bytes()), "{good}");
        }
        for bad in ["application/json", "application/x-mine2", "textual/x"] {
            assert!(!types.have(bad.as_bytes()), "{bad}");
        }
        for bad in ["", "text", "*/*", "a b/c", "text/html; charset=utf-8", "*+"] {
            assert!(Types::of(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
