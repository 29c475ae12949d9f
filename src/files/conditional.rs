//! Conditional requests (RFC 9110 section 13): whether a client's copy is still good.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::RequestHead;

/// A file that was changed so short a time ago may change again unseen: not all file systems note
/// times finer than this.
const UNSETTLED: Duration = Duration::from_secs(2);

/// What tells one state of a file from another (RFC 9110 section 8.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// The entity tag, quotes and all.
    pub(super) etag: Option<Vec<u8>>,
    /// When it was changed, in seconds since 1970.
    pub(super) modified: Option<u64>,
    /// Whether it was changed long enough ago that `modified` tells all its states apart.
    pub(super) settled: bool,
}

impl Validators {
    /// The validators of a file that has `len` bytes and number `inode`, `modified` as of `now`.
    pub(super) fn of_file(
        modified: Option<SystemTime>,
        len: u64,
        inode: u64,
        coding: Option<&[u8]>,
        now: SystemTime,
    ) -> Self {
        // 1970 is what files have whose maker set no time. A time to come must not be sent
        // (section 8.8.2.1).
        let since = modified
            .filter(|at| *at <= now)
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .filter(|since| since.as_secs() > 0);
        let settled =
            modified.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age >= UNSETTLED));
        let stamp = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let weak = if settled { "" } else { "W/" };
        let mut etag = format!("{weak}\"{:x}-{len:x}-{inode:x}", stamp.as_nanos()).into_bytes();
        if let Some(coding) = coding {
            // Two codings of one file are two representations (section 8.8.3.3).
            etag.push(b'-');
            etag.extend(coding.iter().filter(|&&b| is_tag_byte(b)));
        }
        etag.push(b'"');
        Self { etag: Some(etag), modified: since.map(|since| since.as_secs()), settled }
    }
}

/// What the preconditions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// Evaluates all preconditions but `If-Range`, in the order of RFC 9110 section 13.2.2.
pub(super) fn evaluate(head: &RequestHead, current: &Validators) -> Verdict {
    if has(head, b"if-match") {
        if !matches(head, b"if-match", current, strongly_equal) {
            return Verdict::Failed;
        }
    } else if let (Some(date), Some(modified)) =
        (date_of(head, b"if-unmodified-since"), current.modified)
        && modified > date
    {
        return Verdict::Failed;
    }
    let reads = matches!(head.method(), b"GET" | b"HEAD");
    if has(head, b"if-none-match") {
        return match matches(head, b"if-none-match", current, weakly_equal) {
            false => Verdict::Proceed,
            true if reads => Verdict::NotModified,
            true => Verdict::Failed,
        };
    }
    match (date_of(head, b"if-modified-since"), current.modified) {
        (Some(date), Some(modified)) if reads && modified <= date => Verdict::NotModified,
        _ => Verdict::Proceed,
    }
}

/// Whether `If-Range` lets `Range` be obeyed (RFC 9110 section 13.1.5).
pub(super) fn range_applies(head: &RequestHead, current: &Validators) -> bool {
    if !has(head, b"if-range") {
        return true;
    }
    let Some(value) = only(head, b"if-range") else { return false };
    let mut tags = Tags(value);
    if let Some(tag) = tags.next() {
        let own = current.etag.as_deref();
        return tags.0.is_empty() && own.is_some_and(|own| strongly_equal(own, tag));
    }
    // Only a date that tells all states apart is strong enough (section 8.8.2.2).
    current.settled && parse_date(value).is_some_and(|date| Some(date) == current.modified)
}

fn has(head: &RequestHead, name: &[u8]) -> bool {
    head.get(name).is_some()
}

/// The value of a field that is there once; one that must be single and is not is ignored.
pub(super) fn only<'a>(head: &'a RequestHead, name: &[u8]) -> Option<&'a [u8]> {
    let mut values = head.fields().filter(|field| field.name == name);
    let first = values.next()?;
    values.next().is_none().then_some(first.value)
}

fn date_of(head: &RequestHead, name: &[u8]) -> Option<u64> {
    parse_date(only(head, name)?)
}

