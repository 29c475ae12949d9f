//! Patterns as Go 1.22 has them: `[METHOD ][HOST]/[PATH]`.

use percent_encoding::percent_decode_str;

use super::clean;
use super::error::{Fault, PatternError};

/// One part of a pattern's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// These bytes, decoded.
    Literal(Box<[u8]>),
    /// `{name}`: any one segment.
    One(Box<str>),
    /// `{$}`: the end of a path that ends in a slash.
    Slash,
    /// `{name...}`, or without a name a slash at the end: whatever follows.
    Rest(Option<Box<str>>),
}

/// A wildcard with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wildcard {
    pub(super) name: Box<str>,
    /// How many segments stand before it.
    pub(super) at: usize,
    /// It takes all that follows.
    pub(super) is_rest: bool,
}

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// `None` takes all methods.
    pub(super) method: Option<Box<str>>,
    /// In lower case; empty for all hosts.
    pub(super) host: Box<str>,
    /// `Slash` and `Rest` stand last only.
    pub(super) segments: Vec<Segment>,
}

impl Pattern {
    /// Parses a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        Self::parse_parts(text)
            .map_err(|fault| PatternError::Malformed { pattern: text.into(), fault })
    }

    fn parse_parts(text: &str) -> Result<Self, Fault> {
        let (method, host, path) = split(text)?;
        // With CONNECT, for which it must be written then, paths are left as they are.
        if method != Some("CONNECT") {
            check_clean(path)?;
        }
        Ok(Self {
            method: method.map(Box::from),
            host: host.to_ascii_lowercase().into(),
            segments: segments(path)?,
        })
    }

    /// Parses a prefix, `[HOST]/PATH`: a pattern without a slash at its end, the root's without
    /// any segment.
    pub(super) fn parse_prefix(text: &str) -> Result<Self, PatternError> {
        let malformed = |fault| PatternError::Malformed { pattern: text.into(), fault };
        let (host, path) = split_prefix(text).map_err(malformed)?;
        let mut pattern = Self {
            method: None,
            host: host.to_ascii_lowercase().into(),
            segments: segments(path).map_err(malformed)?,
        };
        pattern.segments.retain(|segment| !matches!(segment, Segment::Rest(_)));
        Ok(pattern)
    }

    /// What a mount takes beside its own path: all that lies below.
    pub(super) fn with_all_below(mut self) -> Self {
        self.segments.push(Segment::Rest(None));
        self
    }

    /// The wildcards that have names, in order.
    pub(super) fn wildcards(&self) -> Box<[Wildcard]> {
        let named = |(at, segment): (usize, &Segment)| {
            let (name, is_rest) = match segment {
                Segment::One(name) => (name, false),
                Segment::Rest(Some(name)) => (name, true),
                Segment::Literal(_) | Segment::Slash | Segment::Rest(None) => return None,
            };
            Some(Wildcard { name: name.clone(), at, is_rest })
        };
        self.segments.iter().enumerate().filter_map(named).collect()
    }
}

/// Method, host and path of a pattern, as they are written.
fn split(text: &str) -> Result<(Option<&str>, &str, &str), Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    let (method, rest) = match text.split_once([' ', '\t']) {
        // A slash before the space: the space is the path's.
        Some((path, _)) if path.contains('/') => {
            return Err(Fault::PathCharacter(text.as_bytes()[path.len()].into()));
        }
        Some((method, rest)) => {
            check_method(method)?;
            (Some(method), rest.trim_start_matches([' ', '\t']))
        }
        None => (None, text),
    };
    let slash = rest.find('/').ok_or(Fault::NoPath)?;
    let (host, path) = rest.split_at(slash);
    check_host(host)?;
    check_characters(path)?;
    Ok((method, host, path))
}

/// Host and path of a prefix, as they are written.
fn split_prefix(text: &str) -> Result<(&str, &str), Fault> {
    if text.is_empty() {
        return Ok(("", "/"));
    }
    if text.contains(['{', '}']) {
        return Err(Fault::PrefixWildcard);
    }
    let (method, host, path) = split(text)?;
    if method.is_some() {
        return Err(Fault::PrefixMethod);
    }
    check_clean(path)?;
    Ok((host, path))
}

