//! Streams that are cut off, changed, or ask for what is not given.

use owl_egress::web::decode::DecodeLimits;

use crate::MIB;
use crate::encode::{ENCODERS, encode, text};
use crate::invariants::{decode, decoder};

fn code(coding: &'static str, body: &[u8]) -> &'static str {
    decode(coding, DecodeLimits::new(MIB), [body]).map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn no_prefix_is_taken_for_the_whole() {
    let body = text(600);
    for (name, coding, encoder) in ENCODERS {
        let encoded = encoder(&body);
        for end in 1..encoded.len() {
            assert_eq!(code(coding, &encoded[..end]), "bad_encoding", "{name}, the first {end} bytes");
        }
        assert_eq!(code(coding, &encoded), "ok", "{name}");
    }
}

#[test]
fn nothing_may_follow_the_end() {
    for (name, coding, encoder) in ENCODERS {
        for rest in [&b"\0"[..], b"<html>", &[0; 600]] {
            let body = [&encoder(b"body"), rest].concat();
            assert_eq!(code(coding, &body), "bad_encoding", "{name}");
            let pieces = body.split_at(body.len() - rest.len());
            let result = decode(coding, DecodeLimits::new(MIB), [pieces.0, pieces.1]);
            assert_eq!(result.unwrap_err().code(), "bad_encoding", "{name}");
        }
    }
}

#[test]
fn after_an_error_nothing_is_taken() {
    let mut decoder = decoder("gzip", DecodeLimits::new(MIB));
    let mut out = Vec::new();
    assert_eq!(decoder.push(b"GET", &mut out).unwrap_err().code(), "bad_encoding");
    assert_eq!(decoder.push(&encode("gzip", b"body"), &mut out).unwrap_err().code(), "bad_encoding");
    assert_eq!(decoder.finish().unwrap_err().code(), "bad_encoding");
    assert!(out.is_empty());
}

#[test]
fn checksums_and_lengths_are_compared() {
    let body = text(600);
    for name in ["gzip", "deflate in zlib's framing", "zstd"] {
        let (_, coding, encoder) = ENCODERS.into_iter().find(|(known, ..)| *known == name).unwrap();
        let mut encoded = encoder(&body);
        *encoded.last_mut().unwrap() ^= 1;
        assert_eq!(code(coding, &encoded), "bad_encoding", "{name}");
    }
    let mut gzip = encode("gzip", &body);
    let crc = gzip.len() - 8;
    gzip[crc] ^= 1;
    assert_eq!(code("gzip", &gzip), "bad_encoding");
}

#[test]
fn gzip_headers_with_everything_are_read() {
    let plain = encode("gzip", b"body");
    let with = |flags: u8, fields: &[u8]| [&plain[..3], &[flags], &plain[4..10], fields, &plain[10..]].concat();
    for (flags, fields) in [(4, &b"\x03\x00abc"[..]), (8, b"name\0"), (16, b"a comment\0"), (28, b"\0\0\0\0"), (1, b"")]
    {
        let body = with(flags, fields);
        assert_eq!(code("gzip", &body), "ok", "flags {flags}");
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(decode("gzip", DecodeLimits::new(MIB), bytes).unwrap(), b"body", "flags {flags}");
    }
    assert_eq!(code("gzip", &with(2, b"\0\0")), "bad_encoding", "the header's checksum");
    assert_eq!(code("gzip", &with(0x20, b"")), "bad_encoding", "a flag that nobody knows");
    assert_eq!(code("gzip", &with(8, &[b'n'; 20_000])), "bad_encoding", "a name without an end");
}

/// An empty frame: descriptor, then what it announces, then one last raw block of nothing.
fn frame(descriptor: u8, fields: &[u8]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd, descriptor][..], fields, &[1, 0, 0]].concat()
}

#[test]
fn zstd_windows_are_bounded_before_anything_is_allocated() {
    for (window_log, mantissa, expect) in
        [(10, 0, "ok"), (23, 0, "ok"), (23, 1, "bad_encoding"), (24, 0, "bad_encoding"), (31, 0, "bad_encoding")]
    {
        let body = frame(0, &[(window_log - 10) << 3 | mantissa]);
        assert_eq!(code("zstd", &body), expect, "2^{window_log} and {mantissa} eighths");
    }
    assert_eq!(code("zstd", &frame(0, &[0xff])), "bad_encoding");
}

#[test]
fn zstd_dictionaries_and_reserved_bits_are_refused() {
    assert_eq!(code("zstd", &frame(1, &[0, 7])), "bad_encoding", "a dictionary");
    assert_eq!(code("zstd", &frame(1, &[0, 0])), "ok", "dictionary 0 is none");
    assert_eq!(code("zstd", &frame(8, &[0])), "bad_encoding", "the reserved bit");
    assert_eq!(code("zstd", &frame(0x20, &[0])), "ok", "a single segment of nothing");
    assert_eq!(code("zstd", &frame(0x20, &[1])), "bad_encoding", "it said that there was one byte");
    let too_large = u32::try_from((128 * 1024 + 1) << 3 | 1).unwrap().to_le_bytes();
    let block = [&frame(0, &[13 << 3])[..6], &too_large[..3]].concat();
    assert_eq!(code("zstd", &block), "bad_encoding", "a block above 128 KiB");
}

#[test]
fn a_zlib_dictionary_is_refused() {
    // 0x78 0xbb: 32 KiB, FDICT set, and the check bits right.
    assert_eq!(code("deflate", &[0x78, 0xbb, 0, 0, 0, 1, 3, 0, 0, 0, 0, 1]), "bad_encoding");
}

#[test]
fn the_large_windows_of_br_are_refused() {
    // RFC 7932, section 9.1, reserves this window size; large-window br gives it a meaning, here 2^30.
    assert_eq!(code("br", &[0x11, 30, 3]), "bad_encoding");
    assert_eq!(code("br", &[0x06]), "ok", "an empty stream");
}
