//! Which handler a request belongs to, as Go 1.22's ServeMux decides: by method, host and path,
//! and the most specific pattern wins whatever the order of registration. Free of Python.
//!
//! A pattern is `[METHOD ][HOST]/[PATH]`. Its segments are literal text, `{name}` for any one
//! segment, and at the end `{name...}` for all that follows, a slash for the same without a name,
//! or `{$}` for nothing more after the slash. A mount is a prefix that takes all methods and all
//! paths below it, as they were sent.

mod clean;
mod error;
mod pattern;
mod precedence;
#[cfg(test)]
mod tests;
mod tree;
mod values;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

pub use error::{Clash, Fault, PatternError};
use pattern::{Pattern, Wildcard};
use tree::{Hit, Path, Tree};
pub use values::Values;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match<'a, T> {
    /// To this handler.
    Handler {
        /// What was registered.
        handler: &'a T,
        /// The pattern or prefix it was registered for.
        pattern: &'a str,
        /// What the pattern's wildcards took.
        values: Values<'a>,
    },
    /// To another path of this server, percent-encoded: `/tree/` for `/tree` where only that is
    /// registered, or the clean form of a path with `//`, `.` or `..`. The query is the caller's.
    Redirect(String),
    /// Nowhere with this method; these would be taken: what `Allow` says, sorted.
    MethodNotAllowed(Vec<String>),
    /// Nowhere.
    None,
}

/// The names of a pattern's wildcards, in its order: those of the [`Values`] it gives.
///
/// # Errors
/// [`PatternError`] if the pattern is malformed.
pub fn wildcards(pattern: &str) -> Result<Vec<String>, PatternError> {
    let parsed = Pattern::parse(pattern)?;
    Ok(parsed.wildcards().iter().map(|wildcard| wildcard.name.to_string()).collect())
}

#[derive(Debug, Clone)]
struct Entry<T> {
    /// The pattern or prefix as registered.
    text: Box<str>,
    handler: T,
    /// For examples of conflicts.
    pattern: Pattern,
    wildcards: Box<[Wildcard]>,
    is_mount: bool,
}

/// A table of patterns.
#[derive(Debug, Clone)]
pub struct Mux<T> {
    entries: Vec<Entry<T>>,
    /// By lower-case name.
    hosts: FxHashMap<Box<[u8]>, Tree>,
    /// The patterns without a host.
    anywhere: Tree,
}

impl<T> Default for Mux<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), hosts: FxHashMap::default(), anywhere: Tree::default() }
    }
}

impl<T> Mux<T> {
    /// All that has been registered, in order.
    pub fn handlers(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.handler)
    }

    /// Registers `handler` for `[METHOD ][HOST]/[PATH]`.
    ///
    /// # Errors
    /// [`PatternError`] if the pattern is malformed, if no request can match it, or if a registered
    /// one takes some of the same requests and neither is more specific.
    pub fn handle(&mut self, pattern: &str, handler: T) -> Result<(), PatternError> {
        let parsed = Pattern::parse(pattern)?;
        self.register(Entry {
            text: pattern.into(),
            handler,
            wildcards: parsed.wildcards(),
            pattern: parsed,
            is_mount: false,
        })
    }

    /// Registers `handler` for the path `[HOST]/PATH` and all below it, with all methods. Those
    /// paths are neither cleaned nor redirected. A slash at the end changes nothing; `/` and the
    /// empty prefix take whatever nothing else takes, `*` too.
    ///
    /// # Errors
    /// [`PatternError`] if the prefix has a method or wildcards, or is malformed or taken.
    pub fn mount(&mut self, prefix: &str, handler: T) -> Result<(), PatternError> {
        let pattern = Pattern::parse_prefix(prefix)?;
        self.register(Entry {
            text: prefix.into(),
            handler,
            pattern,
            wildcards: Box::default(),
            is_mount: true,
        })
    }

    /// Registers all of `other` under a prefix as [`Mux::mount`] takes it: `GET /x` under `/v1`
    /// becomes `GET /v1/x`. A host may stand in either.
    ///
    /// # Errors
    /// [`PatternError`] if the prefix is malformed, or if one of the patterns has another host or
    /// conflicts. Then nothing of `other` is registered.
    pub fn merge(&mut self, prefix: &str, other: Self) -> Result<(), PatternError> {
        Pattern::parse_prefix(prefix)?;
        let first = self.entries.len();
        let merged = other.entries.into_iter().try_for_each(|entry| {
            let text = pattern::under(prefix, &entry.text)?;
            match entry.is_mount {
                true => self.mount(&text, entry.handler),
                false => self.handle(&text, entry.handler),
            }
        });
        if merged.is_err() {
            self.entries.truncate(first);
            self.hosts.values_mut().for_each(|tree| tree.forget_from(first));
            self.anywhere.forget_from(first);
        }
        merged
    }

    fn register(&mut self, entry: Entry<T>) -> Result<(), PatternError> {
        let number = self.entries.len();
        let tree = match &*entry.pattern.host {
            "" => &mut self.anywhere,
            host => self.hosts.entry(host.as_bytes().into()).or_default(),
        };
        // The path of a mount and what lies below are two patterns; the root has no path.
        let below = entry.is_mount.then(|| entry.pattern.clone().with_all_below());
        let itself = (!entry.pattern.segments.is_empty()).then_some(&entry.pattern);
        let patterns: SmallVec<[&Pattern; 2]> = itself.into_iter().chain(&below).collect();
        for pattern in &patterns {
            if let Some((other, paths)) = tree.conflict(pattern) {
                let other = &self.entries[other];
                return Err(precedence::refusal(
                    (&entry.text, pattern),
                    (&other.text, &other.pattern),
                    paths,
                ));
            }
        }
        for pattern in patterns {
            tree.insert(pattern, number);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Whether nothing is registered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The patterns and prefixes as registered, in that order, with their handlers.
    pub fn patterns(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|entry| (&*entry.text, &entry.handler))
    }

    /// Where a request goes. `host` may have a port; `path` is as sent, without a query.
    ///
    /// A path that is not clean is compared as it is, and given to a mount as it is; other
    /// handlers get clean paths only, except for CONNECT.
    pub fn find(&self, method: &[u8], host: &[u8], path: &[u8]) -> Match<'_, T> {
        let asked = Asked { mux: self, own: self.tree_of(host), method };
        if !path.starts_with(b"/") {
            return asked.find_catch_all();
        }
        if method == b"CONNECT" || clean::is_clean(path) {
            return asked.resolve(path);
        }
        if let Some(hit) = asked.hit(Path::sent(path))
            && self.entries[hit.entry].is_mount
        {
            return self.handler(hit.entry, path);
        }
        let clean = clean::clean(path);
        match asked.resolve(&clean) {
            Match::Handler { .. } => Match::Redirect(clean::location(&clean)),
            elsewhere => elsewhere,
        }
    }

    fn tree_of(&self, host: &[u8]) -> Option<&Tree> {
        if self.hosts.is_empty() {
            return None;
        }
        let mut name = SmallVec::<[u8; 64]>::from_slice(host_name(host));
        name.make_ascii_lowercase();
        self.hosts.get(&*name)
    }

    fn handler(&self, entry: usize, path: &[u8]) -> Match<'_, T> {
        let entry = &self.entries[entry];
        Match::Handler {
            handler: &entry.handler,
            pattern: &entry.text,
            values: Values::of(&entry.wildcards, path),
        }
    }
}

