//! Which handler a path belongs to, as Go's classic ServeMux decides: the longest pattern wins,
//! and a pattern that ends in `/` takes everything below it. Free of Python.

use std::fmt;

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
    /// It does not begin with `/` or a host.
    Malformed(String),
    /// It is registered already.
    Taken(String),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(pattern) => write!(
                f,
                "pattern {pattern:?} must be [HOST]/PATH, like '/', '/images/' or 'example.org/about', \
                 without spaces or braces"
            ),
            Self::Taken(pattern) => write!(f, "pattern {pattern:?} has a handler already"),
        }
    }
}

impl std::error::Error for PatternError {}

#[derive(Debug, Clone)]
struct Entry<T> {
    host: String,
    path: String,
    handler: T,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Match<'a, T> {
    /// To this handler.
    Handler(&'a T),
    /// To another path of this server: `/tree` where only `/tree/` is registered, or the clean
    /// form of a path with `//`, `.` or `..`.
    Redirect(String),
    /// Nowhere.
    None,
}

/// A table of patterns.
#[derive(Debug, Clone)]
pub struct Mux<T> {
    /// Longest first, those with a host before those without.
    entries: Vec<Entry<T>>,
}

impl<T> Default for Mux<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> Mux<T> {
    /// Registers `handler` for `[HOST]/PATH`.
    ///
    /// # Errors
    /// [`PatternError`] if the pattern is malformed or taken.
    pub fn handle(&mut self, pattern: &str, handler: T) -> Result<(), PatternError> {
        let malformed = || PatternError::Malformed(pattern.into());
        let slash = pattern.find('/').ok_or_else(malformed)?;
        let (host, path) = pattern.split_at(slash);
        if pattern.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '{' | '}'))
        {
            return Err(malformed());
        }
        let host = host.to_ascii_lowercase();
        if self.entries.iter().any(|entry| entry.host == host && entry.path == path) {
            return Err(PatternError::Taken(pattern.into()));
        }
        let rank = |host: &str, path: &str| (host.is_empty(), std::cmp::Reverse(path.len()));
        let mine = rank(&host, path);
        let at = self.entries.partition_point(|entry| rank(&entry.host, &entry.path) <= mine);
        self.entries.insert(at, Entry { host, path: path.into(), handler });
        Ok(())
    }

    /// Whether nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Finds the handler of a decoded path on `host` (without port).
    pub fn find(&self, host: &str, path: &str) -> Match<'_, T> {
        if let Some(clean) = clean(path) {
            return Match::Redirect(clean);
        }
        let mut subtree = None;
        for entry in &self.entries {
            if !entry.host.is_empty() && !entry.host.eq_ignore_ascii_case(host) {
                continue;
            }
            if entry.path == path || (entry.path.ends_with('/') && path.starts_with(&*entry.path)) {
                // Longer patterns came before: had the subtree itself been asked for, that was it.
                return match subtree {
                    Some(redirect) if entry.path.len() < path.len() => Match::Redirect(redirect),
                    _ => Match::Handler(&entry.handler),
                };
            }
            if entry.path.strip_suffix('/') == Some(path) {
                subtree = Some(entry.path.clone());
            }
        }
        subtree.map_or(Match::None, Match::Redirect)
    }
}

/// The clean form of a path, if it is not clean already.
fn clean(path: &str) -> Option<String> {
    let dirty = path.contains("//") || path.contains("/.");
    if !dirty {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    let as_folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if as_folder && clean.len() > 1 {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mux(patterns: &[&'static str]) -> Mux<&'static str> {
        let mut mux = Mux::default();
        for pattern in patterns {
            mux.handle(pattern, *pattern).expect("good pattern");
        }
        mux
    }

    #[test]
    fn the_root_takes_what_nothing_longer_takes() {
        let mux = mux(&["/", "/images/", "/images/cats", "/about", "example.org/"]);
        for (path, pattern) in [
            ("/", "/"),
            ("/other/deep", "/"),
            ("/about", "/about"),
            ("/about/us", "/"),
            ("/images/", "/images/"),
            ("/images/dogs/1", "/images/"),
            ("/images/cats", "/images/cats"),
        ] {
            assert_eq!(mux.find("localhost", path), Match::Handler(&pattern), "{path}");
        }
        assert_eq!(mux.find("EXAMPLE.org", "/about"), Match::Handler(&"example.org/"));
    }

    #[test]
    fn a_subtree_without_its_slash_is_redirected_to() {
        let found = mux(&["/", "/tree/"]);
        assert_eq!(found.find("x", "/tree"), Match::Redirect("/tree/".into()));
        let found = mux(&["/tree/", "/tree"]);
        assert_eq!(found.find("x", "/tree"), Match::Handler(&"/tree"));
        assert_eq!(found.find("x", "/"), Match::None);
    }

    #[test]
    fn unclean_paths_are_redirected_to_their_clean_form() {
        let mux = mux(&["/"]);
        for (path, clean) in
            [("//a", "/a"), ("/a/../b", "/b"), ("/./", "/"), ("/a/./b/", "/a/b/"), ("/..", "/")]
        {
            assert_eq!(mux.find("x", path), Match::Redirect(clean.into()), "{path}");
        }
        assert_eq!(mux.find("x", "/.well-known/x"), Match::Handler(&"/"));
    }

    #[test]
    fn bad_and_taken_patterns_are_refused() {
        let mut mux = mux(&["/a"]);
        assert_eq!(mux.handle("/a", ""), Err(PatternError::Taken("/a".into())));
        for bad in ["", "a", "GET /x", "/{id}"] {
            assert_eq!(mux.handle(bad, ""), Err(PatternError::Malformed(bad.into())));
        }
    }
}
