//! The one place where something from outside is decompressed.
//!
//! A [`Decoder`] is pushed the pieces of an encoded body as they arrive and gives the decoded bytes in small windows,
//! so that a few kilobytes which stand for gigabytes are stopped on the way: by how many bytes came out, and by how many
//! came out for each that went in. It holds one window of the encoding besides (zstd: 8 MiB at most, br: 16 MiB, gzip
//! and deflate: 32 KiB), which the header's word alone never allocates.
//!
//! It refuses more than one encoding, dictionaries, br's large windows, and whatever follows the end of a stream.
//! Reading order: here, then `inflate` (gzip, deflate), `brotli`, `zstd`.

mod brotli;
mod inflate;
mod zstd;

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use self::brotli::Brotli;
use self::inflate::{Deflate, Gzip};
use self::zstd::Zstd;
use super::WebError;

/// What can be decoded, as the value of `Accept-Encoding`.
pub const ACCEPT_ENCODING: &str = "gzip, deflate, br, zstd";

/// How much comes out of an encoding at once.
const WINDOW: usize = 32 * 1024;

/// When decoding stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of the decoded body.
    pub body_bytes: u64,
    /// Decoded bytes for each encoded one.
    pub ratio: u64,
    /// The ratio counts once so many decoded bytes have come.
    pub ratio_after: u64,
}

impl DecodeLimits {
    /// At most `body_bytes`, and 100 for one after the first MiB.
    pub fn new(body_bytes: u64) -> Self {
        Self { body_bytes, ratio: 100, ratio_after: 1024 * 1024 }
    }
}

/// Decodes one body.
pub struct Decoder {
    coding: Coding,
    gauge: Gauge,
    window: Box<[u8]>,
}

impl Decoder {
    /// A decoder for what the answer's `Content-Encoding` names. No such header, and `identity`, leave the body as it is.
    ///
    /// # Errors
    /// [`WebError::EncodingUnsupported`]: more than one encoding, or one that is not known.
    pub fn new(headers: &HeaderMap, limits: DecodeLimits) -> Result<Self, WebError> {
        let coding = Coding::named(headers).ok_or(WebError::EncodingUnsupported)?;
        let window = if matches!(coding, Coding::Identity) { 0 } else { WINDOW };
        let gauge = Gauge { limits, wire: 0, produced: 0 };
        Ok(Self { coding, gauge, window: vec![0; window].into_boxed_slice() })
    }

    /// Whether the body is taken as it comes.
    pub fn is_identity(&self) -> bool {
        matches!(self.coding, Coding::Identity)
    }

    /// How many decoded bytes have come.
    pub fn produced(&self) -> u64 {
        self.gauge.produced
    }