/// The text of a pattern, or of a prefix, under a prefix.
pub(super) fn under(prefix: &str, pattern: &str) -> Result<String, PatternError> {
    let malformed = |fault| PatternError::Malformed { pattern: pattern.into(), fault };
    let (outer, above) = split_prefix(prefix).map_err(malformed)?;
    let (method, inner, path) = match pattern {
        "" => (None, "", "/"),
        pattern => split(pattern).map_err(malformed)?,
    };
    let host = match (outer, inner) {
        ("", host) | (host, "") => host,
        (outer, inner) if outer.eq_ignore_ascii_case(inner) => outer,
        _ => return Err(malformed(Fault::OtherHost(outer.into()))),
    };
    let method = method.map(|method| format!("{method} ")).unwrap_or_default();
    Ok(format!("{method}{host}{}{path}", above.trim_end_matches('/')))
}

/// Whether it is a token (RFC 9110 section 5.6.2), as methods are.
fn is_token(text: &str) -> bool {
    let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Methods are compared with their case (RFC 9110 section 9.1), so `get` would never be asked for.
fn check_method(method: &str) -> Result<(), Fault> {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let known = |one: &str| KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(one));
    if method.split([',', '|']).all(|one| known(one).is_some()) && known(method).is_none() {
        return Err(Fault::SeveralMethods(method.into()));
    }
    if !is_token(method) {
        return Err(Fault::Method(method.into()));
    }
    match known(method) {
        Some(known) if known != method => Err(Fault::MethodCase(known)),
        _ => Ok(()),
    }
}

/// What a path as it is compared cannot hold, and placeholders of other frameworks.
fn check_characters(path: &str) -> Result<(), Fault> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control();
    if let Some(c) = path.chars().find(|&c| is_bad(c)) {
        return Err(Fault::PathCharacter(c));
    }
    let foreign = |part: &&str| part.contains('<') && part.contains('>');
    if let Some(part) = path.split('/').find(foreign) {
        return Err(Fault::ForeignWildcard(part.into(), wildcard_for(part)));
    }
    match path.chars().find(|c| matches!(c, '?' | '#')) {
        Some(c) => Err(Fault::BehindPath(c)),
        None => Ok(()),
    }
}

/// The wildcard that is meant by `<int:id>`, `<path:rest>` and the like.
fn wildcard_for(part: &str) -> String {
    let inner = part.split(['<', '>']).nth(1).unwrap_or_default();
    let (kind, name) = inner.rsplit_once(':').unwrap_or(("", inner));
    match (name.is_empty(), kind == "path") {
        (true, _) => "{name}".to_owned(),
        (false, true) => format!("{{{name}...}}"),
        _ => format!("{{{name}}}"),
    }
}

fn check_clean(path: &str) -> Result<(), Fault> {
    if clean::is_clean(path.as_bytes()) {
        return Ok(());
    }
    let clean = clean::clean(path.as_bytes());
    Err(Fault::Unclean(String::from_utf8_lossy(&clean).into()))
}

fn check_host(host: &str) -> Result<(), Fault> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '{' | '}');
    if let Some(c) = host.chars().find(|&c| is_bad(c)) {
        return Err(Fault::HostCharacter(c));
    }
    let name = super::host_name(host.as_bytes());
    if name.len() < host.len() {
        return Err(Fault::HostPort(String::from_utf8_lossy(name).into()));
    }
    Ok(())
}

fn segments(path: &str) -> Result<Vec<Segment>, Fault> {
    let mut segments = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        if !part.contains(['{', '}']) {
            segments.push(if part.is_empty() && is_last {
                Segment::Rest(None)
            } else {
                Segment::Literal(percent_decode_str(part).collect())
            });
            continue;
        }
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        let name = name.ok_or_else(|| Fault::PartialWildcard(part.into()))?;
        let (name, is_rest) = name.strip_suffix("...").map_or((name, false), |name| (name, true));
        let is_slash = name == "$" && !is_rest;
        if (is_rest || is_slash) && !is_last {
            return Err(Fault::NotLast(part.into()));
        }
        if !is_slash {
            check_name(part, name)?;
            if names.contains(&name) {
                return Err(Fault::RepeatedName(name.into()));
            }
            names.push(name);
        }
        segments.push(match (is_slash, is_rest) {
            (true, _) => Segment::Slash,
            (_, true) => Segment::Rest(Some(name.into())),
            _ => Segment::One(name.into()),
        });
    }
    Ok(segments)
}

fn check_name(part: &str, name: &str) -> Result<(), Fault> {
    let mut letters = name.chars();
    let Some(first) = letters.next() else {
        return Err(Fault::NoName(part.into()));
    };
    if name.contains(['{', '}']) {
        return Err(Fault::PartialWildcard(part.into()));
    }
    let is_name =
        (first.is_alphabetic() || first == '_') && letters.all(|c| c.is_alphanumeric() || c == '_');
    if is_name { Ok(()) } else { Err(Fault::Name(name.into())) }
}
