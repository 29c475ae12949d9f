//! What the wildcards of a pattern took of a path.

use std::fmt;

use percent_encoding::percent_decode;
use smallvec::SmallVec;

use super::pattern::Wildcard;

/// Names and decoded values of a pattern's wildcards, in the pattern's order.
///
/// Values are bytes, since what is percent-encoded need not be UTF-8. They may hold slashes, and
/// `..` that was encoded: look before you open a file by one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values<'a> {
    wildcards: &'a [Wildcard],
    /// All values, one after the other; inline storage spares most requests an allocation.
    bytes: SmallVec<[u8; 32]>,
    /// Where each ends.
    ends: SmallVec<[usize; 2]>,
}

impl<'a> Values<'a> {
    /// The values in a path that the wildcards' pattern takes.
    pub(super) fn of(wildcards: &'a [Wildcard], path: &[u8]) -> Self {
        let mut values = Self { wildcards, ..Self::default() };
        if wildcards.is_empty() {
            return values;
        }
        // The segment that begins behind the n-th slash is the n-th.
        let mut starts = memchr::memchr_iter(b'/', path).map(|slash| slash + 1).enumerate();
        for wildcard in wildcards {
            let start = starts.find(|&(at, _)| at == wildcard.at).map_or(path.len(), |(_, s)| s);
            let tail = &path[start..];
            let end = match wildcard.is_rest {
                true => tail.len(),
                false => memchr::memchr(b'/', tail).unwrap_or(tail.len()),
            };
            values.bytes.extend(percent_decode(&tail[..end]));
            values.ends.push(values.bytes.len());
        }
        values
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.wildcards.len()
    }

    /// Whether the pattern has no named wildcards.
    pub fn is_empty(&self) -> bool {
        self.wildcards.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let values = starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end]);
        self.wildcards.iter().map(|wildcard| &*wildcard.name).zip(values)
    }

    /// The value of the wildcard with this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(taken, _)| *taken == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(name, value)| (name, String::from_utf8_lossy(value));
        f.debug_map().entries(self.iter().map(text)).finish()
    }
}