/// A date in any of the three forms (RFC 9110 section 5.6.7), in seconds since 1970.
pub(super) fn parse_date(value: &[u8]) -> Option<u64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// Whether a list of entity tags names the current one, or is `*`.
fn matches(
    head: &RequestHead,
    name: &[u8],
    current: &Validators,
    equal: fn(&[u8], &[u8]) -> bool,
) -> bool {
    let own = current.etag.as_deref();
    head.fields().filter(|field| field.name == name).any(|field| {
        field.value.trim_ascii() == b"*"
            || own.is_some_and(|own| Tags(field.value).any(|tag| equal(own, tag)))
    })
}

/// RFC 9110 section 8.8.3.2.
fn strongly_equal(a: &[u8], b: &[u8]) -> bool {
    a == b && !a.starts_with(b"W/")
}

/// RFC 9110 section 8.8.3.2.
fn weakly_equal(a: &[u8], b: &[u8]) -> bool {
    a.strip_prefix(b"W/").unwrap_or(a) == b.strip_prefix(b"W/").unwrap_or(b)
}

fn is_tag_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

/// The entity tags of a list, up to the first member that is none.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().position(|b| !matches!(b, b' ' | b'\t' | b','))?;
        let rest = &self.0[start..];
        let weak = if rest.starts_with(b"W/") { 2 } else { 0 };
        let opaque = rest[weak..].strip_prefix(b"\"")?;
        let len = opaque.iter().position(|&b| !is_tag_byte(b))?;
        if opaque[len] != b'"' {
            return None;
        }
        let (tag, rest) = rest.split_at(weak + len + 2);
        let rest = rest.trim_ascii_start();
        if !rest.is_empty() && rest[0] != b',' {
            return None;
        }
        self.0 = rest;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestHeadBuilder, Version};

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn head(method: &str, fields: &[(&str, &str)]) -> Box<RequestHead> {
        let mut builder = RequestHeadBuilder::new(method.as_bytes(), Version::Http11, 64);
        builder.target(b"/");
        for (name, value) in fields {
            builder.field(name.as_bytes(), value.as_bytes());
        }
        builder.build()
    }

    fn current() -> Validators {
        Validators {
            etag: Some(b"\"a\"".to_vec()),
            modified: parse_date(AT.as_bytes()),
            settled: true,
        }
    }

    fn verdict(fields: &[(&str, &str)]) -> Verdict {
        evaluate(&head("GET", fields), &current())
    }

    #[test]
    fn each_precondition_by_itself() {
        use Verdict::{Failed, NotModified, Proceed};
        for (name, value, expected) in [
            ("if-match", "\"a\"", Proceed),
            ("if-match", "*", Proceed),
            ("if-match", "\"b\", \"a\"", Proceed),
            ("if-match", ",, \"b\" ,\t\"a\",", Proceed),
            ("if-match", "\"b\"", Failed),
            ("if-match", "W/\"a\"", Failed),
            ("if-match", "", Failed),
            ("if-match", "a", Failed),
            ("if-none-match", "\"a\"", NotModified),
            ("if-none-match", "W/\"a\"", NotModified),
            ("if-none-match", " * ", NotModified),
            ("if-none-match", "\"b\",\"a\"", NotModified),
            ("if-none-match", "\"b\"", Proceed),
            ("if-none-match", "\"b\" \"a\"", Proceed),
            ("if-none-match", "w/\"a\"", Proceed),
            ("if-none-match", "\"a", Proceed),
            ("if-none-match", "a", Proceed),
            ("if-modified-since", BEFORE, Proceed),
            ("if-modified-since", AT, NotModified),
            ("if-modified-since", AFTER, NotModified),
            ("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
            ("if-modified-since", "Sun Nov  6 08:49:37 1994", NotModified),
            ("if-modified-since", "yesterday", Proceed),
            ("if-unmodified-since", BEFORE, Failed),
            ("if-unmodified-since", AT, Proceed),
            ("if-unmodified-since", AFTER, Proceed),
            ("if-unmodified-since", "yesterday", Proceed),
        ] {
            assert_eq!(verdict(&[(name, value)]), expected, "{name}: {value}");
        }
    }

    #[test]
    fn tags_come_before_dates_and_if_match_before_if_none_match() {
        use Verdict::{Failed, NotModified, Proceed};
        for (fields, expected) in [
            (&[("if-match", "\"a\""), ("if-unmodified-since", BEFORE)][..], Proceed),
            (&[("if-none-match", "\"b\""), ("if-modified-since", AFTER)], Proceed),
            (&[("if-none-match", "\"a\""), ("if-modified-since", BEFORE)], NotModified),
            (&[("if-match", "\"b\""), ("if-none-match", "\"a\"")], Failed),
            (&[("if-match", "\"a\""), ("if-none-match", "\"a\"")], NotModified),
            (&[("if-unmodified-since", BEFORE), ("if-none-match", "\"a\"")], Failed),
            (&[("if-unmodified-since", AT), ("if-modified-since", AT)], NotModified),
            (&[("if-match", "\"b\""), ("if-match", "\"a\"")], Proceed),
            (&[("if-modified-since", AFTER), ("if-modified-since", AFTER)], Proceed),
        ] {
            assert_eq!(verdict(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn other_methods_know_no_304() {
        let evaluate = |fields: &[_]| evaluate(&head("POST", fields), &current());
        assert_eq!(evaluate(&[("if-none-match", "\"a\"")]), Verdict::Failed);
        assert_eq!(evaluate(&[("if-modified-since", AFTER)]), Verdict::Proceed);
    }

    #[test]
    fn without_a_date_or_tag_the_conditions_on_it_say_nothing_or_no() {
        let bare = Validators { etag: None, modified: None, settled: false };
        for (name, value, expected) in [
            ("if-modified-since", AFTER, Verdict::Proceed),
            ("if-unmodified-since", BEFORE, Verdict::Proceed),
            ("if-match", "*", Verdict::Proceed),
            ("if-match", "\"a\"", Verdict::Failed),
            ("if-none-match", "\"a\"", Verdict::Proceed),
        ] {
            assert_eq!(evaluate(&head("GET", &[(name, value)]), &bare), expected, "{name}");
        }
    }

    #[test]
    fn if_range_wants_the_very_same_state() {
        let applies = |value: &str| range_applies(&head("GET", &[("if-range", value)]), &current());
        assert!(range_applies(&head("GET", &[]), &current()));
        assert!(applies("\"a\"") && applies(AT));
        for other in ["\"b\"", "W/\"a\"", "\"a\", \"b\"", "*", BEFORE, AFTER, "", "x"] {
            assert!(!applies(other), "{other}");
        }
        let twice = [("if-range", "\"a\""), ("if-range", "\"a\"")];
        assert!(!range_applies(&head("GET", &twice), &current()));
        let fresh = Validators { settled: false, ..current() };
        assert!(!range_applies(&head("GET", &[("if-range", AT)]), &fresh));
    }

    #[test]
    fn a_file_changed_just_now_has_a_weak_tag_and_one_of_the_future_no_date() {
        let at = UNIX_EPOCH + Duration::from_millis(1_000_500);
        let of = |now| Validators::of_file(Some(at), 16, 255, None, now);
        let fresh = of(at + Duration::from_millis(1999));
        assert_eq!(fresh.etag.as_deref(), Some(&b"W/\"e8f2727500-10-ff\""[..]));
        let old = of(at + UNSETTLED);
        assert!(old.etag.as_deref().is_some_and(|tag| tag.starts_with(b"\"") && old.settled));
        assert_eq!(old.modified, Some(1000));
        let future = of(at - Duration::from_secs(1));
        assert_eq!((future.modified, future.settled), (None, false));
        let coded = Validators::of_file(Some(at), 16, 255, Some(b"br\""), at + UNSETTLED);
        assert!(coded.etag.as_deref().is_some_and(|tag| tag.ends_with(b"-10-ff-br\"")));
        let unset = Validators::of_file(Some(UNIX_EPOCH), 16, 255, None, at);
        assert_eq!(unset.modified, None);
    }
}
