//! The codings, by their libraries.

use std::fmt;
use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::runtime::Handle;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::Misuse;
use crate::http::Recoder;

/// A content coding (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Zstandard: the quickest, and smaller than gzip.
    Zstd,
    /// Brotli: the smallest for text.
    Brotli,
    /// What everybody understands.
    Gzip,
}

impl Coding {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As `Content-Encoding` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| coding.name() == name)
    }

    /// The level, if the coding has it; unless given, one that suits what is made for each request.
    pub(super) fn level(self, asked: Option<i32>) -> Result<i32, Misuse> {
        let (levels, usual) = match self {
            Self::Zstd => (1..=19, 3),
            Self::Brotli => (0..=11, 4),
            Self::Gzip => (1..=9, 5),
        };
        let level = asked.unwrap_or(usual);
        if levels.contains(&level) {
            return Ok(level);
        }
        Err(Misuse(format!(
            "the levels of {:?} are {} to {}, not {level}",
            self.name(),
            levels.start(),
            levels.end()
        )))
    }
}

/// The window of a body whose length is not known: a stream may be open for long.
const STREAM_WINDOW_LOG: u32 = 17;
/// The largest, for bodies that are known to be large.
const MAX_WINDOW_LOG: u32 = 21;
/// Brotli's own buffer.
const BROTLI_BUFFER: usize = 4096;

/// Codes one body.
pub(super) struct Coder {
    encoder: Encoder,
    runtime: Option<Handle>,
}

enum Encoder {
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
    Ended,
}

impl fmt::Debug for Coder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.encoder {
            Encoder::Zstd(_) => "zstd",
            Encoder::Brotli(_) => "br",
            Encoder::Gzip(_) => "gzip",
            Encoder::Ended => "ended",
        })
    }
}

impl Coder {
    /// `length`: of the body, if it is known. `runtime`: where files may be read and coded.
    pub(super) fn new(
        coding: Coding,
        level: i32,
        length: Option<u64>,
        runtime: Option<Handle>,
    ) -> io::Result<Self> {
        let window = match length {
            // No larger than what is to be looked back at.
            Some(length) => (u64::BITS - length.leading_zeros()).clamp(10, MAX_WINDOW_LOG),
            None => STREAM_WINDOW_LOG,
        };
        let encoder = match coding {
            Coding::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), level)?;
                encoder.set_parameter(CParameter::WindowLog(window))?;
                if window <= STREAM_WINDOW_LOG {
                    encoder.set_parameter(CParameter::HashLog(window))?;
                    encoder.set_parameter(CParameter::ChainLog(window))?;
                }
                Encoder::Zstd(encoder)
            }
            Coding::Brotli => {
                let writer = CompressorWriter::new(Vec::new(), BROTLI_BUFFER, level as u32, window);
                Encoder::Brotli(Box::new(writer))
            }
            Coding::Gzip => {
                Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::new(level as u32)))
            }
        };
        Ok(Self { encoder, runtime })
    }
}

fn put(encoder: &mut impl Write, data: &[u8], last: bool) -> io::Result<()> {
    encoder.write_all(data)?;
    if last { Ok(()) } else { encoder.flush() }
}

impl Recoder for Coder {
    fn recode(&mut self, data: Bytes, last: bool) -> io::Result<Bytes> {
        if data.is_empty() && !last {
            return Ok(data);
        }
        let coded = match &mut self.encoder {
            Encoder::Zstd(encoder) => {
                put(encoder, &data, last)?;
                std::mem::take(encoder.get_mut())
            }
            Encoder::Brotli(encoder) => {
                put(&mut **encoder, &data, last)?;
                std::mem::take(encoder.get_mut())
            }
            Encoder::Gzip(encoder) => {
                put(encoder, &data, last)?;
                std::mem::take(encoder.get_mut())
            }
            Encoder::Ended => Vec::new(),
        };
        Ok(match last {
            true => self.end(coded)?.into(),
            false => coded.into(),
        })
    }

    fn runtime(&self) -> Option<Handle> {
        self.runtime.clone()
    }
}

impl Coder {
    /// Ends the coding. `begun`: what comes before.
    fn end(&mut self, begun: Vec<u8>) -> io::Result<Vec<u8>> {
        let rest = match std::mem::replace(&mut self.encoder, Encoder::Ended) {
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Brotli(encoder) => encoder.into_inner(),
            Encoder::Gzip(encoder) => encoder.finish()?,
            Encoder::Ended => Vec::new(),
        };
        Ok(if begun.is_empty() { rest } else { [begun, rest].concat() })
    }
}