    /// Decodes the next piece and appends what can be said of it already. After an error `out` holds what came before
    /// it, within the limit, and the decoder takes nothing more.
    ///
    /// # Errors
    /// [`WebError::BadEncoding`], or [`WebError::BodyTooLarge`] as soon as a limit is passed.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), WebError> {
        let result = self.decode(chunk, out);
        if result.is_err() {
            self.coding = Coding::Failed;
        }
        result
    }

    /// Ends the body. A body of no bytes at all is an empty one: servers name an encoding there, too.
    ///
    /// # Errors
    /// [`WebError::BadEncoding`]: the stream is not at its end.
    pub fn finish(self) -> Result<(), WebError> {
        let complete = match &self.coding {
            Coding::Identity => true,
            Coding::Failed => false,
            Coding::Gzip(_) | Coding::Deflate(_) | Coding::Brotli(_) | Coding::Zstd(_) if self.gauge.wire == 0 => true,
            Coding::Gzip(gzip) => gzip.is_complete(),
            Coding::Deflate(deflate) => deflate.is_complete(),
            Coding::Brotli(brotli) => brotli.is_complete(),
            Coding::Zstd(zstd) => zstd.is_complete(),
        };
        if complete { Ok(()) } else { Err(WebError::BadEncoding) }
    }

    fn decode(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) -> Result<(), WebError> {
        let window = &mut self.window;
        loop {
            let step = match &mut self.coding {
                Coding::Identity => return self.gauge.take(chunk.len(), chunk, out),
                Coding::Failed => Err(Broken),
                Coding::Gzip(gzip) => gzip.step(chunk, window),
                Coding::Deflate(deflate) => deflate.step(chunk, window),
                Coding::Brotli(brotli) => brotli.step(chunk, window),
                Coding::Zstd(zstd) => zstd.step(chunk, window, self.gauge.limits.body_bytes),
            };
            let step = step.map_err(|Broken| WebError::BadEncoding)?;
            let Step::Moved { consumed, produced } = step else {
                return Err(WebError::BodyTooLarge(self.gauge.limits.body_bytes));
            };
            self.gauge.take(consumed, &window[..produced], out)?;
            chunk = &chunk[consumed..];
            if consumed == 0 && produced == 0 {
                // Nothing is left to say about these bytes: they follow the stream's end.
                return if chunk.is_empty() { Ok(()) } else { Err(WebError::BadEncoding) };
            }
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coding = match &self.coding {
            Coding::Identity => "identity",
            Coding::Failed => "failed",
            Coding::Gzip(_) => "gzip",
            Coding::Deflate(_) => "deflate",
            Coding::Brotli(_) => "br",
            Coding::Zstd(_) => "zstd",
        };
        f.debug_struct("Decoder").field("coding", &coding).field("gauge", &self.gauge).finish_non_exhaustive()
    }
}

/// Each moves on by `step`, until it has used all of its input and has nothing more to give.
enum Coding {
    Identity,
    Failed,
    Gzip(Box<Gzip>),
    Deflate(Box<Deflate>),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

impl Coding {
    /// `None` for what is not decoded.
    fn named(headers: &HeaderMap) -> Option<Self> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().ok()?.split(',').map(|name| name.trim().to_ascii_lowercase()) {
                let next = match name.as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip(Box::new(Gzip::new())),
                    "deflate" => Self::Deflate(Box::new(Deflate::new())),
                    "br" => Self::Brotli(Box::new(Brotli::new())),
                    "zstd" => Self::Zstd(Box::new(Zstd::new())),
                    _ => return None,
                };
                if !matches!(coding, Self::Identity) {
                    return None;
                }
                coding = next;
            }
        }
        Some(coding)
    }
}

/// The stream is not what its encoding prescribes.
#[derive(Debug)]
struct Broken;

/// What one step did.
enum Step {
    /// Used so many bytes of the input, wrote so many into the window. Both 0: there is nothing to do.
    Moved { consumed: usize, produced: usize },
    /// The stream itself says that it is longer than the limit.
    TooLarge,
}

/// Counts what goes in and what comes out.
#[derive(Debug)]
struct Gauge {
    limits: DecodeLimits,
    wire: u64,
    produced: u64,
}

impl Gauge {
    fn take(&mut self, consumed: usize, decoded: &[u8], out: &mut Vec<u8>) -> Result<(), WebError> {
        let DecodeLimits { body_bytes, ratio, ratio_after } = self.limits;
        self.wire = self.wire.saturating_add(consumed as u64);
        self.produced = self.produced.saturating_add(decoded.len() as u64);
        let is_bomb = self.produced > ratio_after && self.produced / ratio.max(1) > self.wire;
        if self.produced > body_bytes || is_bomb {
            return Err(WebError::BodyTooLarge(body_bytes));
        }
        reserve(out, decoded.len(), body_bytes);
        out.extend_from_slice(decoded);
        Ok(())
    }
}

/// Doubles as a vector does, but not past the limit.
fn reserve(out: &mut Vec<u8>, more: usize, limit: u64) {
    let needed = out.len() + more;
    if needed > out.capacity() {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(needed);
        out.reserve_exact(needed.max(out.capacity() * 2).min(limit) - out.len());
    }
}
