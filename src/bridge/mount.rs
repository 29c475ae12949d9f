//! Where in a server an application is.

/// An application's place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mount {
    /// Tells the applications of a server apart.
    pub(crate) number: u32,
    /// The path that leads to it, decoded and without a slash at its end; empty for the whole.
    pub(crate) prefix: String,
}
