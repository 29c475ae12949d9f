//! Why a pattern was refused, in a sentence that says how to mend it.

use std::fmt;

/// Why a pattern or a prefix was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
    /// It cannot be understood.
    Malformed {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// It takes exactly the requests that a registered one takes.
    Taken {
        /// As it was given.
        pattern: String,
        /// The registered one.
        other: String,
    },
    /// Some requests match it and a registered one, and neither is more specific.
    Conflict {
        /// As it was given.
        pattern: String,
        /// The registered one.
        other: String,
        /// Where they get into each other's way.
        clash: Clash,
    },
}

/// What is wrong with a pattern or a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is nothing.
    Empty,
    /// What stands before the space is no method.
    Method(String),
    /// A well-known method that is not in capitals; the same in capitals.
    MethodCase(&'static str),
    /// Several methods before the space.
    SeveralMethods(String),
    /// There is no `/`, so no path.
    NoPath,
    /// The host holds a brace, a space or a control character.
    HostCharacter(char),
    /// The host has a port.
    HostPort(String),
    /// The path holds a space or a control character.
    PathCharacter(char),
    /// The path holds `?` or `#`, which end a request's path.
    BehindPath(char),
    /// A segment with a wildcard as other frameworks write it, and what to write for it.
    ForeignWildcard(String, String),
    /// The path is not clean, so that no request but CONNECT can match; the clean one.
    Unclean(String),
    /// A segment with a wildcard and something else in it.
    PartialWildcard(String),
    /// `{$}` or `{name...}` before the end.
    NotLast(String),
    /// `{}` or `{...}`.
    NoName(String),
    /// A wildcard's name that is no identifier.
    Name(String),
    /// Two wildcards with this name.
    RepeatedName(String),
    /// A prefix with a method.
    PrefixMethod,
    /// A prefix with a brace in it.
    PrefixWildcard,
    /// A table whose pattern has a host is merged under another host, this one.
    OtherHost(String),
}

/// How two patterns that share requests get into each other's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clash {
    /// Each takes paths that the other does not take; this one is taken by both.
    Paths(String),
    /// The new one takes fewer methods and more paths.
    FewerMethods,
    /// The new one takes more methods and fewer paths.
    MoreMethods,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { pattern, fault } => write!(f, "pattern {pattern:?} {fault}"),
            Self::Taken { pattern, other } => write!(
                f,
                "pattern {pattern:?} takes the same requests as {other:?}, which has a handler \
                 already; remove one of them"
            ),
            Self::Conflict { pattern, other, clash } => {
                write!(f, "pattern {pattern:?} conflicts with {other:?}: {clash}")
            }
        }
    }
}

impl std::error::Error for PatternError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("is empty; write [METHOD ][HOST]/[PATH], like \"GET /posts/{id}\"")
            }
            Self::Method(method) => write!(
                f,
                "has {method:?} before its first space, which is no method; write a method like \
                 GET there, or nothing"
            ),
            Self::MethodCase(method) => write!(
                f,
                "has a method in small letters, which no client sends; write {method}"
            ),
            Self::SeveralMethods(methods) => write!(
                f,
                "has several methods, {methods:?}; register one pattern for each, or leave the \
                 method out to take all"
            ),
            Self::NoPath => f.write_str(
                "has no path; a path begins with a slash, as in \"/about\" or \"example.org/about\"",
            ),
            Self::HostCharacter(c) => write!(
                f,
                "has {c:?} before its first slash, where only a host may stand; begin the path \
                 with a slash"
            ),
            Self::HostPort(name) => write!(
                f,
                "has a port after its host, but hosts are compared without; write {name:?} for \
                 the host"
            ),
            Self::PathCharacter(c) => {
                let mut utf8 = [0; 4];
                write!(f, "has {c:?} in its path; write ")?;
                c.encode_utf8(&mut utf8).bytes().try_for_each(|byte| write!(f, "%{byte:02X}"))
            }
            Self::BehindPath(c) => write!(
                f,
                "has {c:?} in its path, which no path holds; leave out what follows it{}, or \
                 write %{:02X}",
                if *c == '?' { " (the query is in the request)" } else { "" },
                u32::from(*c)
            ),
            Self::ForeignWildcard(segment, wildcard) => write!(
                f,
                "has {segment:?} in its path, which is another framework's way; write \
                 {wildcard:?}, and convert the value in the handler"
            ),
            Self::Unclean(clean) => write!(
                f,
                "has a path that no request keeps, since clients are redirected to the clean one; \
                 write {clean:?} for the path"
            ),
            Self::PartialWildcard(segment) => write!(
                f,
                "has braces in a part of the segment {segment:?}; a wildcard takes a whole \
                 segment, as in \"/posts/{{id}}\""
            ),
            Self::NotLast(wildcard) => {
                write!(f, "has {wildcard:?} before its end; move it to the end")
            }
            Self::NoName(wildcard) => write!(
                f,
                "has the wildcard {wildcard:?} without a name; write a name between the braces, as \
                 in {{id}} or {{path...}}"
            ),
            Self::Name(name) => {
                write!(
                    f,
                    "has a wildcard named {name:?}; a name is made of letters, digits and \
                     underscores and does not begin with a digit"
                )?;
                match name.split_once(':') {
                    Some((name, "path")) => write!(f, ": write \"{{{name}...}}\""),
                    Some((name, _)) => write!(f, ": write \"{{{name}}}\""),
                    None => Ok(()),
                }
            }
            Self::RepeatedName(name) => {
                write!(f, "has two wildcards named {name:?}; rename one of them")
            }
            Self::PrefixMethod => f.write_str(
                "has a space, but a prefix takes all methods; write [HOST]/PATH, like \"/api\"",
            ),
            Self::PrefixWildcard => f.write_str(
                "has braces, but a prefix is taken literally; write [HOST]/PATH, like \"/api\"",
            ),
            Self::OtherHost(host) => write!(
                f,
                "names a host, but is to be registered under the host {host:?}; leave one of the \
                 hosts out"
            ),
        }
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paths(example) => write!(
                f,
                "both match some paths, like {example:?}, and neither is more specific; change one \
                 so that it matches only a part of what the other matches"
            ),
            Self::FewerMethods => f.write_str(
                "it takes fewer methods, but more paths, so neither is more specific; give both \
                 the same method",
            ),
            Self::MoreMethods => f.write_str(
                "it takes more methods, but fewer paths, so neither is more specific; give both \
                 the same method",
            ),
        }
    }
}