/// A request's method and the patterns that its host leads to.
struct Asked<'a, 'm, T> {
    mux: &'a Mux<T>,
    /// The patterns of the request's host, which win.
    own: Option<&'a Tree>,
    method: &'m [u8],
}

impl<'a, T> Asked<'a, '_, T> {
    fn trees(&self) -> impl Iterator<Item = &'a Tree> {
        self.own.into_iter().chain([&self.mux.anywhere])
    }

    fn hit(&self, path: Path<'_>) -> Option<Hit> {
        self.trees().find_map(|tree| tree.find(self.method, path))
    }

    /// Where a path goes that need not be cleaned.
    fn resolve(&self, path: &[u8]) -> Match<'a, T> {
        let hit = self.hit(Path::sent(path));
        let is_final = |hit: Hit| hit.is_exact || self.mux.entries[hit.entry].is_mount;
        if let Some(hit) = hit
            && is_final(hit)
        {
            return self.mux.handler(hit.entry, path);
        }
        if !path.ends_with(b"/")
            && self.hit(Path::with_slash(path)).is_some_and(|folder| folder.is_exact)
        {
            return Match::Redirect(clean::location(path) + "/");
        }
        match hit {
            Some(hit) => self.mux.handler(hit.entry, path),
            None => self.refuse(path),
        }
    }

    /// What to tell of a path that nothing takes with this method.
    fn refuse(&self, path: &[u8]) -> Match<'a, T> {
        let mut methods = Vec::new();
        for tree in self.trees() {
            tree.methods(Path::sent(path), &mut methods);
            if !path.ends_with(b"/") {
                tree.methods(Path::with_slash(path), &mut methods);
            }
        }
        if methods.is_empty() {
            return Match::None;
        }
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".into());
        }
        methods.sort_unstable();
        methods.dedup();
        Match::MethodNotAllowed(methods)
    }

    /// Where a request goes whose target is no path, such as `*`: to a mount of the root.
    fn find_catch_all(&self) -> Match<'a, T> {
        let mounts = self.trees().filter_map(Tree::catch_all);
        let mut mounts = mounts.filter(|&entry| self.mux.entries[entry].is_mount);
        mounts.next().map_or(Match::None, |entry| self.mux.handler(entry, b""))
    }
}

/// How many bytes of a path as sent belong to the mount at `prefix` that took it; what follows is
/// the mounted app's own, empty or beginning with `/`.
pub fn mounted_at(prefix: &str, path: &[u8]) -> usize {
    let segments = prefix.trim_end_matches('/').bytes().filter(|&b| b == b'/').count();
    memchr::memchr_iter(b'/', path).nth(segments).unwrap_or(path.len())
}

/// A host without its port.
fn host_name(host: &[u8]) -> &[u8] {
    let end = match host {
        [b'[', ..] => memchr::memchr(b']', host).map(|bracket| bracket + 1),
        _ => memchr::memchr(b':', host),
    };
    &host[..end.unwrap_or(host.len())]
}
