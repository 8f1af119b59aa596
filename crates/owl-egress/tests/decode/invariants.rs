//! What must hold for any bytes. The fuzz target calls the same function.

use http::{HeaderMap, HeaderValue, header};
use owl_egress::WebError;
use owl_egress::web::decode::{DecodeLimits, Decoder};

pub(crate) const CODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "identity"];

/// A decoder for one encoding.
pub(crate) fn decoder(coding: &'static str, limits: DecodeLimits) -> Decoder {
    let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(coding))]);
    Decoder::new(&headers, limits).expect("a known encoding")
}

/// Decodes pieces. The output never outgrows the limit, whatever the end.
pub(crate) fn decode<'a>(
    coding: &'static str,
    limits: DecodeLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, WebError> {
    let mut decoder = decoder(coding, limits);
    let mut out = Vec::new();
    for piece in pieces {
        let pushed = decoder.push(piece, &mut out);
        assert!(out.capacity() as u64 <= limits.body_bytes, "{} bytes held", out.capacity());
        pushed?;
    }
    decoder.finish().map(|()| out)
}

/// Cuts `data` into pieces, now short, now long, as `seed` says.
pub(crate) fn cut(mut data: &[u8], mut seed: u64) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while !data.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let longest = [1, 3, 40, 5000][usize::try_from(seed >> 62).unwrap_or(0)];
        let length = usize::try_from(seed >> 33).unwrap_or(0) % longest + 1;
        let (piece, rest) = data.split_at(length.min(data.len()));
        pieces.push(piece);
        data = rest;
    }
    pieces
}

/// Never a panic, bounded memory, and the same end however the bytes are cut. The first two bytes choose the encoding
/// and the cuts.
pub(crate) fn any_bytes(data: &[u8]) {
    let Some((&[coding, seed], body)) = data.split_first_chunk() else { return };
    let coding = CODINGS[usize::from(coding) % CODINGS.len()];
    // The ratio is left out: how far the reading is ahead of the writing depends on the pieces.
    let limits = DecodeLimits { body_bytes: 300_000, ratio: u64::MAX, ratio_after: 0 };
    let whole = decode(coding, limits, [body]);
    match (whole, decode(coding, limits, cut(body, seed.into()))) {
        (Ok(whole), Ok(pieces)) => assert!(whole == pieces, "{coding}: the pieces changed the body"),
        (Err(_), Err(_)) => {}
        (whole, pieces) => panic!("{coding}: {:?} whole, {:?} in pieces", whole.err(), pieces.err()),
    }
}
