//! Texts that C may read for as long as the exchange lives, each ended by a NUL.

use std::ffi::c_char;

/// Which text of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Method,
    Path,
    Query,
    Url,
    Host,
    Protocol,
    RemoteAddress,
    Pattern,
    FieldName(usize),
    FieldValue(usize),
    PathValue(usize),
    QueryValue(Box<[u8]>),
}

/// The texts that were asked for. What has been given out stays where it is.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<(Text, Box<[u8]>)>);

impl Texts {
    /// The address and length of a text, which is made on the first call.
    pub(super) fn give<T: AsRef<[u8]>>(
        &mut self,
        which: Text,
        make: impl FnOnce() -> T,
    ) -> (*const c_char, usize) {
        let at = self.0.iter().position(|(known, _)| *known == which).unwrap_or_else(|| {
            let made = make();
            let bytes = made.as_ref();
            let mut text = Vec::with_capacity(bytes.len() + 1);
            text.extend_from_slice(bytes);
            text.push(0);
            self.0.push((which, text.into()));
            self.0.len() - 1
        });
        let text = &self.0[at].1;
        (text.as_ptr().cast(), text.len() - 1)
    }
}
