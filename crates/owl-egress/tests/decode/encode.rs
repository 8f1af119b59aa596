//! Encoders, and bodies to encode.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

type Encoder = fn(&[u8]) -> Vec<u8>;

/// A name for messages, the encoding, and how it is made.
pub(crate) const ENCODERS: [(&str, &str, Encoder); 5] = [
    ("gzip", "gzip", gzip),
    ("deflate in zlib's framing", "deflate", zlib),
    ("raw deflate", "deflate", raw),
    ("br", "br", br),
    ("zstd", "zstd", zstd),
];

/// Encodes with the encoder of that name.
pub(crate) fn encode(name: &str, body: &[u8]) -> Vec<u8> {
    let (.., encoder) = ENCODERS.iter().find(|(known, ..)| *known == name).expect("a known encoder");
    encoder(body)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn raw(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn br(body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut encoded, 4096, 4, 22);
    encoder.write_all(body).unwrap();
    drop(encoder);
    encoded
}

fn zstd(body: &[u8]) -> Vec<u8> {
    compress_to_vec(body, CompressionLevel::Fastest)
}

/// So many bytes that look like prose: words that come again, in an order that does not.
pub(crate) fn text(length: usize) -> Vec<u8> {
    let words = ["owl ", "looks ", "before ", "it ", "leaps, ", "and\n", "judges ", "each ", "address ", "0123456789 "];
    let mut state = 1_u64;
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(words[usize::try_from(state >> 33).unwrap() % words.len()].as_bytes());
    }
    text.truncate(length);
    text
}
