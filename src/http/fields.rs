//! What a header field may look like (RFC 9110 section 5): the one place that knows.

use std::fmt;

/// Why a header field of an application was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldError {
    /// The name is empty or holds a byte that is no token character.
    Name(String),
    /// The value of this field holds CR, LF, NUL or another control character.
    Value(String),
    /// `Content-Length` is no number, or contradicts an earlier one.
    ContentLength(String),
    /// The field has no meaning behind the body.
    Trailer(String),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is not a header name (RFC 9110 section 5.1)"),
            Self::Value(name) => {
                write!(
                    f,
                    "the value of header {name:?} holds a control character such as CR, LF or NUL"
                )
            }
            Self::Trailer(name) => {
                write!(f, "{name:?} cannot stand in trailers (RFC 9110 section 6.5.1)")
            }
            Self::ContentLength(value) => {
                write!(f, "Content-Length {value:?} is not one decimal number")
            }
        }
    }
}

impl std::error::Error for FieldError {}

const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        i += 1;
    }
    table
}

static TOKEN: [bool; 256] = token_table();

/// Whether `bytes` is a token (RFC 9110 section 5.6.2), as names of fields and methods are.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| TOKEN[b as usize])
}

/// Whether `bytes` may stand as a field value: visible, space, tab or above ASCII
/// (RFC 9110 section 5.5).
pub fn is_field_value(bytes: &[u8]) -> bool {
    // One pass without a branch per byte: the compiler makes vector code of it.
    !bytes.iter().fold(false, |bad, &b| bad | ((b < 0x20) & (b != b'\t')) | (b == 0x7f))
}

/// A decimal number as `Content-Length` carries it: digits only, no sign, no space, no overflow.
pub(crate) fn parse_content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0u64, |n, &b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// Whether a comma-separated field value names `member`, without regard to case.
pub(crate) fn list_has(value: &[u8], member: &[u8]) -> bool {
    value.split(|&b| b == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(member))
}

/// Fields that speak of one connection only (RFC 9110 section 7.6.1): the server's own affair.
pub(crate) fn is_hop_by_hop(name: &[u8]) -> bool {
    let known: &[u8] = match name.len() {
        2 => b"te",
        7 if name[0] | 0x20 == b't' => b"trailer",
        7 => b"upgrade",
        10 if name[0] | 0x20 == b'k' => b"keep-alive",
        10 => b"connection",
        16 => b"proxy-connection",
        17 => b"transfer-encoding",
        _ => return false,
    };
    name.eq_ignore_ascii_case(known)
}

/// Fields that must be known before the body: those of framing, routing, preconditions,
/// authentication and caching, and those that say what the body is (RFC 9110 section 6.5.1).
const NO_TRAILERS: [&str; 29] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "warning",
    "www-authenticate",
];

/// Whether a field may stand in a header (RFC 9110 sections 5.1 and 5.5).
///
/// # Errors
/// [`FieldError`] if the name or the value may not.
pub fn check_field(name: &[u8], value: &[u8]) -> Result<(), FieldError> {
    if !is_token(name) {
        return Err(FieldError::Name(String::from_utf8_lossy(name).into_owned()));
    }
    if !is_field_value(value) {
        return Err(FieldError::Value(String::from_utf8_lossy(name).into_owned()));
    }
    Ok(())
}

/// Whether a well-formed field may follow the body.
///
/// # Errors
/// [`FieldError`] if it may not, or is malformed.
pub fn check_trailer(name: &[u8], value: &[u8]) -> Result<(), FieldError> {
    check_field(name, value)?;
    let lower = name.to_ascii_lowercase();
    let refused = |known: &&str| known.as_bytes() == lower;
    if is_hop_by_hop(name) || lower.starts_with(b"if-") || NO_TRAILERS.iter().any(refused) {
        return Err(FieldError::Trailer(String::from_utf8_lossy(name).into_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_length_is_digits_only() {
        assert_eq!(parse_content_length(b"0"), Some(0));
        assert_eq!(parse_content_length(b"18446744"), Some(18_446_744));
        for bad in [&b""[..], b"+1", b"-1", b" 1", b"1 ", b"0x1", b"1,1", b"99999999999999999999"] {
            assert_eq!(parse_content_length(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn trailers_are_what_need_not_be_known_before_the_body() {
        for fine in [&b"ETag"[..], b"X-Checksum", b"Server-Timing", b"Grpc-Status"] {
            assert_eq!(check_trailer(fine, b"1"), Ok(()), "{fine:?}");
        }
        for bad in [&b"Content-Length"[..], b"If-Match", b"Connection", b"SET-COOKIE", b"a b", b""]
        {
            assert!(check_trailer(bad, b"1").is_err(), "{bad:?}");
        }
        assert!(check_trailer(b"x", b"1\r\n").is_err());
    }

    #[test]
    fn values_refuse_line_breaks_and_nul() {
        assert!(is_field_value(b"a\tb \xe9"));
        for bad in [&b"a\r\nb"[..], b"a\nb", b"a\0b", b"\x7f"] {
            assert!(!is_field_value(bad), "{bad:?}");
        }
    }
}
