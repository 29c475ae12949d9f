//! Why a response cannot be written.

use std::fmt;

use crate::words::count;

/// Why something could not be written to a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The client has gone.
    Gone,
    /// The head has been given already.
    Started,
    /// The head has not been given yet.
    NotStarted,
    /// The response has ended.
    Ended,
    /// The body ended this many bytes before its declared length.
    Short(u64),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the client has closed the connection"),
            Self::Started => f.write_str("the response has been started already"),
            Self::NotStarted => f.write_str("the response has not been started"),
            Self::Ended => f.write_str("the response has ended already"),
            Self::Short(missing) => {
                let missing = count(*missing, "byte");
                write!(f, "the response body is {missing} shorter than its Content-Length")
            }
        }
    }
}

impl std::error::Error for WriteError {}
